"""Smoke checks: what they find, what they name, and what their containers may not do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import DOCKERFILE, Project
from tests.e2e.test_run import leftovers

HTTPD = DOCKERFILE.replace(
    'CMD ["sleep", "100"]',
    'RUN mkdir -p /www && echo "hello from inside" > /www/index.html\n'
    "HEALTHCHECK --interval=30s CMD wget -q -O /dev/null http://127.0.0.1:8000/\n"
    'CMD ["httpd", "-f", "-p", "8000", "-h", "/www"]',
)


def smoke(project: Project, *checks: dict[str, Any], exit_code: int = 1, **defaults: Any) -> list[dict[str, Any]]:
    """Run a matrix of one cell with these checks; give what became of each."""
    project.write(defaults={"smoke": list(checks), "retries": 0, **defaults})
    record = project.run(exit_code=exit_code)
    assert leftovers(project) == []
    found: list[dict[str, Any]] = record["cells"][0]["smoke"]["checks"]
    return found


def test_commands_are_judged_by_exit_code_and_output(project: Project) -> None:
    """What is not in the image, what ends otherwise and what says something else is named."""
    checks = smoke(
        project,
        {"run": ["echo", "hello"], "stdout": "^hel+o$"},
        {"run": ["sh", "-c", "exit 4"], "exit": 4},
        {"run": ["echo", "hello"], "stdout": "goodbye"},
        {"run": ["/nowhere/python", "-V"]},
        {"import": ["json"]},
    )
    assert [(check["outcome"], check["reason"]) for check in checks] == [
        ("passed", None),
        ("passed", None),
        ("failed", "its output does not match 'goodbye': hello"),
        ("failed", "'/nowhere/python' is not in the image"),
        ("failed", "there is no Python in the image ('python3' and 'python' are not on its PATH)"),
    ]


def test_a_container_that_the_engine_will_not_make_is_its_checks_alone(project: Project) -> None:
    """What was measured stays, and so does what other checks found."""
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE.replace('CMD ["sleep", "100"]', ""))
    checks = smoke(project, {"run": ["true"]}, {"healthy": {"within": "1s"}}, {"run": ["true"], "memory": "1MB"})
    assert [check["outcome"] for check in checks] == ["passed", "failed", "failed"]
    assert checks[1]["reason"].startswith("the container could not be made: no command")
    assert "emory limit" in checks[2]["reason"]
    assert project.record()["cells"][0]["image"]["uncompressed_bytes"] > 0


def test_a_cell_of_which_no_check_could_be_run_says_so(project: Project) -> None:
    """It has not failed, and nothing has passed."""
    project.write(
        defaults={"smoke": [{"run": ["true"], "memory": "20MiB"}]}, builder={"driver": "docker", "name": "x", "smoke": "graph"}
    )
    (cell,) = project.run()["cells"]
    assert (cell["status"], cell["smoke"]["outcome"]) == ("passed", "skipped")
    assert cell["reason"] == "no check was run: run true: it needs a container, since it asks for a memory limit"
    assert "no check was run" in project.matrix("report").stdout


def test_a_cell_of_which_one_check_could_not_be_run_says_so(project: Project) -> None:
    """It has passed by its other checks, and a table with 1/2 alone leaves people to guess."""
    checks = [{"run": ["true"]}, {"run": ["true"], "memory": "20MiB"}]
    project.write(defaults={"smoke": checks}, builder={"driver": "docker", "name": "x", "smoke": "graph"})
    (cell,) = project.run()["cells"]
    assert (cell["status"], cell["smoke"]["outcome"]) == ("passed", "passed")
    assert cell["reason"] == "1 of 2 checks was not run: run true: it needs a container, since it asks for a memory limit"
    assert "1 of 2 checks was not run" in project.matrix("report").stdout


def test_signals_and_lack_of_memory_are_named(project: Project) -> None:
    """137 and 139 say nothing to most people; of memory the engine hears from when it listens to when nothing is left."""
    starved = "sleep 2; dd if=/dev/zero of=/dev/null bs=60M count=1; code=$?; sleep 2; exit $code"
    checks = smoke(
        project,
        {"run": ["sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"]},
        {"run": ["sh", "-c", "sh -c 'kill -KILL $$'; exit $?"]},
        {"run": ["sh", "-c", starved], "memory": "20MiB"},
    )
    assert [check["reason"] for check in checks] == [
        "segmentation fault (SIGSEGV), exit 139: Segmentation fault",
        "killed (SIGKILL), exit 137: Killed",
        "out of memory (limit 20 MiB), exit 137: Killed",
    ]


def test_a_check_that_hangs_or_floods_is_stopped_in_time(project: Project) -> None:
    """With all its children, however it takes being told to end."""
    checks = smoke(
        project,
        {"run": ["sh", "-c", "trap '' TERM; sleep 100 & sleep 100 & wait; sleep 100"], "timeout": "1s"},
        {"run": ["yes"], "timeout": "1s"},
        {"run": ["sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; exit 3"]},
    )
    assert [check["outcome"] for check in checks] == ["timeout", "timeout", "failed"]
    assert all(check["duration_s"] < 20 for check in checks)
    assert project.latest.joinpath("cells/one/smoke.log").stat().st_size < 3_000_000


def test_a_pattern_that_an_image_keeps_busy_is_ended(project: Project) -> None:
    """While Python is at it nothing else would go on: no time limit, no other cell, no Ctrl-C."""
    trap = {"run": ["echo", "a" * 40 + "!"], "stdout": "^(a+)+$", "timeout": "3s"}
    checks = smoke(project, trap, {"run": ["echo", "ok"], "stdout": "ok"})
    assert [check["outcome"] for check in checks] == ["timeout", "passed"]
    assert "its patterns are still at work after" in checks[0]["reason"]
    assert checks[0]["duration_s"] < 20


def test_the_time_of_all_checks_together_is_limited(project: Project) -> None:
    """What did not get its turn is a timeout too, not a pass."""
    project.write(defaults={"smoke": [{"run": ["sleep", "100"]}, {"run": ["true"]}], "timeout": {"smoke": "2s"}})
    cell = project.run(exit_code=1)["cells"][0]
    assert (cell["status"], cell["smoke"]["outcome"]) == ("timeout", "timeout")
    assert [check["outcome"] for check in cell["smoke"]["checks"]] == ["timeout", "timeout"]
    assert cell["smoke"]["checks"][1]["reason"].startswith("not started")


def test_containers_are_shut_in(project: Project) -> None:
    """No network, no capabilities, no new privileges, a root that cannot be written."""
    way_out = "cut -f2 /proc/net/route | grep -x 00000000"  # the route to everywhere
    checks = smoke(
        project,
        {"run": ["sh", "-c", "grep CapEff /proc/self/status"], "stdout": r"CapEff:\s+0000000000000000"},
        {"run": ["sh", "-c", "grep NoNewPrivs /proc/self/status"], "stdout": r"NoNewPrivs:\s+1"},
        {"run": ["sh", "-c", "ls /sys/class/net"], "stdout": r"^lo\s*$"},
        {"run": ["touch", "/new"], "exit": 1},
        {"run": ["touch", "/tmp/new"]},  # noqa: S108  # inside the container
        {"run": ["sh", "-c", "cp /bin/busybox /tmp/true && /tmp/true"]},
        {"run": ["touch", "/new"], "writable": True},
        {"run": ["sh", "-c", f"ls /sys/class/net; {way_out}"], "network": "internal", "stdout": "eth0", "exit": 1},
        {"run": ["sh", "-c", "grep CapEff /proc/self/status"], "capabilities": ["NET_BIND_SERVICE"], "stdout": "0400$"},
        {"run": ["sh", "-c", "for i in $(seq 50); do sleep 5 & done; wait"], "pids": 20, "exit": 2},
        exit_code=0,
    )
    assert {check["outcome"] for check in checks} == {"passed"}


@pytest.mark.answering
def test_a_service_is_asked_over_http_and_by_its_own_health_check(project: Project) -> None:
    """On a network without a way out; its HEALTHCHECK is asked every second, not every thirty."""
    project.folder.joinpath("Dockerfile").write_text(HTTPD)
    http = {"port": 8000, "within": "10s"}
    checks = smoke(
        project,
        {"healthy": {"within": "10s"}},
        {"http": {**http, "body": "hello from", "header": {"content-type": "text/html"}}},
        {"http": {**http, "path": "/missing", "status": 404}},
        exit_code=0,
    )
    assert [check["outcome"] for check in checks] == ["passed"] * 3


def test_a_service_that_cannot_be_reached_and_has_no_python_is_not_asked(project: Project) -> None:
    """An address of the engine's containers may be somebody else's here: nobody is asked in the service's place."""
    project.folder.joinpath("Dockerfile").write_text(HTTPD)
    project.write(defaults={"smoke": [{"http": {"port": 8000, "within": "10s"}}, {"healthy": {"within": "10s"}}]})
    asked, healthy = project.run_in_another_network(exit_code=0)["cells"][0]["smoke"]["checks"]
    assert (asked["outcome"], healthy["outcome"]) == ("skipped", "passed")
    assert asked["reason"] == (
        "the engine's containers cannot be asked from here: "
        "inside one only a Python could start the image's command and ask it there, and the image has none"
    )
    assert leftovers(project) == []


