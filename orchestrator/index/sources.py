"""Which package indices the user has configured, in uv's words or pip's, for uv and for us alike."""

from __future__ import annotations

import configparser
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from orchestrator.index.uv import default_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NAMED = re.compile(r"^[A-Za-z0-9_.-]+=(?=[a-z+]+://|/)")  # UV_INDEX may give an index a name
_OPTION = re.compile(r"^\s*(?:--(index-url|extra-index-url|find-links)|(-i|-f))(?:\s+|=)(\S+)")


class Sources(Struct, frozen=True):
    """The indices in the order in which they are asked, flat lists of files, and a bundle of certificates."""

    default: str = ""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    certificates: str | None = None
    from_pip: bool = False  # then all indices count alike, as for pip

    @property
    def indices(self) -> tuple[str, ...]:
        """Give every index once; further ones come first, as for uv."""
        return tuple(dict.fromkeys(filter(None, [*self.extra, self.default])))

    def uv_environment(self) -> dict[str, str]:
        """Give the variables that tell uv the same; addresses may hold credentials, so they are in no argument."""
        if not self.from_pip:
            found: dict[str, str] = {}
        else:
            found = {"UV_DEFAULT_INDEX": self.default, "UV_INDEX": " ".join(self.extra), "UV_FIND_LINKS": ",".join(self.find_links)}
            found |= {"UV_INDEX_STRATEGY": "unsafe-best-match"} if self.extra else {}
        if self.certificates:
            found["SSL_CERT_FILE"] = self.certificates
        return {name: value for name, value in found.items() if value}


def load_sources(environ: Mapping[str, str], folder: Path) -> Sources:
    """Read uv's variables and uv.toml; where they say nothing, pip's variables and pip.conf."""
    pip = _pip_settings(environ)
    bundle = environ.get("SSL_CERT_FILE") or environ.get("PIP_CERT") or environ.get("REQUESTS_CA_BUNDLE") or _first(pip.get("cert"))
    certificates = bundle if bundle and Path(bundle).is_file() else None
    uv = _uv_settings(environ, folder)
    if uv:
        return Sources(
            _first(uv.get("default")) or default_index(),
            _on_the_network(uv.get("extra", [])),
            _on_the_network(uv.get("find", [])),
            certificates,
        )
    default = environ.get("PIP_INDEX_URL") or _first(pip.get("index-url"))
    extra = environ.get("PIP_EXTRA_INDEX_URL", "").split() or pip.get("extra-index-url", [])
    links = environ.get("PIP_FIND_LINKS", "").split() or pip.get("find-links", [])
    found = Sources(default or default_index(), _on_the_network(extra), _on_the_network(links), certificates)
    is_set = default is not None or found.extra or found.find_links
    return Sources(found.default, found.extra, found.find_links, certificates, from_pip=bool(is_set))


def with_options_of(sources: Sources, texts: Iterable[str]) -> Sources:
    """Add the indices that requirements files themselves name; uv reads those by itself."""
    default, extra, links = sources.default, list(sources.extra), list(sources.find_links)
    for line in (line for text in texts for line in text.splitlines()):
        if not (found := _OPTION.match(line)):
            continue
        match found[1] or {"-i": "index-url", "-f": "find-links"}[found[2]]:
            case "index-url":
                default = found[3]
            case "extra-index-url":
                extra.append(found[3])
            case _:
                links.append(found[3])
    return Sources(default, tuple(extra), tuple(links), sources.certificates, sources.from_pip)


def _uv_settings(environ: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Give what uv is told: its variables win over its files, the nearest file over the others."""
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    extra = [_NAMED.sub("", word) for word in (environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL") or "").split()]
    links = [word for word in environ.get("UV_FIND_LINKS", "").split(",") if word]
    found = {"default": [default] if default else [], "extra": extra, "find": links}
    for data in _uv_files(environ, folder):
        tables = [table for table in data.get("index", []) if isinstance(table, dict) and "url" in table]
        file_default = [str(table["url"]) for table in tables if table.get("default")] or _as_list(data.get("index-url"))
        file_extra = [str(table["url"]) for table in tables if not table.get("default")] + _as_list(data.get("extra-index-url"))
        found["default"] = found["default"] or file_default
        found["extra"] = found["extra"] or file_extra
        found["find"] = found["find"] or _as_list(data.get("find-links"))
    return found if any(found.values()) else {}


def _uv_files(environ: Mapping[str, str], folder: Path) -> Iterator[dict[str, Any]]:
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config")
    named = environ.get("UV_CONFIG_FILE")
    above = [parent / "uv.toml" for parent in [folder.absolute(), *folder.absolute().parents]]
    paths = [Path(named)] if named else [*above, home / "uv/uv.toml", Path("/etc/uv/uv.toml")]
    for path in paths:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # uv will say what is wrong with it
        yield data.get("pip", {}) | data if isinstance(data.get("pip", {}), dict) else data


def _pip_settings(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Read pip's files; a later one, and `[install]`, wins, as for pip."""
    home = Path(environ.get("HOME") or "~").expanduser()
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = environ.get("PIP_CONFIG_FILE")
    paths = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip/pip.conf", config / "pip/pip.conf"]
    paths += [Path(sys.prefix, "pip.conf"), *([Path(named)] if named and named != os.devnull else [])]
    found: dict[str, list[str]] = {}
    for path in [] if named == os.devnull else paths:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, configparser.Error):
            continue  # pip will say what is wrong with it
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): value.split() for key, value in parser.items(section)}
    return found


def _on_the_network(places: Iterable[str]) -> tuple[str, ...]:
    """Leave out folders of this machine: a build in a container does not see them, so they say nothing of it."""
    return tuple(place for place in dict.fromkeys(places) if local_path(place) is None)


def local_path(place: str) -> Path | None:
    """Give the folder that an address names on this machine, or None for one on the network."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(place).expanduser()


def _first(values: list[str] | None) -> str | None:
    return values[0] if values else None


def _as_list(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [value] if isinstance(value, str) else []
