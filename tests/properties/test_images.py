"""OCI layouts as builders write them: read, archived for any engine, and never left by a digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, cast

import pytest

from orchestrator.docker import images, saved
from orchestrator.docker.images import ImageStore, make_raw_image
from orchestrator.docker.saved import read_from_engine
from orchestrator.errors import EngineError
from orchestrator.layers.stack import stack_layers
from orchestrator.measure.image import LayerSize, make_image
from tests.unit.tars import Item, make_tar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.docker.engine import Engine

CONFIG = {
    "rootfs": {"diff_ids": ["sha256:one", "sha256:two"]},
    "config": {"Labels": {"a": "b"}, "Entrypoint": ["python"], "Cmd": ["-V"], "User": "app"},
    "history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:x in / "},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "RUN /bin/sh -c true # buildkit"},
    ],
}
TARS = (bytes(10_240), bytes(20_480))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Give the store of a run."""
    return ImageStore(tmp_path / "images" / "run")


def put(store: ImageStore, data: bytes) -> str:
    """Write a blob; give its digest."""
    digest = hashlib.sha256(data).hexdigest()
    folder = store.folder / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(data)
    return f"sha256:{digest}"


def put_json(store: ImageStore, data: object) -> str:
    """Write a document as a blob; give its digest."""
    return put(store, json.dumps(data).encode())


def put_image(store: ImageStore, layout: Path, *entries: dict[str, Any]) -> str:
    """Write an image into a layout, behind other entries of its index; give its manifest's digest."""
    layers = [{"digest": put(store, gzip.compress(tar, mtime=0))} for tar in TARS]
    manifest = put_json(store, {"config": {"digest": put_json(store, CONFIG)}, "layers": layers})
    (layout / "index.json").write_text(json.dumps({"manifests": [*entries, {"digest": manifest}]}))
    return manifest


def test_an_image_is_read_with_its_sizes_instructions_and_labels(store: ImageStore) -> None:
    """A layout tells all that a report needs, without an engine."""
    layout = store.prepare("slim-3.12")
    digest = put_image(store, layout)
    raw = store.read(layout)
    assert (raw.digest, raw.diff_ids) == (digest, ("sha256:one", "sha256:two"))
    assert raw.instructions == ("ADD file:x in /", "RUN true")
    assert raw.sizes == tuple(LayerSize(len(gzip.compress(tar, mtime=0)), len(tar)) for tar in TARS)
    assert (raw.labels, raw.command, raw.user) == ({"a": "b"}, ("python", "-V"), "app")


def test_an_image_without_a_layer_weighs_nothing(store: ImageStore) -> None:
    """`FROM scratch` and a label: BuildKit writes no list where there is no layer."""
    layout = store.prepare("x")
    config = put_json(store, {"rootfs": {"diff_ids": None}, "config": {"Labels": {"a": "b"}}})
    manifest = put_json(store, {"config": {"digest": config}, "layers": None})
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": manifest}]}))
    raw = store.read(layout)
    assert (raw.diff_ids, raw.sizes, raw.labels) == ((), (), {"a": "b"})
    assert make_image(raw, None).uncompressed_bytes == 0
    assert list(store.archive(layout, "x:1"))


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (None, "the builder wrote no index of the image: No such file or directory"),
        ("", "an index that names no image"),
        ("[]", "an index that names no image"),
        ('{"manifests": [', "an index that names no image"),
        ('{"manifests": []}', "an index that names no image"),
        ('{"manifests": ["x"]}', "an index that names no image"),
        ('{"manifests": [{}]}', "names a blob that is no digest"),
        ('{"manifests": [{"digest": "sha256:DIGEST"}]}', "names a blob that is no digest: 'None'"),
    ],
)
def test_a_layout_that_is_not_as_it_should_be_is_an_error_of_its_cell(store: ImageStore, index: str | None, words: str) -> None:
    """A disk that was full, or a builder of another kind; no other cell is to end by it."""
    layout = store.prepare("x")
    if index is not None:
        (layout / "index.json").write_text(index.replace("sha256:DIGEST", put(store, b"no JSON")))
    with pytest.raises(EngineError, match=words):
        store.read(layout)


