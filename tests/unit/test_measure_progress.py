"""BuildKit's raw progress, as it comes and as it should not, to steps with times."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.measure.progress import LogLine, Progress, export_seconds, find_bases, make_steps, parse_time, pull_seconds
from orchestrator.record import Base

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """Write a moment as BuildKit does."""
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def vertex(name: str, started: float | None = None, completed: float | None = None, **more: Any) -> dict[str, Any]:  # JSON
    """Make a vertex as a line of progress has it; its digest follows from its name."""
    found: dict[str, Any] = {"digest": f"sha256:{name}", "name": name, **more}
    found |= {"started": at(started)} if started is not None else {}
    return found | ({"completed": at(completed)} if completed is not None else {})


def status(name: str, what: str, first: float, last: float | None = None) -> dict[str, Any]:
    """Make a status of a vertex: something that moves."""
    found = {"id": what, "vertex": f"sha256:{name}", "timestamp": at(first), "started": at(first)}
    return found | ({"completed": at(last)} if last is not None else {})


def progress_of(*lines: dict[str, Any]) -> Progress:
    """Feed lines to a new progress."""
    progress = Progress()
    for line in lines:
        progress.feed(json.dumps(line).encode())
    return progress


def vertices(*found: dict[str, Any]) -> dict[str, Any]:
    """Make a line that holds vertices."""
    return {"vertexes": list(found)}


def test_an_executed_step_has_its_stage_instruction_and_time() -> None:
    """A Dockerfile step is told from BuildKit's own work and taken apart."""
    name = "[build 2/3] RUN  apk add \\\n  gcc"
    (step,) = make_steps(
        progress_of(vertices(vertex("[internal] load build definition from Dockerfile", 0, 1), vertex(name, 1, 3.5)))
    )
    assert (step.name, step.stage, step.instruction) == (name, "build", "RUN apk add \\ gcc")
    assert (step.outcome, step.duration_s, step.started_at) == ("executed", 2.5, START + timedelta(seconds=1))


def test_a_step_without_a_stage_has_none() -> None:
    """A Dockerfile with one nameless stage has steps without a stage."""
    (step,) = make_steps(progress_of(vertices(vertex("[1/2] FROM docker.io/library/alpine:3", 0, 1))))
    assert (step.stage, step.instruction) == (None, "FROM docker.io/library/alpine:3")


def test_a_platform_is_part_of_the_stages_name() -> None:
    """Where BuildKit names the platform too, it stays beside the stage."""
    (step,) = make_steps(progress_of(vertices(vertex("[linux/arm64 build 1/2] FROM x", 0, 1))))
    assert step.stage == "linux/arm64 build"


def test_a_cached_step_stays_cached() -> None:
    """Once BuildKit has said that a step came from the cache, a later line does not take it back."""
    name = "[2/2] RUN true"
    progress = progress_of(vertices(vertex(name, 1, 1, cached=True)), vertices(vertex(name, 1, 1)))
    (step,) = make_steps(progress)
    assert (step.outcome, step.duration_s) == ("cached", 0.0)


def test_a_failed_step_is_found_and_cancelled_ones_are_not_it() -> None:
    """The step that failed is the one to name, not those that were stopped because of it."""
    progress = progress_of(
        vertices(vertex("[a 2/2] RUN sleep", 0, 2, error="context canceled: context canceled")),
        vertices(vertex("[b 2/2] RUN false", 0, 2, error='process "/bin/sh -c false" did not complete successfully: exit code: 1')),
    )
    assert progress.failed_step is not None
    assert progress.failed_step.name == "[b 2/2] RUN false"
    quoted = 'process "/bin/sh -c echo context canceled; exit 3" did not complete successfully: exit code: 3'
    cancelled = 'process "/bin/sh -c make" did not complete successfully: exit code: 137: context canceled: context canceled'
    progress = progress_of(vertices(vertex("[a 2/2] RUN make", 0, 2, error=cancelled), vertex("[b 2/2] RUN x", 0, 2, error=quoted)))
    assert progress.failed_step is not None
    assert progress.failed_step.name == "[b 2/2] RUN x", "a command may hold any words"
    assert Progress().failed_step is None


