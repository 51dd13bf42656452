"""The files of a cell's image as its builder hands them out: one archive, looked into and never unpacked."""

from __future__ import annotations

import posixpath
import stat
import tarfile
from typing import TYPE_CHECKING

from orchestrator.docker.contents import Entry, kind_of
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ENTRIES = 2_000_000
_MAX_LINKS = 40


class Tree:
    """What lies at each path of an image."""

    def __init__(self, archive: Path) -> None:
        """Read what an archive holds, without the files' contents."""
        self._archive = archive
        self._entries: dict[str, tuple[Entry, int]] = {"": (Entry(0o040755, 0, 0), 0)}
        try:
            with tarfile.open(archive, mode="r:") as members:
                while member := members.next():
                    self._take(member)
                    members.members = []  # type: ignore[attr-defined]  # or all of an image's files stay in memory
        except tarfile.TarError as error:
            message = f"the builder's archive of the image cannot be read: {error}"
            raise EngineError(message) from error

    def _take(self, member: tarfile.TarInfo) -> None:
        if len(self._entries) >= _MAX_ENTRIES:
            message = f"the image holds more than {_MAX_ENTRIES:,} files and folders"
            raise EngineError(message)
        path = posixpath.normpath("/" + member.name).strip("/")
        if member.islnk():
            linked = self._entries.get(posixpath.normpath("/" + member.linkname).strip("/"))
            if linked is not None:
                self._entries[path] = linked
            return
        link = member.linkname if member.issym() else None
        entry = Entry(kind_of(member) | member.mode & 0o7777, member.uid, member.gid, link, None, member.size)
        self._entries[path] = (entry, member.offset_data)

    def read_entry(self, path: str, *, limit: int) -> Entry | None:
        """Read what lies at a path, links not followed but in the folders that lead there; None when nothing does.

        A path that ends with a slash is that of a folder, and a link there leads to it.
        """
        names_folder = path.endswith(("/", "/."))
        found = self._entries.get(self._resolve(path, through=names_folder))
        if found is None or (names_folder and not stat.S_ISDIR(found[0].mode)):
            return None
        entry, offset = found
        if not limit or not stat.S_ISREG(entry.mode):
            return entry
        with self._archive.open("rb") as file:
            file.seek(offset)
            content = file.read(min(limit, entry.size_bytes))
        return Entry(entry.mode, entry.uid, entry.gid, None, content, entry.size_bytes)

    def _resolve(self, path: str, *, through: bool) -> str:
        """Give where a path leads inside the image, perhaps through a link that it ends with: above the root there is nothing."""
        left = [word for word in reversed(path.split("/")) if word not in ("", ".")]
        here: list[str] = []
        links = 0
        while left:
            word = left.pop()
            if word == "..":
                here = here[:-1]
                continue
            entry, _ = self._entries.get("/".join([*here, word]), (None, 0))
            if entry is None or entry.link is None or not (left or through):
                here.append(word)
                continue
            links += 1
            if links > _MAX_LINKS:
                return "a circle of links/"
            here = [] if entry.link.startswith("/") else here
            left += [part for part in reversed(entry.link.split("/")) if part not in ("", ".")]
        return "/".join(here)
