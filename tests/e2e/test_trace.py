"""The traces of a run: every cell's is whole, adds up, and shows what other cells ran for it."""

from __future__ import annotations

import base64
import io
import os
import re
import tarfile
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.tracing import names
from orchestrator.tracing.otlp import load_lines
from orchestrator.tracing.spans import Code
from orchestrator.tracing.waterfall import make_waterfall
from tests.e2e.conftest import TOOLS, Project, cells_of
from tests.lab.engine import MOST_BUILDS_KEPT
from tests.lab.registry import serve_registry
from tests.receivers import grpc_receiver, http_receiver

if TYPE_CHECKING:
    from orchestrator.tracing.spans import Span, Value


@pytest.fixture(autouse=True)
def _traced(project: Project) -> None:
    project.traced = True


BETWEEN_S = 0.15  # that a machine busy with other tests may leave a cell waiting between two parts
COMMON = f"""\
FROM scratch
COPY busybox /bin/busybox
{TOOLS}
ARG COMMON
RUN sleep 3; echo "$COMMON"
ARG OWN
RUN sleep 0.5; echo "$OWN"
"""


def write_cells_with_a_common_step(project: Project, count: int = 3) -> list[str]:
    """Write cells whose longest step is the same, and not in the cache."""
    cells = [f"cell{number}" for number in range(count)]
    project.folder.joinpath("Dockerfile").write_text(COMMON)
    arguments = {"COMMON": str(time.time_ns()), "OWN": "{kind}"}
    project.write(axes={"kind": cells}, defaults={"args": arguments, "smoke": [{"run": ["true"]}]})
    return cells


def trace_of(project: Project, cell: str) -> list[Span]:
    """Read a cell's trace; it holds no span twice and none whose parent is not there."""
    spans = load_lines(project.latest.joinpath("cells", cell, "trace.json").read_text())
    assert [count for count in Counter(span.span_id for span in spans).values() if count > 1] == []
    ids = {span.span_id for span in spans}
    assert [span.name for span in spans if span.parent_id not in ids] == [names.CELL]
    assert {span.trace_id for span in spans} == {cells_of(project.record())[cell]["trace_id"]}
    return spans


def unexplained_s(spans: list[Span]) -> float:
    """Give the time of a cell that no part of its trace covers."""
    (root,) = [span for span in spans if span.name == names.CELL]
    covered, end = 0, root.start_ns
    for span in sorted((span for span in spans if names.PART in span.attributes), key=lambda span: span.start_ns):
        first, last = max(span.start_ns, end), min(span.end_ns, root.end_ns)
        covered += max(0, last - first)
        end = max(end, last)
    return (root.end_ns - root.start_ns - covered) / 1e9


def assert_the_record_agrees(project: Project, cells: list[str], outcomes: list[Value]) -> None:
    """One cell did 3.5 s of work besides its overhead, the others 0.5 s; alone each would have taken 3.5 s."""
    for cell, outcome in zip(cells, outcomes, strict=True):
        build = cells_of(project.record())[cell]["build"]
        (step,) = [step for step in build["steps"] if "RUN sleep 3;" in step["instruction"] and step["duration_s"] > 3]
        assert step["outcome"] == outcome
        assert (step["ran_in"] is None) == (outcome == "executed")
        ended = datetime.fromisoformat(step["started_at"]) + timedelta(seconds=step["duration_s"])
        joined_s = sum(one["duration_s"] for one in build["steps"] if one["outcome"] == "joined")  # the base's step, too
        own_s = sum(  # of what this cell did meanwhile, and so did not wait
            one["duration_s"]
            for one in build["steps"]
            if one["outcome"] == "executed" and one["started_at"] and datetime.fromisoformat(one["started_at"]) < ended
        )
        assert joined_s - own_s - 0.3 <= build["shared_s"] <= joined_s + 0.3
        assert outcome == "joined" or build["shared_s"] < 3
        began = datetime.fromisoformat(build["started_at"])
        waited_s = 0.0
        if outcome == "joined":
            waited_s = (ended - max(began, datetime.fromisoformat(step["started_at"]))).total_seconds()
        assert build["wall_s"] - joined_s - 0.3 <= build["own_s"] <= build["wall_s"] - waited_s + own_s + 0.3
        assert build["alone_s"] == pytest.approx(build["own_s"] + build["shared_s"], abs=0.01)


