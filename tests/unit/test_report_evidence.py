"""What a report finds beside a record: logs that can be opened from where the page lies, traces, and links to a UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from msgspec.structs import replace

from orchestrator.config.parse import parse_matrix
from orchestrator.report import evidence
from orchestrator.report.evidence import find_evidence
from orchestrator.report.files import save_reports
from orchestrator.report.links import make_trace_links
from orchestrator.report.markdown import render_markdown
from orchestrator.store import Reports, RunFolder
from orchestrator.tracing.otlp import dump_lines
from tests.rendering import render
from tests.unit.folders import HEAD, make_files, problems_of
from tests.unit.pages import Page
from tests.unit.records import make_record
from tests.unit.traces import TRACE_ID, make_alpine

if TYPE_CHECKING:
    from pathlib import Path

CELL, OTHER, *_ = make_record().cells
FAILED = make_record().cells[5]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Give a run with two cells' files."""
    run = Reports(tmp_path / "re ports").new_run()
    for cell in (CELL, OTHER, FAILED):
        run.cell(cell.id).joinpath("build.log").write_text("a log\n")
        run.cell(cell.id).joinpath("trace.json").write_text(dump_lines(make_alpine()))
    return run


@pytest.mark.parametrize("beside", [".", "..", "../../../else:where", "cells"])
def test_links_lead_to_the_logs_from_wherever_the_page_lies(run: RunFolder, beside: str) -> None:
    """A page written with -o anywhere has links that work there; none can be taken for another scheme."""
    folder = (run.path / beside).resolve()
    folder.mkdir(exist_ok=True)
    log, trace = find_evidence(run, folder)(CELL).logs
    assert (log.name, log.size, trace.name) == ("build.log", "1 kB", "trace.json")
    assert folder.joinpath(unquote(log.href)).resolve().read_text() == "a log\n"
    assert ":" not in log.href
    assert " " not in log.href


def test_nothing_leads_to_a_log_that_holds_nothing(run: RunFolder) -> None:
    """Of a build whose steps came from the cache, or printed nothing."""
    run.cell(CELL.id).joinpath("build.log").write_text("")
    assert [log.name for log in find_evidence(run, run.path)(CELL).logs] == ["trace.json"]


def test_a_link_out_of_the_run_is_not_followed(run: RunFolder, tmp_path: Path) -> None:
    """A link among a cell's files may lead anywhere: it is neither shown nor read."""
    folder = run.trace_path(CELL.id).parent
    for name in ("trace.json", "smoke.log"):
        outside = tmp_path / name
        outside.write_text(dump_lines(make_alpine()))
        folder.joinpath(name).unlink(missing_ok=True)
        folder.joinpath(name).symlink_to(outside)
    found = find_evidence(run, run.path)(CELL)
    assert [log.name for log in found.logs] == ["build.log"]
    assert found.waterfall is None


def test_a_damaged_trace_is_named_and_takes_no_report_with_it(run: RunFolder) -> None:
    """The cell says that its trace cannot be shown, without the folders of the machine it was made on."""
    run.trace_path(CELL.id).write_text("{")
    found = find_evidence(run, run.path)(CELL)
    assert found.waterfall is None
    assert found.problem is not None
    assert found.problem.startswith("cells/alpine-3.12/trace.json is damaged: line 1 is not an OTLP/JSON document")
    text = render(make_record(), "html", 80, find_evidence(run, run.path))
    assert "is damaged: line 1" in text
    assert str(run.path) not in text


