"""The few files of a layer that an inventory is made from, cut to what it needs and bounded."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from orchestrator.layers.names import make_path

if TYPE_CHECKING:
    from orchestrator.layers.entries import TarStream

_MAX_FILE = 16 * 1024 * 1024
_MAX_HEAD = 64 * 1024
_MAX_ALL = 32 * 1024 * 1024  # of one layer, after cutting
_MAX_SPARE = 8 * 1024 * 1024  # of files that only a link may make an inventory's
_ENDS = (
    b"\0METADATA",
    b"\0WHEEL",
    b"\0RECORD",
    b"\0INSTALLER",
    b"\0direct_url.json",
    b"\0PKG-INFO",
    b"\0installed-files.txt",
    b".egg-info",
    b"\0status",
    b"\0installed",
    b"\0passwd",
    b"\0os-release",
)
_DPKG = b"var\0lib\0dpkg\0"
_WANTED = re.compile(
    rb".*\.dist-info\0(?:METADATA|WHEEL|RECORD|INSTALLER|direct_url\.json)"
    rb"|.*\.egg-info\0(?:PKG-INFO|installed-files\.txt)"
    rb"|.*\.egg-info"
    rb"|var\0lib\0dpkg\0(?:status|status\.d\0[^\0]+|info\0[^\0]+\.list)"
    rb"|(?:usr\0)?lib\0apk\0db\0installed"
    rb"|etc\0(?:passwd|os-release)|usr\0lib\0os-release",
    re.DOTALL,
)
_APK_KEPT = (b"P:", b"V:", b"A:", b"L:", b"I:", b"o:", b"F:", b"R:")


def may_be_wanted(key: bytes) -> bool:
    """Tell whether a file has the name of one that an inventory needs, wherever it lies: quickly, since each is asked."""
    return key.endswith(_ENDS) or key.startswith(_DPKG)


class Captures:
    """What has been kept of a layer."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.found: dict[str, bytes] = {}
        self._left = _MAX_ALL
        self._spare: dict[str, bytes] = {}
        self._spare_left = _MAX_SPARE

    def take(self, key: bytes, size: int, stream: TarStream) -> None:
        """Keep a file; one that is too large for what it claims to be is passed over.

        One that lies where no inventory looks is kept aside: installers link files
        out of their caches to where they belong.
        """
        path = make_path(key)
        is_wanted = _WANTED.fullmatch(key) is not None
        if not is_wanted and (size > self._spare_left or not key.endswith(_ENDS)):
            return
        head = path.endswith(("/METADATA", "/PKG-INFO", "/WHEEL", ".egg-info", "/INSTALLER", "/direct_url.json"))
        if size > _MAX_FILE and not head:
            return
        kept = _cut(path, stream.content(_MAX_HEAD if head else _MAX_FILE))
        if is_wanted:
            self._keep(path, kept)
        elif len(kept) <= self._spare_left:
            self._spare_left -= len(kept)
            self._spare[path] = kept

    def take_link(self, key: bytes, target: bytes) -> None:
        """Keep a file under the further name that a hard link gives it."""
        path, name = make_path(key), make_path(target)
        content = self.found.get(name, self._spare.get(name))
        if content is not None and _WANTED.fullmatch(key):
            self._keep(path, content)

    def _keep(self, path: str, content: bytes) -> None:
        if len(content) <= self._left:
            self._left -= len(content)
            self.found[path] = content


def _cut(path: str, data: bytes) -> bytes:
    """Leave out what takes room and says nothing here: descriptions, hashes."""
    if path.endswith(("/METADATA", "/PKG-INFO", ".egg-info")):
        return data.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    if path.endswith("/RECORD"):
        return _paths_of_record(data)
    if path.endswith("/installed"):
        return b"\n".join(line for line in data.split(b"\n") if not line or line.startswith(_APK_KEPT))
    if path.endswith(".md5sums"):
        return b"\n".join(line.partition(b"  ")[2] for line in data.split(b"\n"))
    return data


def _paths_of_record(data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    try:
        paths = [row[0] for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error:
        return b""
    return "\n".join(paths).encode("utf-8", "surrogateescape")
