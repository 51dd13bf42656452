"""Those that are held against each other: their command lines, and how many images each ended with."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bench.gauge import CommandFailedError
from bench.nouns import (
    ALONE,
    BAKE,
    BARE,
    CARRIED,
    EVIDENCE,
    IMAGES,
    IN_GRAPH,
    MATRIX,
    NOTHING_KEPT,
    PARALLEL,
    RECORD,
    SERIAL,
    UNIQUE,
    WITHOUT_SMOKE,
    WITHOUT_TRACE,
)
from bench.projects import MARK
from orchestrator.tracing.otlp import load_lines
from orchestrator.tracing.waterfall import make_waterfall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MATRIX_COMMAND = str(Path(sys.executable).with_name("matrix"))
_ARGUMENTS = {
    MATRIX: (),
    CARRIED: ("--skip-unchanged",),
    ALONE: ("--jobs", "1"),
    WITHOUT_SMOKE: ("--no-smoke",),
    WITHOUT_TRACE: ("--no-trace",),
    IN_GRAPH: (),
}
_OUTPUTS = {BAKE: "--load", NOTHING_KEPT: "--set=*.output=type=cacheonly"}
_AT_ONCE = {PARALLEL: 4, SERIAL: 1}


class Place(Struct, frozen=True):
    """Where one project is built in one state, by all contenders in turn."""

    folder: Path
    builder: str

    @property
    def cache(self) -> Path:
        """Give the folder in which matrix remembers what it has seen."""
        return self.folder / "cache"

    @property
    def tag(self) -> str:
        """Give the name that the others' images have."""
        return f"matrix-bench.local/{self.folder.name}"

    @property
    def environment(self) -> Mapping[str, str]:
        """Give the variables that all run with; provenance would be more work for those that are not matrix."""
        return {**os.environ, "MATRIX_CACHE_DIR": str(self.cache), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def is_matrix(contender: str) -> bool:
    """Tell whether a contender is ours."""
    return contender in _ARGUMENTS


def bootstrap(place: Place) -> None:
    """Have the builder before the clock runs."""
    _ask_matrix(place, "bootstrap")


def _ask_matrix(place: Place, *words: str) -> str:
    """Run a command of ours that is not measured; give what it prints."""
    done = subprocess.run(  # noqa: S603  # an argument list
        [MATRIX_COMMAND, *words], cwd=place.folder, env=dict(place.environment), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = f"matrix {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}"
        raise CommandFailedError(message)
    return done.stdout


def has_image(ref: str) -> bool:
    """Tell whether the engine has an image."""
    return bool(_docker("image", "inspect", "--format", "{{.Id}}", ref, check=False).strip())


def forget_builder(builder: str) -> None:
    """Remove the builder in a container, where there was one."""
    _docker("buildx", "rm", "--force", builder, check=False)


def plan_targets(place: Place) -> dict[str, Any]:
    """Write the very targets that matrix would build, with a name for each image and the secrets that are files; give them."""
    text = _ask_matrix(place, "plan", "--format", "bake")
    plan = json.loads(text)
    for name, target in plan["target"].items():
        target["tags"] = [f"{place.tag}:{name.lower()}"]
        target["secret"] = target.get("secret", []) + [f"id={key},src={path}" for key, path in _secrets(place).items()]
    (place.folder / "bake.json").write_text(json.dumps(plan), encoding="utf-8")
    return dict(plan["target"])


def _secrets(place: Place) -> dict[str, str]:
    """Give the secrets of matrix.yaml that a variable names a file for: bake files have no word for it."""
    data = json.loads((place.folder / "matrix.yaml").read_text(encoding="utf-8"))
    named = {name: rule.get("file_env") for name, rule in data["defaults"].get("secrets", {}).items()}
    return {name: os.environ[variable] for name, variable in named.items() if variable and os.environ.get(variable)}


def make_argv(contender: str, place: Place, targets: Mapping[str, Any]) -> list[str]:
    """Give the command of a contender."""
    if contender in _ARGUMENTS:
        return [MATRIX_COMMAND, "run", "--progress", "none", *_ARGUMENTS[contender]]
    if contender in _OUTPUTS:
        words = ["docker", "buildx", "bake", "--builder", place.builder, "--file", "bake.json"]
        return [*words, "--progress=plain", "--allow=fs.read=*", _OUTPUTS[contender]]
    if contender == BARE:
        idle = "/bin/busybox true" if (place.folder / "busybox").exists() else "true"
        return [sys.executable, str(Path(__file__).with_name("containers.py")), idle, *_names(targets)]
    folder = place.folder / "commands"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, target in targets.items():
        (folder / name).write_text(f"exec {shlex.join(_build(place, target))}\n", encoding="utf-8")
    names = place.folder / "commands.txt"
    names.write_text("".join(f"{folder / name}\n" for name in targets), encoding="utf-8")
    return ["xargs", "-a", str(names), "-n", "1", "-P", str(_AT_ONCE[contender]), "sh"]


def _build(place: Place, target: Mapping[str, Any]) -> list[str]:
    words = ["docker", "buildx", "build", "--builder", place.builder, "--load", "--progress=plain", "--file", target["dockerfile"]]
    words += [f"--build-arg={name}={value}" for name, value in target.get("args", {}).items()]
    words += [f"--label={name}={value}" for name, value in target.get("labels", {}).items()]
    words += [f"--secret={secret}" for secret in target.get("secret", ())]
    words += [f"--tag={tag}" for tag in target["tags"]]
    return [*words, target["context"]]


def count_results(contender: str, place: Place, targets: Mapping[str, Any]) -> int:
    """Count the cells that have an image which was tested, or can be."""
    if is_matrix(contender):
        record = json.loads((place.folder / "reports/latest/run.json").read_bytes())
        return sum(cell["image"] is not None for cell in record["cells"])
    return len(_docker("image", "inspect", "--format", "{{.Id}}", *_names(targets), check=False).split())


def forget_images(targets: Mapping[str, Any]) -> None:
    """Remove the images that others than matrix have left."""
    _docker("image", "rm", "--force", *_names(targets), check=False)  # some may not be there


def _names(targets: Mapping[str, Any]) -> list[str]:
    return [tag for target in targets.values() for tag in target["tags"]]


def forget_steps(builder: str) -> None:
    """Remove the steps that the bench has left in the builder: an engine gets slow with what lies in it."""
    _docker("buildx", "prune", "--builder", builder, "--force", "--filter", f"description~={MARK}")


def _docker(*words: str, check: bool = True) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=check).stdout  # noqa: S603, S607  # as users type it


def read_parts(place: Place) -> tuple[dict[str, tuple[float, ...]], int, int]:
    """Read what each cell of the last run waited for, part by part, and when the first began and the last ended."""
    run = place.folder / "reports/latest"
    order = [cell["id"] for cell in json.loads((run / "run.json").read_bytes())["cells"]]
    costs: list[Mapping[str, float]] = []
    moments: list[int] = []
    for cell in order:
        trace = run / "cells" / cell / "trace.json"
        if trace.is_file():
            spans = load_lines(trace.read_text(encoding="utf-8"))
            root = next(span for span in spans if span.name == "cell")
            moments += [root.start_ns, root.end_ns]
            costs.append(make_waterfall(spans).parts_s)
    names: Sequence[str] = sorted({name for cost in costs for name in cost})
    parts = {name: tuple(round(cost.get(name, 0.0), 4) for cost in costs) for name in names}
    return parts, min(moments, default=0), max(moments, default=0)


def read_sizes(place: Place) -> dict[str, int]:
    """Read how many bytes the last run left on disk, and those of its images."""
    run = place.folder / "reports/latest"
    cells = json.loads((run / "run.json").read_bytes())["cells"]
    images = [cell["image"] for cell in cells if cell["image"]]
    return {
        RECORD: (run / "run.json").stat().st_size,
        EVIDENCE: sum(path.stat().st_size for path in run.glob("cells/*/*") if path.is_file()),
        IMAGES: sum(image["compressed_bytes"] or 0 for image in images),
        UNIQUE: sum(image["unique_compressed_bytes"] or 0 for image in images),
    }
