"""Makes the stand-in base images and tags them with the names that Dockerfiles use."""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cache import LabError, cache_folder, locked, output_of, run_step, say, timed, whole_file
from tests.lab.debian import acquire_settings, machine_sources, python_version, render_sources, root_archive

RECIPES = Path(__file__).parent / "recipes"
STAND_IN_LABEL = "io.matrix.stand-in"
RECIPE_LABEL = "io.matrix.lab-recipe"
_AT_ONCE = 2
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_RELEASES = {"bookworm": "Debian 12 (bookworm)", "trixie": "Debian 13 (trixie)"}


@dataclass(frozen=True, slots=True)
class StandIn:
    """One base image that is made here because its registry cannot be reached."""

    name: str
    refs: tuple[str, ...]
    recipe: str
    suite: str
    series: str

    @property
    def made_from(self) -> str:
        """Say what it is made from, in the words that end up in the image's label and in reports."""
        return f"{_RELEASES[self.suite]} packages"

    @property
    def digest(self) -> str:
        """Name everything that the image depends on; a change of it makes the image anew."""
        parts = [repr((self.refs, self.suite, self.series)).encode()]
        for folder in (RECIPES / self.recipe, RECIPES / "apk"):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not (self.keeps_apt and folder.name == "apk"):
                    parts += [path.name.encode(), path.read_bytes()]
        if self.keeps_apt:
            parts.append(render_sources(self.suite).encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]

    @property
    def archive(self) -> Path:
        """Give the file of the cache that keeps it for the next engine."""
        return cache_folder() / f"base-{self.name}-{self.digest}.tar"

    @property
    def keeps_apt(self) -> bool:
        """Slim images can install with apt, so this machine's sources are part of them."""
        return self.recipe in {"slim", "node"}


STAND_INS = (  # the one that takes longest first
    StandIn(
        name="alpine-3.13",
        refs=("python:3.13-alpine",),
        recipe="alpine",
        suite="trixie",
        series="3.13",
    ),
    StandIn(
        name="slim-3.11",
        refs=("python:3.11-slim", "python:3.11-slim-bookworm"),
        recipe="slim",
        suite="bookworm",
        series="3.11",
    ),
    StandIn(
        name="slim-3.13",
        refs=("python:3.13-slim", "python:3.13-slim-trixie"),
        recipe="slim",
        suite="trixie",
        series="3.13",
    ),
    StandIn(
        name="wolfi",
        refs=("cgr.dev/chainguard/wolfi-base:latest",),
        recipe="wolfi",
        suite="trixie",
        series="3.13",
    ),
    StandIn(
        name="node-18",
        refs=("node:18-slim", "node:18-bookworm-slim"),
        recipe="node",
        suite="bookworm",
        series="18",
    ),
)

_LACKING = (
    *(
        ({"python": series}, f"no stand-in base has Python {series}: Debian 12 has 3.11, 13 has 3.13")
        for series in ("3.9", "3.10", "3.12", "3.14")
    ),
    *(
        ({"base": base, "python": "3.11"}, f"the stand-in for {base} is made from Debian 13: 3.13 only")
        for base in ("alpine", "alpine-single-stage", "wolfi")
    ),
    ({"base": "alpine", "node": "18"}, "no stand-in for node:18-alpine: Debian has no Node for musl"),
)


