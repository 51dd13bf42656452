"""Any split of a run into shards, merged in any order, is that run again; what does not belong together is refused."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.ending import exit_code_of
from orchestrator.errors import ExitCode, NothingSelectedError, UsageError
from orchestrator.judge.run import judge_record
from orchestrator.measure.unique import find_unique
from orchestrator.merge import merge_records, missing_cells, missing_shards
from orchestrator.merging import merge_runs
from orchestrator.model import Cell, ExcludedCell, Plan, Settings, Status
from orchestrator.plan.shard import deal, keep_cells, parse_shard, take_shard
from orchestrator.record import Environment, Measurement, Noise, RunInputs, RunRecord, Shard
from orchestrator.report.table import make_warnings
from orchestrator.store import Reports
from tests.unit.records import STARTED, make_record

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = make_record()


def whole_run() -> RunRecord:
    """Give the stored run with every kind of outcome, judged and as if it had been planned in one piece."""
    done = [cell for cell in WHOLE.cells if cell.status is not Status.EXCLUDED]
    left_out = [cell for cell in WHOLE.cells if cell.status is Status.EXCLUDED]
    return judge_record(replace(WHOLE, cells=(*find_unique(done), *left_out), claims=(), decision=None, gates=()))


def split(record: RunRecord, hands: list[list[str]]) -> list[RunRecord]:
    """Give the records that shards with these cells would have left."""
    planned = tuple(cell.id for cell in record.cells if cell.status is not Status.EXCLUDED)
    found = []
    for number, hand in enumerate(hands, 1):
        mine = [cell for cell in record.cells if cell.id in hand or (number == 1 and cell.status is Status.EXCLUDED)]
        shard = Shard(number, len(hands), tuple(hand))
        began = STARTED + timedelta(minutes=number)
        cells = find_unique(mine)  # a part knows only its own cells
        found.append(replace(record, id=f"run-{number}", started_at=began, planned=planned, shard=shard, cells=cells))
    return found


@st.composite
def hands(draw: st.DrawFn) -> list[list[str]]:
    """Deal the cells of the run out in any way; a hand may be empty."""
    count = draw(st.integers(1, 5))
    ids = [cell.id for cell in WHOLE.cells if cell.status is not Status.EXCLUDED]
    owner = {cell: draw(st.integers(0, count - 1)) for cell in ids}
    return [[cell for cell in ids if owner[cell] == number] for number in range(count)]


@given(hands(), st.randoms(use_true_random=False))
def test_any_split_merges_to_the_same_run(dealt: list[list[str]], chance: object) -> None:
    """Equal in all but where and when it was built; twice as good as once, in any order, step by step or at once."""
    record = whole_run()
    parts = split(record, dealt)
    merged = judge_record(merge_records(parts))
    apart = {"id": "", "started_at": STARTED, "finished_at": None, "planned": (), "shard": None, "parts": ()}
    assert replace(merged, **apart) == replace(record, **apart)
    chance.shuffle(parts)  # type: ignore[attr-defined]  # a random.Random
    assert merge_records([*parts, parts[0]]) == merge_records(parts)
    first = merge_records(parts[:1])
    assert merge_records([first, *parts[1:]]) == merge_records(parts)
    assert judge_record(merge_records([merged])) == merged
    assert missing_cells(merged.planned, merged.cells) == []


def test_what_is_missing_is_named() -> None:
    """A run that lacks a shard is not complete, and does not pass."""
    one, two, three = split(whole_run(), [["alpine-3.12"], ["slim-3.12"], ["wolfi-3.11"]])
    merged = merge_records([three, one])
    assert missing_shards(merged) == [2]
    assert make_warnings(merged) == ["INCOMPLETE: shard 2 of 3 is missing; cells without a result are not listed"]
    cut_short = merge_records([replace(one, interrupted=True, complete=False), two, three])
    assert make_warnings(cut_short)[0].startswith("INCOMPLETE: run run-1 was interrupted or stopped early; cells without")
    assert "slim-3.12" in missing_cells(merged.planned, merged.cells)
    assert not merged.complete
    passing = replace(merged, cells=tuple(cell for cell in merged.cells if cell.status is Status.PASSED))
    assert exit_code_of(passing) is ExitCode.UNEXPECTED
    assert missing_shards(merge_records([one, two, three])) == []


def test_what_machines_had_in_common_is_kept_and_the_rest_stands_with_the_parts() -> None:
    """Times of unlike machines are marked, so that nobody ranks them."""
    one, two = split(whole_run(), [["alpine-3.12"], ["slim-3.12"]])
    two = replace(two, environment=replace(two.environment, cpus=64), inputs=replace(two.inputs, git_commit="other"))
    merged = merge_records([one, two])
    assert (merged.environment.cpus, merged.environment.docker) == (None, one.environment.docker)
    assert [part.environment.cpus for part in merged.parts] == [2, 64]
    assert merged.inputs.git_commit is None
    assert {cell.id: cell.part for cell in merged.cells if cell.status is Status.PASSED} == {
        "alpine-3.12": "run-1",
        "slim-3.12": "run-2",
    }


def test_a_part_that_has_gone_on_is_taken_as_it_is_now() -> None:
    """Copied before it was resumed, or merged before: whatever the order, what is known by now counts."""
    one, two = split(whole_run(), [["alpine-3.12", "slim-3.12"], ["wolfi-3.11"]])
    cut = replace(one, complete=False, interrupted=True, cells=one.cells[:1])
    half = merge_records([cut, two])
    assert not half.complete
    for order in permutations((cut, one, two, half)):
        merged = merge_records(order)
        assert merged == merge_records([one, two])
        assert {"alpine-3.12", "slim-3.12", "wolfi-3.11"} <= {cell.id for cell in merged.cells}


def test_what_no_run_leaves_is_refused_in_words() -> None:
    """A part may come from anywhere."""
    one, two = split(whole_run(), [["alpine-3.12"], ["slim-3.12"]])
    for broken, words in (
        ({"started_at": STARTED.replace(tzinfo=None)}, "run run-1 is damaged: its times are none of a run"),
        ({"started_at": STARTED.replace(year=1)}, "run run-1 is damaged: its times are none of a run"),
        ({"shard": Shard(1, 300_000_000, ())}, "run run-1 is damaged: there is no shard 1 of 300000000"),
        ({"shard": Shard(0, 2, ())}, "run run-1 is damaged: there is no shard 0 of 2"),
    ):
        with pytest.raises(UsageError, match=words):
            merge_records([replace(one, **broken), two])


def test_machines_of_one_kind_have_as_much_memory_as_the_least_of_them() -> None:
    """Their firmware keeps a little more or less; without a figure no time of a merged run could be compared."""
    one, two = split(whole_run(), [["alpine-3.12"], ["slim-3.12"]])
    memory = 8_000_000_000
    parts = [
        replace(run, environment=replace(run.environment, memory_bytes=size)) for run, size in ((one, memory), (two, memory + 9))
    ]
    assert merge_records(parts).environment.memory_bytes == memory
    assert not any(cell.part for cell in merge_records(parts).cells)


def test_the_scenario_that_was_asked_for_first_still_ranks() -> None:
    """`relative time` is about the first: a merged run must not rank by another than its shards."""
    noises = tuple(Noise(name, (1.0,), (1.0,), 0.01) for name in ("cold", "cached"))
    timed = replace(whole_run(), measurement=Measurement(5, 7, "alpine-3.12", noises))
    merged = merge_records(split(timed, [["alpine-3.12"], ["slim-3.12"]]))
    assert merged.measurement
    assert [noise.scenario for noise in merged.measurement.noise] == ["cold", "cached"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda run: replace(run, planned=("other",)), "runs run-1 and run-2 are parts of different plans: they differ in planned"),
        (lambda run: replace(run, inputs=RunInputs("sha256:o")), "they differ in matrix_digest"),
        (lambda run: replace(run, environment=Environment(tool="9")), "different versions of matrix: 0.1.0, 9"),
        (lambda run: replace(run, shard=Shard(2, 3, ("slim-3.12",))), "parts of 2 and of 3 shards"),
        (lambda run: replace(run, shard=Shard(2, 2, ("alpine-3.12",))), "cell alpine-3.12 is in two parts, runs run-1 and run-2"),
        (lambda run: replace(run, shard=None), "run run-2 is no shard"),
    ],
)
def test_what_does_not_belong_together_is_refused(changed: object, words: str) -> None:
    """With the runs and what they differ in."""
    one, two = split(whole_run(), [["alpine-3.12"], ["slim-3.12"]])
    with pytest.raises(UsageError, match=words):
        merge_records([one, changed(two)])  # type: ignore[operator]  # a function


def test_nothing_is_no_run() -> None:
    """An empty list of parts is a mistake."""
    with pytest.raises(UsageError, match="nothing to merge"):
        merge_records([])


def make_plan(count: int) -> Plan:
    """Make a plan of so many cells."""
    cells = tuple(Cell(f"c{at}", (("n", str(at)),), Settings()) for at in range(count))
    return Plan("p", ("n",), cells, (ExcludedCell("x", (("n", "x"),), None),))


@given(st.integers(1, 40), st.integers(1, 12), st.dictionaries(st.integers(0, 39), st.floats(0, 1000), max_size=40))
def test_shards_are_a_partition_and_balanced(cells: int, count: int, times: dict[int, float]) -> None:
    """Each cell once, in the plan's order, and no hand holds more than the lightest by more than one cell's time."""
    plan = make_plan(cells)
    seconds = {f"c{at}": time for at, time in times.items()}
    hands = deal(plan, count, seconds)
    order = [cell.id for cell in plan.cells]
    assert sorted((cell for hand in hands for cell in hand), key=order.index) == order
    assert all(list(hand) == sorted(hand, key=order.index) for hand in hands)
    assert hands == deal(plan, count, dict(reversed(list(seconds.items()))))
    known = [seconds.get(cell) for cell in order]
    longest = max((time for time in known if time is not None), default=1.0)
    usual = max(longest, 1000.0 if None in known and seconds else 1.0)
    loads = [sum(seconds.get(cell, 0.0) for cell in hand) for hand in hands]
    if None not in known:
        assert max(loads) - min(loads) <= max(longest, usual) + 1e-6


def test_a_shard_has_its_cells_and_the_first_has_the_excluded_ones() -> None:
    """All parts together have each of them once."""
    plan = make_plan(5)
    taken = [take_shard(plan, number, 2, {}) for number in (1, 2)]
    assert [part.excluded for part, _ in taken] == [plan.excluded, ()]
    assert [shard.cells for _, shard in taken] == [("c0", "c2", "c4"), ("c1", "c3")]
    assert [keep_cells(plan, shard) for _, shard in taken] == [part for part, _ in taken]


def test_more_shards_than_cells_are_too_many() -> None:
    """The shard that is left with nothing says how many there may be."""
    with pytest.raises(NothingSelectedError, match="shard 4/4 is empty: there are 3 cells, so take at most 3 shards"):
        take_shard(make_plan(3), 4, 4, {})


@pytest.mark.parametrize("words", ["", "0/8", "9/8", "1", "1/0", "a/b", "1/8/2", "-1/8", "1/100000", "٢/٨"])
def test_a_part_is_written_as_two_numbers(words: str) -> None:
    """Anything else is a usage error with an example."""
    with pytest.raises(UsageError, match="is not a part such as 2/8"):
        parse_shard(words)
    assert parse_shard("2/8") == (2, 8)


def test_folders_are_merged_with_their_logs_and_follow_no_link(tmp_path: Path) -> None:
    """The merged run has each part's files; merged again it is the same, with nothing left over."""
    reports = Reports(tmp_path)
    folders = []
    for record in split(whole_run(), [["alpine-3.12"], ["slim-3.12", "wolfi-3.11"]]):
        folder = reports.new_run()
        folder.save_record(replace(record, id=folder.id))
        for cell in record.cells:
            folder.save_cell(cell)
            (folder.cell(cell.id) / "build.log").write_text(f"log of {cell.id}\n")
        (folder.path / "events.jsonl").write_text(f'{{"at": "{record.started_at.isoformat()}", "kind": "x"}}\nbroken\n')
        folders.append(folder)
    secret = tmp_path / "secret"
    secret.write_text("not for others")
    (folders[0].cell("alpine-3.12") / "link").symlink_to(secret)
    (folders[0].path / "cells" / "elsewhere").symlink_to(tmp_path)
    run, record = merge_runs(reports, folders)
    assert (run.path / "cells" / "slim-3.12" / "build.log").read_text() == "log of slim-3.12\n"
    assert (run.path / "report.html").is_file()
    assert not [path for path in run.path.rglob("*") if path.is_symlink() or path.name in ("link", "secret")]
    assert len((run.path / "events.jsonl").read_text().splitlines()) == 3, "each line once"
    assert reports.find("latest").id in reports.run_ids()
    events = (run.path / "events.jsonl").read_text()
    for twice in (list(reversed(folders)), [*folders, folders[0]], [run, *folders]):
        again, same = merge_runs(reports, twice)
        assert (again.path, same) == (run.path, record)
        assert (again.path / "events.jsonl").read_text() == events
    assert sorted(item.name for item in (tmp_path / "runs").iterdir()) == sorted([run.id, *(folder.id for folder in folders)])
