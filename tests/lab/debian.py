"""Debian from this machine's own apt settings: private configurations, unpacked packages, root filesystems."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cache import LabError, cache_folder, locked, output_of, run_step, timed, whole_file

ROLLING = "sid"
_APT = Path("/etc/apt")
_ROOT_VERSION = "1"  # part of a root's name: raised when `_prepare` does something else


@dataclass(frozen=True, slots=True)
class Source:
    """One place that this machine gets Debian's packages from."""

    uri: str
    suite: str
    signed_by: str


def release() -> dict[str, str]:
    """Read /etc/os-release."""
    pairs = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return {key: value.strip("\"'") for key, _, value in pairs}


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Split a deb822 file into its paragraphs."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", lines):
        joined = re.sub(r"\n[ \t]+", "\n ", block)
        fields = re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n .*)*)", joined, re.MULTILINE)
        if fields:
            yield {key.lower(): value.strip() for key, value in fields}


def _deb822_sources(text: str) -> Iterator[tuple[Source, list[str]]]:
    for fields in _paragraphs(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        for uri in fields["uris"].split():
            for suite in fields["suites"].split():
                components = fields.get("components", "").split()
                yield Source(uri, suite, fields.get("signed-by", "")), components


def _one_line_sources(text: str) -> Iterator[tuple[Source, list[str]]]:
    for options, uri, suite, components in re.findall(
        r"^deb[ \t]+(?:\[([^]]*)\][ \t]+)?(\S+)[ \t]+(\S+)([^#\n]*)", text, re.MULTILINE
    ):
        signed_by = re.search(r"signed-by=(\S+)", options)
        yield Source(uri, suite, signed_by[1] if signed_by else ""), components.split()


def machine_sources() -> tuple[Source, ...]:
    """Find the entries of the distribution itself; third parties' are no part of Debian."""
    codename = release().get("VERSION_CODENAME", "")
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    found: dict[Source, None] = {}
    for path in (_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))):
        if path.is_file():
            parse = _deb822_sources if path.suffix == ".sources" else _one_line_sources
            for source, components in parse(path.read_text(encoding="utf-8")):
                if source.suite in suites and "main" in components:
                    found[source] = None
    if release().get("ID") != "debian" or not any(s.suite == codename for s in found):
        message = "stand-in bases are made from Debian's packages, and this machine's apt names no Debian"
        raise LabError(message)
    return tuple(found)


