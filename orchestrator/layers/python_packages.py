"""Python's own records of what is installed to packages: native or pure, from a wheel or compiled here."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.layers.names import is_package_name, make_key
from orchestrator.packages import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.measure.installs import Origin

_INFO = re.compile(r"(?P<site>.*)/(?P<info>[^/]+\.(?:dist|egg)-info)(?:/(?:METADATA|PKG-INFO))?")
_NATIVE = (".so", ".pyd", ".dylib")
_UNPACKED = re.compile(r".*/archive-v\d+/[^/]+")  # a wheel in uv's cache, from where it is linked to where it is installed


class PythonPackage(Struct, frozen=True):
    """A Python package and what is known of where it came from."""

    name: str
    version: str
    built_from: str | None
    native: bool | None
    installed_by: str | None
    compile_s: float | None
    licence: str | None
    files: tuple[bytes, ...]


def find_python_packages(captured: Mapping[str, bytes], origins: Mapping[str, Origin]) -> list[PythonPackage]:
    """Read what is installed, each copy of it; what a package carries inside for itself is not meant."""
    found = []
    for path, data in captured.items():
        place = _INFO.fullmatch(path)
        if not place or "/_vendor/" in path or _UNPACKED.fullmatch(place["site"]):
            continue
        if path.endswith(("/METADATA", "/PKG-INFO", ".egg-info")):
            package = _make_package(place["site"], f"{place['site']}/{place['info']}", data, captured, origins)
            found += [package] if package else []
    return sorted(found, key=lambda package: (normal_name(package.name), package.version))


def _make_package(
    site: str, info: str, metadata: bytes, captured: Mapping[str, bytes], origins: Mapping[str, Origin]
) -> PythonPackage | None:
    fields = dict(_fields(metadata))
    name, version = fields.get("name", [""])[0], fields.get("version", [""])[0]
    if not is_package_name(name):
        return None
    tags = dict(_fields(captured.get(f"{info}/WHEEL", b""))).get("tag", [])
    platforms = {tag.rpartition("-")[2] for tag in tags}
    record = captured.get(f"{info}/RECORD")
    paths = None if record is None else record.decode("utf-8", "surrogateescape").split("\n")
    origin = origins.get(normal_name(name))
    if origin and origin.version not in (None, version):
        origin = None
    installer = captured.get(f"{info}/INSTALLER", b"").decode("utf-8", "replace").strip()
    return PythonPackage(
        name=name,
        version=version,
        built_from=_built_from(platforms, origin, captured.get(f"{info}/direct_url.json")),
        native=_is_native(platforms, paths),
        installed_by=installer or None,
        compile_s=origin.seconds if origin and origin.built_from == "sdist" else None,
        licence=next(iter(fields.get("license-expression", [])), None),
        files=tuple(_keys(site, paths or ())),
    )


def _fields(data: bytes) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        if colon and not key.startswith((" ", "\t")):
            found.setdefault(key.lower(), []).append(value.strip())
    yield from found.items()


def _built_from(platforms: set[str], origin: Origin | None, direct_url: bytes | None) -> str | None:
    """Say what a package was made from: the build's log, the wheel's platform, the address; None when none of them tells.

    No index takes a wheel for plain `linux`: such a one was compiled here.
    """
    if any(platform.startswith("linux_") for platform in platforms):
        return "sdist"
    if origin is not None:
        return origin.built_from
    if platforms and platforms != {"any"}:
        return "wheel"
    return _from_address(direct_url)


def _from_address(direct_url: bytes | None) -> str | None:
    try:
        address = json.loads(direct_url or b"{}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(address, dict) or not {"vcs_info", "dir_info", "archive_info"} & set(address):
        return None
    return "wheel" if "archive_info" in address and str(address.get("url", "")).endswith(".whl") else "sdist"


def _is_native(platforms: set[str], paths: list[str] | None) -> bool | None:
    if platforms - {"any"} or any(path.endswith(_NATIVE) or ".so." in path for path in paths or ()):
        return True
    return False if platforms or paths is not None else None


def _keys(site: str, paths: list[str] | tuple[()]) -> Iterator[bytes]:
    for path in paths:
        if path:
            whole = path if path.startswith("/") else f"{site}/{path}"
            key = make_key(whole.encode("utf-8", "surrogateescape"))
            if key:
                yield key
