"""Jaeger through `matrix jaeger`, with a docker on the PATH that starts nothing and remembers what it was asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.store import Reports
from orchestrator.tracing.otlp import dump_lines
from tests.forked import run_forked
from tests.spans import make_trace
from tests.unit.records import run_json

if TYPE_CHECKING:
    from collections.abc import Callable

DOCKER = """#!/bin/sh
echo "$*" >> "$0.asked"
case "$1 $2" in
  "buildx version") echo "github.com/docker/buildx v0.29.1 x" ;;
  "info --format") echo '{"ServerVersion": "28.5.2", "OSType": "linux", "Architecture": "x86_64"}' ;;
  "context inspect") echo unix:///var/run/docker.sock ;;
  "container inspect") test -f "$0.state" && cat "$0.state" ;;
  "run --detach") if test -f "$0.refusal"; then cat "$0.refusal" >&2; exit 125; fi; echo "running yes" > "$0.state" ;;
  "rm --force") rm -f "$0.state" ;;
  *) exit 99 ;;
esac
"""
USE = "UI at http://127.0.0.1:16686; send traces with OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\n"


class Docker:
    """The docker on the PATH, and matrix run with it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "docker"
        self.path.write_text(DOCKER)
        self.path.chmod(0o755)
        self.folder = folder

    def matrix(self, *argv: str, **env: str) -> tuple[int, str, str]:
        """Run `matrix jaeger`; give its exit code and what it printed."""
        path = os.pathsep.join([str(self.folder), "/usr/bin", "/bin"])
        variables = {"PATH": path, **env}
        done = run_forked(["jaeger", *argv], self.folder, variables, timeout_s=60)
        return done.returncode, done.stdout, done.stderr

    def file(self, ending: str) -> Path:
        """Name a file that the docker reads or writes."""
        return self.path.with_name(f"docker.{ending}")

    def asked(self, word: str) -> list[str]:
        """Give the commands that begin with a word."""
        return [line for line in self.file("asked").read_text().splitlines() if line.startswith(word)]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    """Give a docker that knows no Jaeger yet."""
    return Docker(tmp_path)


def test_jaeger_is_started_on_the_loopback_and_labelled_as_ours(docker: Docker) -> None:
    """Detached, with a pinned image and all of its ports unreachable from other machines."""
    assert docker.matrix("start") == (0, f"started Jaeger (matrix-jaeger); {USE}", "")
    ports = "--publish 127.0.0.1:4317:4317 --publish 127.0.0.1:4318:4318 --publish 127.0.0.1:16686:16686"
    start = f"run --detach --name matrix-jaeger --label io.matrix.jaeger=yes {ports}"
    assert docker.asked("run") == [f"{start} docker.io/jaegertracing/jaeger:2.17.0"]


def test_twice_is_as_good_as_once(docker: Docker) -> None:
    """A Jaeger that runs is found again, and one that has stopped is started anew."""
    docker.matrix("start")
    assert docker.matrix("start") == (0, f"Jaeger already runs (matrix-jaeger); {USE}", "")
    assert len(docker.asked("run")) == 1
    docker.file("state").write_text("exited yes\n")
    assert docker.matrix("start", "--image", "mirror/jaeger:1")[1].startswith("started Jaeger")
    assert docker.asked("rm") == ["rm --force matrix-jaeger"]
    assert docker.asked("run")[1].endswith(" mirror/jaeger:1")


