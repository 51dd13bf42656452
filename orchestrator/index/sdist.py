"""What a source archive tells of the build it would need; it is read in memory and never unpacked or run."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import re
import secrets
import tarfile
import tomllib
import zipfile
import zlib
from typing import TYPE_CHECKING

from msgspec import to_builtins

from orchestrator.packages import SourceFacts
from orchestrator.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.index.fetch import Fetcher
    from orchestrator.packages import Offer

_LARGEST = 128 * 1024**2
_LARGEST_FILE = 1024**2
_MOST_READ = 256 * 1024**2
_MOST_FILES = 100_000
_MOST_HEADERS = 10_000
_LONGEST_PATH, _DEEPEST_PATH = 4096, 64
_LONGEST_HEADER = 200
_UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may ask for any amount of memory
_FORMAT = 1
_LANGUAGES = {
    ".c": "C",
    ".cc": "C++",
    ".cpp": "C++",
    ".cxx": "C++",
    ".pyx": "Cython",
    ".rs": "Rust",
    ".f": "Fortran",
    ".f90": "Fortran",
}
_SOURCES = (*_LANGUAGES, ".h", ".hpp", ".hh", ".pxd")
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[<\"]([A-Za-z0-9_./+-]{1,%d})[>\"]" % _LONGEST_HEADER, re.MULTILINE)
_EXTENSION = re.compile(rb"\bExtension\s*\(|\bext_modules\b|\bcffi_modules\b|\brust_extensions\b|\bcythonize\b|\bext-modules\b")
_ASIDE = re.compile(r"(?:^|/)(?:tests?|docs?|examples?|benchmarks?)/")  # not part of what is built


def read_sdist(offer: Offer, fetcher: Fetcher) -> SourceFacts | None:
    """Read a source archive of an index, once; None when it cannot be had or is no archive."""
    if offer.url is None:
        return None
    entry = cache_folder("sdists") / f"{hashlib.sha256(offer.url.encode()).hexdigest()[:32]}.json"
    try:
        data = json.loads(entry.read_bytes())
        if data["format"] == _FORMAT:
            requires, languages, headers = (tuple(map(str, data[name])) for name in ("build_requires", "languages", "headers"))
            return SourceFacts(requires, languages, headers, bool(data["declares_extension"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, damaged, or of another version: read again
    fetched = fetcher.get(offer.url, "*/*", _LARGEST)
    if fetched is None:
        return None
    try:
        facts = parse_sdist(fetched.body)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError):
        return None
    draft = entry.with_suffix(f".{secrets.token_hex(4)}")
    draft.write_text(json.dumps({"format": _FORMAT, **to_builtins(facts)}), encoding="utf-8")
    draft.replace(entry)
    return facts


def parse_sdist(body: bytes) -> SourceFacts:
    """Judge an archive by its build requirements, its sources, and what those include that is not in it."""
    languages: set[str] = set()
    included: set[str] = set()
    paths: list[str] = []
    requires: tuple[str, ...] = ()
    declares = False
    for name, content in _files(body):
        inner = name.partition("/")[2]
        suffix = f".{inner.rpartition('.')[2].lower()}"
        paths.append(inner[-_LONGEST_HEADER - 1 :])
        if inner == "pyproject.toml":
            requires = _build_requires(content)
        if inner in ("pyproject.toml", "setup.py"):
            declares = declares or bool(_EXTENSION.search(content))
        if suffix in _SOURCES and not _ASIDE.search(inner):
            languages |= {_LANGUAGES[suffix]} if suffix in _LANGUAGES else set()
            included |= {header.decode() for header in _INCLUDE.findall(content)[: _MOST_HEADERS - len(included)]}
    brought = {suffix for path in paths for suffix in _suffixes(path) if suffix in included}
    return SourceFacts(requires, tuple(sorted(languages)), tuple(sorted(included - brought)), declares)


def _suffixes(path: str) -> Iterator[str]:
    """Give a path as its folders may name it."""
    yield path
    yield from (path[at + 1 :] for at, mark in enumerate(path) if mark == "/")


class _Bounded:
    """An unpacked archive as tarfile reads it, which would take a header of any size into memory."""

    def __init__(self, file: gzip.GzipFile | bz2.BZ2File | io.BytesIO) -> None:
        self._file = file
        self._read = 0  # since the last seek: newer Pythons read a header in pieces
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        """Read no more than a file that is looked into may have."""
        self._read += size
        if self._read > _LARGEST_FILE + tarfile.BLOCKSIZE or self.tell() > _MOST_READ:
            message = "larger than any archive of sources"
            raise tarfile.ReadError(message)
        return self._file.read(size)

    def seek(self, place: int) -> int:
        """Go on to a place, unless it is beyond all bounds."""
        self._read = 0
        return self._file.seek(min(place, _MOST_READ + 1))


def _files(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give an archive's files, but for those with endless paths."""
    for name, content in _all_files(body):
        if len(name) <= _LONGEST_PATH and name.count("/") < _DEEPEST_PATH:
            yield name, content


def _all_files(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give an archive's files, within bounds of number and size; only those that are looked into are read."""
    left = _MOST_READ
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            for info in packed.infolist()[:_MOST_FILES]:
                wanted = info.file_size <= min(_LARGEST_FILE, left) and info.compress_type in _UNPACKED and _is_read(info.filename)
                left -= info.file_size * wanted
                yield info.filename, packed.read(info) if wanted else b""
        return
    with tarfile.open(fileobj=_Bounded(_unpack(body)), mode="r:") as archive:  # type: ignore[call-overload]  # all that it calls is there
        for number, member in enumerate(archive):
            left -= member.size  # what is passed over is unpacked, too
            if number >= _MOST_FILES or left < 0:
                return
            file = (
                archive.extractfile(member) if member.isreg() and member.size <= _LARGEST_FILE and _is_read(member.name) else None
            )
            yield member.name, file.read() if file else b""


def _unpack(body: bytes) -> gzip.GzipFile | bz2.BZ2File | io.BytesIO:
    """Give the tar that is in a packed one."""
    packed = io.BytesIO(body)
    return gzip.GzipFile(fileobj=packed) if body[:2] == b"\x1f\x8b" else bz2.BZ2File(packed) if body[:3] == b"BZh" else packed


def _is_read(name: str) -> bool:
    return name.endswith(_SOURCES) or name.endswith(("/pyproject.toml", "/setup.py"))


def _build_requires(content: bytes) -> tuple[str, ...]:
    try:
        found = tomllib.loads(content.decode("utf-8", "replace"))["build-system"]["requires"]
        return tuple(str(one) for one in found)
    except (ValueError, KeyError, TypeError):
        return ()
