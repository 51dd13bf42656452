"""Which runner a check gets, and what is said of what a step of a build cannot hold or ask."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.docker import process
from orchestrator.docker.containers import Confinement, Ended
from orchestrator.docker.graph import Graph, Place
from orchestrator.docker.process import Exit, Output
from orchestrator.model import HealthyCheck, HttpCheck, ImportCheck, Limits, ProbeCheck, RunCheck, StructureCheck
from orchestrator.probes import INPUT_VARIABLE
from orchestrator.smoke.choose import choose_runner, find_unheld
from orchestrator.smoke.run import Caller, Subject, foresee_steps, run_checks
from orchestrator.smoke.runners import Call, make_step, make_task
from orchestrator.smoke.served import read_health
from orchestrator.tracing.begin import begin_trace
from tests.unit.docker_fake import make_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.model import Check

PLAIN = RunCheck(("true",))
TIGHT = RunCheck(("true",), limits=Limits(memory_bytes=20 * 1024**2, pids=5, cpus=0.5, capabilities=("NET_RAW",)))
HERE = Path()


@pytest.mark.parametrize(
    ("asked", "check", "has_engine", "moves", "runner"),
    [
        ("auto", PLAIN, True, False, "container"),
        ("auto", PLAIN, True, True, "graph"),
        ("auto", TIGHT, True, True, "container"),
        ("auto", ProbeCheck("dns"), True, True, "container"),
        ("auto", ProbeCheck("tls"), True, True, "graph"),
        ("auto", TIGHT, False, True, "graph"),
        ("container", PLAIN, True, True, "container"),
        ("graph", TIGHT, True, False, "graph"),
    ],
)
def test_a_check_runs_where_its_image_need_not_be_moved(
    asked: str,
    check: Check,
    has_engine: bool,  # noqa: FBT001  # one of four circumstances
    moves: bool,  # noqa: FBT001  # as above
    runner: str,
) -> None:
    """A container where the image is in the engine, or where only a container can hold what the check asks for."""
    assert choose_runner(asked, check, HERE, has_engine=has_engine, moves=moves) == runner


def test_what_a_step_cannot_hold_is_named(tmp_path: Path) -> None:
    """Limits that are set by hand count; those that every container has do not."""
    assert list(find_unheld(TIGHT, HERE)) == [
        "a memory limit", "a process limit", "a processor limit", "capabilities of its own",
    ]  # fmt: skip
    internal = Limits(network="internal")
    assert list(find_unheld(replace(PLAIN, limits=internal), HERE)) == ["a network without a way out"]
    assert list(find_unheld(HttpCheck(80, limits=internal), HERE)) == []
    tmp_path.joinpath("s.yaml").write_text(
        'schemaVersion: "2.0.0"\ncontainerRunOptions: {capabilities: [NET_RAW]}\ncommandTests: [{name: a, command: b}]\n'
    )
    assert list(find_unheld(StructureCheck("s.yaml"), tmp_path)) == ["capabilities of its own"]
    assert list(find_unheld(StructureCheck("missing.yaml"), tmp_path)) == []


def test_a_script_is_an_argument_where_there_is_no_standard_input() -> None:
    """And forgets what BuildKit says of tracing, which is not the image's."""
    confinement = Confinement("r", "c", Limits(network="bridge", user="0"), (("A", "b"),))
    assert make_step(Call(("ls", "-l"), confinement)).argvs == (("ls", "-l"),)
    ((python, flag, script, word),) = make_step(Call(("python3", "w"), confinement, "print(1)\n")).argvs
    assert (python, flag, word) == ("python3", "-c", "w")
    assert script.startswith("import os\n")
    assert script.endswith("\nprint(1)\n")
    compile(script, "script", "exec")
    task = make_task([("a",)], confinement)
    assert (task.network, task.user, task.env, task.tmpfs) == ("default", "0", (("A", "b"),), True)
    assert make_task([("a",)], replace(confinement, limits=Limits(network="internal"))).network == "none"


