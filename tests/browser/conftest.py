"""One headless Chromium for all tests of a worker, and the report that they look at."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.report.files import save_reports
from orchestrator.store import Reports
from orchestrator.tracing.otlp import dump_lines
from orchestrator.verdicts import Decision, Finding, Gate, GroupDecision, Pair, Verdict
from tests.browser.pictures import FLAGS
from tests.lab.browser import find_browser
from tests.lab.cache import LabError
from tests.unit.records import make_record
from tests.unit.traces import TRACE_ID, TraceMaker, make_alpine, make_slim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Request

    from orchestrator.record import RunRecord
    from orchestrator.tracing.spans import Span

SHOTS = "MATRIX_SCREENSHOTS"
CANARY = "\"'><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=document.title='owned'>"


@pytest.fixture(scope="package")  # the driver keeps an event loop running, which other tests of the worker must not meet
def chromium() -> Iterator[Browser]:
    """Start Chromium; where none can be had the test is skipped, and in CI that is a failure."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # other workers need none

    try:
        found = find_browser()
    except LabError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found.executable, env=dict(found.environment), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Viewer:
    """Opens pages as somebody would, and keeps what they asked for and complained of."""

    browser: Browser
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def open(self, path: Path, place: str = "", *, dark: bool = False, width: int = 1280, script: bool = True) -> Page:
        """Open a file, at a place in it if one is named."""
        page = self.browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        page.set_default_timeout(5000)

        def note(request: Request) -> None:
            self.requests.append(request.url)

        page.on("request", note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.problems.append(message.text))
        page.goto(f"{path.as_uri()}{place}")
        return page


@pytest.fixture
def viewer(chromium: Browser) -> Iterator[Viewer]:
    """Give a way to open pages; a page that complains of anything fails its test."""
    viewer = Viewer(chromium)
    yield viewer
    for context in chromium.contexts:
        context.close()
    assert viewer.problems == []


def _make_hostile_trace() -> list[Span]:
    trace = TraceMaker(5.0)
    trace.step(trace.root, f"[1/1] RUN {CANARY}", 0, 4, "joined:" + CANARY, error=CANARY)
    return trace.spans


@cache
def traced_record() -> RunRecord:
    """Make a run with every status, in which three cells were traced and one is hostile."""
    record = make_record()
    finding = Finding("x", CANARY, (CANARY,), CANARY)
    cells = [replace(cell, reason=CANARY, diagnosis=(finding,)) if cell.id == "slim-3.13" else cell for cell in record.cells]
    cells[0] = replace(cells[0], trace_id=TRACE_ID)
    claim = Verdict(CANARY, "mixed", (CANARY,), pairs=(Pair(CANARY, CANARY, why=CANARY),))
    decision = Decision(
        CANARY, (GroupDecision({"python": CANARY}, CANARY, CANARY, (CANARY,), (CANARY,)),), (CANARY,), unknown=(CANARY,)
    )
    return replace(
        record,
        cells=tuple(cells),
        traces_ui="http://127.0.0.1:9/trace/{trace_id}",
        claims=(*record.claims, claim),
        decision=decision,
        gates=(*record.gates, Gate(CANARY, CANARY, 1, None, passed=None, reason=CANARY)),
    )


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the report that a run leaves, beside its logs and traces."""
    run = Reports(tmp_path_factory.mktemp("reports")).new_run()
    traces = {"alpine-3.12": make_alpine(), "wolfi-3.13": make_slim(), "slim-3.13": _make_hostile_trace()}
    for cell, spans in traces.items():
        run.cell(cell).joinpath("trace.json").write_text(dump_lines(spans))
        run.cell(cell).joinpath("build.log").write_text("a log\n")
    run.save_record(traced_record())
    save_reports(run, traced_record())
    return run.path / "report.html"


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Give the folder for pictures: the one that MATRIX_SCREENSHOTS names, or the test's own."""
    folder = Path(os.environ.get(SHOTS) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the report of 500 cells with traces."""
    run = Reports(tmp_path_factory.mktemp("large")).new_run()
    record = make_record()
    cells = tuple(
        replace(record.cells[0], id=f"b{at}-3.12", axes={"base": f"b{at}", "python": "3.12"}, trace_id=TRACE_ID)
        for at in range(500)
    )
    for cell in cells:
        run.cell(cell.id).joinpath("trace.json").write_text(dump_lines(make_alpine()))
    save_reports(run, replace(record, cells=cells))
    return run.path / "report.html"
