"""What layers weigh, from blobs of any kind, and that no blob can do harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest

from orchestrator.docker import layers
from orchestrator.docker.layers import blob_size, gunzip, recall_tar, weigh_tar
from orchestrator.measure.image import LayerSize
from orchestrator.paths import cache_folder

if TYPE_CHECKING:
    from pathlib import Path


def make_tar(size: int) -> bytes:
    """Make a tar with one file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("f")
        entry.size = size
        archive.addfile(entry, io.BytesIO(bytes(size)))
    return file.getvalue()


def weigh(folder: Path, data: bytes) -> LayerSize:
    """Weigh a blob; its digest is its own."""
    path = folder / "blob"
    path.write_bytes(data)
    return blob_size(path, f"sha256:{hashlib.sha256(data).hexdigest()}")


def test_a_packed_layer_is_weighed_both_ways(tmp_path: Path) -> None:
    """Packed is what lies there, unpacked is what comes out."""
    tar = make_tar(3_000_000)
    packed = gzip.compress(tar)
    assert weigh(tmp_path, packed) == LayerSize(len(packed), len(tar))


def test_a_layer_of_several_members_is_weighed_whole(tmp_path: Path) -> None:
    """Parallel packers write many members; all of them are the layer."""
    tar = make_tar(2_500_000)
    packed = b"".join(gzip.compress(tar[at : at + 700_000]) for at in range(0, len(tar), 700_000))
    assert weigh(tmp_path, packed).uncompressed_bytes == len(tar)
    assert b"".join(gunzip(io.BytesIO(packed))) == tar


def test_a_plain_tar_weighs_what_it_is(tmp_path: Path) -> None:
    """A layer that is not packed at all has one size."""
    tar = make_tar(1000)
    assert weigh(tmp_path, tar) == LayerSize(len(tar), len(tar))


def test_an_empty_blob_weighs_nothing(tmp_path: Path) -> None:
    """Nothing is nothing, not unknown."""
    assert weigh(tmp_path, b"") == LayerSize(0, 0)


def test_a_packing_that_cannot_be_read_here_is_unknown(tmp_path: Path) -> None:
    """A zstd layer has a packed size and no unpacked one, rather than a wrong one."""
    assert weigh(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(100)) == LayerSize(104, None)


def test_a_layer_that_is_cut_off_is_unknown(tmp_path: Path) -> None:
    """A blob that ends before its end has no unpacked size, rather than too small a one."""
    packed = gzip.compress(make_tar(200_000), compresslevel=0)
    assert weigh(tmp_path, packed[:-50_000]) == LayerSize(len(packed) - 50_000, None)


@pytest.mark.parametrize("damage", ["inside", "behind", "at once"])
def test_a_damaged_layer_is_unknown(damage: str, tmp_path: Path) -> None:
    """A blob that is no gzip after all, from the start or further on, does not end the run."""
    packed = gzip.compress(make_tar(100_000), compresslevel=1)
    data = {
        "inside": packed[:200] + bytes([packed[200] ^ 0xFF]) * 50 + packed[250:],
        "behind": packed + b"something else",
        "at once": b"\x1f\x8b" + b"\xff" * 100,
    }[damage]
    assert weigh(tmp_path, data) == LayerSize(len(data), None)


def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that claims to be larger than any image is unknown, and reading it stops there."""
    monkeypatch.setattr(layers, "MAX_UNPACKED", 2_000_000)
    packed = gzip.compress(bytes(20_000_000), compresslevel=1)
    assert weigh(tmp_path, packed).uncompressed_bytes is None


def test_unpacking_never_holds_more_than_a_part() -> None:
    """However much a few bytes stand for, they are handed out in parts of bounded size."""
    packed = gzip.compress(bytes(8_000_000), compresslevel=1)
    sizes = [len(part) for part in gunzip(io.BytesIO(packed))]
    assert sum(sizes) == 8_000_000
    assert max(sizes) <= 1024 * 1024


def test_a_layer_is_read_once_for_each_digest(tmp_path: Path) -> None:
    """A weight is remembered between runs by digest; the packed size is still that of the blob at hand."""
    tar = make_tar(5000)
    digest = "sha256:" + "1" * 64
    path = tmp_path / "blob"
    path.write_bytes(gzip.compress(tar))
    assert blob_size(path, digest).uncompressed_bytes == len(tar)
    path.write_bytes(b"\x1f\x8bno longer readable")
    assert blob_size(path, digest) == LayerSize(20, len(tar))
    assert [item.name for item in cache_folder("layers").iterdir()] == [f"sha256-{'1' * 64}.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"compressed_bytes": 1}', "null", "\udcff"])
def test_a_damaged_memory_is_as_good_as_none(text: str) -> None:
    """What was remembered badly is weighed again."""
    (cache_folder("layers") / "sha256-x.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert recall_tar("sha256:x") is None


def test_a_layer_of_a_classic_store_is_estimated() -> None:
    """Where no packed layer is kept, its gzip size is computed, marked as an estimate, and remembered."""
    tar = make_tar(50_000)
    packer = zlib.compressobj(wbits=31)
    expected = len(packer.compress(tar) + packer.flush())
    weighed = weigh_tar("sha256:t", io.BytesIO(tar), len(tar))
    assert weighed == LayerSize(expected, len(tar), estimated=True)
    assert recall_tar("sha256:t") == weighed
    assert recall_tar("sha256:other") is None
    assert json.loads((cache_folder("layers") / "sha256-t.json").read_text())["estimated"] is True