def test_a_step_told_in_several_lines_is_one_step() -> None:
    """BuildKit repeats a vertex as it goes on; the first start, the last end and the last name count."""
    name = "[2/2] RUN make"
    progress = progress_of(
        vertices(vertex(name, inputs=["sha256:base"])),
        vertices(vertex(name, 5)),
        vertices(vertex(name, 3)),
        vertices(vertex(name, 5, 7)),
        vertices(vertex(name, 5, 9)),
        vertices(vertex(name, 5, 8)),
        vertices({"digest": f"sha256:{name}"}),
    )
    (step,) = make_steps(progress)
    assert (step.started_at, step.duration_s) == (START + timedelta(seconds=3), 6.0)
    assert progress.vertices[f"sha256:{name}"].inputs == ("sha256:base",)


def test_a_joined_step_began_before_this_build_did() -> None:
    """A step that another build had begun already keeps its own start, and comes first."""
    progress = progress_of(vertices(vertex("[1/2] FROM x", 10, 11)), vertices(vertex("[2/2] RUN shared", -20, 15)))
    steps = make_steps(progress)
    assert [step.instruction for step in steps] == ["RUN shared", "FROM x"]
    assert steps[0].duration_s == 35.0


def test_what_another_build_had_done_before_this_one_began_was_there() -> None:
    """While the other goes on, BuildKit tells its steps with the times of then, and what they moved; a failure is told as it is."""
    base, early, late, failed = "[1/4] FROM x", "[2/4] RUN early", "[3/4] RUN late", "[4/4] RUN failed"
    progress = progress_of(
        vertices(vertex("[internal] load build definition from Dockerfile", 0, 0.1)),
        vertices(vertex(early, -8, -2), vertex(base, -20, -10), vertex(late, -2, 1), vertex(failed, -5, -4, error="no")),
        {"statuses": [status(base, "sha256:l1", -20, -10), status(late, "sha256:l2", 0.2, 0.7)]},
    )
    assert [(step.instruction, step.outcome, step.started_at, step.duration_s) for step in make_steps(progress)] == [
        ("FROM x", "cached", START, 0.0),
        ("RUN early", "cached", START, 0.0),
        ("RUN failed", "executed", START - timedelta(seconds=5), 1.0),
        ("RUN late", "executed", START - timedelta(seconds=2), 3.0),
    ]
    assert pull_seconds(progress) == 0.5
    joined = progress_of(
        vertices(vertex("[internal] load build definition from Dockerfile", 0, 0.1), vertex(base, -20, 3)),
        {"statuses": [status(base, "sha256:l1", -20, 3)]},
    )
    assert pull_seconds(joined) == 3.0, "no build pulls before it begins"


@pytest.mark.parametrize("name", ["[internal] booting buildkit", "loading policies Dockerfile.rego"])
def test_a_build_begins_by_the_builders_clock(name: str) -> None:
    """What buildx does before is told by the clock of its own machine, which may be ahead of the builder's."""
    ran = vertex("[1/1] RUN make", 1, 3)
    progress = progress_of(
        vertices(vertex(name, 5, 6)), vertices(vertex("[internal] load build definition from Dockerfile", 0, 0.1), ran)
    )
    assert progress.begun == START
    assert [(step.outcome, step.duration_s) for step in make_steps(progress)] == [("executed", 2.0)]


def test_a_step_that_did_not_end_has_no_duration() -> None:
    """What is not known is None; and a step that never started, since one before it failed, was not executed."""
    progress = progress_of(vertices(vertex("[1/3] FROM x", 0), vertex("[2/3] RUN never")))
    steps = make_steps(progress)
    assert [(step.instruction, step.duration_s, step.started_at) for step in steps] == [("FROM x", None, START)]


def test_a_step_that_another_is_built_on_was_there() -> None:
    """BuildKit says nothing of a step that it need not even look up, because it holds the one behind it."""
    first = {"digest": "sha256:first"}
    second = {"digest": "sha256:second", "inputs": ["sha256:first"]}
    announced = vertices(vertex("[1/3] COPY a b") | first, vertex("[2/3] RUN b") | second)
    own = vertex("[3/3] RUN c", 1, 2) | {"digest": "sha256:third", "inputs": ["sha256:second"]}
    steps = make_steps(progress_of(announced, vertices(own)))
    assert {step.instruction: step.outcome for step in steps} == {"COPY a b": "cached", "RUN b": "cached", "RUN c": "executed"}
    mine = vertex("[3/3] RUN c") | {"digest": "sha256:third", "inputs": ["sha256:second"]}
    others = vertex("[3/3] RUN c", 1, 1, cached=True) | {"digest": "sha256:other", "inputs": ["sha256:elsewhere"]}
    steps = make_steps(progress_of(vertices(mine), announced, vertices(others)))
    assert {step.instruction: step.outcome for step in steps} == {"COPY a b": "cached", "RUN b": "cached", "RUN c": "cached"}


