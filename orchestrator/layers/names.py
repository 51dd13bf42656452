"""Names in archives to keys that sort as a tree, and back to text; what leads out of the image is no name.

A key is the path's parts joined by NUL, which no part can hold: sorted, a
folder is followed at once by all that lies in it. The byte 1 stands before
what would end a line.
"""

from __future__ import annotations

import re

_ODD = re.compile(rb"[\0\x01\n]|//|\./|\.$")  # what a plain name has none of
MAX_NAME = 4096  # the longest path a kernel takes
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."


def make_key(name: bytes) -> bytes | None:
    """Give the key of a name; None for one that leads out of the image, or can be no file's."""
    name = name.removeprefix(b"./")
    if len(name) > MAX_NAME:
        return None
    if not _ODD.search(name):
        return name.strip(b"/").replace(b"/", b"\0")
    if b"\0" in name:
        return None
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        kept: list[bytes] = []
        for part in parts:
            if part != b"..":
                kept.append(part)
            elif kept:
                kept.pop()
            else:
                return None
        parts = kept
    key = b"\0".join(parts)
    if b"\x01" in key or b"\n" in key:
        key = key.replace(b"\x01", b"\x01\x01").replace(b"\n", b"\x01n")
    return key


def make_path(key: bytes) -> str:
    """Write a key as an absolute path; what is no UTF-8 is shown as such."""
    return "/" + _unmarked(key).replace(b"\0", b"/").decode("utf-8", "replace")


def is_package_name(text: str) -> bool:
    """Tell whether a package can be called so; no index and no scanner has one whose name is slashes and blanks alone."""
    return bool(text.replace("/", " ").strip())


def _unmarked(key: bytes) -> bytes:
    if b"\x01" not in key:
        return key
    return b"\x01".join(part.replace(b"\x01n", b"\n") for part in key.split(b"\x01\x01"))


def read_whiteout(key: bytes) -> tuple[bytes, bytes] | None:
    """Tell what a whiteout's name stands for: `w` and what it deletes, `o` and the folder that hides what was in it.

    None is for other names; one that stands for nothing gives an empty kind.
    """
    parent, slash, last = key.rpartition(b"\0")
    if not last.startswith(_WHITEOUT):
        return None
    if last == _OPAQUE:
        return b"o", parent
    deleted = last.removeprefix(_WHITEOUT)
    if last.startswith(_AUFS) or deleted in (b"", b".", b".."):
        return b"", key
    return b"w", parent + slash + deleted