def test_an_image_is_looked_into_as_it_is_weighed(store: ImageStore) -> None:
    """One pass over each layer gives its size and what it holds, and the configuration what the image starts."""
    layout = store.prepare("x")
    tar = make_tar(Item("a", b"12345"))
    config = {
        "rootfs": {"diff_ids": ["sha256:one"]},
        "config": {"Entrypoint": "run", "Cmd": ["-V"], "ExposedPorts": {"80/tcp": {}}},
    }
    layers = [{"digest": put(store, gzip.compress(tar))}]
    manifest = put_json(store, {"config": {"digest": put_json(store, config)}, "layers": layers})
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": manifest}]}))
    raw = store.read(layout)
    assert [(index.problem, index.file_bytes) for index in raw.indices] == [(None, 5)]
    assert (raw.entrypoint, raw.command, raw.ports, raw.port) == (("run",), ("run", "-V"), ("80/tcp",), 80)


class _SavingEngine:
    """An engine that hands an image out as an archive, its layers under names of a form of its own."""

    def __init__(self, tars: Sequence[bytes], form: str) -> None:
        self.saved = 0
        self.image = self
        self._digests = [hashlib.sha256(tar).hexdigest() for tar in tars]
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for number, tar in enumerate(tars):
                entry = tarfile.TarInfo(form.format(digest=self._digests[number], id=f"{number:064}"))
                entry.size = len(tar)
                archive.addfile(entry, io.BytesIO(tar))
        self._data = file.getvalue()

    def ask(self, _engine: Engine, _method: str, path: str) -> Any:
        if path.endswith("/history"):
            return []
        config: dict[str, Any] = {"Labels": None, "Entrypoint": ["run"], "Cmd": ["-V"], "User": "", "ExposedPorts": {"80/tcp": {}}}
        return {"Id": "sha256:i", "RootFS": {"Layers": [f"sha256:{digest}" for digest in self._digests]}, "Config": config}

    def save(self, _name: str) -> Iterator[bytes]:
        self.saved += 1
        yield from (self._data[at : at + 1000] for at in range(0, len(self._data), 1000))


