"""Layers of any kind, read once for each digest: what they weigh, and that no blob and no memory can do harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.docker.layers import LayerRead, read_blob, read_tar, recall_tar
from orchestrator.layers import archive, cache
from orchestrator.layers.archive import unpack
from orchestrator.layers.cache import load_index, save_index
from orchestrator.layers.index import LayerIndex
from orchestrator.measure.image import LayerSize
from orchestrator.paths import cache_folder
from tests.unit.tars import Item, index_of, make_tar

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DIGEST = "sha256:" + "1" * 64


def one_file(size: int) -> bytes:
    """Make a layer with one file."""
    return make_tar(Item("f", bytes(size)))


def read(folder: Path, data: bytes) -> LayerRead:
    """Read a blob; its digest is its own."""
    path = folder / "blob"
    path.write_bytes(data)
    return read_blob(path, f"sha256:{hashlib.sha256(data).hexdigest()}")


Pack = Callable[[bytes], bytes]

PACKERS: dict[str, Pack] = {
    "plain": lambda tar: tar,
    "gzip": gzip.compress,
    "gzip members": lambda tar: b"".join(gzip.compress(tar[at : at + 700_000]) for at in range(0, len(tar), 700_000)),
    "zstd": zstd.compress,
    "zstd of pzstd": lambda tar: b"".join(
        b"\x50\x2a\x4d\x18\x04\0\0\0size" + zstd.compress(part) for part in (tar[:100], tar[100:])
    ),
    "zstd frames": lambda tar: zstd.compress(tar[:100]) + zstd.compress(tar[100:]) + b"\x50\x2a\x4d\x18\x04\0\0\0skip",
}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_layer_is_weighed_and_read_however_it_is_packed(packer: str, tmp_path: Path) -> None:
    """Packed is what lies there, unpacked is what comes out, and the files are the same; parallel packers write many members."""
    tar = one_file(2_500_000)
    packed = PACKERS[packer](tar)
    found = read(tmp_path, packed)
    assert found.size == LayerSize(len(packed), len(tar))
    assert (found.index.problem, found.index.file_bytes, found.index.entries) == (None, 2_500_000, 1)
    assert b"".join(unpack(io.BytesIO(packed))) == tar


def test_an_empty_blob_weighs_nothing(tmp_path: Path) -> None:
    """Nothing is nothing, not unknown."""
    assert read(tmp_path, b"") == LayerRead(LayerSize(0, 0), LayerIndex(0, packed=read(tmp_path, b"").index.packed))


DAMAGES: dict[str, tuple[Pack, str]] = {
    "gzip cut off": (lambda tar: gzip.compress(tar, 0)[:-50_000], "is cut off: its packed data end early"),
    "gzip without its end": (lambda tar: gzip.compress(tar)[:-3], "is cut off: its packed data end early"),
    "gzip damaged inside": (lambda tar: gzip.compress(tar, 1)[:200] + b"\xaa" * 50 + gzip.compress(tar, 1)[250:], "is damaged: "),
    "gzip with a wrong sum": (lambda tar: gzip.compress(tar)[:-8] + b"abcd" + gzip.compress(tar)[-4:], "is damaged: "),
    "something behind gzip": (lambda tar: gzip.compress(tar) + b"something else", "is damaged: "),
    "no gzip after all": (lambda _tar: b"\x1f\x8b" + b"\xff" * 100, "is damaged: "),
    "zstd cut off": (lambda tar: zstd.compress(tar)[:-3], "is cut off: its packed data end early"),
    "no zstd after all": (lambda _tar: b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "is damaged: "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_layer_has_a_reason_and_no_size(damage: str, tmp_path: Path) -> None:
    """A blob that ends early, or is not what it seems, does not end the run and is not taken for a small one; nor remembered."""
    make, reason = DAMAGES[damage]
    data = make(one_file(100_000))
    found = read(tmp_path, data)
    assert found.size == LayerSize(len(data), None)
    assert (found.index.problem or "").startswith(reason)
    assert list(cache_folder("layers").iterdir()) == []


def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that claims to be larger than any image is refused by name, reading stops there, and that is remembered."""
    monkeypatch.setattr(archive, "MAX_UNPACKED", 2_000_000)
    packed = gzip.compress(one_file(20_000_000), compresslevel=1)
    found = read(tmp_path, packed)
    assert (found.size.uncompressed_bytes, found.index.problem) == (None, "unpacks to more than 2000000 bytes")
    assert len(list(cache_folder("layers").iterdir())) == 1


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_unpacking_never_holds_more_than_a_part(pack: object) -> None:
    """However much a few bytes stand for, they are handed out in parts of bounded size."""
    assert callable(pack)
    sizes = [len(part) for part in unpack(io.BytesIO(pack(bytes(8_000_000))))]
    assert sum(sizes) == 8_000_000
    assert max(sizes) <= 1024 * 1024


