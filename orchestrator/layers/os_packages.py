"""The databases of apk and dpkg to packages, with the files that are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.layers.names import is_package_name, make_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DPKG = "/var/lib/dpkg/"
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")


class OsPackage(Struct, frozen=True):
    """A package of the image's own system."""

    name: str
    version: str
    manager: str
    arch: str | None = None
    licence: str | None = None
    installed_bytes: int | None = None
    source: str | None = None
    files: tuple[bytes, ...] = ()


def find_os_packages(captured: Mapping[str, bytes]) -> list[OsPackage]:
    """Read the databases that an image has, sorted by name."""
    found = [package for path in _APK if path in captured for package in _apk(captured[path])]
    found += _dpkg(captured)
    return sorted(set(found), key=lambda package: (package.name, package.version))


def _apk(data: bytes) -> Iterator[OsPackage]:
    for block in data.split(b"\n\n"):
        lines = [line.partition(b":") for line in block.split(b"\n")]
        fields = {key: value.decode("utf-8", "replace").strip() for key, _, value in lines if len(key) == 1 and key not in b"FR"}
        if is_package_name(fields.get(b"P", "")):
            yield OsPackage(
                fields[b"P"],
                fields.get(b"V", ""),
                "apk",
                fields.get(b"A"),
                fields.get(b"L"),
                _number(fields.get(b"I")),
                fields.get(b"o"),
                tuple(_keys(_apk_files(lines))),
            )


def _apk_files(lines: list[tuple[bytes, bytes, bytes]]) -> Iterator[bytes]:
    folder = b""
    for key, _, value in lines:
        if key == b"F":
            folder = value
        elif key == b"R":
            yield folder + b"/" + value


def _dpkg(captured: Mapping[str, bytes]) -> Iterator[OsPackage]:
    places = [path for path in captured if path == f"{_DPKG}status" or path.startswith(f"{_DPKG}status.d/")]
    for path in sorted(places):
        if path.endswith(".md5sums"):
            continue
        for block in captured[path].decode("utf-8", "replace").split("\n\n"):
            fields = dict(_fields(block))
            name = fields.get("Package", "")
            if is_package_name(name) and fields.get("Status", "ok installed").endswith(" installed"):
                yield _debian(name, fields, captured)


def _debian(name: str, fields: Mapping[str, str], captured: Mapping[str, bytes]) -> OsPackage:
    arch = fields.get("Architecture")
    lists = (f"{_DPKG}info/{name}:{arch}.list", f"{_DPKG}info/{name}.list", f"{_DPKG}status.d/{name}.md5sums")
    files = next((captured[path] for path in lists if path in captured), b"")
    kilobytes = _number(fields.get("Installed-Size"))
    size = None if kilobytes is None else kilobytes * 1024
    source = fields.get("Source", "").partition(" ")[0] or None
    return OsPackage(name, fields.get("Version", ""), "dpkg", arch, None, size, source, tuple(_keys(files.split(b"\n"))))


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\n"):
        key, colon, value = line.partition(":")
        if colon and not key.startswith((" ", "\t")):
            yield key, value.strip()


def _keys(paths: Iterable[bytes]) -> Iterator[bytes]:
    return (key for path in paths if (key := make_key(path)))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004  # no size is longer


def read_system(captured: Mapping[str, bytes]) -> dict[str, str]:
    """Read os-release."""
    data = captured.get("/etc/os-release") or captured.get("/usr/lib/os-release") or b""
    pairs = (line.partition("=") for line in data.decode("utf-8", "replace").splitlines())
    return {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}
