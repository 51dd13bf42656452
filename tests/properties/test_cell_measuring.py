"""What a cell's measuring leaves: figures in its record, an SBOM in its folder, and words on what could not be read."""

from __future__ import annotations

import json
from threading import Event as Signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from orchestrator import measuring
from orchestrator.docker.build import BuildMetadata, Target
from orchestrator.errors import EngineError
from orchestrator.inside import Vulnerabilities
from orchestrator.known import recall_expected, recall_image, remember_expected, remember_image
from orchestrator.layers.index import make_index
from orchestrator.measure.image import LayerSize, RawImage
from orchestrator.measuring import look_into, make_known, make_target, measure_image
from orchestrator.paths import cache_folder
from orchestrator.record import Base, CellInputs
from orchestrator.scanners import Scanner
from orchestrator.store import RunFolder
from tests.unit.tars import Item, index_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from orchestrator.building import Built
    from orchestrator.events import Event
    from orchestrator.layers.index import LayerIndex
    from orchestrator.model import Cell
    from orchestrator.record import Image
    from orchestrator.workshop import Workshop


class _Bases:
    def count_layers(self, *_: object) -> int:
        return 1


def measure(folder: Path, *layers: LayerIndex, scanner: Scanner | None = None) -> tuple[Image, list[Event]]:
    """Measure an image of these layers, the first of which is its base's."""
    said: list[Event] = []
    shop = SimpleNamespace(run=RunFolder(folder), bases=_Bases(), scanner=scanner, emit=said.append, cancel=Signal())
    sizes = tuple(LayerSize(10, index.uncompressed_bytes) for index in layers)
    raw = RawImage("sha256:i", tuple("abc"[: len(layers)]), sizes, (None,) * len(layers), {}, indices=layers)
    built = SimpleNamespace(metadata=BuildMetadata(), origins={})
    of = cast("Cell", SimpleNamespace(id="slim-3.12"))
    known = make_known(of, raw, {})
    remember_image("sha256:i", known)
    assert recall_image("sha256:i") == (known if known.sbom else None)
    return measure_image(cast("Workshop", shop), of, known, cast("Built", built)), said


def test_a_measured_cell_has_its_waste_and_an_sbom(tmp_path: Path) -> None:
    """Wasted bytes are in the record, and the packages lie beside it as CycloneDX."""
    image, said = measure(tmp_path, index_of(Item("etc/os-release", b"ID=debian\n"), Item("a", b"12345")), index_of(Item(".wh.a")))
    assert (image.wasted_bytes, said, image.vulnerabilities) == (5, [], None)
    sbom = json.loads((tmp_path / "cells" / "slim-3.12" / "sbom.cdx.json").read_text())
    assert [part["name"] for part in sbom["components"]] == ["debian"]


def test_a_layer_that_cannot_be_read_is_said_and_ends_nothing(tmp_path: Path) -> None:
    """The sizes are there, what the image holds is unknown, and the reason is told with the cell and the layer."""
    image, said = measure(tmp_path, index_of(Item("a")), make_index(iter([b"no tar"])))
    assert (image.compressed_bytes, image.wasted_bytes, image.packages) == (20, None, None)
    assert [event.data["text"] for event in said] == [
        "slim-3.12: layer b is cut off: it ends in a header; what the image holds is unknown"
    ]
    assert not (tmp_path / "cells").exists()


def test_a_scanner_is_asked_and_one_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is kept; no answer is a warning, and no zeros."""
    scanner = Scanner("grype", "/x/grype")
    found = Vulnerabilities("grype", None, high=1)
    monkeypatch.setattr(measuring, "scan_sbom", lambda *_: found)
    assert measure(tmp_path, index_of(Item("a")), scanner=scanner)[0].vulnerabilities == found

    def fail(*_: object) -> None:
        raise EngineError("grype could not look the packages up: database is too old")

    monkeypatch.setattr(measuring, "scan_sbom", fail)
    image, said = measure(tmp_path, index_of(Item("a")), scanner=scanner)
    assert image.vulnerabilities is None
    assert [event.data["text"] for event in said] == ["slim-3.12: grype could not look the packages up: database is too old"]


def test_what_is_known_of_an_image_is_forgotten_when_it_is_damaged_or_of_another_form(tmp_path: Path) -> None:
    """Then the image is read again; nothing half right is told."""
    measure(tmp_path, index_of(Item("a")))
    (entry,) = cache_folder("known").iterdir()
    whole = entry.read_bytes()
    for data in (whole[:-1], whole[:-3] + b"x" + whole[-2:], b"", whole.replace(b"matrix-image-", b"matrix-image+")):
        entry.write_bytes(data)
        assert recall_image("sha256:i") is None
    assert recall_image("sha256:other") is None


def test_the_expected_image_is_that_of_the_place() -> None:
    """The same cell through another builder may have another image."""
    remember_expected("sha256:i", "default", "matrix", "slim")
    assert recall_expected("default", "matrix", "slim") == "sha256:i"
    assert recall_expected("default", "other", "slim") is None


def test_an_image_stays_in_the_builder_while_it_is_likely_to_be_the_one_that_is_known(tmp_path: Path) -> None:
    """From another source it is another image, and leaves with its own build; other checks and a base's digest are no source."""
    measure(tmp_path, index_of(Item("a")))
    shop = cast(
        "Workshop",
        SimpleNamespace(
            engine=SimpleNamespace(context="default"),
            builder=SimpleNamespace(name="default", exports_oci=True, loads_by_copy=False),
            store=SimpleNamespace(prepare=lambda name: tmp_path / name),
            folder=tmp_path,
            name="matrix",
            keep=False,
        ),
    )
    cell = cast("Cell", SimpleNamespace(id="slim-3.12"))
    built = cast("Built", SimpleNamespace(metadata=BuildMetadata(digest="sha256:i")))
    inputs = CellInputs(dockerfile_digest="sha256:d", args={"A": "1"})
    leaves, stays = Target(tmp_path / "slim-3.12", None), Target(None, None)
    assert make_target(shop, cell, inputs, wants_engine=False) == leaves
    look_into(shop, cell, leaves, built, replace(inputs, base=(Base("x", "sha256:b"),), stand_in="x"))
    for now, target in (
        (inputs, stays),
        (replace(inputs, smoke_digest="sha256:s"), stays),
        (replace(inputs, args={"A": "2"}), leaves),
        (replace(inputs, dockerfile_digest="sha256:e"), leaves),
        (replace(inputs, context_digest="sha256:c"), leaves),
    ):
        assert make_target(shop, cell, now, wants_engine=False) == target