@pytest.mark.answering
def test_what_is_wrong_with_a_service_is_said(project: Project) -> None:
    """A wrong status, a silent port, a missing HEALTHCHECK, a container that ends."""
    project.folder.joinpath("Dockerfile").write_text(HTTPD)
    port = {"port": 8000, "within": "2s"}
    wrong = smoke(
        project, {"http": {**port, "status": 201}}, {"http": {**port, "port": 9}}, {"http": {**port, "header": {"x-id": "."}}}
    )
    assert "status 200 instead of 201" in wrong[0]["reason"]
    assert "nothing listens on port 9" in wrong[1]["reason"]
    assert "the answer has no header 'x-id'" in wrong[2]["reason"]
    project.folder.joinpath("Dockerfile").write_text(
        DOCKERFILE.replace('["sleep", "100"]', '["sh", "-c", "echo no config >&2; exit 3"]')
    )
    ended = smoke(project, {"http": port}, {"healthy": {"within": "2s"}})
    assert "the container ended: exit 3: no config" in ended[0]["reason"]
    assert "HEALTHCHECK" in ended[1]["reason"]


def test_a_program_that_was_run_twice_is_said_to_have_been(project: Project) -> None:
    """It may have done something: who looks for it finds why it did so twice."""
    project.write(defaults={"smoke": [{"run": ["true"], "stdout": "^$"}, {"run": ["echo", "hello"], "stdout": "hello"}]})
    project.run()
    said = "(run once more, since nothing was heard of it the first time)"
    assert project.latest.joinpath("cells/one/smoke.log").read_text().splitlines() == [
        "--- run true",
        said,
        "run true: passed",
        "--- run echo hello",
        "hello",
        "run echo hello: passed",
    ]
