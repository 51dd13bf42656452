"""Layers that are large, or want to be: bounded in time and memory, right to the byte."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.layers import LIMIT, compare, make_layer, median_cpu
from orchestrator.layers.archive import unpack
from orchestrator.layers.index import make_index
from orchestrator.layers.stack import stack_layers
from tests.properties.test_layers_stack import ITEMS, check_against_model
from tests.unit.tars import Item, make_tar

_MANY = """
import sys, tarfile
from orchestrator.layers.index import make_index
from orchestrator.layers.stack import stack_layers

def parts(count):
    rest = b"0" + bytes(100) + b"ustar\\00000" + bytes(247)
    head = b"0000644\\0" + b"0000000\\0" * 2 + b"00000000001\\0" + b"00000000000\\0"
    total = sum(rest) + sum(head) + 256
    rest += b"x" + bytes(511)
    pads = [bytes(100 - length) for length in range(101)]
    for start in range(0, count, 100):
        some = range(start, min(start + 100, count))
        names = [b"usr/lib/folder%04d/of/quite/some/depth/file%07d.txt" % (at % 1000, at) for at in some]
        yield b"".join(b"%b%b%b%06o\\0 %b" % (name, pads[len(name)], head, sum(name) + total, rest) for name in names)
    yield bytes(1024)

index = make_index(parts(int(sys.argv[1])))
deletion = make_index(iter([tarfile.TarInfo("usr/.wh.lib").tobuf(), bytes(1024)]))
stack = stack_layers([index, deletion])
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # getrusage tells the parent's
print(index.problem, index.entries, index.uncompressed_bytes, stack.file_bytes, sum(stack.wasted_bytes), peak)
"""


def in_a_process(script: str, *words: str) -> list[str]:
    """Run a script in a process of its own, whose memory is then known."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.rsplit(maxsplit=5)


def test_hundreds_of_thousands_of_files_are_read_in_flat_memory() -> None:
    """300,000 entries, and a layer above that deletes them all, take less than 40 MB; every byte is accounted for."""
    problem, entries, length, seen, wasted, peak_kb = in_a_process(_MANY, "300000")
    assert (problem, entries, seen, wasted) == ("None", "300000", "0", "300000")
    assert int(length) == 300_000 * 1024 + 1024
    assert int(peak_kb) * 1024 < 40_000_000


def test_more_entries_than_any_image_has_are_refused_in_flat_memory() -> None:
    """Past the bound nothing is kept, by name; the stream is still weighed."""
    script = f"from orchestrator.layers import index\nindex.MAX_ENTRIES = 300_000\n{_MANY}"
    problem, entries, length, _, _, peak_kb = in_a_process(script, "300001")
    assert (problem, entries, length) == ("has more than 300000 entries", "0", str(300_001 * 1024 + 1024))
    assert int(peak_kb) * 1024 < 200_000_000


_BOMB = """
import io, sys, zlib
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
from orchestrator.layers import archive
from orchestrator.layers.archive import unpack
from orchestrator.layers.index import make_index

archive.MAX_UNPACKED = 256 * 1024**2
if sys.argv[1] == "gzip":
    packer = zlib.compressobj(6, wbits=31)
    packed = b"".join(packer.compress(bytes(16 * 1024**2)) for _ in range(17)) + packer.flush()
else:
    packed = zstd.compress(bytes(16 * 1024**2)) * 17
index = make_index(unpack(io.BytesIO(packed)))
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # getrusage tells the parent's
print(index.problem, 0, index.uncompressed_bytes, 0, 0, peak)
"""


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_bomb_is_refused_in_flat_memory(form: str) -> None:
    """A quarter of a GiB of nothing in as many kB stops at the bound, and never lies in memory."""
    problem, _, length, _, _, peak_kb = in_a_process(_BOMB, form)
    assert (problem, length) == ("unpacks to more than 268435456 bytes", "None")
    assert int(peak_kb) * 1024 < 100_000_000