@dataclass
class FakeRunner:
    """Gives an end for every call, and remembers them."""

    end: Any
    name: str = "graph"
    calls: list[Call] = field(default_factory=list)
    foreseen: list[tuple[Call, float] | None] = field(default_factory=list)

    def run(self, call: Call, timeout_s: float) -> Ended:
        """Answer as the test says."""
        assert timeout_s > 0
        self.calls.append(call)
        found: Ended = self.end(call)
        return found

    def foresee(self, calls: Sequence[tuple[Call, float] | None]) -> None:
        """Remember what it is told to expect."""
        self.foreseen += calls

    def close(self) -> None:
        """Do nothing."""

    __hash__ = object.__hash__


def end_with(code: int | None, stdout: str = "", start_error: str = "") -> Ended:
    """Make the end of a step."""
    return Ended(code, False, False, False, start_error, stdout, "")  # noqa: FBT003  # by position


def serve(**answer: object) -> Any:
    """Make the end of a step in which the image's service was asked."""
    return lambda call: end_with(0, json.dumps({"service": json.loads(call.words[1])["nonce"], **answer}) + "\n")


def make_subject(runner: FakeRunner, config: dict[str, Any] | None = None) -> Subject:
    """Make an image with a command, and what its configuration says besides."""
    place = Place(("buildx",), "b", None, HERE, {}, {}, Event())
    return Subject(
        caller=Caller("r", "c", (), ("serve",), 8000, "", read_health({"config": config or {}})),
        engine=make_engine(storage="", containerd_store=True),
        image="",
        folder=HERE,
        cancel=Event(),
        log=lambda _: None,
        trace=begin_trace({}),
        runner=runner,
        graph=Graph(place),
    )


def check_one(check: Check, end: Any, config: dict[str, Any] | None = None, command: tuple[str, ...] = ("serve",)) -> list[Any]:
    """Run one check in the graph; give what became of it."""
    runner = FakeRunner(end)
    subject = make_subject(runner, config)
    subject = replace(subject, caller=replace(subject.caller, command=command))
    smoke = run_checks(subject, [check], {check: runner}, 60.0)
    assert all(found.runner == "graph" for found in smoke.checks)
    return [(found.outcome, found.reason) for found in smoke.checks]


def test_a_service_is_asked_in_the_same_build_as_all_other_checks() -> None:
    """It is foreseen as it is called; but cells that are tested one after another do not wait for each other's services."""
    checks: list[Check] = [PLAIN, HealthyCheck(), HttpCheck(80, limits=Limits(timeout_s=3.0)), ImportCheck(("json",))]
    runner = FakeRunner(lambda _: end_with(0))
    subject = make_subject(runner, {"Healthcheck": {"Test": ["CMD", "true"]}})
    run_checks(subject, checks, dict.fromkeys(checks, runner), 60.0)
    foreseen = [one[0] for one in runner.foreseen if one]
    assert len(foreseen) == len(checks)
    assert foreseen == runner.calls
    assert json.loads(foreseen[2].words[1])["within_s"] == 3.0, "no longer than the check may take"
    assert foresee_steps(subject.caller, checks) == [(make_step(foreseen[0]), 60.0)]
    without = replace(subject, caller=replace(subject.caller, command=(), health=None))
    runner.foreseen.clear()
    run_checks(without, checks, dict.fromkeys(checks, runner), 60.0)
    assert [one is None for one in runner.foreseen] == [False, True, True, False], "nothing could be started"


def test_checks_that_ran_ahead_are_counted_against_the_time_of_all() -> None:
    """A limit that the first run breaks is broken by the second, whose checks were run beside the builds."""
    subject = make_subject(FakeRunner(None))

    def run_ahead(_: Call) -> Ended:
        assert subject.graph is not None
        subject.graph.ahead_s += 6.0
        return end_with(0)

    checks: list[Check] = [RunCheck(("a",)), RunCheck(("b",)), RunCheck(("c",))]
    smoke = run_checks(subject, checks, dict.fromkeys(checks, FakeRunner(run_ahead)), 10.0)
    assert [(found.outcome, found.reason) for found in smoke.checks] == [
        ("passed", None), ("passed", None), ("timeout", "not started: the cell's checks took 10 s"),
    ]  # fmt: skip