def test_a_step_that_is_run_for_two_builds_is_told_once_by_each() -> None:
    """BuildKit puts the other build's step beside one's own, which is then never started, or cached afterwards."""
    mine, other = {"digest": "sha256:mine"}, {"digest": "sha256:other"}
    run = "[stage-0 2/2] RUN make"
    announced = vertices(vertex(run) | mine)
    ran = vertices(vertex(run, 1) | other), vertices(vertex(run, 1, 4) | other)
    held = vertices(vertex(run, 1, 1, cached=True) | other)
    afterwards = vertices(vertex(run, 4, 4, cached=True) | mine)
    words = "failed to calculate checksum of ref j1::x2: context canceled: context canceled"
    broken_off, theirs_broken_off = (vertices(vertex(run, 1, 1, error=words) | whose) for whose in (mine, other))
    cases: list[tuple[tuple[dict[str, Any], ...], list[tuple[str, str]]]] = [
        ((announced, *ran), [("sha256:other", "executed")]),
        ((announced, *ran, afterwards), [("sha256:other", "executed")]),
        ((announced, broken_off, *ran), [("sha256:other", "executed")]),
        ((announced, broken_off, held), [("sha256:other", "cached")]),
        ((announced, theirs_broken_off, afterwards), [("sha256:mine", "cached")]),
        ((announced, held), [("sha256:other", "cached")]),
        ((announced, held, afterwards), [("sha256:mine", "cached")]),
        ((announced,), []),
    ]
    for lines, told in cases:
        assert [(step.digest, step.outcome) for step in make_steps(progress_of(*lines))] == told


def test_a_step_of_another_stage_with_the_same_words_stays() -> None:
    """Another build runs one of them; the other came from the cache, as this build itself says."""
    context = vertex("[internal] load build context") | {"digest": "sha256:files"}
    copy = vertex("[final 1/2] COPY f /") | {"digest": "sha256:copy", "inputs": ["sha256:files"]}
    tested = vertex("[test 1/1] RUN make") | {"digest": "sha256:tested"}
    made = vertex("[final 2/2] RUN make") | {"digest": "sha256:made", "inputs": ["sha256:copy"]}
    theirs = vertex("[final 2/2] RUN make", 1, 4) | {"digest": "sha256:theirs", "inputs": ["sha256:copy"]}
    lines = vertices(context, copy, tested, made), vertices(theirs)
    found = vertices(tested | {"started": at(1), "completed": at(1), "cached": True})
    steps = make_steps(progress_of(*lines, found))
    assert sorted((step.digest, step.outcome) for step in steps if "RUN" in step.instruction) == [
        ("sha256:tested", "cached"),
        ("sha256:theirs", "executed"),
    ]


def test_an_image_that_is_fetched_for_a_step_is_one_however_it_is_called() -> None:
    """It has a number where a stage begins with it, and none where it is copied from, or stands in for another."""
    digest = f"sha256:{'ab' * 32}"
    names = {
        f"[build 1/2] FROM docker.io/library/x:1@{digest}": f"FROM docker.io/library/x:1@{digest}",
        f"FROM docker.io/library/x:1@{digest}": f"FROM docker.io/library/x:1@{digest}",
        f"[context base] docker.io/library/x:1@{digest}": f"FROM docker.io/library/x:1@{digest}",
        "[context base] x:1": "FROM x:1",
        "[context base] OCI load from client": "FROM base",
    }
    for name, instruction in names.items():
        (step,) = make_steps(progress_of(vertices(vertex(name, 0, 1))))
        assert step.instruction == instruction
    others = "[context base] load metadata for x:1", "[context files] load from client", "[internal] load build context"
    assert make_steps(progress_of(vertices(*(vertex(name, 0, 1) for name in others)))) == ()