def _images(refs: Iterable[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Ask the engine for the ids and labels of those images that it has; a list of all is spoilt by one that goes away."""
    wanted = list(refs)
    command = ["docker", "image", "inspect", *wanted]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if "no such image" not in line.lower()]
    if errors:
        message = f"docker image inspect: {' '.join(errors)}"
        raise LabError(message)
    found = {ref: image for image in json.loads(done.stdout) for ref in image["RepoTags"]}
    return {ref: (found[ref]["Id"], found[ref]["Config"].get("Labels") or {}) for ref in wanted if ref in found}


def _is_there(stand_in: StandIn, images: Mapping[str, tuple[str, dict[str, str]]]) -> bool:
    """Look whether the engine has this very image, or the real one, which is never replaced."""
    images = {ref: image for ref, image in images.items() if ref in stand_in.refs}
    if images and not any(STAND_IN_LABEL in labels for _, labels in images.values()):
        say(f"{stand_in.refs[0]}: the engine has the real one, which is kept")
        return True
    recipes = [images[ref][1].get(RECIPE_LABEL) if ref in images else None for ref in stand_in.refs]
    return set(recipes) == {stand_in.digest}


def _ensure(stand_in: StandIn) -> None:
    """Load the image from the cache, or make it; another process may do so while this one waits."""
    with locked(f"base-{stand_in.name}"):
        archive = stand_in.archive
        if not archive.exists():
            with timed(f"making {stand_in.name} from {stand_in.made_from}"):
                _build(stand_in)
                _save(stand_in, archive)
        elif not _is_there(stand_in, _images(stand_in.refs)):
            with timed(f"loading {stand_in.name} from the cache"):
                command: list[str | Path] = ["docker", "load", "-i", archive]
                run_step(f"docker load of {archive}", command, log=f"base-{stand_in.name}.log")


def _import_root(suite: str) -> tuple[str, str]:
    """Give the engine the root filesystem that recipes start from; return its tag and its Python."""
    archive = root_archive(suite)
    # The archive's time makes an older import of the same suite another image.
    ref = f"lab-debian:{suite}-{archive.stat().st_mtime_ns}"
    if ref not in _images([ref]):
        with timed(f"importing {archive.name}"):
            run_step("docker import", ["docker", "import", archive, ref], log=f"debian-{suite}.log")
    return ref, python_version(archive)


def _build(stand_in: StandIn) -> None:
    """Build with the engine's own BuildKit: only that one sees the engine's images."""
    root, version = _import_root(stand_in.suite)
    arguments = {
        "ROOT": root,
        "PYTHON_SERIES": stand_in.series,
        "PYTHON_VERSION": version,
        "MADE_FROM": stand_in.made_from,
        "RECIPE": stand_in.digest,
    }
    log = f"base-{stand_in.name}.log"
    (cache_folder() / log).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        settings = Path(folder) / "apt.conf"
        settings.write_text(_apt_settings(), encoding="utf-8")
        command = ["docker", "buildx", "build", "--load", "--provenance=false", "--progress=plain"]
        command += ["--network=host"]  # a mirror or a proxy may be at this machine's own address
        # The builder of the context's name is the engine itself, whichever one is selected.
        command += ["--builder", output_of("docker context", ["docker", "context", "show"]).strip()]
        command += ["--build-context", f"apk={RECIPES / 'apk'}"]
        command += [f"--secret=id=apt,src={settings}"]
        if _CA_BUNDLE.exists():
            command += [f"--secret=id=ca,src={_CA_BUNDLE}"]
        command += [f"--build-arg={key}={value}" for key, value in arguments.items()]
        command += [f"--tag={ref}" for ref in stand_in.refs]
        command += [str(RECIPES / stand_in.recipe)]
        run_step(f"building {stand_in.name}", command, log=log)


def _apt_settings() -> str:
    """Reach the mirrors as this machine does: its proxies, and its trust where they are https."""
    settings = acquire_settings("https?::|Check-")
    if any(source.uri.startswith("https:") for source in machine_sources()):
        settings += 'Acquire::https::CAInfo "/run/secrets/ca";\n'
    return settings


def _save(stand_in: StandIn, archive: Path) -> None:
    """Keep the image for the next engine; archives of older recipes are of no more use."""
    with whole_file(archive) as temporary:
        command: list[str | Path] = ["docker", "save", "-o", temporary, *stand_in.refs]
        run_step(f"saving {stand_in.name}", command, log=f"base-{stand_in.name}.log")
    for old in archive.parent.glob(f"base-{stand_in.name}-*.tar"):
        if old != archive:
            old.unlink()


def ensure_bases(names: Sequence[str] = ()) -> tuple[StandIn, ...]:
    """Make what is missing of the named stand-ins (all of them without a name); return them."""
    unknown = sorted(set(names) - {stand_in.name for stand_in in STAND_INS})
    if unknown:
        known = ", ".join(stand_in.name for stand_in in STAND_INS)
        message = f"no stand-in is called {', '.join(unknown)}; there are {known}"
        raise LabError(message)
    chosen = tuple(stand_in for stand_in in STAND_INS if not names or stand_in.name in names)
    images = _images(ref for stand_in in chosen for ref in stand_in.refs)
    missing = [stand_in for stand_in in chosen if not _is_there(stand_in, images)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # compiling waits for one core, debootstrap for the network
        list(pool.map(_ensure, missing))
    return chosen


def save_description() -> Path:
    """Write which stand-ins the engine has and what none of them can offer; return the file."""
    refs = {ref: stand_in for stand_in in STAND_INS for ref in stand_in.refs}
    bases = [
        {"ref": ref, "made_from": refs[ref].made_from, "digest": digest}
        for ref, (digest, labels) in _images(refs).items()
        if STAND_IN_LABEL in labels
    ]
    lacking = [{"where": where, "reason": reason} for where, reason in _LACKING]
    path = cache_folder() / "stand-ins.json"
    with whole_file(path) as temporary:
        text = json.dumps({"bases": bases, "lacking": lacking}, indent=2)
        temporary.write_text(f"{text}\n", encoding="utf-8")
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Make the named stand-ins and print where their description is."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.bases", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    names = parser.parse_args(argv).names
    try:
        with timed(f"stand-in bases {' '.join(names) or '(all)'}"):
            ensure_bases(names)
            path = save_description()
    except LabError as error:
        say(str(error))
        return 4
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
