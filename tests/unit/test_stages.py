"""Commands as stages of a build: the Dockerfile that is written, and what the end of a step means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.docker.stages import Task, find_step, is_clipped, make_end, render_dockerfile
from orchestrator.errors import EngineError
from orchestrator.measure.progress import Vertex

NOT_STARTED = 'runc run failed: unable to start container process: exec: "nosuch": executable file not found in $PATH\n'
FAILED = 'process "sh -c x" did not complete successfully: '


def test_each_task_is_a_stage_that_waits_for_the_one_before() -> None:
    """No shell, no network, nothing that a step could see of the others; the one before is mounted where nothing is kept."""
    tasks = [Task((("echo", "a b"),)), Task((("touch", "/x"), ("ls", "/x")), network="default", tmpfs=False)]
    start = "RUN --mount=type=secret,id=matrix-n0"
    before = "--mount=type=bind,from=check0,source=/dev/matrix-n0,target=/dev/matrix-before"
    assert render_dockerfile(tasks, ["cell0", "cell1"], "n0").splitlines() == [
        "FROM scratch AS empty",
        "WORKDIR /empty",
        "FROM cell0 AS check0",
        "COPY --from=empty /empty /dev/matrix-n0/",
        f'{start}-0-0 --network=none --mount=type=tmpfs,target=/tmp,size=64m ["echo","a b"]',
        "FROM cell1 AS check1",
        f'{start}-1-0 --network=default {before} ["touch","/x"]',
        f'{start}-1-1 --network=default {before} ["ls","/x"]',
    ]


@pytest.mark.parametrize(
    "word",
    [
        "<<EOF",
        "a\nRUN rm -rf /\n",
        "# no comment",
        'quo"te\\',
        "$HOME ${X:-y} `id`",
        "ünï\u2028\x00\x1b",
        "\\" * 70_000,
        " " * 130_000,
    ],
)
def test_a_command_stays_what_it_is(word: str) -> None:
    """Whatever a word holds, it is read back as the same word, in lines that BuildKit takes."""
    text = render_dockerfile([Task((("echo", word),))], ["cell0"], "n0")
    lines = text.split("\n")
    assert len(lines) == 3 or len(word) > 60_000
    assert all(len(line) < 65_536 and line.strip() for line in lines[:-1])
    run = text[text.index("RUN ") :].removesuffix("\n")
    assert "<" not in run
    assert "#" not in run
    assert not [line for line in run.split("\n")[:-1] if line.endswith("\\\\") or not line.endswith("\\")]
    assert json.loads(run[run.index("[") :].replace("\\\n", "")) == ["echo", word]


def test_a_step_is_known_by_a_name_that_no_image_knows() -> None:
    """The nonce of the build is in it; on another platform its name begins otherwise."""
    step = 'RUN --mount=type=secret,id=matrix-n0-12-3 --network=none ["x"]'
    assert find_step(f"[check12 1/2] {step}", "n0") == (12, 3)
    assert find_step(f"[linux/arm64 check12 1/2] {step}", "n0") == (12, 3)
    assert find_step(f"[check12 1/2] {step}", "n1") is None
    assert find_step(f'[check0 1/2] RUN ["echo", "[check12 1/2] {step}"]', "n0") is None


def vertex(error: str | None = None, **found: bool) -> Vertex:
    """Make a step that has ended."""
    return Vertex("sha256:0", "step", 0, error=error, **found)  # type: ignore[arg-type]  # only flags are given


@pytest.mark.parametrize(
    ("error", "stdout", "stderr", "code", "start_error"),
    [
        (None, "did not complete successfully: exit code: 3", "", 0, ""),
        (f"{FAILED}exit code: 3", "", "", 3, ""),
        (f"{FAILED}exit code: 137: cannot allocate memory", "", "", 137, ""),
        (f'process "echo did not complete successfully: exit code: 0" {FAILED}exit code: 7', "", "", 7, ""),
        ('process "echo unable to find user x" did not complete successfully: exit code: 7', "", "", 7, ""),
        (f"{FAILED}exit code: 1", "", NOT_STARTED, 1, NOT_STARTED.strip()),
        (f"{FAILED}exit code: 1", "more\n", NOT_STARTED, 1, ""),
        (f"{FAILED}exit code: 1", "", f"more\n{NOT_STARTED}", 1, ""),
        (f"{FAILED}exit code: 2", "", NOT_STARTED, 2, ""),
        (f"{FAILED}unable to find user x: no matching entries in passwd file", "", "", None,
         "unable to find user x: no matching entries in passwd file"),
    ],
)  # fmt: skip
def test_the_end_of_a_step_is_what_buildkit_says(
    error: str | None, stdout: str, stderr: str, code: int | None, start_error: str
) -> None:
    """The last code in BuildKit's words counts, since what comes before is the command itself."""
    ended = make_end(vertex(error), stdout, stderr)
    assert (ended.code, ended.start_error, ended.stdout, ended.stderr) == (code, start_error, stdout, stderr)


def test_what_buildkit_leaves_out_is_known() -> None:
    """A pattern that does not match the rest may have matched the whole; BuildKit says so where a piece ends, images anywhere."""
    note = b"\n[output clipped, log limit 200KiB/s reached]\n"
    assert is_clipped(b"y\n" * 10_000 + note)
    assert is_clipped(b"\n[output clipped, log limit 2MiB reached]\n")
    assert not any(map(is_clipped, (b"y\n", note + b"y\n", note.strip(), b"y" + note[1:], b"")))
    assert make_end(vertex(), "y\n", "", ["stdout"]).clipped == ("stdout",)
    assert make_end(vertex(), note.decode(), "").clipped == ()


def test_trouble_of_the_builder_is_not_the_images() -> None:
    """A step that was not run, or could not be, has no verdict."""
    with pytest.raises(EngineError, match=r"^the builder could not run a check: no space left on device$"):
        make_end(vertex(f"{FAILED}no space left on device"), "", "")
    with pytest.raises(EngineError, match=r"^the builder took a check from its cache instead of running it$"):
        make_end(vertex(cached=True), "", "")


def test_a_step_took_what_the_builder_says() -> None:
    """Whoever waits for it may have waited for others before."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    step = Vertex("sha256:0", "step", 0, started=began, completed=began + timedelta(seconds=1.5))
    assert (make_end(step, "", "").took_s, make_end(vertex(), "", "").took_s) == (1.5, None)