def test_jaeger_is_stopped_and_gone(docker: Docker) -> None:
    """And where there is none, that is said."""
    docker.matrix("start")
    assert docker.matrix("stop")[:2] == (0, "stopped Jaeger (matrix-jaeger); the traces that it held are gone\n")
    assert docker.matrix("stop")[:2] == (0, "Jaeger does not run here\n")


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_container_of_somebody_else_is_left_alone(docker: Docker, action: str) -> None:
    """The name alone does not make it ours."""
    docker.file("state").write_text("running \n")
    code, out, err = docker.matrix(action)
    assert (code, out) == (4, "")
    assert err == "matrix: there is a container matrix-jaeger that matrix did not make; remove or rename it\n"
    assert docker.asked("rm") == []


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            "Unable to find image 'x' locally\ndocker: Error response from daemon: Get \"https://r/v2/\": dial tcp: no such host\n",
            "the image docker.io/jaegertracing/jaeger:2.17.0 cannot be pulled: docker: Error response from daemon: Get",
        ),
        (
            "docker: manifest unknown.\nSee 'docker run --help'.\n",
            "cannot be pulled: docker: manifest unknown.; another one is nam",
        ),
        (
            "docker: Bind for 127.0.0.1:4317 failed: port is already allocated.\n\nRun 'docker run --help' for more\n",
            "a port of Jaeger (4317, 4318, 16686) is taken, perhaps by another Jaeger or a collector",
        ),
        ("docker: odd.\n", "Jaeger did not start: docker: odd."),
    ],
)
def test_why_it_does_not_start_is_said(docker: Docker, refusal: str, words: str) -> None:
    """With what to do about it, and no container left behind."""
    docker.file("refusal").write_text(refusal)
    code, out, err = docker.matrix("start")
    assert (code, out) == (4, "")
    assert words in err
    assert "Traceback" not in err


def test_an_engine_that_does_not_answer_is_named(docker: Docker) -> None:
    """As by every other command."""
    docker.path.write_text(DOCKER.replace('"info --format")', '"no info")'))
    code, _, err = docker.matrix("start", DOCKER_HOST="tcp://127.0.0.1:1")
    assert code == 4
    assert "no engine answers at tcp://127.0.0.1:1" in err


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[str], str]:
    """Give a way to store a run with a trace; its trace id comes back."""

    def store(matrix: str) -> str:
        run = Reports(tmp_path / "reports").new_run()
        run.save_text("run.json", run_json())
        trace = make_trace()
        run.save_text("trace.json", dump_lines(reversed(trace)))
        if matrix:
            (tmp_path / "Dockerfile").write_text("FROM scratch\n")
            (tmp_path / "matrix.yaml").write_text(f"version: 1\nname: m\naxes: {{a: [b]}}\n{matrix}\n")
        return trace[0].trace_id

    return store


def test_the_address_of_the_latest_run_is_printed(docker: Docker, stored: Callable[[str], str]) -> None:
    """Without matrix.yaml, without an engine, and without a browser."""
    assert docker.matrix("open") == (2, "", f"matrix: there are no runs in {Path('reports/runs')}; `matrix run` makes one\n")
    trace_id = stored("")
    assert docker.matrix("open") == (0, f"http://127.0.0.1:16686/trace/{trace_id}\n", "")


def test_the_address_is_the_one_that_matrix_yaml_names(docker: Docker, stored: Callable[[str], str]) -> None:
    """With the trace id in its place; and nothing but a web address is opened."""
    trace_id = stored('traces: {ui: "https://tempo/explore?id={trace_id}"}')
    assert docker.matrix("open")[1] == f"https://tempo/explore?id={trace_id}\n"
    stored('traces: {ui: "file:///etc/{trace_id}"}')
    code, out, err = docker.matrix("open")
    assert (code, out) == (2, "")
    assert "matrix.yaml:4: traces.ui: " in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "is damaged: line 1 is not an OTLP/JSON document"),
        ("", "holds no root span with a trace id"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"../x","spanId":"1"}]}]}]}', "holds no root span with a trace id"),
    ],
)
def test_a_trace_that_tells_nothing_is_an_error(
    docker: Docker, stored: Callable[[str], str], tmp_path: Path, text: str | None, words: str
) -> None:
    """A stored run may come from anywhere, and may be of a version that did not trace."""
    stored("")
    (trace,) = tmp_path.glob("reports/runs/*/trace.json")
    trace.unlink()
    if text is not None:
        trace.write_text(text)
    code, out, err = docker.matrix("open")
    assert (code, out) == (2, "")
    assert words in err
