"""The traces of a run, with a builder that answers, is late, or has forgotten."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import DiskFullError, EngineError
from orchestrator.measure.progress import parse_time
from orchestrator.model import Route
from orchestrator.tracing import names
from orchestrator.tracing.collect import Traces
from orchestrator.tracing.spans import Kind
from orchestrator.tracing.trace import Clock, Trace
from tests.unit.test_buildkit_trace import make_stub
from tests.unit.test_trace_complete import VERTICES

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.tracing.spans import Span


@dataclass
class FakeHistory:
    """A builder that tells of its builds, and that may have forgotten one."""

    records: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    connections: int = 0
    connected: int = 0

    def connect(self) -> None:
        """Count connections."""
        self.connected += 1
        self.connections += 1

    def check(self) -> None:
        """Still answer."""

    def trace_of(self, ref: str, route: Route) -> str:
        """Give a record, if it is still there."""
        assert route == Route()
        self.asked.append(ref)
        if ref not in self.records:
            message = f"no record found for {ref}"
            raise EngineError(message)
        return self.records[ref]

    def failed_since(self, moment: datetime, cell: str, route: Route) -> list[str]:
        """Give what did not succeed."""
        assert route == Route()
        assert cell == "a"
        assert moment < (parse_time("2100-01-01T00:00:00Z") or moment)
        return self.failed

    def close(self) -> None:
        """Count what is given back."""
        self.connections -= 1


@dataclass
class Kept:
    """What became of a run's traces."""

    traces: Traces
    history: FakeHistory
    files: dict[str | None, list[Span]]
    sent: list[Span]
    warnings: list[str]

    def run(self, *cells: tuple[str, str | None]) -> None:
        """Build cells, each with the reference that buildx wrote down, and end the run."""
        with self.traces.run.span("run"):
            for cell, ref in cells:
                with self.traces.cell(cell, {}) as (trace, _), trace.build({}) as build:
                    build.ref, build.vertices = ref, VERTICES
                    known = self.history.records.get(ref or f"{cell}-failed")
                    if known is not None:
                        self.history.records[ref or f"{cell}-failed"] = known % {
                            "trace": trace.trace_id,
                            "parent": build.span.span_id,
                        }
        self.traces.close()


def make_kept(**records: str) -> Kept:
    """Make a run's traces, of which everything is kept here."""
    files: dict[str | None, list[Span]] = {}
    sent: list[Span] = []
    warnings: list[str] = []
    history = FakeHistory(records)
    traces = Traces(
        run=Trace(Clock(), {"service.name": "matrix"}),
        history=history,
        save=lambda cell, spans: files.update({cell: spans}),
        send=sent.extend,
        measure=lambda _: None,
        warn=warnings.append,
    )
    return Kept(traces, history, files, sent, warnings)


def record_of(span_id: str, name: str, digest: str) -> str:
    """Write the builder's record of a build with one step, to be filled in with the cell's own ids."""
    parts: dict[str, Any] = {
        "Name": name,
        "SpanContext": {"TraceID": "%(trace)s", "SpanID": span_id},
        "Parent": {"SpanID": "%(parent)s"},
        "Attributes": [{"Key": "vertex", "Value": {"Value": digest}}],
    }
    return json.dumps(make_stub(**parts))


MAKE = record_of("6" * 16, "[2/3] RUN make", "sha256:make")
COMMON = record_of("7" * 16, "[3/3] RUN common", "sha256:common")


def sources(spans: list[Span]) -> set[object]:
    """Say where the spans of a trace come from."""
    return {span.attributes.get(names.SOURCE, "matrix") for span in spans}


def test_a_builder_is_listened_to_when_the_first_build_begins_and_not_without_any() -> None:
    """A run that takes all over from an earlier one asks nobody; of cells that are built together progress tells all."""
    without, with_one, together = make_kept(), make_kept(one=MAKE), make_kept()
    without.run()
    with_one.run(("a", "one"), ("b", "one"))
    with together.traces.cell("a", {}) as (trace, _), trace.build({}, is_told=False):
        pass
    together.traces.close()
    assert [kept.history.connected for kept in (without, with_one, together)] == [0, 1, 0]
    assert list(without.files) == [None]
    assert [span.name for span in together.files["a"]] == ["build", "cell"]