def test_a_common_step_is_in_every_cells_trace_and_each_adds_up(placed: Project) -> None:
    """One cell ran it, the others joined, and all three have its seconds; what the cache holds has its own short time."""
    cells = write_cells_with_a_common_step(placed)
    placed.run("--jobs", "3")
    outcomes: list[Value] = []
    for cell in cells:
        spans = trace_of(placed, cell)
        (step,) = [span for span in spans if "RUN sleep 3;" in span.name]
        assert step.duration_s >= 3
        outcomes.append(step.attributes[names.STEP_OUTCOME])
        if outcomes[-1] == "joined":
            (link,) = step.links
            real = trace_of(placed, str(step.attributes[names.RAN_IN]))
            assert link.span_id in {span.span_id for span in real}
            assert link.trace_id == real[0].trace_id
        waterfall = make_waterfall(spans)
        assert unexplained_s(spans) < 0.02 * waterfall.wall_s + BETWEEN_S
        late_s = 1.0 if outcomes[-1] == "joined" else 0.0  # who joins waits from when it came, on a busy machine
        assert waterfall.parts_s["steps"] > 3.4 - late_s
        assert {"build", "analyse", "smoke", "run true"} <= {span.name for span in spans}
    assert sorted(outcomes) == ["executed", "joined", "joined"]
    assert_the_record_agrees(placed, cells, outcomes)
    placed.run("--only", cells[0])
    steps = [span for span in trace_of(placed, cells[0]) if names.STEP_OUTCOME in span.attributes]
    held = [span for span in steps if "RUN sleep" in span.name]  # the others are those of other tests, too
    assert {span.attributes[names.STEP_OUTCOME] for span in held} == {"cached"}
    assert sum(span.duration_s for span in held) < 1


def test_the_run_has_a_trace_that_leads_to_the_cells_and_comes_from_the_job(project: Project) -> None:
    """A nightly job's trace holds the run, the run's holds a summary of each cell, linked both ways."""
    project.write(axes={"kind": ["good", "bad"]}, settings={"kind": {"bad": {"args": {"DO": "exit 3"}}}})
    job, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    project.run(exit_code=1, TRACEPARENT=f"00-{job}-{parent}-01")
    spans = load_lines(project.latest.joinpath("trace.json").read_text())
    assert {span.trace_id for span in spans} == {job}
    (root,) = [span for span in spans if span.parent_id == parent]
    assert root.name == "run"
    assert (root.status.code, root.attributes["cicd.pipeline.result"]) == (Code.ERROR, "failure")
    children = Counter(span.name for span in spans if span.parent_id == root.span_id)
    assert children == {"plan": 1, "bootstrap": 1, "cell": 2, "judge": 1, "report": 1}
    for summary in (span for span in spans if span.name == names.CELL):
        cell = str(summary.attributes[names.CELL_ID])
        own = next(span for span in trace_of(project, cell) if span.name == names.CELL)
        assert [(link.trace_id, link.span_id) for link in summary.links] == [(own.trace_id, own.span_id)]
        assert [(link.trace_id, link.span_id) for link in own.links] == [(job, summary.span_id)]
        assert summary.attributes[f"{names.AXIS}kind"] == cell
    failed = {span.name: span for span in trace_of(project, "bad") if span.status.code is Code.ERROR}
    assert failed["cell"].attributes["error.type"] == "build-failed"
    assert "exit 3" in failed["cell"].status.message
    (step,) = [span for name, span in failed.items() if "RUN eval" in name]
    assert "exit code: 3" in step.status.message


@pytest.mark.long
def test_more_traces_than_the_builder_keeps_are_whole(project: Project) -> None:
    """Each is fetched soon after its build."""
    cells = [f"cell{number}" for number in range(MOST_BUILDS_KEPT + 5)]
    project.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nARG DO\nLABEL do=$DO\n")
    project.write(axes={"kind": cells}, defaults={"args": {"DO": "{kind}"}})
    project.run("--jobs", "4", "--no-smoke")
    for cell in cells:
        sources = {span.attributes.get(names.SOURCE) for span in trace_of(project, cell)}
        assert "buildkit" in sources, f"{cell} has none of the builder's own spans"
    shown = project.matrix("trace", "latest").stdout
    assert len(re.findall(r"^ +\d+\.\d\d  cell\d+, passed$", shown, re.MULTILINE)) == len(cells)


