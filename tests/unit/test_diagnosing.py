"""What is read of a run's folder for a diagnosis, and what `matrix explain` makes of it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.diagnosing import find_causes, load_evidence, load_last_lines, with_diagnosis
from orchestrator.errors import UsageError
from orchestrator.explaining import explain_cell, explain_run
from orchestrator.model import Status
from orchestrator.store import RunFolder
from orchestrator.verdicts import Finding
from tests.unit.logs import failed_build, failed_check, failed_checks
from tests.unit.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import CellRecord

GCC = "error: [Errno 2] No such file or directory: 'gcc'"


def line(**progress: object) -> str:
    """Write a line of raw progress."""
    return json.dumps(progress) + "\n"


def printed(vertex: str, text: str, stream: int = 1) -> str:
    """Write the line in which a step prints something."""
    data = base64.b64encode(text.encode()).decode()
    return line(logs=[{"vertex": vertex, "stream": stream, "data": data, "timestamp": "2026-01-01T00:00:00Z"}])


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Give a run with a cell whose build failed, and one that did not."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    broken, _ = failed_build("")
    (_, passed, *_) = make_record().cells
    folder.save_record(replace(make_record(), cells=(broken, replace(passed, id="good"))))
    cell = folder.cell("c")
    cell.joinpath("build.log").write_text(f"{GCC}\nmake: *** Error\n")
    steps = [{"digest": "a", "name": "[a 2/2] RUN other"}, {"digest": "b", "name": "[b 2/2] RUN make", "error": "exit code: 1"}]
    cell.joinpath("progress.jsonl").write_text(
        line(vertexes=steps) + printed("a", f"{GCC}\n") + printed("b", "make: ***") + printed("b", " Error\n")
    )
    return folder


def cell_of(run: RunFolder) -> CellRecord:
    """Give the cell whose build failed."""
    return run.load().cells[0]


def test_the_progress_tells_which_step_failed_and_what_it_alone_printed(run: RunFolder) -> None:
    """build.log has the output of all steps, one between the other."""
    evidence = load_evidence(run, cell_of(run))
    assert (evidence.step, evidence.step_log) == ("[b 2/2] RUN make", "make: *** Error\n")
    assert find_causes(run, cell_of(run)) == ()


def test_lines_that_come_in_pieces_of_two_streams_are_read_as_they_were_written(run: RunFolder) -> None:
    """apt-get writes its `E:`, a blank and the message one by one, and other words to the other stream meanwhile."""
    step = {"digest": "b", "name": "[b 2/2] RUN apt-get install -y libpq-dev", "error": "exit code: 100"}
    (run.cell("c") / "progress.jsonl").write_text(
        line(vertexes=[step])
        + printed("b", "Building dependency tree...")
        + printed("b", "E:", 2)
        + printed("b", "\nReading state information...\n")
        + printed("b", " ", 2)
        + printed("b", "Unable to locate package libpq-dev", 2)
    )
    (finding,) = find_causes(run, cell_of(run))
    assert (finding.code, finding.evidence[1:]) == ("no-system-package", ("E: Unable to locate package libpq-dev",))


def test_without_progress_the_log_is_what_there_is(run: RunFolder) -> None:
    """A run that was copied without its larger files is explained all the same."""
    (run.cell("c") / "progress.jsonl").unlink()
    (finding,) = find_causes(run, cell_of(run))
    assert (finding.code, finding.evidence) == ("no-compiler", ("the build", GCC))


@pytest.mark.parametrize("damage", ["missing", "folder", "link", "binary"])
def test_a_log_that_cannot_be_read_is_as_good_as_none(run: RunFolder, damage: str, tmp_path: Path) -> None:
    """Damaged runs are explained as far as they go, and a link out of the run is no file of it."""
    for name in ("build.log", "progress.jsonl"):
        path = run.cell("c") / name
        path.unlink()
        if damage == "folder":
            path.mkdir()
        elif damage == "link":
            (tmp_path / "elsewhere").write_text(GCC)
            path.symlink_to(tmp_path / "elsewhere")
        elif damage == "binary":
            path.write_bytes(bytes(range(256)) * 9)
    assert find_causes(run, cell_of(run)) == ()
    run.cell("c")
    assert load_evidence(run, cell_of(run)).step_log is None


def test_of_a_long_log_the_ends_are_read(run: RunFolder) -> None:
    """A build may print 64 MiB; what failed is at its end, what was installed at its beginning."""
    (run.cell("c") / "progress.jsonl").unlink()
    filling = "x" * 79 + "\n"
    (run.cell("c") / "build.log").write_text("first\n" + filling * 10_000 + f"{GCC}\n")
    log = load_evidence(run, cell_of(run)).build_log
    assert log.startswith("first\n")
    assert log.endswith(f"{GCC}\n")
    assert len(log) < 200_000
    assert set(log.splitlines()) == {"first", "x" * 79, GCC}


def test_every_cell_of_a_run_gets_its_findings(run: RunFolder) -> None:
    """They are stored with the run; a cell that is sound has none."""
    (run.cell("c") / "progress.jsonl").unlink()
    broken, good = with_diagnosis(run, run.load()).cells
    assert [one.code for one in broken.diagnosis] == ["no-compiler"]
    assert [one.code for one in good.diagnosis if one.code != "hidden-bytes"] == []
    taken_over = tuple(replace(cell, carried_from="20261120T050607Z-abc122", diagnosis=()) for cell in (broken, good))
    assert with_diagnosis(run, replace(run.load(), cells=taken_over)).cells == taken_over


def test_a_check_that_kept_no_output_is_read_from_the_smoke_log(tmp_path: Path) -> None:
    """`healthy` gives a reason only; what the service said is in the log, under the check's name."""
    check = failed_check("not healthy within 5 s", name="healthy")
    crash = "OSError: libpq.so.5: cannot open shared object file: No such file or directory"
    log = f"--- import json\nMemoryError\nimport json: passed\n--- healthy\n{crash}\nhealthy: failed (x)\n"
    cell, _ = failed_checks(check)
    folder = RunFolder(tmp_path / "run")
    (folder.cell("c") / "smoke.log").write_text(log)
    assert [one.code for one in find_causes(folder, cell)] == ["missing-library"]