@pytest.mark.parametrize(
    "form", ["{id}/layer.tar", "blobs/sha256/{digest}", "{digest}.tar"], ids=["before 25", "since 25", "podman"]
)
def test_a_classic_store_is_read_once_for_each_layer(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are weighed and indexed as they stream out of the engine, whatever it calls them; known ones are not moved again."""
    tars = [make_tar(Item("a", b"12345")), make_tar(Item(".wh.a"))]
    engine = _SavingEngine(tars, form)
    monkeypatch.setattr(saved, "client", lambda: engine)
    monkeypatch.setattr(saved, "ask", engine.ask)
    found = [read_from_engine(cast("Engine", None), "x") for _ in range(2)]
    assert found[0] == found[1]
    assert engine.saved == 1
    assert [size.uncompressed_bytes for size in found[0].sizes] == [len(tar) for tar in tars]
    assert [size.estimated for size in found[0].sizes] == [True, True]
    assert stack_layers(found[0].indices).wasted_bytes == (5, 0)


def test_an_image_behind_an_index_of_platforms_is_read(store: ImageStore) -> None:
    """An index with an attestation beside the image is passed through to the image."""
    layout = store.prepare("x")
    digest = put_image(store, layout)
    attestation = {"digest": "sha256:" + "0" * 64, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index = put_json(store, {"manifests": [attestation, {"digest": digest}]})
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": index}]}))
    assert store.read(layout).digest == digest


def test_an_index_that_does_not_end_is_refused(store: ImageStore) -> None:
    """An index in an index in an index is no image of one platform."""
    layout = store.prepare("x")
    digest = put_image(store, layout)
    for _ in range(4):
        digest = put_json(store, {"manifests": [{"digest": digest}]})
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    with pytest.raises(EngineError, match="is an index within an index; matrix reads one platform for each cell"):
        store.read(layout)


@pytest.mark.parametrize(
    "digest", ["sha256:../../../etc/passwd", "../x", "sha512:" + "a" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 65, ""]
)
def test_no_digest_leads_out_of_the_store(digest: str, store: ImageStore) -> None:
    """A manifest that names a path instead of a digest is refused, with what it named."""
    layout = store.prepare("x")
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    with pytest.raises(EngineError, match="the image names a blob that is no digest: "):
        store.read(layout)


def test_a_layers_digest_is_held_to_the_same_rule(store: ImageStore) -> None:
    """What is inside a manifest is no more trusted than the index."""
    layout = store.prepare("x")
    manifest = put_json(store, {"config": {"digest": put_json(store, CONFIG)}, "layers": [{"digest": "sha256:../../run.json"}]})
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": manifest}]}))
    with pytest.raises(EngineError, match="no digest"):
        store.read(layout)


def test_a_blob_that_a_builder_keeps_back_is_told(store: ImageStore) -> None:
    """An index may name what was not written: the cell gets an error, and matrix no bug."""
    layout = store.prepare("cell")
    digest = f"sha256:{'e' * 64}"
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    with pytest.raises(EngineError, match=f"the builder named the blob {digest} and did not hand it out"):
        store.read(layout)


def test_a_document_of_no_sensible_size_is_not_read(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest as large as a layer is refused before it fills the memory."""
    monkeypatch.setattr(images, "_MAX_JSON", 100)
    layout = store.prepare("x")
    put_image(store, layout)
    with pytest.raises(EngineError, match="is too large for a manifest or a configuration"):
        store.read(layout)


def test_cells_share_their_blobs(store: ImageStore) -> None:
    """Two layouts keep one copy of a common base, each with an index of its own."""
    first, second = store.prepare("a"), store.prepare("b")
    assert first != second
    put_image(store, first)
    (first / "blobs" / "sha256" / "probe").touch()
    assert (second / "blobs" / "sha256" / "probe").exists()


def test_preparing_a_cell_again_starts_anew(store: ImageStore) -> None:
    """A second attempt finds no index of the first; the blobs stay."""
    layout = store.prepare("a")
    digest = put_image(store, layout)
    assert store.prepare("a") == layout
    assert not (layout / "index.json").exists()
    assert (store.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).exists()


def test_any_name_of_a_cell_is_a_layout_within_the_store(store: ImageStore) -> None:
    """A cell's name cannot lead a builder out of the store."""
    assert store.prepare("../../x").parent == store.folder


def test_an_archive_is_one_that_engines_of_any_age_load(store: ImageStore) -> None:
    """The archive names config, tag and layers, and holds each blob once."""
    layout = store.prepare("x")
    put_image(store, layout)
    data = b"".join(store.archive(layout, "matrix.local/m:x"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        (entry,) = manifest
        assert entry["RepoTags"] == ["matrix.local/m:x"]
        assert sorted(names) == sorted({"manifest.json", entry["Config"], *entry["Layers"]})
        assert json.load(archive.extractfile(entry["Config"]) or io.BytesIO()) == CONFIG
        found = [(archive.extractfile(name) or io.BytesIO()).read() for name in entry["Layers"]]
        assert [gzip.decompress(layer) for layer in found] == list(TARS)


def test_a_run_leaves_no_image_behind(store: ImageStore) -> None:
    """Removing a store removes all of it, and twice is as good as once."""
    store.prepare("x")
    store.remove()
    store.remove()
    assert not store.folder.exists()


def test_a_configuration_may_lack_anything() -> None:
    """An image from scratch has no history, no labels and no command."""
    raw = make_raw_image("sha256:i", {"rootfs": None, "config": None}, [])
    assert (raw.diff_ids, raw.sizes, raw.instructions, raw.labels, raw.command, raw.user) == ((), (), (), {}, (), "")
