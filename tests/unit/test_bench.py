"""The bench's own reckoning: the simulation, what it is fitted to, bars, tables, and nights computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bench.agenda import choose, make_agenda
from bench.bars import make_bars
from bench.fit import CHECKED_ON, FITTED_ON, LIMIT, all_checks, fit_model
from bench.nouns import (
    AFTER,
    ALONE,
    BAKE,
    BARE,
    BEFORE,
    EVIDENCE,
    FULL,
    HELP,
    IMAGES,
    MATRIX,
    PAGE,
    RECORD,
    STATES,
    UNIQUE,
    Case,
    Cost,
    Measured,
    Row,
    Timed,
)
from bench.projects import REAL_CELLS
from bench.scale import make_kinds, render_scale
from bench.simulate import Model, Work, simulate
from bench.stored import load_measured, put_in, save_measured
from bench.tables import put_between, render_bars, render_results
from tests.unit.golden import assert_golden

if TYPE_CHECKING:
    from pathlib import Path

TRUE = Model(0.8, 0.5, 0.01, 2.0, (("buildx", 0.3), ("smoke", 0.4), ("steps", 0.2)), 1.3)
MACHINE = {"cpu": "a | processor", "cpus": "2", "matrix": "1.0"}


def make_cost(count: int, jobs: int, state: str) -> Cost:
    """Make what a run would have cost if the model were the truth."""
    model = TRUE if state == "cold" else replace(TRUE, prefix_s=0.0)
    parts = {name: (seconds,) * count for name, seconds in model.cell}
    parts["steps"] = (0.2 + model.prefix_s, *parts["steps"][1:])
    return Cost(
        wall_s=model.wall_s(count, jobs=jobs, cpus=2),
        cpu_s=0.5 * count,
        own_cpu_s=1 + 0.04 * count,
        machine_cpu_s=2.5 * count,
        peak_bytes=100 * 2**20,
        processes=7 * count,
        results=count,
        parts=parts | {BEFORE: (model.before_s,), AFTER: (model.after_s + model.after_each_s * count,)},
        sizes={RECORD: 4096 * count, EVIDENCE: 20_480 * count, IMAGES: 2**20 * count, UNIQUE: 2**18 * count},
    )


def make_measured() -> Measured:
    """Make measurements of which each part is known."""
    rows = []
    for state in ("cold", "unchanged"):
        rows.append(Row(Case("tiny", FITTED_ON, "docker", state), ALONE, (make_cost(FITTED_ON, 1, state),)))
        rows += [Row(Case("tiny", n, "docker", state), MATRIX, (make_cost(n, 2, state),) * 3) for n in (1, FITTED_ON, *CHECKED_ON)]
        rows += [Row(Case("tiny", n, "docker", state), BAKE, (Cost(2.0 + n / 4, 0.2, 0.02, results=n),) * 3) for n in (12, 100)]
    rows.append(Row(Case("tiny", 12, "docker", "cold"), BARE, (Cost(2.5, 0.1, 0.1),)))
    failing = Case("tiny", 12, "docker", "one fails early")
    rows += [Row(failing, MATRIX, (Cost(5.0, 1.0, 0.5, results=11),)), Row(failing, BAKE, (Cost(1.0, 0.1, 0.1, results=0),))]
    commands = (Timed(HELP, (Cost(0.1, 0.1, 0.1), Cost(0.3, 0.1, 0.1), Cost(0.2, 0.1, 0.1))),)
    page = Timed(PAGE, (Cost(9.0, 8.0, 8.0, peak_bytes=2_000_000_000),))
    full = Timed(FULL, (Cost(11.0, 11.0, 11.0, peak_bytes=400_000_000),))
    return Measured(MACHINE, tuple(rows), (*commands, page, full))


def test_one_cell_takes_as_long_as_its_pieces() -> None:
    """Nothing else asks for the machine; a piece that asks for more processors than there are takes longer."""
    pieces = (Work(1.0, 1.0), Work(0.5), Work(0.0, 2.0))
    assert simulate([pieces], jobs=4, cpus=1) == pytest.approx(1.5)
    assert simulate([(Work(1.0, 4.0),)], jobs=1, cpus=2) == pytest.approx(2.0)
    assert simulate([], jobs=2, cpus=2) == 0
    assert simulate([(), (Work(0.0),)], jobs=1, cpus=1) == 0


def test_what_waits_goes_on_beside_what_works() -> None:
    """Waiting costs no processor; two that work share one; two that wait share nothing."""
    assert simulate([(Work(1.0),), (Work(1.0),)], jobs=2, cpus=1) == pytest.approx(1.0)
    assert simulate([(Work(1.0, 1.0),), (Work(1.0, 1.0),)], jobs=2, cpus=1) == pytest.approx(2.0)
    assert simulate([(Work(1.0, 1.0),), (Work(1.0),)], jobs=2, cpus=1) == pytest.approx(1.0)


def test_a_common_prefix_is_done_once() -> None:
    """Who comes while it is under way waits for its end; who comes later finds it done."""
    cell = (Work(3.0, 1.0, "prefix"), Work(1.0))
    assert simulate([cell], jobs=2, cpus=2) == pytest.approx(4.0)
    assert simulate([cell, cell], jobs=2, cpus=2) == pytest.approx(4.0)
    assert simulate([cell, cell, cell], jobs=2, cpus=2) == pytest.approx(5.0)
    assert simulate([cell, cell], jobs=1, cpus=2) == pytest.approx(5.0)


def test_the_longest_first_leaves_no_long_one_for_the_end() -> None:
    """What `matrix run` gains by the last run's times."""
    long, short = (Work(4.0),), (Work(1.0),)
    assert simulate([short] * 4 + [long], jobs=2, cpus=2) == pytest.approx(6.0)
    assert simulate([long] + [short] * 4, jobs=2, cpus=2) == pytest.approx(4.0)