def test_where_no_rule_fires_the_last_lines_are_shown(run: RunFolder) -> None:
    """Of the step that failed, not of whoever printed last."""
    explanation = explain_cell(run, "c")
    assert explanation.findings == ()
    assert explanation.summary == "No rule has found a cause. Its last lines:"
    assert explanation.last_lines == ("step [b 2/2] RUN make", "make: *** Error")
    assert load_last_lines(run, run.load().cells[1]) == ()


def test_a_failure_that_was_expected_shows_its_last_lines_too(run: RunFolder) -> None:
    """It has left a log as well, and a rule may know nothing of it."""
    record = run.load()
    run.save_record(replace(record, cells=(replace(record.cells[0], expected=Status.BUILD_FAILED, as_expected=True),)))
    assert explain_cell(run, "c").last_lines == ("step [b 2/2] RUN make", "make: *** Error")


def test_what_a_run_stored_is_shown_as_it_was_judged(run: RunFolder) -> None:
    """A run that has findings is not judged anew, so that a report and `matrix explain` say the same."""
    stored = Finding("x", "as it was", ("y",), "z")
    record = run.load()
    run.save_record(replace(record, cells=(replace(record.cells[0], diagnosis=(stored,)),)))
    assert explain_cell(run, "c").findings == (stored,)


def test_a_run_as_a_whole_lists_what_has_something_to_explain(run: RunFolder) -> None:
    """Cells that are sound and ended as expected are left out."""
    _, found = explain_run(run)
    assert [one.cell.id for one in found] == ["c"]


def test_a_cell_that_is_not_there_is_answered_with_the_nearest(run: RunFolder) -> None:
    """Ids are long, and typed by people."""
    with pytest.raises(UsageError, match=r"has no cell 'goood'; did you mean 'good'\?"):
        explain_cell(run, "goood")
    with pytest.raises(UsageError, match=r"has no cell 'zzz'; `matrix explain \S+` lists those with something to explain"):
        explain_cell(run, "zzz")