def test_a_step_that_ends_before_it_starts_took_no_time() -> None:
    """Clocks of two machines may disagree; a time is never negative."""
    (step,) = make_steps(progress_of(vertices(vertex("[1/2] FROM x", 5, 4))))
    assert step.duration_s == 0.0


def test_the_step_under_way_is_known() -> None:
    """What a build is doing now is the vertex that started last."""
    progress = Progress()
    assert progress.current is None
    progress.feed(json.dumps(vertices(vertex("[1/2] FROM x", 0))).encode())
    progress.feed(json.dumps(vertices(vertex("[1/2] FROM x", 0, 1), vertex("[2/2] RUN y", 1))).encode())
    assert progress.current == "[2/2] RUN y"


def test_what_a_step_prints_is_decoded() -> None:
    """Logs come in base64 and may be any bytes; text that is no base64 is taken as it is."""
    progress = progress_of(vertices(vertex("[2/2] RUN x", 0)))
    logs = [
        {"vertex": "sha256:[2/2] RUN x", "data": base64.b64encode("grüße\n".encode()).decode()},
        {"vertex": "sha256:gone", "data": base64.b64encode(b"\xff\xfe").decode()},
        {"vertex": 7, "data": "not base64!"},
        {"vertex": None, "data": "ä"},
        {},
    ]
    assert progress.feed(json.dumps({"logs": logs}).encode()) == [
        LogLine("sha256:[2/2] RUN x", "[2/2] RUN x", "grüße\n", data="grüße\n".encode()),
        LogLine("sha256:gone", "", "\ufffd\ufffd", data=b"\xff\xfe"),
        LogLine("7", "", "not base64!", data=b"not base64!"),
        LogLine("None", "", "ä", data="ä".encode()),
        LogLine("", "", ""),
    ]


def test_no_character_breaks_where_a_piece_of_a_log_ends() -> None:
    """BuildKit hands on what it read, wherever that ends; steps and streams that print beside each other have their own."""
    progress, printed = Progress(), "grüße 😀\n".encode()
    texts: dict[tuple[str, bool], str] = {}
    for byte in printed:
        data = base64.b64encode(bytes([byte])).decode()
        logs = [{"vertex": step, "stream": stream, "data": data} for step in "ab" for stream in (1, 2)]
        for log in progress.feed(json.dumps({"logs": logs}).encode()):
            assert log.data == bytes([byte])
            texts[log.vertex, log.is_error] = texts.get((log.vertex, log.is_error), "") + log.text
    assert texts == dict.fromkeys([("a", False), ("a", True), ("b", False), ("b", True)], printed.decode())


def test_warnings_are_kept() -> None:
    """BuildKit's warnings about a Dockerfile are decoded and kept."""
    progress = progress_of({"warnings": [{"short": base64.b64encode(b"FromAsCasing").decode()}, {}]})
    assert progress.warnings == ["FromAsCasing", ""]


def test_what_is_no_progress_is_a_message() -> None:
    """Lines that buildx prints around its progress are kept as text, empty ones and garbage bounded."""
    progress = Progress()
    for line in (
        b"ERROR: failed to solve: x  ",
        b"",
        b"   ",
        b"\xff",
        b"{not json",
        b"{" + b"x" * 1000,
        b'{"vertexes": ' + b"[" * 5000,
    ):
        assert progress.feed(line) == []
    assert progress.messages[:3] == ["ERROR: failed to solve: x", "\ufffd", "{not json"]
    assert max(map(len, progress.messages)) == 200
    assert progress.vertices == {}


GARBAGE = [
    {"vertexes": None},
    {"vertexes": {"digest": "x"}},
    {"vertexes": [None, 1, "x", []]},
    {"vertexes": [{}]},
    {"vertexes": [{"digest": None, "name": 5, "started": 7, "completed": "soon", "cached": "x", "error": []}]},
    {"vertexes": [{"inputs": 5}]},
    {"vertexes": [{"inputs": {"a": 1}}]},
    {"statuses": [{"vertex": [], "id": 5}]},
    {"logs": [{"data": 5}]},
    {"warnings": [{"short": {}}]},
]