def render_sources(suite: str, *, types: str = "deb", signed: bool = False) -> str:
    """Write this machine's sources as those of another release of Debian."""
    codename = release()["VERSION_CODENAME"]
    blocks = []
    for source in machine_sources():
        if suite == ROLLING and source.suite != codename:
            continue  # it has no updates of its own
        name = suite + source.suite.removeprefix(codename)
        lines = [f"Types: {types}", f"URIs: {source.uri}", f"Suites: {name}", "Components: main"]
        if signed and source.signed_by:
            lines.append(f"Signed-By: {source.signed_by}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def acquire_settings(pattern: str) -> str:
    """Take over those of this machine's settings for fetching packages that match the pattern."""
    lines = output_of("apt-config dump", ["apt-config", "dump"]).splitlines()
    return "".join(f"{line}\n" for line in lines if re.match(rf"Acquire::(?:{pattern})", line))


def unpacked(name: str, *packages: str, suite: str | None = None, with_needs: bool = False) -> Path:
    """Download packages and unpack them in one folder of the cache: nothing is installed.

    They are those of this machine's release, or of another suite of the same archive;
    if asked for, with all that they need and this machine has not.
    """
    suite = suite or release()["VERSION_CODENAME"]
    folder = cache_folder() / "packages" / f"{suite}-{name}"
    with locked(f"package-{name}"):
        if not folder.is_dir():
            with timed(f"unpacking Debian's {', '.join(packages or (name,))} ({suite})"):
                _download(packages or (name,), suite, folder, with_needs=with_needs)
    return folder


def _download(packages: Sequence[str], suite: str, folder: Path, *, with_needs: bool) -> None:
    """Fetch with lists of our own: the machine's may be empty, old, or those of third parties."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".apt-") as name:
        private = Path(name)
        for each in ("lists/partial", "archives/partial", "tree"):
            (private / each).mkdir(parents=True)
        sources = private / "debian.sources"
        sources.write_text(render_sources(suite, signed=True))
        settings = {
            "Dir::Etc::SourceList": sources,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": private / "lists",
            "Dir::Cache": private,
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]
        log = f"package-{folder.name}.log"
        run_step(f"apt-get update for {folder.name}", [*apt, "update"], log=log)
        if with_needs:
            packages = _with_needs(apt, packages)
        # `apt-get download` writes into the current folder.
        fetch: list[str | Path] = ["env", "-C", private, *apt, "download", *packages]
        run_step(f"downloading {', '.join(packages)}", fetch, log=log)
        for archive in sorted(private.glob("*.deb")):
            run_step(f"unpacking {archive.name}", ["dpkg", "-x", archive, private / "tree"], log=log)
        (private / "tree").replace(folder)


def _with_needs(apt: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Ask apt what it would install here for these packages; nothing is installed."""
    argv = [*apt, "--simulate", "--no-install-recommends", "install", *packages]
    lines = output_of(f"finding what {', '.join(packages)} need", argv)
    return sorted({*packages, *re.findall(r"^Inst (\S+)", lines, re.MULTILINE)})


def root_archive(suite: str) -> Path:
    """Debootstrap a minimal Debian of that suite, once, as a tar in the cache."""
    archive = cache_folder() / f"debian-{suite}-{_ROOT_VERSION}.tar"
    with locked(f"debian-{suite}"):
        if not archive.exists():
            with timed(f"debootstrap {suite}"):
                _bootstrap(suite, archive)
    return archive


def python_version(archive: Path) -> str:
    """Tell which Python the Debian in that archive has, for the images' PYTHON_VERSION."""
    return archive.with_suffix(".python").read_text(encoding="utf-8")


def _bootstrap(suite: str, archive: Path) -> None:
    if os.geteuid() != 0:
        message = "debootstrap needs root; stand-in bases cannot be made without it"
        raise LabError(message)
    command: list[str | Path] = ["debootstrap"]
    environment = {}
    if shutil.which("debootstrap") is None:
        tree = unpacked("debootstrap")
        command = [tree / "usr/sbin/debootstrap"]
        environment = {"DEBOOTSTRAP_DIR": str(tree / "usr/share/debootstrap")}
    codename = release()["VERSION_CODENAME"]
    mirror = next(source.uri for source in machine_sources() if source.suite == codename)
    log = f"debian-{suite}.log"
    root = Path(tempfile.mkdtemp(dir=archive.parent, prefix=".root-"))
    try:
        run_step(
            f"debootstrap of {suite}",
            [*command, "--variant=minbase", "--include=ca-certificates", suite, root, mirror],
            log=log,
            environment=environment,
        )
        version = _prepare(root, suite)
        with whole_file(archive.with_suffix(".python")) as temporary:
            temporary.write_text(version)
        with whole_file(archive) as temporary:
            tar: list[str | Path] = ["tar", "--one-file-system", "-C", root, "-cf", temporary, "."]
            run_step(f"packing {suite}", tar, log=log)
    finally:
        # Never across a mount: debootstrap mounts /proc in there while it works.
        run_step(f"removing {root}", ["rm", "-rf", "--one-file-system", root], log=log)


def _prepare(root: Path, suite: str) -> str:
    """Leave in the root what apt needs to go on from there; return the version of its Python."""
    (lists,) = (root / "var/lib/apt/lists").glob("*_binary-*_Packages")
    version = re.search(
        r"^Package: python3\n(?:Source: .*\n)?Version: ([\d.]+)",
        lists.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    if version is None:
        message = f"Debian's list of {suite} has no python3"
        raise LabError(message)
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(render_sources(suite))
    (root / "etc/apt/apt.conf.d/90machine").write_text(acquire_settings("Check-"))
    for pattern in ("var/lib/apt/lists/*_*", "var/cache/apt/archives/*.deb", "etc/resolv.conf"):
        for path in root.glob(pattern):
            path.unlink()
    (root / "etc/hostname").unlink(missing_ok=True)
    return version[1]
