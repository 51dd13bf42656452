"""A record that is too large to be in memory as a whole is written and read cell by cell, and is the same record."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator import pieces, strict
from orchestrator import stored as reading
from orchestrator.errors import StoreError
from orchestrator.inside import Package, Packages
from orchestrator.model import Status
from orchestrator.pieces import Cut, cut_record
from orchestrator.record import SCHEMA, Image, RunRecord
from orchestrator.store import Reports, RunFolder
from tests.unit.records import make_cell, make_hostile_record, make_record

if TYPE_CHECKING:
    from pathlib import Path

RECORD = make_record()
HOSTILE = replace(make_hostile_record(), finished_at=RECORD.finished_at)
RECORDS = {
    "of any shape": RECORD,
    "that fights its bounds": HOSTILE,
    "of one cell": replace(RECORD, cells=RECORD.cells[:1]),
    "without a cell": replace(RECORD, cells=()),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Give the folder of a new run, where every record is too large to be read as a whole."""
    monkeypatch.setattr(reading, "_MAX_AT_ONCE", 0)
    return Reports(tmp_path).new_run()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_the_pieces_are_the_record_to_the_byte(record: RunRecord) -> None:
    """Nobody who reads the file sees how it was written."""
    assert b"".join(cut_record(record)) + b"\n" == reading.dump_record(record)


@pytest.mark.parametrize("record", [RECORD, HOSTILE, RECORDS["of one cell"]], ids=[*RECORDS][:3])
@pytest.mark.parametrize("chunk", [1, 7, 4096, 10**6])
def test_a_record_is_the_same_however_it_is_cut(
    record: RunRecord, chunk: int, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk may end anywhere, also within what stands between two cells."""
    monkeypatch.setattr(pieces, "_CHUNK", chunk)
    run.save_record(record)
    assert run.load() == record


def test_what_cells_share_is_there_once() -> None:
    """Equal packages of two cells are one; who has no packages, or no image, has none."""
    packages = Packages(os=(Package("musl", "1"),), python=(Package("grpcio", "1.85.1", native=True), Package("six", "1")))
    image = Image("sha256:1", packages=packages)
    cells = [replace(RECORD.cells[0], id=f"c{at}", image=image) for at in range(2)]
    bare = (replace(RECORD.cells[0], id="c2", image=Image("sha256:2")), replace(RECORD.cells[0], id="c3", image=None))
    record = replace(RECORD, cells=(*cells, *bare))
    found = Cut(io.BytesIO(b"".join(cut_record(record)))).read_cells()
    assert found == record.cells
    first, second = (cell.image.packages for cell in found[:2] if cell.image and cell.image.packages)
    assert all(one is other for one, other in zip((*first.os, *first.python), (*second.os, *second.python), strict=True))


def test_cells_of_their_own_files_share_too(tmp_path: Path) -> None:
    """A run of thousands has them read back when it ends."""
    run = Reports(tmp_path).new_run()
    for name in ("a", "b"):
        run.save_cell(
            replace(make_cell("slim", name, Status.PASSED), image=Image("sha256:1", packages=Packages(os=(Package("musl", "1"),))))
        )
    first, second = (cell.image.packages for cell in run.load_cells() if cell.image and cell.image.packages)
    assert first.os[0] is second.os[0]


def spoil(run: RunFolder, old: bytes, new: bytes) -> None:
    """Change the record of a run."""
    path = run.save_record(RECORD)
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new, 1))


def test_a_wrong_value_is_named_by_its_cell(run: RunFolder) -> None:
    """As in a record that is read as a whole."""
    spoil(run, b'"id": "slim-3.12"', b'"id": 12')
    at = next(at for at, cell in enumerate(RECORD.cells) if cell.id == "slim-3.12")
    with pytest.raises(StoreError, match=rf"run\.json is damaged: cells\.{at}: id: Expected `str`, got `int`"):
        run.load()


def test_a_wrong_value_beside_the_cells_is_named(run: RunFolder) -> None:
    """What comes before and after them is read as one."""
    spoil(run, b'"complete": true', b'"complete": 1')
    with pytest.raises(StoreError, match=r"run\.json is damaged: complete: Expected `bool`"):
        run.load()


def test_a_record_that_was_cut_off_is_damaged(run: RunFolder) -> None:
    """Wherever it was: between two cells, within one, within what comes after them."""
    raw = run.save_record(RECORD).read_bytes()
    for length in (raw.index(b'"cells"') + 600, raw.rindex(b'"claims"') - 20, len(raw) - 3):
        (run.path / "run.json").write_bytes(raw[:length])
        with pytest.raises(StoreError, match=r"run\.json is damaged: "):
            run.load()


def test_a_large_record_of_another_layout_is_refused(run: RunFolder) -> None:
    """Nobody can tell where a cell of it ends without reading all of it."""
    raw = run.save_record(RECORD).read_bytes()
    (run.path / "run.json").write_text(json.dumps(json.loads(raw)))
    with pytest.raises(StoreError, match=r"is damaged: it is too large to be read otherwise than as matrix lays it out"):
        run.load()


def test_a_large_record_of_a_newer_matrix_says_so(run: RunFolder) -> None:
    """Whatever its cells are by then."""
    run.save_record(replace(RECORD, schema=SCHEMA + 1))
    with pytest.raises(StoreError, match=rf"was written by a newer matrix \(schema {SCHEMA + 1}, this one knows {SCHEMA}\)"):
        run.load()
    spoil(run, b'"schema": 1', b'"schema": 2')
    raw = (run.path / "run.json").read_bytes()
    (run.path / "run.json").write_bytes(raw.replace(b'"axes": {', b'"axes": 1, "other": {'))
    with pytest.raises(StoreError, match="was written by a newer matrix"):
        run.load()


@pytest.mark.parametrize(("bound", "words"), [("_MAX_PIECE", "a part of it is larger than 0 MiB"), ("_MAX_FRAME", "a part of it")])
def test_no_part_of_it_fills_the_memory(bound: str, words: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may be made so that nothing can be cut off it."""
    run.save_record(RECORD)
    monkeypatch.setattr(pieces, bound, 100)
    monkeypatch.setattr(pieces, "_CHUNK", 200)
    with pytest.raises(StoreError, match=words):
        run.load()


def test_more_values_than_any_run_has_are_refused_cell_by_cell(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that cells share are counted once, all else each time."""
    packages = Packages(os=tuple(Package(f"p{at}", "1") for at in range(100)))
    cell = replace(make_cell("a", "b", Status.PASSED), image=Image("sha256:1", packages=packages))
    run.save_record(replace(RECORD, cells=(cell,) * 20))
    monkeypatch.setattr(strict, "_MOST_VALUES", 4000)
    assert len(run.load().cells) == 20
    run.save_record(replace(RECORD, cells=(cell,) * 200))
    with pytest.raises(StoreError, match=r"it has more than 4,000 values"):
        run.load()
    other = replace(cell, image=Image("sha256:1", packages=Packages(os=tuple(Package(f"q{at}", "1") for at in range(300)))))
    run.save_record(replace(RECORD, cells=(cell,) * 20 + (other,)))
    with pytest.raises(StoreError, match=r"it has more than 4,000 values"):
        run.load()
