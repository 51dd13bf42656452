"""Which package indices the user has configured, in uv's words or pip's, for uv and for us alike."""

from __future__ import annotations

import configparser
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import UsageError
from orchestrator.index.uv import default_index
from orchestrator.paths import home_or_here
from orchestrator.redact import Redactor
from orchestrator.strict import as_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from urllib.parse import SplitResult

_NAMED = re.compile(r"(?:([A-Za-z0-9_.-]+)=(?=[a-z+]+://|/))?(\S*)")  # UV_INDEX may give an index a name
_NOT_OURS = re.compile(
    r"UV_(?:(?:DEFAULT_|EXTRA_)?INDEX(?:_URL)?|INDEX_.*_(?:USERNAME|PASSWORD)|FIND_LINKS|NO_CONFIG|CONFIG_FILE|TORCH_BACKEND)"
)
_KEPT = (  # of uv's own files: how it gets at an index and chooses; what else they say is for other commands
    "allow-insecure-host",
    "exclude-newer",
    "index-strategy",
    "keyring-provider",
    "native-tls",
    "prerelease",
    "resolution",
    "system-certs",
)
_REFUSED = 403  # the answer of some indices for what they do not have
_TRUE = ("1", "true", "yes", "on")


class Sources(Struct, frozen=True):
    """The indices in the order in which they are asked, flat lists of files, and a bundle of certificates."""

    default: str = ""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    certificates: str | None = None
    from_pip: bool = False  # then all indices count alike, as for pip
    passed_over: tuple[tuple[str, int], ...] = ()  # an index, and a status by which it says that it has no such package
    settings: tuple[tuple[str, str], ...] = ()  # other ones of uv's files, as TOML

    @property
    def indices(self) -> tuple[str, ...]:
        """Give every index once; further ones come first, as for uv."""
        return tuple(dict.fromkeys(filter(None, [*self.extra, self.default])))

    def uv_config(self) -> str:
        """Write the configuration that has uv ask the same indices, without their credentials."""
        settings = dict(self.settings)
        if self.from_pip and self.extra:
            settings["index-strategy"] = '"unsafe-best-match"'
        lines = [f"{key} = {value}" for key, value in settings.items()] + ["no-index = true"] * (not self.indices)
        for number, index in enumerate(self.indices):
            codes = [code for place, code in self.passed_over if place == index]
            lines += ["[[index]]", f'name = "i{number}"', f"url = {json.dumps(_without_credentials(index))}"]
            lines += [f"ignore-error-codes = {codes}"] * bool(codes) + ["default = true"] * (index == self.default)
        return "\n".join(lines) + "\n"

    def uv_environment(self, environ: Mapping[str, str], config: Path) -> dict[str, str]:
        """Give the variables for uv, with that configuration in a file: the user's are left out, credentials are in no file."""
        found = {name: value for name, value in environ.items() if not _NOT_OURS.fullmatch(name)} | {"UV_CONFIG_FILE": str(config)}
        for number, parts in enumerate(map(split_address, self.indices)):
            found |= {f"UV_INDEX_I{number}_USERNAME": unquote(parts.username)} if parts.username else {}
            found |= {f"UV_INDEX_I{number}_PASSWORD": unquote(parts.password)} if parts.password else {}
        found |= {"UV_FIND_LINKS": ",".join(self.find_links)} if self.find_links else {}
        return found | ({"SSL_CERT_FILE": self.certificates} if self.certificates else {})


def load_sources(environ: Mapping[str, str], folder: Path) -> Sources:
    """Read uv's variables, uv.toml and pyproject.toml; where they name no index, pip's variables and pip.conf."""
    pip = _pip_settings(environ)
    bundle = environ.get("SSL_CERT_FILE") or environ.get("PIP_CERT") or environ.get("REQUESTS_CA_BUNDLE") or _first(pip.get("cert"))
    certificates = bundle if bundle and Path(bundle).is_file() else None
    files = [*_uv_files(environ, folder)]
    settings = {
        key: json.dumps(data[key]) for data in reversed(files) for key in _KEPT if isinstance(data.get(key), bool | str | list)
    }
    found = _from_uv(environ, files, folder) or _from_pip(environ, pip) or Sources(default_index())
    return replace(found, certificates=certificates, settings=tuple(settings.items()))


def _from_pip(environ: Mapping[str, str], pip: Mapping[str, list[str]]) -> Sources | None:
    """Give what pip is told: its variables win over its files."""
    default = environ.get("PIP_INDEX_URL") or _first(pip.get("index-url"))
    extra = _on_the_network(environ.get("PIP_EXTRA_INDEX_URL", "").split() or pip.get("extra-index-url", []))
    links = _on_the_network(environ.get("PIP_FIND_LINKS", "").split() or pip.get("find-links", []))
    if (environ.get("PIP_NO_INDEX") or _first(pip.get("no-index")) or "").lower() in _TRUE:
        return Sources(find_links=links, from_pip=True)
    if default is None and not extra and not links:
        return None
    split_address(default or "")
    passed_over = tuple((index, _REFUSED) for index in extra)
    return Sources(default or default_index(), extra, links, from_pip=True, passed_over=passed_over)


def with_options_of(sources: Sources, options: Iterable[tuple[str, str]]) -> Sources:
    """Add the indices that a requirements file itself names: it is what the build in a container is told."""
    options = tuple(options)
    for name, value in options:
        match name:
            case "index-url":
                sources = replace(sources, default=value)
            case "extra-index-url":
                passed_over = (*sources.passed_over, (value, _REFUSED))
                sources = replace(sources, extra=(*sources.extra, value), passed_over=passed_over)
            case "find-links":
                sources = replace(sources, find_links=(*sources.find_links, value))
            case _:
                continue
        split_address(value)
    return replace(sources, default="", extra=()) if ("no-index", "") in options else sources


