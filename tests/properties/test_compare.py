"""Comparisons of any two runs: charges add up, order does not matter, and what goes one way comes back the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.inside import Package, Packages
from orchestrator.judge.compare import compare_runs
from orchestrator.judge.gates import judge_gates
from orchestrator.judge.noise import size_noise
from orchestrator.record import Base, CellInputs, CellRecord, Image, Layer
from orchestrator.rules import Limit, Rules
from tests.unit.pairs import make_cell, make_run

DIGESTS = st.sampled_from([f"sha256:{letter * 64}" for letter in "abc"])
SIZES = st.integers(0, 50_000_000)
LAYERS = st.builds(Layer, DIGESTS, st.sampled_from(["RUN a", "RUN b", None]), SIZES, SIZES)
PACKAGES = st.builds(
    Package, st.sampled_from(["pip", "Grpc_io", "grpc-io"]), st.sampled_from("12"), st.sampled_from(["wheel", "sdist", None]),
    bytes=st.none() | SIZES, layer=st.none() | st.integers(0, 5),
)  # fmt: skip
BASES = st.lists(st.builds(Base, st.sampled_from("xy"), DIGESTS), max_size=2).map(tuple)
ARGS = st.dictionaries(st.sampled_from("AB"), st.sampled_from("12"))
INPUTS = st.builds(CellInputs, st.none() | DIGESTS, st.none() | DIGESTS, BASES, st.none() | DIGESTS, st.none() | ARGS)


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Make an image whose sizes are the sums of its layers, or not known."""
    layers = tuple(draw(st.lists(LAYERS, max_size=6)))
    below = draw(st.none() | st.integers(0, len(layers)))
    sizes = [layer.uncompressed_bytes or 0 for layer in layers]
    group = st.lists(PACKAGES, max_size=4).map(tuple)
    return Image(
        "sha256:i",
        compressed_bytes=draw(st.none() | st.just(sum(layer.compressed_bytes or 0 for layer in layers))),
        compressed_estimated=draw(st.booleans()),
        uncompressed_bytes=sum(sizes),
        over_base_bytes=None if below is None else sum(sizes[below:]),
        layers=layers,
        packages=draw(st.none() | st.builds(Packages, group, group)),
        base_layers=draw(st.sampled_from([None, below])),
    )


CELLS = st.builds(
    lambda image, inputs, name: replace(make_cell(name), image=image, inputs=inputs),
    st.none() | images(),
    INPUTS,
    st.sampled_from("pqr"),
)


@given(images(), images(), INPUTS, INPUTS)
def test_charges_add_up_to_the_difference(old: Image, new: Image, before: CellInputs, after: CellInputs) -> None:
    """Nothing is charged twice, and nothing is left that is more than noise, whatever is known."""
    pair = [replace(make_cell(), image=image, inputs=inputs) for image, inputs in ((old, before), (new, after))]
    (cell,) = compare_runs(make_run(pair[0]), make_run(pair[1])).cells
    known = [cause.bytes for cause in cell.causes if cause.bytes is not None]
    if cell.sizes[1].is_real and known and None not in [cause.bytes for cause in cell.causes if cause.kind == "base"]:
        assert abs(sum(known) - (cell.sizes[1].amount or 0)) <= size_noise(old.uncompressed_bytes or 0)


@given(st.lists(CELLS, max_size=3, unique_by=lambda cell: cell.id), st.lists(CELLS, max_size=3, unique_by=lambda cell: cell.id))
def test_a_comparison_the_other_way_round_says_the_opposite(olds: list[CellRecord], news: list[CellRecord]) -> None:
    """Added is removed, more is less; a run compared with itself has no difference, and no order of cells matters."""
    old, new = (replace(make_run(), cells=tuple(cells)) for cells in (olds, news))
    there, back = compare_runs(old, new), compare_runs(new, old)
    assert {cell.id for cell in there.added} == {cell.id for cell in back.removed}
    amounts = [{cell.id: [size.amount for size in cell.sizes] for cell in one.cells} for one in (there, back)]
    assert amounts[0] == {cell: [None if size is None else -size for size in sizes] for cell, sizes in amounts[1].items()}
    assert not any(cell.differs for cell in compare_runs(old, old).cells)
    turned = compare_runs(old, replace(new, cells=tuple(reversed(new.cells))))
    assert sorted(turned.cells, key=lambda cell: cell.id) == sorted(there.cells, key=lambda cell: cell.id)


@given(st.lists(CELLS, max_size=3, unique_by=lambda cell: cell.id), st.lists(CELLS, max_size=3, unique_by=lambda cell: cell.id))
def test_a_gate_with_a_verdict_has_a_limit_and_a_figure(cells: list[CellRecord], before: list[CellRecord]) -> None:
    """Whatever is missing in a run or its baseline, a gate that says yes or no says by how much, and one that does not says why."""
    limits = (
        Limit({}, size_bytes=10_000_000, build_time_s=40.0, size_growth_share=0.1, build_time_growth_share=0.1),
        Limit({"base": ("p",)}, step="*pip install*", step_max_s=40.0, compiled=0),
    )
    run = replace(make_run(), cells=tuple(cells), rules=Rules(limits=limits))
    for gate in judge_gates(run, replace(make_run(), cells=tuple(before))):
        if gate.passed is None:
            assert gate.reason
        else:
            assert None not in (gate.limit, gate.actual, gate.cell, gate.unit)
