"""Gates: each limit against the figure it is about, passed, failed, or unknown with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.ending import exit_code_of
from orchestrator.errors import ExitCode
from orchestrator.inside import Packages
from orchestrator.judge.compare import compare_runs
from orchestrator.judge.gates import judge_gates
from orchestrator.judge.kept import make_figures
from orchestrator.judge.run import judge_record
from orchestrator.model import Status
from orchestrator.record import Part, RunRecord, Scenario, Shard
from orchestrator.report.compare import render_comparison
from orchestrator.report.gates import render_broken, render_gate
from orchestrator.rules import Limit, Rules
from orchestrator.units import UNKNOWN
from orchestrator.verdicts import Gate, Pair, Verdict
from tests.unit.folders import HEAD, problems_of
from tests.unit.pairs import MACHINE, OS, PYTHON, STEPS, make_build, make_cell, make_image, make_run, with_newer_package
from tests.unit.records import STARTED

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import CellRecord

ANY: dict[str, tuple[str, ...]] = {}
SIZE = 58_303_000


def judge(limit: Limit, *cells: CellRecord, baseline: RunRecord | None = None) -> list[Gate]:
    """Hold a run of these cells against one limit."""
    return list(judge_gates(replace(make_run(*cells, day=1), rules=Rules(limits=(limit,))), baseline))


def test_a_size_is_held_against_its_budget() -> None:
    """The compressed size counts: what a pull moves. On the limit is within it."""
    for limit, passed in ((SIZE, True), (SIZE - 1, False)):
        assert judge(Limit(ANY, size_bytes=limit)) == [Gate("size", "slim-3.13", limit, SIZE, passed, "bytes")]


def test_a_limit_is_about_the_cells_that_it_names() -> None:
    """Values and globs choose; where none fits, that is told: a selection, or a mistake."""
    cells = (make_cell("slim"), make_cell("alpine"))
    assert [gate.cell for gate in judge(Limit({"base": ("alp*",)}, size_bytes=1), *cells)] == ["alpine-3.13"]
    (gate,) = judge(Limit({"base": ("wolfi", "x")}, size_bytes=1), *cells)
    assert (gate.cell, gate.passed, gate.reason) == (None, None, "no cell of this run fits base: wolfi or x")


def test_a_cell_without_a_figure_neither_keeps_nor_breaks_a_limit() -> None:
    """One that failed is told; one that was to fail, was left out or has no size at all is not accused."""
    failed = replace(make_cell(), status=Status.BUILD_FAILED, as_expected=False, image=None)
    (gate,) = judge(Limit(ANY, size_bytes=1), failed)
    assert (gate.passed, gate.actual, gate.reason) == (None, None, "the cell ended build-failed")
    expected = replace(failed, expected=Status.BUILD_FAILED, as_expected=True)
    skipped = replace(failed, status=Status.SKIPPED, as_expected=True)
    assert judge(Limit(ANY, size_bytes=1), expected, skipped) == []
    blind = replace(make_cell(), image=replace(make_image(), compressed_bytes=None))
    assert judge(Limit(ANY, size_bytes=1), blind)[0].reason == "its compressed size is not known"
    estimated = replace(make_cell(), image=replace(make_image(), compressed_estimated=True))
    assert (
        judge(Limit(ANY, size_bytes=SIZE), estimated)[0].reason
        == "the size is an estimate: this image store keeps no compressed layers"
    )


def test_a_build_time_is_isolated_or_says_that_it_is_not() -> None:
    """A build that took steps from the cache takes at least its time: it can break a limit, and cannot keep one."""
    (gate,) = judge(Limit(ANY, build_time_s=60), make_cell(median_s=50.0))
    assert (gate.passed, gate.actual, gate.unit) == (True, 50.0, "s")
    assert gate.reason == "isolated: the median of cold builds, one at a time"
    (shared,) = judge(Limit(ANY, build_time_s=44))
    assert (shared.passed, shared.actual) == (False, 45.0)
    assert shared.reason == "not isolated: what the build would have taken alone, while others ran beside it"
    steps = (STEPS[0], replace(STEPS[1], outcome="cached"), STEPS[2])
    cached = replace(make_cell(), build=replace(make_build(), steps=steps))
    assert [judge(Limit(ANY, build_time_s=limit), cached)[0].passed for limit in (44, 46)] == [False, None]
    assert judge(Limit(ANY, build_time_s=46), cached)[0].reason == (
        "not isolated: what the build would have taken alone, while others ran beside it; "
        "1 of 3 steps came from the cache, so it takes at least that"
    )
    unknown = replace(make_cell(), build=replace(make_build(), alone_s=None))
    assert judge(Limit(ANY, build_time_s=1), unknown)[0].passed is None
    warm = replace(make_cell(), build=replace(make_build(), scenarios=(Scenario("cached", (1.0,), 1.0, None),), median_s=1.0))
    assert judge(Limit(ANY, build_time_s=44), warm)[0].actual == 45.0
    assert judge(Limit(ANY, build_time_s=44), replace(make_cell(), build=None))[0].reason == "there was no build"


def test_growth_is_held_against_the_baseline() -> None:
    """1.5 % more is within 2 % and beyond 1 %; less is never too much."""
    grown, baseline = with_newer_package(make_cell()), make_run()
    share = 900_000 / SIZE
    for limit, passed in ((0.02, True), (0.01, False)):
        (gate,) = judge(Limit(ANY, size_growth_share=limit), grown, baseline=baseline)
        assert gate == Gate("growth.size", "slim-3.13", limit, round(share, 6), passed, "share", f"against {baseline.id}")
    (less,) = judge(Limit(ANY, size_growth_share=0.0), make_cell(), baseline=make_run(grown))
    assert less.passed is True
    bytes_more = replace(make_cell(), image=replace(make_image(), compressed_bytes=SIZE + 100))
    (noise,) = judge(Limit(ANY, size_growth_share=0.0), bytes_more, baseline=baseline)
    assert (noise.passed, noise.reason) == (True, f"against {baseline.id}; the difference is within the noise")


def test_growth_without_something_to_hold_it_against_is_unknown() -> None:
    """No baseline, no such cell, a cell that failed, a size that is not known, stand-ins: each with its reason."""
    limit, baseline = Limit(ANY, size_growth_share=0.05), make_run()
    (gate,) = judge(limit)
    assert (gate.cell, gate.passed) == (None, None)
    assert gate.reason == "there is no baseline: no earlier run ended well; `matrix baseline RUN` names one"
    failed = replace(make_cell(), status=Status.TIMEOUT, as_expected=False, image=None)
    blind = replace(make_cell(), image=replace(make_image(), compressed_bytes=None))
    stand_in = replace(make_cell(), inputs=replace(make_cell().inputs, stand_in="Debian"))
    reasons = [
        judge(limit, make_cell("other"), baseline=baseline)[0],
        judge(limit, failed, baseline=baseline)[0],
        judge(limit, make_cell(), baseline=make_run(failed))[0],
        judge(limit, blind, baseline=baseline)[0],
        judge(limit, stand_in, baseline=baseline)[0],
    ]
    assert [(gate.passed, gate.reason) for gate in reasons] == [
        (None, f"the baseline {baseline.id} has no such cell"),
        (None, "the cell ended timeout"),
        (None, f"the cell ended timeout in the baseline {baseline.id}"),
        (None, f"a size is not known, here or in the baseline {baseline.id}"),
        (None, f"one of this run and the baseline {baseline.id} was made on stand-in bases"),
    ]
    estimated = replace(make_cell(), image=replace(make_image(), compressed_estimated=True, compressed_bytes=99))
    (gate,) = judge(limit, estimated, baseline=baseline)
    assert (gate.passed, gate.actual) == (True, 0.0)
    assert gate.reason == f"against {baseline.id}, by unpacked sizes, since one compressed size is an estimate"


def test_a_size_of_nothing_is_known() -> None:
    """An image without a layer that is still one has not grown; what it grew to since then is no share of nothing."""
    empty = replace(make_cell(), image=replace(make_image(), compressed_bytes=0))
    limit, baseline = Limit(ANY, size_growth_share=0.05), make_run(empty)
    (same,) = judge(limit, empty, baseline=baseline)
    assert (same.passed, same.actual, same.reason) == (True, 0.0, f"against {baseline.id}")
    (grown,) = judge(limit, make_cell(), baseline=baseline)
    assert (grown.passed, grown.reason) == (None, f"its size was 0 in the baseline {baseline.id}, of which more is no share")


def test_times_may_grow_where_both_are_isolated_and_the_machines_alike() -> None:
    """Growth within the noise is not known to be any; times of unlike machines say nothing."""

    def grow(before: float | None, after: float | None, noise: float | None = 0.05, **machine: object) -> Gate:
        run = make_run(make_cell(median_s=after), day=1, noise=0.03)
        run = replace(run, environment=replace(MACHINE, **machine), rules=Rules(limits=(Limit(ANY, build_time_growth_share=0.02),)))
        (gate,) = judge_gates(run, make_run(make_cell(median_s=before), noise=noise))
        return gate

    old = make_run().id
    assert (grow(40.0, 44.0).passed, grow(40.0, 44.0).actual, grow(40.0, 44.0).unit) == (False, 0.1, "share")
    assert grow(40.0, 40.4).passed is True
    assert grow(40.0, 41.6).reason == f"against {old}, noise 5.0%; the difference is within the noise"
    assert grow(40.0, 41.6).passed is None
    assert grow(None, 40.0).reason == f"the baseline {old} has no isolated time (`matrix run --measure 7`)"
    assert grow(40.0, None).reason == "this run has no isolated time (`matrix run --measure 7`)"
    assert grow(40.0, 90.0, noise=None).reason == f"the noise of this run, or of the baseline {old}, is not known"
    assert grow(40.0, 90.0, cpus=8).reason == f"times of unlike machines or tools say nothing; {old} differs in CPUs: 2 → 8"


def test_times_of_a_merged_run_are_those_of_the_machine_that_its_part_had() -> None:
    """What two runs have in common says nothing of a cell that was built on the faster machine before."""

    def merged(first: str, second: str, median_s: float, day: int) -> RunRecord:
        cells = [replace(make_cell(name, median_s=median_s), part=name) for name in ("a", "b")]
        shards = [Shard(at, 2, (cell.id,)) for at, cell in enumerate(cells, 1)]
        parts = [
            Part(name, shard, STARTED, STARTED, replace(MACHINE, cpu=cpu), complete=True, interrupted=False)
            for name, shard, cpu in zip("ab", shards, (first, second), strict=True)
        ]
        run = make_run(*cells, day=day, noise=0.03)
        return replace(run, environment=replace(MACHINE, cpu=None), parts=tuple(parts))

    limits = Rules(limits=(Limit(ANY, build_time_growth_share=0.02),))
    old, new = merged("fast", "slow", 10.0, 0), replace(merged("slow", "slow", 20.0, 1), rules=limits)
    apart, alike = judge_gates(new, old)
    assert (apart.passed, alike.passed) == (None, False)
    assert apart.reason == f"times of unlike machines or tools say nothing; {old.id} differs in cpu: fast → slow"
    found = compare_runs(old, new)
    assert [len(cell.times) for cell in found.cells] == [0, 1]
    assert found.times_refused == ("cpu: fast → slow",)
    assert "Times are NOT compared, where the machines or tools differ" in render_comparison(found, "table", 200)
    assert make_figures(old).noise is None


def test_a_step_that_a_pattern_names_is_held_against_its_limits() -> None:
    """The longest that ran counts, also where another cell ran it; from the cache it took no time."""
    limit = Limit(ANY, step="*pip install*", step_max_s=40.0, compiled=0)
    time, compiled = judge(limit)
    assert time == Gate(
        "step.max *pip install*",
        "slim-3.13",
        40.0,
        42.0,
        passed=False,
        unit="s",
        reason="[2/3] RUN pip install -r requirements.txt",
    )
    assert compiled == Gate("step.compiled *pip install*", "slim-3.13", 0, 0, passed=True, unit="count")
    joined = replace(STEPS[1], outcome="joined", ran_in="alpine-3.13", duration_s=39.0)
    cell = replace(make_cell(), build=replace(make_build(), steps=(joined,)))
    assert judge(limit, cell)[0].reason == "[2/3] RUN pip install -r requirements.txt (run by alpine-3.13)"
    cached = replace(make_cell(), build=replace(make_build(), steps=(replace(joined, outcome="cached"),)))
    assert (judge(limit, cached)[0].passed, judge(limit, cached)[0].reason) == (None, "it came from the cache, so it took no time")
    other = replace(make_cell("other"), build=replace(make_build(), steps=STEPS[2:]))
    assert [gate.cell for gate in judge(limit, other, make_cell())] == ["slim-3.13", "slim-3.13"]
    (gate,) = judge(limit, other)
    assert (gate.cell, gate.passed, gate.reason) == (None, None, "no step of any of these cells fits the pattern")


def test_compiled_packages_are_counted_and_doubtful_ones_are_not_taken_for_wheels() -> None:
    """A pure package from source takes no compiler; a native one of unknown origin may have."""
    limit = Limit(ANY, step="*pip install*", compiled=0)

    def judged(**origin: object) -> Gate:
        packages = Packages(OS, (replace(PYTHON[0], **origin), replace(PYTHON[1], built_from="sdist"), PYTHON[2]))
        (gate,) = judge(limit, replace(make_cell(), image=replace(make_image(), packages=packages)))
        return gate

    assert (judged(built_from="sdist").passed, judged(built_from="sdist").reason) == (False, "compiled: grpcio")
    assert (judged(built_from=None).passed, judged(built_from=None).reason) == (None, "where grpcio came from is not known")
    assert judged().passed is True
    (blind,) = judge(limit, replace(make_cell(), image=replace(make_image(), packages=None)))
    assert (blind.passed, blind.reason) == (None, "what the image holds is not known")
    failed = replace(make_cell(), image=None, status=Status.BUILD_FAILED, as_expected=False)
    assert judge(limit, failed)[0].reason == "the cell ended build-failed"


@pytest.mark.parametrize(("verdict", "passed"), [("confirmed", True), ("refuted", False), ("mixed", False), ("unknown", None)])
def test_a_claim_that_must_hold_is_a_gate(verdict: str, *, passed: bool | None) -> None:
    """All pairs that say anything must hold; a claim that need not hold is none."""
    pairs = (Pair("a", "b", holds=True), Pair("c", "d", holds=False), Pair("e", "f"))
    claims = (Verdict("Alpine is smaller", verdict, must=True, pairs=pairs), Verdict("other", "refuted"))
    assert judge_gates(replace(make_run(), claims=claims), None) == (
        Gate("claim Alpine is smaller", None, 2, 1, passed, "count", f"the claim is {verdict}"),
    )
    empty = replace(make_run(), claims=(Verdict("x", verdict, must=True),))
    assert judge_gates(empty, None)[0].limit is None


def test_a_broken_gate_ends_the_run_with_5_and_nothing_worse_hides_it() -> None:
    """Interrupted, then the engine, then cells that ended unexpectedly, then gates: what is unknown breaks nothing."""
    run = replace(make_run(), rules=Rules(limits=(Limit(ANY, size_bytes=1),)))
    judged = judge_record(run, make_run())
    assert judged.baseline == make_run().id
    assert exit_code_of(judged) is ExitCode.GATE
    unknown = replace(judged, gates=tuple(replace(gate, passed=None) for gate in judged.gates))
    assert exit_code_of(unknown) is ExitCode.OK
    unexpected = replace(judged, cells=(replace(make_cell(), as_expected=False),))
    assert exit_code_of(unexpected) is ExitCode.UNEXPECTED
    broken = replace(judged, cells=(replace(make_cell(), as_expected=False, status=Status.ERROR),))
    assert exit_code_of(broken) is ExitCode.ENGINE
    assert exit_code_of(replace(broken, interrupted=True)) is ExitCode.INTERRUPTED


def test_a_figure_and_its_limit_are_written_so_that_they_differ() -> None:
    """One byte too many is too many, and must not read as if it held."""
    gate = Gate("size", "a", 250_000_000, 250_000_001, passed=False, unit="bytes")
    assert render_gate(gate) == "size of a: 250,000,001 bytes, limit 250,000,000 bytes"
    assert render_gate(replace(gate, actual=250_000_000)) == "size of a: 250.0 MB, limit 250.0 MB"


def test_a_gate_is_a_sentence() -> None:
    """An exit code alone tells nobody what to do."""
    gates = (
        Gate("size", "slim", 250_000_000, 260_000_000, passed=False, unit="bytes"),
        Gate("growth.size", "slim", 0.05, 0.081, passed=False, unit="share", reason="against x"),
        Gate("step.max *", "slim", 60.0, 61.25, passed=False, unit="s", reason="\x1b[31m[2/2] RUN\nx"),
        Gate("claim it is", None, None, None, passed=False, reason="the claim is refuted"),
        Gate("step.compiled x", "a", 0, 2, passed=False, unit="count"),
        Gate("size", "kept", 1, 1, passed=True),
    )
    assert list(render_broken(replace(make_run(), gates=gates))) == [
        "gate failed: size of slim: 260.0 MB, limit 250.0 MB",
        "gate failed: growth.size of slim: 8.1%, limit 5.0% (against x)",
        "gate failed: step.max * of slim: 61.25 s, limit 60.00 s ([2/2] RUN x)",
        "gate failed: claim it is (the claim is refuted)",
        "gate failed: step.compiled x of a: 2, limit 0",
    ]
    assert list(render_broken(replace(make_run(), gates=gates[:1] * 22)))[-1] == "gate failed: and 2 more"
    assert render_gate(Gate("size", "x", 1, None, passed=None, unit="bytes")) == f"size of x: {UNKNOWN}, limit 0.000 MB"


def test_budgets_that_can_never_be_broken_are_refused_by_line(tmp_path: Path) -> None:
    """A limit that limits nothing looks like safety and is none."""
    text = (
        f"{HEAD}axes: {{base: [slim]}}\nbudgets:\n"
        '  - {step: "*pip*"}\n'
        "  - {max: 60s}\n"
        "  - {where: {base: slim}, compiled: 0}\n"
        "  - {growth: {}}\n"
        "  - {where: {base: slim}}\n"
        '  - {step: "*", max: 60s}\n'
        '  - {step: "*pip*", max: 60s, size: 1MB}\n'
    )
    assert problems_of(text, tmp_path) == [
        "matrix.yaml:5: budgets[0].step: limits nothing by itself; give max (how long it may run) or compiled (how many packages)",
        'matrix.yaml:6: budgets[1].max: is a limit on steps; say which with step: "*pip install*"',
        'matrix.yaml:7: budgets[2].compiled: is a limit on steps; say which with step: "*pip install*"',
        "matrix.yaml:8: budgets[3].growth: limits nothing; give size or build_time, such as 5%",
        "matrix.yaml:9: budgets[4]: limits nothing; give size, build_time, growth or step",
        "matrix.yaml:10: budgets[5].step: fits every step; name the instruction that is meant",
    ]