def test_what_an_engine_cannot_limit_is_skipped_with_its_reason() -> None:
    """A check that asks for a limit has not passed where none was held; the limits of all checks are left out without a word."""
    runner = FakeRunner(lambda _: end_with(0), name="container")
    subject = make_subject(runner)
    subject = replace(subject, engine=replace(subject.engine, unlimited=("memory", "processes", "processors")))
    checks: list[Check] = [PLAIN, TIGHT, RunCheck(("true",), limits=Limits(cpus=0.5))]
    smoke = run_checks(subject, checks, dict.fromkeys(checks, runner), 60.0)
    reason = "it asks for a memory limit and a process limit, to which this engine can hold no container"
    assert [(found.outcome, found.reason) for found in smoke.checks] == [("passed", None), ("skipped", reason), ("passed", None)]


def test_what_a_step_cannot_do_is_skipped_with_its_reason() -> None:
    """It has not passed: nobody has tried."""
    assert check_one(TIGHT, None) == [
        (
            "skipped",
            "it needs a container, since it asks for a memory limit, a process limit, a processor limit, capabilities of its own",
        )
    ]
    [(outcome, reason)] = check_one(ProbeCheck("dns"), None)
    assert (outcome, reason) == ("skipped", "it needs a container: it writes /etc/resolv.conf, which BuildKit mounts read-only")
    without = lambda _: end_with(1, start_error='exec: "python3": executable file not found in $PATH')  # noqa: E731  # short
    [(outcome, reason)] = check_one(HttpCheck(80), without)
    assert outcome == "skipped"
    assert reason.startswith("it needs a container: inside a build only a Python could start the image's command")
    assert check_one(ImportCheck(("json",)), without)[0][0] == "failed"


@pytest.mark.parametrize(("timeout_s", "patience"), [(None, 1.0), (30.0, 1.0), (600.0, 5.0)])
def test_a_probe_waits_longer_where_the_check_may_take_longer(timeout_s: float | None, patience: float) -> None:
    """A time limit of its own would end it all the same; a shorter one is held by the runner."""
    told: list[Any] = []

    def answer(call: Call) -> Ended:
        told.append(json.loads(dict(call.confinement.env)[INPUT_VARIABLE])["patience"])
        return end_with(0, json.dumps({"probe": "tls", "outcome": "passed"}) + "\n")

    assert check_one(ProbeCheck("tls", limits=Limits(timeout_s=timeout_s)), answer) == [("passed", None)]
    assert told == [patience]


def fake(_: Call) -> Ended:
    """Make the end of a step in which the image itself printed a report, without the nonce that it was not told."""
    return end_with(0, '{"service": "0", "last": {"status": 200, "headers": {}, "body": "", "fits": true}}\n')


@pytest.mark.parametrize(
    ("check", "end", "found"),
    [
        (HttpCheck(80), serve(last={"status": 200, "headers": {}, "body": "", "fits": True}), ("passed", None)),
        (
            HttpCheck(80, body="x"),
            serve(last={"status": 200, "headers": {}, "body": "y", "fits": False}),
            ("failed", "after 30 s: the body does not match 'x': y"),
        ),
        (
            HttpCheck(80, header=(("X-Id", "^a"),)),
            serve(last={"status": 200, "headers": {"x-id": "b"}, "body": "", "fits": True}),
            ("failed", "after 30 s: header 'X-Id' is 'b', which does not match '^a'"),
        ),
        (HttpCheck(80), serve(last={"refused": True}), ("failed", "after 30 s: nothing listens on port 80")),
        (HttpCheck(80), serve(last={"error": "E: x"}), ("failed", "after 30 s: no answer on port 80 (E: x)")),
        (
            HttpCheck(80),
            serve(last={"refused": True}, code=-11, tail="a\nboom\n"),
            ("failed", "the container ended: segmentation fault (SIGSEGV), exit 139: boom"),
        ),
        (HttpCheck(80), serve(not_started="[Errno 2] No such file"), ("failed", "'serve' is not in the image")),
        (HttpCheck(80), serve(last="nonsense"), ("failed", "after 30 s: no answer on port 80 (nothing was asked)")),
        (HttpCheck(80), fake, ("error", "the image's Python did not say what came of it")),
        (HttpCheck(80), lambda _: end_with(137), ("failed", "killed (SIGKILL), exit 137")),
        (HealthyCheck(), serve(last={"code": 0}), ("passed", None)),
        (HealthyCheck(), serve(last={"code": 1, "output": "no\n"}), ("failed", "not healthy within 30 s: HEALTHCHECK says: no")),
        (
            HealthyCheck(),
            serve(last={"code": 1, "output": "no\n"}, code=3, tail="bad config"),
            ("failed", "not healthy within 30 s: the container ended: exit 3: bad config"),
        ),
    ],
)  # fmt: skip
def test_a_service_is_judged_as_it_is_from_outside(check: Check, end: Any, found: tuple[str, str | None]) -> None:
    """In the same words; what is not reported under the nonce is something printed."""
    assert check_one(check, end, {"Healthcheck": {"Test": ["CMD", "true"]}}) == [found]