def test_a_first_look_costs_less_than_listing_with_tar(tmp_path: Path) -> None:
    """Reading a layer for the first time takes at most 0.6 of `gzip -dc LAYER | tar -t`, timed in turn on the same layer.

    CPU time is compared, because other tests run beside this one; `python -m bench.layers` compares wall times.
    """
    layer = tmp_path / "layer.tar.gz"
    make_layer(layer, size_bytes=40_000_000, files=2000)
    watched = sys.gettrace() is not None or sys.getprofile() is not None  # coverage takes longer than what it watches
    ours, pipe = compare(layer, 3)
    assert watched or median_cpu(ours) <= LIMIT * median_cpu(pipe), f"{ours} against {pipe}"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_sums_are_those_of_the_unpacked_tree(form: int, tmp_path: Path) -> None:
    """What the index adds up is what lies on the disk when tar has unpacked the same layer."""
    chance = random.Random(7)  # noqa: S311  # the same tree every time
    names = [f"{chance.choice('abc')}/{chance.choice('defg') * 20}/{at}" for at in range(500)]
    items = [Item(name, chance.randbytes(chance.randrange(3000))) for name in names]
    items += [Item(f"links/{at}", kind="link", target=names[at]) for at in range(50)]
    tar = make_tar(*items, form=form)
    (tmp_path / "layer.tar").write_bytes(tar)
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "layer.tar", "-C", tree], check=True)
    found = stack_layers([make_index(unpack(io.BytesIO(tar)))])
    files = [path.stat() for path in tree.rglob("*") if path.is_file()]
    assert found.files == len(files)
    assert found.file_bytes == sum({about.st_ino: about.st_size for about in files}.values())


def test_sparse_files_count_what_gnu_tar_stored(tmp_path: Path) -> None:
    """Whichever form GNU tar chooses for a sparse file, its stored bytes count and the files behind it are found."""
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        for at in range(30):
            file.seek(at * 1_000_000)
            file.write(b"data")
    (tmp_path / "behind").write_bytes(b"12345")
    for form in ("--format=gnu", "--format=pax", "--sparse-version=0.0", "--sparse-version=0.1"):
        words = ["tar", "-cS", "--format=pax", form, "-C", tmp_path, "sparse", "behind"]
        tar = subprocess.run(words, check=True, capture_output=True).stdout
        found = make_index(unpack(io.BytesIO(tar)))
        assert (found.problem, found.entries, found.uncompressed_bytes) == (None, 2, len(tar))
        assert 30 * 4 <= found.file_bytes < 1_000_000
        assert [line.partition(b"\0\0")[0] for line in found.lines()] == [b"behind", b"sparse"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(ITEMS, max_size=12), max_size=6))
def test_any_stack_is_what_applying_the_layers_gives(layers: list[list[Item]]) -> None:
    """As the unit test, with many more layers."""
    check_against_model(layers)


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_a_damaged_layer_is_an_index_or_a_named_problem(data: st.DataObject) -> None:
    """Bytes that are lost, changed or put in anywhere never raise anything; what no longer begins as a tar has no length."""
    tar = make_tar(
        Item("a" * 150, b"x" * 700), Item("b", kind="link", target="a" * 150), Item("etc/passwd", b"root:x:0:0::/:/bin/sh\n")
    )
    at = data.draw(st.integers(0, len(tar)))
    damaged = tar[:at] + data.draw(st.binary(max_size=30)) + tar[at + data.draw(st.integers(0, 600)) :]
    found = make_index(iter([damaged] if damaged else []))
    assert found.uncompressed_bytes == len(damaged) or (found.problem and found.uncompressed_bytes is None)
    if found.problem is None:
        stack_layers([found])


NAMES = [f"{folder}/{name}" for folder in "ab" for name in "xyz"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.lists(st.sampled_from(NAMES), unique=True, max_size=6), st.integers(0, 5), st.booleans()), max_size=5))
def test_names_of_one_file_are_followed_through_any_stack(steps: list[tuple[list[str], int, bool]]) -> None:
    """Files of several names against a model with inodes: bytes are wasted when the last name is gone, and never sooner."""
    layers: list[list[Item]] = []
    tree: dict[str, tuple[int, int]] = {}  # a name's layer, and its file within that layer
    sizes: dict[tuple[int, int], int] = {}
    for at, (names, cut, is_whiteout) in enumerate(steps):
        if is_whiteout:
            layers.append([Item(name.replace("/", "/.wh.")) for name in names])
            tree = {name: file for name, file in tree.items() if name not in names}
            continue
        items: list[Item] = []
        for number, group in enumerate((names[:cut], names[cut:])):
            for position, name in enumerate(group):
                items.append(Item(name, b"x" * (number + at + 1)) if position == 0 else Item(name, kind="link", target=group[0]))
                tree[name] = (at, number)
                sizes[at, number] = number + at + 1
        layers.append(items)
    found = stack_layers([make_index(iter([make_tar(*items)])) for items in layers])
    seen = set(tree.values())
    assert found.file_bytes == sum(sizes[file] for file in seen)
    wasted = [sum(size for file, size in sizes.items() if file[0] == at and file not in seen) for at in range(len(layers))]
    assert found.wasted_bytes == tuple(wasted)
    assert found.files == len(tree)
    assert sum(one.bytes for one in found.flows) == sum(wasted)