def test_nothing_secret_is_in_any_file_of_the_run_or_byte_sent(project: Project) -> None:
    """Not in steps' names, which BuildKit fills in, nor in logs, records, traces, the terminal, or what a backend gets."""
    canaries = {
        "TOKEN_ARG": 'canary-ä"&<1b3f>\\x',
        "TOKEN_ENV": "canary-env-77aa",
        "LONG_ARG": "canary-that-is-cut-in-a-reason-0b5d",
        "KEY_ENV": "-----BEGIN\ncanary-first-4b1d\ncanary-second-8e0f\n-----END\n",
        "OTEL_EXPORTER_OTLP_HEADERS": "key=canary-header-90d1",
    }
    project.folder.joinpath("pip.conf").write_text("[global]\nindex-url = https://me:canary-index-5c2e@127.0.0.1/simple\n")
    project.folder.joinpath("Dockerfile").write_text(
        "FROM scratch\n"
        "COPY busybox /bin/busybox\n"
        f"{TOOLS}\n"
        "ARG TOKEN INDEX LONG\n"
        "ENV INDEX=$INDEX LONG=$LONG\n"
        f"RUN --mount=type=secret,id=env --mount=type=secret,id=key --mount=type=secret,id=conf "
        f'echo "$TOKEN" $INDEX {time.time_ns()} && cat /run/secrets/* && printf cana && sleep 0.2 && echo ry-env-77aa\n'
    )
    project.write(
        defaults={
            "args": {"INDEX": "https://me:canary-url-2d9e@127.0.0.1/simple"},
            "secret_args": {"TOKEN": "TOKEN_ARG", "LONG": "LONG_ARG"},
            "secrets": {"env": {"env": "TOKEN_ENV"}, "key": {"env": "KEY_ENV"}, "conf": {"file": "pip.conf"}},
            "smoke": [
                {"run": ["sh", "-c", "echo $INDEX; exit 1"]},
                {"run": ["sh", "-c", f"echo {'x' * 270} $LONG; exit 1"]},
            ],
        }
    )
    with http_receiver() as received:
        address = f"http://127.0.0.1:{received.port}"
        words = ("run", "--progress", "plain", "--format", "json")
        done = project.matrix(*words, exit_code=1, OTEL_EXPORTER_OTLP_ENDPOINT=address, **canaries)
    assert received.spans
    assert not [body for body in received.raw if b"canary" in body]
    assert "***" in done.stdout
    assert "canary" not in done.stdout + done.stderr
    files = [path for path in project.latest.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"run.json", "build.log", "progress.jsonl", "smoke.log", "trace.json", "events.jsonl"}
    assert [path.name for path in files if b"canary" in path.read_bytes()] == []
    logs = re.findall(r'"data": "([^"]+)"', project.latest.joinpath("cells/one/progress.jsonl").read_text())
    assert any(b"***" in base64.b64decode(log) for log in logs)
    assert b"canary" not in b"".join(base64.b64decode(log) for log in logs)


