"""A real builder's history, over a connection that a buildx carries."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.docker.builder import ensure_builder
from orchestrator.docker.engine import connect
from orchestrator.docker.history import BuilderHistory
from orchestrator.errors import EngineError
from orchestrator.model import BuilderSpec, Route
from orchestrator.tracing.buildkit import parse_stubs
from tests.conftest import buildx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTE = Route()
FINALIZE = "/moby.buildkit.v1.Control/UpdateBuildHistory"
TRACES = ("0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736")


@pytest.fixture
def history(engine: None) -> Iterator[BuilderHistory]:
    """Give the history of the engine's own BuildKit."""
    here = connect()
    found = BuilderHistory(here, ensure_builder(here, BuilderSpec(driver="docker")), frozenset([ROUTE]))
    found.connect()
    yield found
    found.close()


def build(folder: Path, dockerfile: str, trace_id: str, *more: str) -> str:
    """Build something, and give the reference that buildx writes down of what succeeds."""
    folder.joinpath("Dockerfile").write_text(f"{dockerfile}# {time.time_ns()}\n")  # or another test's build may run the step
    written = folder / "metadata.json"
    argv = [*buildx(), "build", "--builder", "default", "--no-cache", "--output", "type=cacheonly"]
    argv += ["--metadata-file", str(written), *more, str(folder)]
    variables = {**os.environ, "TRACEPARENT": f"00-{trace_id}-b7ad6b7169203331-01"}
    subprocess.run(argv, env=variables, capture_output=True, check=False)
    return str(json.loads(written.read_text())["buildx.build.ref"]) if written.exists() else ""


def wait_for_failed(history: BuilderHistory, since: datetime, count: int) -> list[str]:
    """Give the builds of cell x that failed, when the builder has told of so many."""
    latest = time.monotonic() + 10
    while len(found := history.failed_since(since, "x", ROUTE)) < count and time.monotonic() < latest:
        Event().wait(0.05)  # the builder tells in its own time
    return found


def test_the_trace_of_a_build_is_had_as_soon_as_it_has_ended(history: BuilderHistory, tmp_path: Path) -> None:
    """Every span of it, the client's as well, over one connection for all that is asked."""
    for trace_id in TRACES:
        ref = build(tmp_path, "FROM scratch\nCOPY Dockerfile /\n", trace_id)
        spans = list(parse_stubs(history.trace_of(ref, ROUTE)))
        assert {span.trace_id for span in spans} == {trace_id}
        assert "[1/1] COPY Dockerfile /" in {span.name for span in spans}


def test_a_build_that_failed_is_found_among_those_since_it_began(history: BuilderHistory, tmp_path: Path) -> None:
    """Its trace says why; one that succeeded is not among them."""
    before = datetime.now(UTC)
    good = build(tmp_path, "FROM scratch\nCOPY Dockerfile /\n", TRACES[0])
    tmp_path.joinpath("metadata.json").unlink()
    assert build(tmp_path, "FROM scratch\nCOPY missing /\n", TRACES[1]) == ""
    failed = history.failed_since(before, "x", ROUTE)
    assert good.rpartition("/")[2] not in failed
    spans = [span for ref in failed for span in parse_stubs(history.trace_of(ref, ROUTE))]
    assert any("/missing" in span.status.message for span in spans if span.trace_id == TRACES[1])
    assert history.failed_since(datetime.now(UTC) + timedelta(hours=1), "x", ROUTE) == []


def test_of_builds_that_failed_a_cells_newest_is_the_first(history: BuilderHistory, tmp_path: Path) -> None:
    """Those of other cells are not among them: each would be asked for a trace in vain, and waited for."""
    before, (older, others, newer) = datetime.now(UTC), [secrets.token_hex(16) for _ in range(3)]
    for trace_id, cell in ((older, "x"), (others, "y"), (newer, "x")):
        assert build(tmp_path, "FROM scratch\nCOPY missing /\n", trace_id, "--label", f"io.matrix.cell={cell}") == ""
    failed = wait_for_failed(history, before, 2)  # and those of other tests that say of no cell that they are its
    found = [next(iter(parse_stubs(history.trace_of(ref, ROUTE)))).trace_id for ref in failed]
    assert [trace_id for trace_id in found if trace_id in (older, others, newer)] == [newer, older]


def test_a_trace_that_was_written_meanwhile_is_had_as_well(history: BuilderHistory, tmp_path: Path) -> None:
    """BuildKit does not wait for long, and a cell's checks may take minutes."""
    ref = build(tmp_path, "FROM scratch\nCOPY Dockerfile /\n", TRACES[0])
    line = history._nodes[ROUTE].line  # noqa: SLF001  # asked as BuildKit does by itself, without waiting
    list(line.ask(FINALIZE, "UpdateBuildHistoryRequest", "Nothing", ref=ref.rpartition("/")[2], finalize=True))
    assert TRACES[0] in history.trace_of(ref, ROUTE)


def test_a_build_that_the_builder_never_told_of_is_said(history: BuilderHistory, tmp_path: Path) -> None:
    """After the error the next question is answered."""
    with pytest.raises(EngineError, match="the builder told of no trace of a build"):
        history.trace_of("default/default/nosuchbuild", ROUTE)
    ref = build(tmp_path, "FROM scratch\nCOPY Dockerfile /\n", TRACES[0])
    assert TRACES[0] in history.trace_of(ref, ROUTE)


def test_a_builder_that_cannot_be_reached_is_said_in_buildx_words(history: BuilderHistory) -> None:
    """As soon as buildx has given up, not when a time limit ends."""
    builder = replace(history.builder, name="no-such-builder", driver="remote")
    nobody = replace(history, builder=builder, _nodes={}, _open=ExitStack())
    with pytest.raises(EngineError, match=r"the builder's history cannot be had: .*no builder \"no-such-builder\" found"):
        nobody.trace_of("default/default/nosuchbuild", ROUTE)
    nobody.close()


def test_a_folder_for_passing_files_that_no_socket_can_lie_in_costs_only_the_trace(
    history: BuilderHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a socket is short; this is no bug of ours, and nothing that a run must end for."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    other = replace(history, _nodes={}, _open=ExitStack())
    with pytest.raises(EngineError, match="the builder's history cannot be had: AF_UNIX path too long"):
        other.trace_of("default/default/nosuchbuild", ROUTE)
    assert list(long.iterdir()) == []


def test_a_connection_that_breaks_costs_one_question(engine: None, tmp_path: Path) -> None:
    """A builder that was restarted is asked anew."""
    real = connect()
    broken = replace(real, buildx_argv=(sys.executable, "-c", "print('hung up')"))
    builder = replace(ensure_builder(real, BuilderSpec(driver="docker")), driver="remote")  # reached through buildx
    history = BuilderHistory(broken, builder, frozenset([ROUTE]))
    history.connect()
    with pytest.raises(EngineError, match="the builder's history cannot be had"):
        history.trace_of("default/default/nosuchbuild", ROUTE)
    history.engine = real
    history.connect()
    ref = build(tmp_path, "FROM scratch\nCOPY Dockerfile /\n", TRACES[0])
    assert TRACES[0] in history.trace_of(ref, ROUTE)
    history.close()