def test_so_much_of_the_traces_is_read_and_failures_come_first(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with too many traces for one page shows some and names the rest; a failed cell's is still drawn."""
    monkeypatch.setattr(evidence, "_TRACES_BYTES", run.trace_path(CELL.id).stat().st_size)
    evidence_of = find_evidence(run, run.path)
    assert evidence_of(CELL).waterfall is not None
    assert evidence_of(OTHER).problem == "the run's traces are too large for one page; `matrix trace` shows slim-3.12"
    assert evidence_of(FAILED).waterfall is not None


def test_a_cell_without_files_has_no_evidence(run: RunFolder) -> None:
    """A run that came without its folder of cells is a report too."""
    found = find_evidence(run, run.path)(make_record().cells[3])
    assert (found.logs, found.waterfall, found.problem) == ((), None, None)


def test_a_run_leaves_its_page_with_its_traces(run: RunFolder) -> None:
    """report.html lies beside run.json, with the waterfalls of the cells that were traced."""
    save_reports(run, make_record())
    page = Page((run.path / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("section", "waterfall")) == 3
    hrefs = [one.attributes["href"] for one in page.all("a") if not one.attributes["href"].startswith("#")]
    assert len(hrefs) == 6
    assert all(run.path.joinpath(unquote(href)).is_file() for href in hrefs)


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("http://127.0.0.1:16686/trace/{trace_id}", f"http://127.0.0.1:16686/trace/{TRACE_ID}"),
        ("https://[::1]/?q={trace_id}&x=(a|b)", f"https://[::1]/?q={TRACE_ID}&x=%28a%7Cb%29"),
        ('https://grafana/explore?left={"id":"{trace_id}"}', f"https://grafana/explore?left=%7B%22id%22:%22{TRACE_ID}%22%7D"),
        ("https://ui/<b>{trace_id}\\`", f"https://ui/%3Cb%3E{TRACE_ID}%5C%60"),
        (None, None),
        ("javascript:alert(1)//{trace_id}", None),
        ("JavaScript://x/%0aalert(1)//{trace_id}", None),
        ("data:text/html,{trace_id}", None),
        ("//elsewhere/{trace_id}", None),
        ("https:{trace_id}", None),
        ("https://user:password@ui/{trace_id}", None),
        ("https://[::1/{trace_id}", None),
        ("https://ui/\n{trace_id}", None),
        ("https://ui/\u202e{trace_id}", None),
        ("https://ui/\ud800{trace_id}", None),
    ],
)
def test_only_a_web_address_is_a_link(template: str | None, link: str | None) -> None:
    """What matrix.yaml names is where the link leads; a stored run from anywhere can name nothing else."""
    record = replace(make_record(), traces_ui=template, cells=(replace(CELL, trace_id=TRACE_ID),))
    assert make_trace_links(record) == [link]


@pytest.mark.parametrize("trace_id", [None, "", "../../x", TRACE_ID.upper(), f"{TRACE_ID}\n", "x" * 32])
def test_only_a_trace_id_gets_into_a_link(trace_id: str | None) -> None:
    """A damaged id leads nowhere."""
    record = replace(make_record(), traces_ui="https://ui/{trace_id}", cells=(replace(CELL, trace_id=trace_id),))
    assert make_trace_links(record) == [None]


def test_rows_of_markdown_lead_to_traces_too() -> None:
    """With `traces.ui` the Markdown table has a last column with the link, and without it is what it was."""
    record = replace(make_record(), traces_ui="https://ui/(x|y)/{trace_id}")
    assert render_markdown(record) == render_markdown(make_record())
    lines = render_markdown(replace(record, cells=(replace(CELL, trace_id=TRACE_ID), OTHER))).splitlines()
    header, _, first, second, *_ = (line for line in lines if line.startswith("|"))
    assert header.endswith("| reason | trace |")
    assert first.endswith(f"| [trace](<https://ui/%28x%7Cy%29/{TRACE_ID}>) |")
    assert second.endswith("|  |  |")


def test_matrix_yaml_names_where_traces_are_looked_at(tmp_path: Path) -> None:
    """`traces.ui` is a web address with a place for the trace's id, and nothing else."""
    text = "axes: {base: [a]}\ntraces: {ui: '%s'}\n"
    good = "https://ui/trace/{trace_id}?x=1"
    file, _ = parse_matrix(HEAD + text % good, "matrix.yaml", make_files(tmp_path, "Dockerfile"))
    assert file.traces.ui == good
    for bad in ("https://ui/trace", "javascript:{trace_id}", "https://user:pw@ui/{trace_id}", "https://{trace_id}"):
        (problem,) = problems_of(HEAD + text % bad, tmp_path)
        assert problem.startswith("matrix.yaml:4: traces.ui: ")