def stored_spans(project: Project) -> dict[str, Span]:
    """Give every span of the newest run's files by id."""
    files = [project.latest / "trace.json", *project.latest.glob("cells/*/trace.json")]
    return {span.span_id: span for path in files for span in load_lines(path.read_text())}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_backend_gets_every_span_once_while_the_run_goes_on(project: Project, protocol: str) -> None:
    """What arrives is what lies in the run's folder: matrix's spans, buildx's and the daemon's."""
    cells = ["one", "two"]
    project.write(axes={"kind": cells}, defaults={"smoke": [{"run": ["true"]}]})
    open_receiver = grpc_receiver if protocol == "grpc" else http_receiver
    with open_receiver() as received:
        project.run(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{received.port}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_HEADERS="x-key=canary-header-90d1",
            OTEL_METRICS_EXPORTER="otlp",
        )
        sent = list(received.spans)
    assert Counter(span.span_id for span in sent).most_common(1)[0][1] == 1
    stored = stored_spans(project)
    assert {span.span_id for span in sent} == set(stored)
    services = {str(span.resource["service.name"]) for span in sent}
    assert services == {"matrix", "buildx", "dockerd"}
    for span in sent:
        kept = stored[span.span_id]
        assert (span.trace_id, span.parent_id, span.name, span.start_ns, span.end_ns) == (
            kept.trace_id,
            kept.parent_id,
            kept.name,
            kept.start_ns,
            kept.end_ns,
        )
    assert len({span.trace_id for span in sent}) == len(cells) + 1
    assert received.headers[0]["x-key"] == "canary-header-90d1"
    assert received.metrics
    assert not [path for path in project.latest.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


@pytest.mark.answering
def test_what_a_pull_took_is_told_apart(project: Project) -> None:
    """A base from a registry: fetched and unpacked in the first run, and its time is the pull's; there in the second."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(project.folder / "busybox", "bin/busybox")
        noise = tarfile.TarInfo("noise")
        noise.size = 40_000_000
        archive.addfile(noise, io.BytesIO(os.urandom(noise.size)))
    base = f"matrix-tests-pulled:{time.time_ns()}"
    project.take_image(tar.getvalue(), base)
    with serve_registry([base]) as address:
        project.docker("image", "rm", base)
        project.folder.joinpath("Dockerfile").write_text(f"FROM {address}/library/{base}\nCOPY Dockerfile /\n")
        project.write()
        first = project.run("--no-smoke")["cells"][0]["build"]
        assert b'"extracting' in project.latest.joinpath("cells/one/progress.jsonl").read_bytes()
        waterfall = make_waterfall(spans := trace_of(project, "one"))
        assert 0.1 < waterfall.parts_s["pull"] < first["pull_s"] + 0.5  # less, where something else took longer meanwhile
        assert unexplained_s(spans) < 0.02 * waterfall.wall_s + BETWEEN_S
        project.run("--no-smoke")
        assert b'"extracting' not in project.latest.joinpath("cells/one/progress.jsonl").read_bytes()


@pytest.mark.builder_image
def test_a_builder_that_exports_by_itself_sends_no_span_a_second_time(project: Project) -> None:
    """What its daemon sends itself is not sent by matrix; all of it lies in the run's folder."""
    project.place = "docker-container"
    with grpc_receiver() as received:
        address = f"http://127.0.0.1:{received.port}"
        sends = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRICS_EXPORTER": "none"}
        builder: dict[str, Any] = {
            "driver": "docker-container",
            "name": f"matrix-tests-sends-{os.getpid()}",
            "network": "host",
            "env": sends,
        }
        project.write(axes={"kind": ["one", "two"]}, builder=builder)
        try:
            project.run(OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
            stored = stored_spans(project)
            sent = received.wait_for_spans(len(stored))
        finally:
            project.docker("buildx", "rm", "--force", builder["name"])  # `clean` leaves it while another run goes on
    times = Counter(span.span_id for span in sent if span.span_id in stored)
    assert set(times) == set(stored)
    assert {(span.name, span.resource.get("service.name")) for span in sent if times[span.span_id] > 1} == set()


@pytest.mark.long
def test_a_backend_that_is_down_is_said_once_and_fails_nothing(project: Project) -> None:
    """With the way to send the traces later, which then arrive."""
    project.write()
    done = project.matrix("run", "--progress", "plain", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.stderr.count("127.0.0.1:9: nothing listens there (connection refused)") == done.stderr.count("127.0.0.1:9") == 1
    assert "matrix trace" in done.stderr
    with http_receiver() as received:
        said = project.matrix("trace", "latest", "--to", f"http://127.0.0.1:{received.port}").stderr
        assert {span.span_id for span in received.spans} == set(stored_spans(project))
    assert f"sent {len(received.spans)} spans" in said
    refused = project.matrix("trace", "latest", "--to", "http://127.0.0.1:9", exit_code=4).stderr
    assert "127.0.0.1:9" in refused


def test_without_traces_there_are_none(project: Project) -> None:
    """Neither here nor at a backend."""
    project.write()
    with http_receiver() as received:
        project.run("--no-trace", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{received.port}")
    assert received.spans == []
    assert list(project.latest.rglob("trace.json")) == []
    assert "has no trace" in project.matrix("trace", "latest", exit_code=3).stderr
