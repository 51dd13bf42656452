"""The files of an image, found in the archive that its builder hands out."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from orchestrator.docker.tree import Tree
from orchestrator.errors import EngineError
from tests.unit.tars import Item, make_tar

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = (
    Item("etc/", kind="dir", mode=0o755),
    Item("etc/motd", b"hello\n"),
    Item("etc/same", kind="link", target="etc/motd"),
    Item("usr/bin/", kind="dir", mode=0o755),
    Item("usr/bin/tool", b"#!", mode=0o4755),
    Item("bin", kind="symlink", target="usr/bin", mode=0o777),
    Item("up", kind="symlink", target="../../../etc", mode=0o777),
    Item("tool", kind="symlink", target="/bin/tool", mode=0o777),
    Item("a", kind="symlink", target="b", mode=0o777),
    Item("b", kind="symlink", target="a", mode=0o777),
    Item("gone", kind="link", target="nothing"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Give the tree of a small image."""
    archive = tmp_path / "image.tar"
    archive.write_bytes(make_tar(*ITEMS))
    return Tree(archive)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/motd", b"hello\n"),
        ("etc//./motd", b"hello\n"),
        ("/etc/same", b"hello\n"),
        ("/bin/../bin/tool", b"#!"),
        ("/up/motd", b"hello\n"),
    ],
)
def test_a_file_is_found_through_folders_that_are_links(tree: Tree, path: str, content: bytes) -> None:
    """As the engine finds it; above the image's root there is nothing."""
    entry = tree.read_entry(path, limit=100)
    assert entry is not None
    assert (entry.content, entry.size_bytes, stat.S_ISREG(entry.mode)) == (content, len(content), True)
    cut = tree.read_entry(path, limit=1)
    assert cut is not None
    assert cut.content == content[:1]


def test_what_lies_at_a_path_is_itself(tree: Tree) -> None:
    """A link is a link, a folder is a folder, and nobody has read what was not asked for."""
    link, tool, folder, root = (tree.read_entry(path, limit=0) for path in ("/tool", "/usr/bin/tool", "/etc", "/"))
    assert link is not None
    assert tool is not None
    assert folder is not None
    assert root is not None
    assert (link.link, stat.S_ISLNK(link.mode)) == ("/bin/tool", True)
    assert (stat.filemode(tool.mode), tool.content) == ("-rwsr-xr-x", None)
    assert stat.S_ISDIR(folder.mode)
    assert stat.S_ISDIR(root.mode)


@pytest.mark.parametrize("path", ["/bin/", "/bin/.", "/up/", "/usr/bin/"])
def test_a_path_that_ends_with_a_slash_is_that_of_a_folder(tree: Tree, path: str) -> None:
    """As the engine has it; a link there is what it leads to."""
    entry = tree.read_entry(path, limit=0)
    assert entry is not None
    assert (stat.filemode(entry.mode), entry.link) == ("drwxr-xr-x", None)


@pytest.mark.parametrize("path", ["/nothing", "/etc/motd/more", "/etc/motd/", "/tool/", "/a/", "/a/b", "/gone", "/../nothing"])
def test_what_is_not_there_is_none(tree: Tree, path: str) -> None:
    """Nor does a circle of links lead anywhere."""
    assert tree.read_entry(path, limit=1) is None


def test_an_archive_that_ends_early_is_an_error_of_the_builder(tmp_path: Path) -> None:
    """And no image without files."""
    archive = tmp_path / "image.tar"
    archive.write_bytes(make_tar(Item("a", b"x" * 5000))[:1024])
    with pytest.raises(EngineError, match="the builder's archive of the image cannot be read"):
        Tree(archive)