def test_the_model_is_found_again_in_what_it_would_have_measured() -> None:
    """From one cell, six one by one and six two at once; larger runs then come out as they were."""
    measured = make_measured()
    model = fit_model(measured, "tiny", "docker", "cold")
    assert model is not None
    assert model.cores == pytest.approx(TRUE.cores, rel=1e-6)
    assert (model.prefix_s, model.after_s, model.after_each_s) == pytest.approx((2.0, 0.5, 0.01))
    checks = all_checks(measured)
    assert [(check.case.cells, check.case.state) for check in checks] == [
        (count, state) for state in ("cold", "unchanged") for count in CHECKED_ON
    ]
    assert all(abs(check.share_off) < 1e-6 for check in checks)


def test_without_the_small_runs_there_is_no_model() -> None:
    """Nothing is made up."""
    measured = make_measured()
    lacking = replace(measured, rows=tuple(row for row in measured.rows if row.contender != ALONE))
    assert fit_model(lacking, "tiny", "docker", "cold") is None
    assert all_checks(lacking) == []
    assert fit_model(Measured({}), "tiny", "docker", "cold") is None


def test_every_bar_says_whether_it_is_met() -> None:
    """A bar that is missed is not met, and one that nothing was measured for is not met either."""
    bars = {bar.promise: bar for bar in make_bars(make_measured(), REAL_CELLS)}
    assert bars["12 tiny cells, one fails early: results"].met is True
    assert (bars[f"{HELP}: time"].figure, bars[f"{HELP}: time"].met) == ("0.20 s", False)
    assert (bars[f"{PAGE}: memory"].figure, bars[f"{PAGE}: memory"].met) == ("2.00 GB", False)
    assert bars["our own CPU time for each cell, beside buildx's"].figure == "0.040 s"
    assert (bars[f"{FULL}: time"].figure, bars[f"{FULL}: time"].met) == ("11.00 s", False)
    assert (bars[f"{FULL}: memory"].figure, bars[f"{FULL}: memory"].met) == ("0.40 GB", True)
    unknown = [bar for bar in bars.values() if "base of 300 MB" in bar.promise]
    assert len(unknown) == 5
    assert {(bar.figure, bar.met) for bar in unknown} == {(None, None)}
    assert bars["12 tiny cells, cold, the engine's own BuildKit: time, against `bake --load`"].beside == "containers alone 0.50"
    assert "not measured here" in render_bars(make_measured(), REAL_CELLS)
    assert all(bar.met is None for bar in make_bars(Measured({}), REAL_CELLS))