def test_each_cell_has_a_file_and_everything_is_sent_once() -> None:
    """The run's own trace comes last, with a summary of each cell."""
    kept = make_kept(one=MAKE, two=COMMON)
    kept.run(("a", "one"), ("b", "two"))
    assert set(kept.files) == {"a", "b", None}
    assert len({span.span_id for span in kept.sent}) == len(kept.sent) == sum(map(len, kept.files.values()))
    assert [span.name for span in kept.files[None]] == ["cell", "cell", "run"]
    assert {span.kind for span in kept.files[None]} == {Kind.INTERNAL}
    assert all(sources(kept.files[cell]) == {"matrix", "buildkit", "progress"} for cell in "ab")
    assert kept.warnings == []


def test_a_joined_step_is_linked_to_the_cell_that_ran_it_although_that_one_ended_later() -> None:
    """Both wait for the step, and either may be first."""
    kept = make_kept(one=MAKE, two=COMMON)
    kept.run(("joins", "one"), ("runs", "two"))
    (joined,) = [span for span in kept.files["joins"] if span.name == "[3/3] RUN common"]
    assert joined.attributes[names.RAN_IN] == "runs"
    assert [(link.trace_id, link.span_id) for link in joined.links] == [(kept.files["runs"][0].trace_id, "7" * 16)]
    assert joined in kept.sent


def test_a_record_that_is_gone_costs_no_other_cell_its_trace() -> None:
    """It is said once, and the steps are those that its progress tells."""
    kept = make_kept(one=MAKE, two=COMMON)
    kept.run(("a", "one"), ("b", "gone"), ("c", "two"), ("d", "gone"))
    assert [cell for cell in "abcd" if "buildkit" in sources(kept.files[cell])] == ["a", "c"]
    assert sources(kept.files["b"]) == sources(kept.files["d"]) == {"matrix", "progress"}
    assert kept.warnings == ["no record found for gone; the steps of such builds are traced from their progress"]
    assert kept.history.connections == 0


def test_a_builder_that_often_forgets_is_still_asked() -> None:
    """Only a builder that tells nothing of several cells in a row is given up."""
    kept = make_kept(**{f"kept{number}": MAKE for number in range(10)})
    kept.run(*((f"{kind}{number}", f"{kind}{number}") for number in range(10) for kind in ("gone", "kept")))
    assert len(kept.history.asked) == 20
    assert len(kept.warnings) == 1


def test_a_builder_that_cannot_be_reached_is_said_once_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be there when the first cell has ended."""
    kept = make_kept(one=MAKE)

    def refuse(_: FakeHistory) -> None:
        message = "nobody answers"
        raise EngineError(message)

    monkeypatch.setattr(FakeHistory, "connect", refuse)
    kept.run(("a", "one"))
    assert kept.warnings == ["nobody answers; the steps of such builds are traced from their progress"]
    assert "buildkit" in sources(kept.files["a"])


def test_a_failed_build_is_found_although_buildx_wrote_no_reference_down() -> None:
    """By its trace, among the builds that did not succeed; those of others are left out."""
    kept = make_kept(**{"a-failed": MAKE, "other": MAKE % {"trace": "f" * 32, "parent": "e" * 16}})
    kept.history.failed = ["other", "a-failed"]
    kept.run(("a", None))
    assert "buildkit" in sources(kept.files["a"])
    assert {span.trace_id for span in kept.files["a"]} == {kept.files["a"][0].trace_id}


def test_a_builder_that_cannot_export_is_given_up_and_said_once() -> None:
    """Progress tells the steps, and not every cell is slowed down by asking in vain."""
    kept = make_kept()
    kept.run(*((str(number), f"gone{number}") for number in range(100)))
    assert len(kept.history.asked) == 3, "after a few cells nothing is asked any more"
    assert kept.history.connections == 0
    assert len(kept.warnings) == 1
    assert "are traced from their progress" in kept.warnings[0]
    assert all(sources(kept.files[str(number)]) == {"matrix", "progress"} for number in range(100))
    assert [span.name for span in kept.files[None]] == [*["cell"] * 100, "run"], "the run's own trace has a summary of each"


def test_a_run_without_a_cell_has_a_trace_too() -> None:
    """Nothing is waited for."""
    kept = make_kept()
    kept.run()
    assert [span.name for span in kept.files[None]] == ["run"]


def test_a_trace_that_cannot_be_kept_is_said_when_the_run_gathers_them() -> None:
    """A thread has nobody to tell; its problem must not be lost with it."""
    kept = make_kept(one=MAKE)

    def refuse(*_: object) -> None:
        message = "no room left"
        raise DiskFullError(message)

    kept.traces.save = refuse
    with pytest.raises(DiskFullError, match="no room left"):
        kept.run(("a", "one"))