def test_an_image_without_a_health_check_or_a_command_fails() -> None:
    """As it does in a container."""
    assert check_one(HealthyCheck(), None) == [("failed", "the image has no HEALTHCHECK")]
    assert check_one(HealthyCheck(), None, {"Healthcheck": {"Test": ["NONE"]}}) == [("failed", "the image has no HEALTHCHECK")]
    assert check_one(HttpCheck(80), None, command=()) == [("failed", "the image has no command to start")]


def test_a_health_check_is_what_the_image_says() -> None:
    """With the image's own time limit, start period and retries; its SHELL an engine does not pass on to a container."""
    asked: list[dict[str, Any]] = []

    def answer(call: Call) -> Ended:
        asked.append(json.loads(call.words[1]))
        return end_with(0)

    second = 10**9
    health = {"Test": ["CMD-SHELL", "exit 0"], "Timeout": 3 * second, "StartPeriod": 5 * second, "Retries": 7}
    check_one(HealthyCheck(), answer, {"Healthcheck": health, "Shell": ["/bin/ash", "-c"]})
    check_one(HealthyCheck(), answer, {"Healthcheck": {"Test": ["CMD", "ok"]}})
    told = [(one["test"], one["each_s"], one["start_s"], one["retries"], one["command"]) for one in asked]
    assert told == [(["/bin/sh", "-c", "exit 0"], 3.0, 5.0, 7, ["serve"]), (["ok"], 30.0, 0.0, 3, ["serve"])]


@pytest.mark.parametrize(
    ("check", "end"),
    [
        (RunCheck(("echo",), stdout="^(a+)+$"), lambda _: end_with(0, "a" * 40)),
        (
            HttpCheck(80, header=(("X-Id", "^(a+)+$"),)),
            serve(last={"status": 200, "headers": {"x-id": "a" * 40}, "body": "", "fits": True}),
        ),
    ],
)
def test_a_pattern_that_an_image_keeps_busy_is_a_timeout(monkeypatch: pytest.MonkeyPatch, check: Check, end: Any) -> None:
    """Of that check alone: the others are run, and nobody's time limit waits for it."""
    monkeypatch.setattr(process, "run", lambda *_, **__: Output(Exit(None, timed_out=True), "", ""))
    assert check_one(check, end) == [("timeout", "its patterns are still at work after 10 s; simplify them")]


def test_output_that_buildkit_cut_short_is_not_held_against_the_image() -> None:
    """Nor for it."""
    check = RunCheck(("yes",), stdout="^z")
    cut = lambda _: replace(end_with(0, "y\n"), clipped=("stdout",))  # noqa: E731  # short
    assert check_one(check, cut) == [("error", "BuildKit left out a part of its output; the rest does not match '^z'")]
    assert check_one(replace(check, stdout="^y"), cut) == [("passed", None)]
    other = lambda _: replace(end_with(0, "y\n"), clipped=("stderr",))  # noqa: E731  # short
    assert check_one(check, other) == [("failed", "its output does not match '^z': y")]