def test_results_are_one_page() -> None:
    """Every table, with what is unknown said; nothing measured is no table."""
    assert_golden("bench.md", render_results(make_measured(), REAL_CELLS) + "\n")
    assert render_results(Measured({}), REAL_CELLS).count("Nothing of this has been measured.") >= 4


def test_nights_are_computed_from_what_was_measured() -> None:
    """More machines take less time, the same machine hours or more, and keep as much."""
    assert_golden("bench-scale.md", render_scale(make_measured()) + "\n")
    assert render_scale(Measured({})) == "Nothing of this has been measured."
    (cold, _) = make_kinds(make_measured())
    assert cold.wall_s(100, 2) == pytest.approx(TRUE.wall_s(100, jobs=2, cpus=2))
    assert cold.wall_s(1000, 2) == pytest.approx(TRUE.wall_s(1000, jobs=2, cpus=2), rel=0.01)
    without = replace(cold, model=None)
    assert without.wall_s(10, 2) == pytest.approx(without.before_s + without.after_s + 10 * without.each_s)


def test_results_go_between_their_marks() -> None:
    """What stands around them stays; a page without marks is refused."""
    page = "before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n"
    assert put_between(page, "new") == "before\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\nafter\n"
    assert put_between(put_between(page, "new"), "new") == put_between(page, "new")
    with pytest.raises(ValueError, match="the page lacks <!-- bench:begin --> and <!-- bench:end -->"):
        put_between("no marks\n", "new")


def test_measurements_are_kept_until_they_are_made_anew(tmp_path: Path) -> None:
    """A case replaces its own; those of another machine, or by other tools, go."""
    measured = make_measured()
    save_measured(measured, tmp_path / "measured.json")
    assert load_measured(tmp_path / "measured.json") == measured
    assert load_measured(tmp_path / "nowhere.json") == Measured({})
    row = replace(measured.rows[0], samples=())
    again = put_in(measured, dict(MACHINE), [row], [])
    assert (len(again.rows), again.rows[-1], again.commands) == (len(measured.rows), row, measured.commands)
    assert put_in(measured, {"cpu": "another"}, [row], []) == Measured({"cpu": "another"}, (row,))


def test_the_agenda_has_every_size_and_state() -> None:
    """All four states of 1, 12, 36 and 100 tiny cells where they mean something; what is chosen is a part of it."""
    agenda = list(make_agenda(has_builder_image=True))
    tiny = {(item.case.cells, item.case.state) for item in agenda if item.case.project == "tiny"}
    assert {(cells, state) for cells in (1, 12, 36, 100) for state in STATES} <= tiny
    assert all({MATRIX, BAKE} <= set(item.contenders) or item.case.cells == FITTED_ON for item in agenda)
    assert not any(item.case.driver == "docker-container" for item in make_agenda(has_builder_image=False))
    chosen = choose(agenda, ["tiny"], [12], ["cold"], ["docker"], 9)
    assert [(item.case, item.rounds) for item in chosen] == [(Case("tiny", 12, "docker", "cold"), 9)]
    assert choose(agenda, [], [], [], [], None) == [item for item in agenda if item.usual]
    assert len(choose(agenda, ["tiny", "large", "real"], [], [], [], None)) == len(agenda)


def test_the_stored_measurements_are_what_the_simulation_says() -> None:
    """Real runs of 12, 36 and 100 cells, none of which it was fitted to, within 15 %."""
    checks = all_checks(load_measured())
    if not checks:
        pytest.skip("no run has been measured yet; `make bench` does")
    off = {(check.case.cells, check.case.state): round(check.share_off, 3) for check in checks}
    assert all(abs(share) <= LIMIT for share in off.values()), off
