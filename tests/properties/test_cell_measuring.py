"""What a cell's measuring leaves: figures in its record, an SBOM in its folder, and words on what could not be read."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from orchestrator import cell
from orchestrator.docker.build import BuildMetadata
from orchestrator.errors import EngineError
from orchestrator.inside import Vulnerabilities
from orchestrator.layers.index import make_index
from orchestrator.measure.image import LayerSize, RawImage
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
    shop = SimpleNamespace(run=RunFolder(folder), bases=_Bases(), scanner=scanner, emit=said.append)
    sizes = tuple(LayerSize(10, index.uncompressed_bytes) for index in layers)
    raw = RawImage("sha256:i", tuple("abc"[: len(layers)]), sizes, (None,) * len(layers), {}, indices=layers)
    built = SimpleNamespace(metadata=BuildMetadata(), origins={})
    of = SimpleNamespace(id="slim-3.12")
    return cell._measure(cast("Workshop", shop), cast("Cell", of), raw, cast("Built", built)), said  # noqa: SLF001  # the engine's part is left out


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
    monkeypatch.setattr(cell, "scan_sbom", lambda *_: found)
    assert measure(tmp_path, index_of(Item("a")), scanner=scanner)[0].vulnerabilities == found

    def fail(*_: object) -> None:
        raise EngineError("grype could not look the packages up: database is too old")

    monkeypatch.setattr(cell, "scan_sbom", fail)
    image, said = measure(tmp_path, index_of(Item("a")), scanner=scanner)
    assert image.vulnerabilities is None
    assert [event.data["text"] for event in said] == ["slim-3.12: grype could not look the packages up: database is too old"]
