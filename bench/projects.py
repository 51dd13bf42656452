"""The projects that are built: tiny images, images on one large base, and the default matrix."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.lab.registry import mirrored_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
MARK = "matrix-bench"  # in the label of each image and in what each step runs: by it all is removed again
BUILDER = MARK  # the name of the one in a container
LARGE_BASE = "matrix-bench-base:300MB"
REAL_CELLS = 26  # of the default matrix those that the stand-in bases can build, without the one that must fail
_LARGE_FROM = "python:3.13-slim"
_HOSTS = ("docker.io", "cgr.dev")  # from which the default matrix takes its bases
_LARGE_BYTES = 300_000_000

_IGNORED = "bake.json\ncommands\ncommands.txt\nlog.txt\n"  # what the bench itself writes there: no change of the context
_COLD = "ARG COLD\nWORKDIR /cold-$COLD\nWORKDIR /\n"  # another value makes every step behind it another one
_TINY = f"""\
FROM scratch
{_COLD}COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo {MARK}, the same in all cells, $COLD > /prefix"]
ARG OWN
ARG CELL
ARG FAIL
RUN ["/bin/busybox", "sh", "-c", "test -z \\"$FAIL\\" && echo {MARK} $CELL $OWN > /own"]
"""
_LARGE = f"""\
FROM %s
{_COLD}RUN echo {MARK}, the same in all cells, $COLD > /prefix && cp -r /usr/share/zoneinfo /opt/prefix
ARG OWN
ARG CELL
ARG FAIL
RUN test -z "$FAIL" && echo {MARK} $CELL $OWN > /own
"""
_FROM = re.compile(r"^FROM .*$", re.MULTILINE)


def make_project(kind: str, cells: int, driver: str, folder: Path, registry: str | None = None) -> dict[str, Any]:
    """Write all but matrix.yaml of a project into a folder; give matrix.yaml as data.

    A builder that is not the engine's own has the bases from a registry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath(".dockerignore").write_text(_IGNORED, encoding="utf-8")
    if kind == "real":
        return _real(cells, _builder(driver, registry), folder)
    is_tiny = kind == "tiny"
    large_base = f"{registry}/{mirrored_name(LARGE_BASE)}" if registry else LARGE_BASE
    folder.joinpath("Dockerfile").write_text(_TINY if is_tiny else _LARGE % large_base, encoding="utf-8")
    if is_tiny:
        shutil.copy(find_busybox(), folder / "busybox")
        folder.joinpath("busybox").chmod(0o755)
    return {
        "version": 1,
        "name": f"bench-{kind}",
        "axes": {"cell": [f"c{at:03}" for at in range(cells)]},
        "defaults": {
            "args": {"CELL": "{cell}"},
            "labels": {MARK: "yes"},
            "smoke": [{"run": ["/bin/busybox", "true"]} if is_tiny else {"import": ["json"]}],
        },
        "builder": _builder(driver, registry),
    }


def _builder(driver: str, registry: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"driver": driver, "name": BUILDER, "network": "host"}
    return found | ({"mirrors": {host: [registry] for host in _HOSTS}} if registry else {})


def _real(cells: int, builder: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Take the default matrix, without what must fail: bake would stop there and build nothing at all."""
    found: dict[str, Any] = yaml.safe_load(ROOT.joinpath("matrix.yaml").read_text(encoding="utf-8"))
    for name in ("claims", "decide"):
        found.pop(name)
    found |= {"name": "bench-real", "builder": dict(builder)}
    found["axes"]["python"] = ["3.13"]
    lacking = [rule for rule in found["expect"] if rule["outcome"] == "build-failed"]
    found["expect"] = [rule for rule in found["expect"] if rule not in lacking]
    found["exclude"] += [{"base": rule["base"], "deps": rule["deps"]} for rule in lacking]
    found["defaults"]["labels"] = {MARK: "yes"}
    _keep_first(found, cells)
    shutil.copytree(ROOT / "dockerfiles", folder / "dockerfiles", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.glob("dockerfiles/*.Dockerfile"):
        path.write_text(_FROM.sub(lambda line: f"{line[0]}\n{_COLD.rstrip()}", path.read_text(encoding="utf-8")), encoding="utf-8")
    return found


def _keep_first(found: dict[str, Any], cells: int) -> None:
    """Leave out sets of dependencies until there are as few cells as were asked for."""
    deps = found["axes"]["deps"]
    kept = deps[: max(cells * len(deps) // REAL_CELLS, 1)]
    found["axes"]["deps"] = kept
    found["settings"]["deps"] = {name: rules for name, rules in found["settings"]["deps"].items() if name in kept}
    for kind in ("exclude", "expect"):
        found[kind] = [rule for rule in found[kind] if set(_listed(rule["deps"])) & set(kept)]
        for rule in found[kind]:
            rule["deps"] = [name for name in _listed(rule["deps"]) if name in kept]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def save_values(
    project: Mapping[str, Any], folder: Path, *, cold: str, own: str, failing: Sequence[str] = (), smoke: str = "auto"
) -> None:
    """Write matrix.yaml with the build arguments that decide which steps are new, and where checks run."""
    data = json.loads(json.dumps(project))
    data["builder"]["smoke"] = smoke
    data["defaults"].setdefault("args", {}).update({"COLD": cold, "OWN": own})
    if data["name"] == "bench-real":
        data["defaults"]["args"]["BUILDKIT_CACHE_MOUNT_NS"] = f"{MARK}-{cold}"  # no wheel is left from another time
        folder.joinpath("dockerfiles/app/own.txt").write_text(f"{own}\n", encoding="utf-8")
    if failing:
        data["settings"] = {"cell": {cell: {"args": {"FAIL": "yes"}} for cell in failing}}
    folder.joinpath("matrix.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")


def find_busybox() -> Path:
    """Find a static busybox: the machine's, or the distribution's from the lab's cache."""
    from tests.lab.debian import unpacked  # noqa: PLC0415  # only projects of tiny images need it

    return unpacked("busybox-static") / "bin/busybox"


def ensure_large_base() -> int:
    """Make the base of about 300 MB in the engine, of files as images have them; give its size."""
    found = _size_of(LARGE_BASE)
    if found is None:
        copies = (
            f"RUN i=0; while [ $(du -sxm / | cut -f1) -lt {_LARGE_BYTES // 2**20} ]; do i=$((i+1)); cp -a /usr/lib /opt/$i; done"
        )
        text = f"FROM {_LARGE_FROM}\nLABEL {MARK}=base\n{copies}\n"
        words = ["docker", "buildx", "build", "--load", "--provenance=false", "--tag", LARGE_BASE, "-"]
        subprocess.run(words, input=text.encode(), capture_output=True, check=True)  # noqa: S603  # an argument list
        found = _size_of(LARGE_BASE)
    return found or 0


def _size_of(ref: str) -> int | None:
    words = ["docker", "image", "inspect", "--format", "{{.Size}}", ref]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # as above
    return int(done.stdout) if done.returncode == 0 else None