def test_a_layer_is_read_once_for_each_digest(tmp_path: Path) -> None:
    """A layer is remembered between runs by digest; the packed size is still that of the blob at hand."""
    tar = one_file(5000)
    path = tmp_path / "blob"
    path.write_bytes(gzip.compress(tar))
    first = read_blob(path, DIGEST)
    path.write_bytes(b"\x1f\x8bno longer readable")
    assert read_blob(path, DIGEST) == LayerRead(LayerSize(20, len(tar)), first.index)
    assert [item.name for item in cache_folder("layers").iterdir()] == [f"sha256-{'1' * 64}.index"]


def test_all_of_an_index_is_remembered() -> None:
    """What comes back is what was put in, names that are no text included."""
    status = b"Package: a\nVersion: 1\n"
    index = index_of(
        Item("var/lib/dpkg/status", status), Item("a", b"1"), Item("a", b"22"), Item("b", kind="link", target="a"), Item("../x")
    )
    assert (index.captured, index.groups) == ({"/var/lib/dpkg/status": status}, (2,))
    assert (index.doubled_bytes, index.doubled_count) == (1, 1)
    save_index(DIGEST, index)
    assert load_index(DIGEST) == index
    assert load_index("sha256:" + "2" * 64) is None


def test_a_digest_leads_nowhere_else(tmp_path: Path) -> None:
    """A digest that is a path is not remembered at all."""
    save_index("sha256:../../x", index_of(Item("a")))
    assert load_index("sha256:../../x") is None
    assert list(cache_folder("layers").iterdir()) == []


def entry() -> Path:
    """Remember a layer; give the file."""
    save_index(DIGEST, index_of(Item("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"), Item("a", b"1")))
    return cache_folder("layers") / f"sha256-{'1' * 64}.index"


def test_a_damaged_memory_is_as_good_as_none() -> None:
    """Every byte that is lost or changed is noticed."""
    path = entry()
    whole = path.read_bytes()
    for at in range(0, len(whole), 23):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(data)
            assert load_index(DIGEST) is None
    path.write_bytes(whole)
    assert load_index(DIGEST) is not None


def test_a_memory_of_another_layer_is_none() -> None:
    """An entry that was moved to another name says nothing of that layer."""
    entry().rename(cache_folder("layers") / f"sha256-{'2' * 64}.index")
    assert load_index("sha256:" + "2" * 64) is None


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "large"])
def test_nothing_in_the_cache_makes_reading_wait(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a link, a folder or something huge in an entry's place is as good as none."""
    path = entry()
    if kind == "large":
        monkeypatch.setattr(cache, "SHELF", replace(cache.SHELF, max_entry_bytes=10))
    else:
        path.rename(tmp_path / "entry")
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(tmp_path / "entry")
    assert load_index(DIGEST) is None


def test_the_cache_is_bounded_and_keeps_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for longest makes room, strange files included."""
    digests = [f"sha256:{at:064}" for at in range(4)]
    (cache_folder("layers") / "sha256-old.json").write_bytes(b"{}")
    os.utime(cache_folder("layers") / "sha256-old.json", (0, 0))
    for at, digest in enumerate(digests[:3]):
        save_index(digest, index_of(Item("a")))
        os.utime(cache_folder("layers") / f"{digest.replace(':', '-')}.index", (at + 1, at + 1))
    assert load_index(digests[0]) is not None  # used: now the newest
    size = (cache_folder("layers") / f"{digests[0].replace(':', '-')}.index").stat().st_size
    monkeypatch.setattr(cache, "SHELF", replace(cache.SHELF, max_bytes=2 * size + size // 2))
    save_index(digests[3], index_of(Item("a")))
    assert [load_index(digest) is not None for digest in digests] == [True, False, False, True]
    assert not (cache_folder("layers") / "sha256-old.json").exists()


def test_a_disk_that_takes_nothing_costs_only_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the cache does not end a run, and leaves no half of an entry."""

    def refuse(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    save_index(DIGEST, index_of(Item("a")))
    assert list(cache_folder("layers").iterdir()) == []


def test_a_layer_of_a_classic_store_is_estimated() -> None:
    """Where no packed layer is kept, its gzip size is computed in the same pass, marked as an estimate, and remembered."""
    tar = one_file(50_000)
    packer = zlib.compressobj(wbits=31)
    expected = len(packer.compress(tar) + packer.flush())
    found = read_tar(DIGEST, io.BytesIO(tar))
    assert found.size == LayerSize(expected, len(tar), estimated=True)
    assert found.index.file_bytes == 50_000
    assert recall_tar(DIGEST) == found
    assert recall_tar("sha256:" + "2" * 64) is None


def test_a_blob_that_was_remembered_has_no_estimate() -> None:
    """A classic store's layer needs its estimate; what was remembered of a blob of that digest has none."""
    save_index(DIGEST, index_of(Item("a")))
    assert recall_tar(DIGEST) is None