@pytest.mark.parametrize("line", GARBAGE, ids=map(str, GARBAGE))
def test_progress_of_another_shape_breaks_nothing(line: dict[str, Any]) -> None:
    """Lines of a BuildKit yet to come may hold anything; measuring goes on."""
    progress = progress_of(line)
    assert make_steps(progress) == ()
    assert (pull_seconds(progress), export_seconds(progress)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T12:00:00Z", START),
        ("2026-01-01T12:00:00.5Z", START + timedelta(milliseconds=500)),
        ("2026-01-01T12:00:00.123456789Z", START + timedelta(microseconds=123456)),
        ("2026-01-01T12:00:00.000000001Z", START),
        ("2026-01-01T14:00:00.123+02:00", START + timedelta(milliseconds=123)),
        ("2026-01-01T12:00:00", START),
        ("soon", None),
        ("", None),
        (None, None),
        (1767268800, None),
    ],
)
def test_gos_times_are_read_to_the_microsecond(text: object, moment: datetime | None) -> None:
    """Nanoseconds are cut, offsets honoured, and what is no time is None."""
    assert parse_time(text) == moment


def test_pulls_are_counted_once_where_they_overlap() -> None:
    """The time of pulls is the time in which any layer was fetched or unpacked, not their sum."""
    one, two = "[a 1/2] FROM x", "[b 1/2] FROM y"
    progress = progress_of(
        vertices(vertex(one, 0, 20), vertex(two, 0, 20), vertex("exporting to image", 20, 30)),
        {"statuses": [status(one, "sha256:l1", 1, 4), status(one, "extracting sha256:l1", 4, 6)]},
        {"statuses": [status(two, "sha256:l2", 3, 8), status(one, "resolve docker.io/x", 0.5, 1)]},
        {"statuses": [status(two, "pulling layer", 12)]},
        {"statuses": [status(one, "transferring context", 0, 19), status("nobody", "sha256:l3", 0, 19)]},
        {"statuses": [status("exporting to image", "sha256:out", 20, 30), {"id": "sha256:x", "vertex": f"sha256:{one}"}]},
    )
    assert pull_seconds(progress) == 11.5
    assert pull_seconds(progress_of(vertices(vertex(one, 0, 1, cached=True)))) == 0.0


def test_the_export_is_measured_apart() -> None:
    """Writing the image out is its own time, however many outputs there are."""
    progress = progress_of(
        vertices(
            vertex("[1/1] FROM x", 0, 9), vertex("exporting to oci image format", 9, 11), vertex("exporting to image", 10, 14)
        ),
        vertices(vertex("exporting cache", 20), vertex("exporting cache to registry", 14, 30)),
    )
    assert export_seconds(progress) == 5.0


def test_bases_are_read_off_the_steps_that_fetch_them() -> None:
    """With a buildx that tells no provenance; of an image that is copied from, too. One without a digest leaves all unknown."""
    digest = f"sha256:{'ab' * 32}"
    slim = vertex(f"[builder 1/6] FROM docker.io/library/python:3.13-slim@{digest}", 1, 2)
    again = vertex(f"[runtime 1/2] FROM docker.io/library/python:3.13-slim@{digest}", 1, 2) | {"digest": "sha256:again"}
    others = [vertex(f"FROM {name}@{digest}", 1, 2) for name in ("docker.io/team/app:1", "127.0.0.1:5000/busybox")]
    found = (Base("python:3.13-slim", digest), Base("team/app:1", digest), Base("127.0.0.1:5000/busybox", digest))
    ran = vertex("[runtime 2/2] RUN echo FROM x", 2, 3)
    locked = vertex(f"[context host:5000/locked:1] host:5000/locked:1@{digest}", 1, 2)
    asked = vertex(f"[context host:5000/locked:1] load metadata for host:5000/locked:1@{digest}", 0, 1)
    assert find_bases(progress_of(vertices(asked, locked))) == (Base("host:5000/locked:1", digest),)
    assert find_bases(progress_of(vertices(slim, vertex("[context files] load from client", 1, 2)))) is None
    assert find_bases(progress_of(vertices(slim, again, *others, ran))) == found
    assert find_bases(progress_of(vertices(ran))) == ()
    assert find_bases(progress_of(vertices(slim, vertex("[2/2] FROM docker.io/library/mine:latest", 1, 2)))) is None
