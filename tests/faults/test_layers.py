"""Layers made to keep their reader busy, or to lead it somewhere: read to the end or refused by name, and soon."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.layers.archive import unpack
from orchestrator.layers.index import make_index
from orchestrator.layers.stack import stack_layers
from tests.unit.tars import Item, make_tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.layers.index import LayerIndex

SOON_S = 3.0  # of CPU time
END = bytes(1024)


def header(name: str, kind: bytes, size: int = 0, target: str = "") -> bytes:
    """Write a header, whatever it claims."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, size, target
    return entry.tobuf(tarfile.GNU_FORMAT)


def pax(*records: bytes) -> bytes:
    """Write an extended header of records that are as they are."""
    body = b"".join(records)
    return header("pax", tarfile.XHDTYPE, len(body)) + body + bytes(-len(body) % 512)


def sparse(blocks: int) -> bytes:
    """Write a file of GNU's old sparse form whose map goes on and on."""
    first = bytearray(header("s", tarfile.GNUTYPE_SPARSE))
    first[482] = 1  # the map goes on in another block
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    more = bytearray(512)
    more[504] = 1
    return bytes(first) + bytes(more) * (blocks - 1) + bytes(512)


STRANGE = (b"3", b"4", b"6", b"7", b"Z", b"\xff")
LAYERS: dict[str, Callable[[], bytes]] = {
    "hard links in a circle": lambda: b"".join(header(a, tarfile.LNKTYPE, target=b) for a, b in ("ab", "bc", "ca", "dd")),
    "a chain of hard links": lambda: b"".join(header(f"f{at}", tarfile.LNKTYPE, target=f"f{at + 1}") for at in range(20_000)),
    "symbolic links in a circle": lambda: make_tar(
        Item("a", kind="symlink", target="b"), Item("b", kind="symlink", target="a/a/a")
    ),
    "a link out, and a file behind it": lambda: make_tar(
        Item("d", kind="symlink", target="/etc"), Item("d/passwd", b"root::0:0::/:/x\n")
    ),
    "a path of 100,000 folders": lambda: make_tar(Item("a/" * 100_000 + "f", b"x")),
    "a sparse map without end": lambda: sparse(50_000),
    "a sparse file that claims everything": lambda: (
        pax(b"31 GNU.sparse.realsize=9999999\n", b"22 GNU.sparse.major=1\n") + header("s", b"0")
    ),
    "a length that is negative": lambda: pax(b"-5 path=x\n") + header("x", b"0"),
    "a length of a thousand digits": lambda: pax(b"9" * 1000 + b" path=x\n") + header("x", b"0"),
    "a size of a thousand digits": lambda: pax(b"1009 size=" + b"9" * 998 + b"\n") + header("x", b"0"),
    "long names one after the other": lambda: (header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 512) + b"x" * 512) * 5000,
    "global headers without end": lambda: (header("g", tarfile.XGLTYPE, 512) + b"12 a=bcdefg\n".ljust(512, b"\0")) * 5000,
    "devices, pipes and sockets": lambda: b"".join(header(f"dev/{at}", kind) for at, kind in enumerate(STRANGE)),
    "gzip within gzip": lambda: gzip.compress(make_tar(Item("a", b"x"))),
}


def read(data: bytes) -> LayerIndex:
    """Read a layer, packed."""
    return make_index(unpack(io.BytesIO(gzip.compress(data, 1, mtime=0))))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_wants_to_be_busy_is_read_or_refused_soon(layer: str) -> None:
    """No exception, no time without end; and what is read can be laid upon itself."""
    began = time.process_time()
    found = read(LAYERS[layer]() + END)
    if found.problem is None:
        stack_layers([found, found])
    else:
        assert found.problem.strip()
    assert time.process_time() - began < SOON_S


def test_a_file_behind_a_link_is_not_that_of_the_host() -> None:
    """Links are not followed: the path counts where its own name says, and nothing outside the layer is looked at."""
    found = read(LAYERS["a link out, and a file behind it"]())
    assert list(found.captured) == []
    assert [line.partition(b"\0\0")[0] for line in found.lines()] == [b"d", b"d\0passwd"]