def _from_uv(environ: Mapping[str, str], files: list[dict[str, Any]], folder: Path) -> Sources | None:
    """Give what uv is told: its variables first, then its files, the nearest first; indices add up, and one default counts."""
    tables = [*_tables_of("UV_DEFAULT_INDEX", environ, default=True), *_tables_of("UV_INDEX", environ)]
    tables += [*_tables_of("UV_EXTRA_INDEX_URL", environ), *_tables_of("UV_INDEX_URL", environ, default=True)]
    links = [word for word in environ.get("UV_FIND_LINKS", "").split(",") if word]
    plain: list[dict[str, Any]] = []
    for data in files:
        tables += data["index"]
        plain += [{"url": url} for url in data["extra-index-url"]] + [{"url": url, "default": True} for url in data["index-url"]]
        links += data["find-links"]
    tables = [table for table in _each_name_once([*tables, *plain]) if not table.get("explicit")]
    links += [_address_of(table, environ) for table in tables if table.get("format") == "flat"]
    tables = [table for table in tables if table.get("format") != "flat"]
    defaults = [_address_of(table, environ) for table in tables if table.get("default")]
    extra = {_address_of(table, environ): table for table in reversed(tables) if not table.get("default")}
    network = _on_the_network(reversed(extra))
    found = Sources(defaults[0] if defaults else "", network, _on_the_network(links), passed_over=tuple(_ignored(extra)))
    if found == Sources():
        return None
    if any(data.get("no-index") is True for data in files):
        return Sources(find_links=found.find_links)
    if defaults and (path := local_path(found.default)) is not None:
        return replace(found, default=(folder.absolute() / path).as_uri())
    return found if defaults else replace(found, default=default_index())


def _tables_of(variable: str, environ: Mapping[str, str], *, default: bool = False) -> Iterator[dict[str, Any]]:
    """Read the indices of one of uv's variables as its files have them."""
    for word in environ.get(variable, "").split():
        if found := _NAMED.fullmatch(word):
            yield {"url": found[2], "default": default, **({"name": found[1]} if found[1] else {})}


def _each_name_once(tables: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    names = set()
    for table in tables:
        name = table.get("name")
        if name is None or name not in names:
            yield table
        names.add(name)


def _ignored(tables: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for url, table in tables.items():
        codes = table.get("ignore-error-codes")
        yield from ((url, code) for code in (codes if isinstance(codes, list) else []) if isinstance(code, int))


def _address_of(table: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Give an index's address, with the credentials that variables of its name hold."""
    parts = split_address(table["url"])
    name = re.sub(r"[^A-Za-z0-9]", "_", str(table.get("name", ""))).upper()
    user, password = (environ.get(f"UV_INDEX_{name}_{what}", "") for what in ("USERNAME", "PASSWORD"))
    if not name or not (user or password) or not parts.scheme:
        return str(table["url"])
    word = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return urlunsplit(parts._replace(netloc=f"{word}@{parts.netloc.rpartition('@')[2]}"))


def _without_credentials(index: str) -> str:
    parts = split_address(index)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.scheme else index


def _uv_files(environ: Mapping[str, str], folder: Path) -> Iterator[dict[str, Any]]:
    """Give what uv's files say: the project's nearest one, the user's and the system's, or the one that is named."""
    if named := environ.get("UV_CONFIG_FILE"):
        found: list[dict[str, Any] | None] = [_read_toml(Path(named))]
    elif environ.get("UV_NO_CONFIG", "").lower() in _TRUE:
        found = []
    else:
        home = Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")
        nearest = (data for parent in [folder.absolute(), *folder.absolute().parents] if (data := _of_project(parent)) is not None)
        found = [next(nearest, None), _read_toml(home / "uv/uv.toml"), _read_toml(Path("/etc/uv/uv.toml"))]
    for data in found:
        if data is not None:
            pip = as_map(data.get("pip"))
            lists = {
                key: _as_list(pip.get(key)) + _as_list(data.get(key)) for key in ("index-url", "extra-index-url", "find-links")
            }
            yield {**data, **pip, **lists, "index": _as_tables(pip.get("index")) + _as_tables(data.get("index"))}


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or home_or_here())


def _of_project(folder: Path) -> dict[str, Any] | None:
    """Read a folder's uv.toml, or what its pyproject.toml has for uv."""
    if (data := _read_toml(folder / "uv.toml")) is not None:
        return data
    return as_map(as_map((_read_toml(folder / "pyproject.toml") or {}).get("tool")).get("uv")) or None


def _read_toml(path: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # there is none, or uv itself would refuse it


def _pip_settings(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Read pip's files; a later one, and `[install]`, wins, as for pip."""
    home = _home(environ)
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
    parts = split_address(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(os.path.expanduser(place))  # noqa: PTH111  # takes a home that nobody knows


def split_address(place: str) -> SplitResult:
    """Take an address apart; one that nobody can is the user's to mend."""
    try:
        return urlsplit(place)
    except ValueError as error:
        message = f"{Redactor().text(place)} is no address: {error}; brackets in a password are written as %5B and %5D"
        raise UsageError(message) from error


def _first(values: list[str] | None) -> str | None:
    return values[0] if values else None


def _as_list(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [value] if isinstance(value, str) else []


def _as_tables(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict) and isinstance(one.get("url"), str)] if isinstance(value, list) else []
