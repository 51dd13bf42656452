"""Checks inside the build graph: the same verdicts as in containers, where no image is moved and no engine is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.e2e.conftest import DOCKERFILE, Project
from tests.lab.registry import serve_registry

NO_ENGINE: dict[str, Any] = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
STRUCTURE = """\
schemaVersion: "2.0.0"
globalEnvVars: [{key: WHO, value: me}]
commandTests:
  - {name: output, command: echo, args: ["hi $WHO"], expectedOutput: ["^hi me$"]}
  - {name: setup, setup: [["sh", "-c", "echo made > /made"]], command: cat, args: [/made], expectedOutput: [made]}
  - {name: no setup, setup: [["false"], ["true"]], command: "true"}
  - {name: code, command: sh, args: ["-c", "echo err >&2; exit 3"], exitCode: 3, expectedError: [err]}
fileExistenceTests:
  - {name: link, path: /bin/sh, shouldExist: true, permissions: "Lrwxrwxrwx"}
  - {name: none, path: /nothing, shouldExist: false}
  - {name: wrong, path: /bin/busybox, shouldExist: true, permissions: "-rw-------"}
  - {name: program, path: /bin/sh, shouldExist: true, isExecutableBy: any}
fileContentTests:
  - {name: right, path: /etc/motd, expectedContents: ["hello"]}
  - {name: wrong, path: /etc/motd, expectedContents: ["bye"]}
metadataTest: {cmd: [sleep, "100"], exposedPorts: ["80"]}
"""
PYTHON = """\
FROM python:3.13-slim
COPY app.py /app.py
USER 1000
HEALTHCHECK --interval=30s CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/')"]
ENTRYPOINT ["python3"]
CMD ["/app.py"]
"""
SERVICE = """\
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    asked = False
    def do_GET(self):
        if self.path == "/once" and Handler.asked:
            time.sleep(100)
        Handler.asked = True
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("X-Id", "abc")
        self.end_headers()
        self.wfile.write(b"hello")
print('{"service": "0", "last": {"status": 200}}', flush=True)
HTTPServer(("", 8000), Handler).serve_forever()
"""
CHECKS: list[dict[str, Any]] = [
    {"run": ["echo", "hello"], "stdout": "^hel+o$"},
    {"run": ["sh", "-c", 'echo "$MINE"'], "stdout": "^a'b\"c .HOME$"},
    {"run": ["sh", "-c", "exit 4"], "exit": 4},
    {"run": ["echo", "hello"], "stdout": "goodbye"},
    {"run": ["/nowhere/python", "-V"]},
    {"run": ["/nowhere/python", "-V"], "exit": 1},
    {"import": ["json"]},
    {"run": ["sleep", "100"], "timeout": "1s"},
    {"run": ["sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"]},
    {"run": ["sh", "-c", "id -u; pwd; ls /sys/class/net; touch /tmp/x"], "stdout": "^0\n/\nlo\n$"},
    {"run": ["sh", "-c", "exit 3 # context canceled"]},
    {"run": ["sh", "-c", "cp /bin/busybox /tmp/true && /tmp/true"]},
    {"run": ["sh", "-c", "printf x; for i in $(seq 3000); do printf ääääääääää; done"], "stdout": "^xä+$"},
    {"structure": "structure.yaml"},
]


def builder(project: Project, smoke: str) -> dict[str, str]:
    """Give the builder of a place, with its checks run one way."""
    if project.endpoint:
        return {"driver": "remote", "endpoint": project.endpoint, "name": f"matrix-tests-{project.endpoint[-5:]}", "smoke": smoke}
    return {"driver": "docker", "name": "matrix-tests", "smoke": smoke}


def checks_of(project: Project, smoke: str, *checks: dict[str, Any], exit_code: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Run a matrix of one cell with these checks; give what became of each."""
    project.write(builder=builder(project, smoke), defaults={"smoke": list(checks), "retries": 0, "env": {"MINE": "a'b\"c $HOME"}})
    record = project.run(exit_code=exit_code, **more)
    found: list[dict[str, Any]] = record["cells"][0]["smoke"]["checks"]
    return found


def without(checks: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Leave out what may differ."""
    return [{key: value for key, value in check.items() if key not in names} for check in checks]


def write_more(project: Project) -> None:
    """Add what the checks look for."""
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE + "RUN mkdir -p /etc && echo hello > /etc/motd\n")
    project.folder.joinpath("structure.yaml").write_text(STRUCTURE)


def test_steps_and_containers_tell_the_same(project: Project) -> None:
    """In all but who ran a check, and how long that took."""
    write_more(project)
    contained = checks_of(project, "container", *CHECKS)
    stepped = checks_of(project, "graph", *CHECKS)
    assert {check["runner"] for check in contained} == {"container"}
    assert {check["runner"] for check in stepped} == {"graph"}
    assert without(stepped, "runner", "duration_s") == without(contained, "runner", "duration_s")
    assert [check["outcome"] for check in stepped[:10]] == ["passed"] * 3 + ["failed"] * 4 + ["timeout", "failed", "passed"]
    assert [check["outcome"] for check in stepped[10:13]] == ["failed", "passed", "passed"]


def test_a_user_that_is_only_a_number_needs_no_list_of_users(project: Project) -> None:
    """Without /etc/passwd the engine takes the group 0, and so does a step."""
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE + "USER 65534\n")
    checks: list[dict[str, Any]] = [{"run": ["sh", "-c", "id -u; id -g"], "stdout": "^65534\n0\n$"}, {"run": ["true"]}]
    contained, stepped = (checks_of(project, smoke, *checks, exit_code=0) for smoke in ("container", "graph"))
    assert without(stepped, "runner", "duration_s") == without(contained, "runner", "duration_s")


def test_what_was_left_out_of_an_output_is_not_missing_from_it(project: Project) -> None:
    """BuildKit leaves out what comes too fast, and that may be what must not be there."""
    flood = {"name": "floods", "command": "sh", "args": ["-c", "yes | head -c 250000; echo FORBIDDEN"], "excludedOutput": ["FORB"]}
    project.folder.joinpath("structure.yaml").write_text(json.dumps({"schemaVersion": "2.0.0", "commandTests": [flood]}))
    note = "echo '[output clipped, log limit 200KiB/s reached]'; echo more"
    clipped, said = checks_of(project, "graph", {"structure": "structure.yaml"}, {"run": ["sh", "-c", note], "stdout": "^z"})
    assert clipped["outcome"] == "error"
    assert clipped["reason"] == "its output is too long; 'FORB' does not match the part that was kept"
    assert said["outcome"] == "failed", "that is the image's own word"


@pytest.mark.lab
@pytest.mark.long
def test_a_service_is_the_same_from_inside(project: Project) -> None:
    """Where the image has a Python, it starts the image's own command and asks it; import and probe use that Python, too.

    So it does in a container that cannot be reached from where the run is.
    """
    project.folder.joinpath("app.py").write_text(SERVICE)
    project.folder.joinpath("Dockerfile").write_text(PYTHON)
    port = {"port": 8000, "within": "8s"}
    checks: list[dict[str, Any]] = [
        {"import": ["json", "nosuch"]},
        {"http": {**port, "body": "hello", "header": {"x-id": "^a"}}},
        {"http": {**port, "path": "/missing", "status": 404}},
        {"http": {"port": 8000, "path": "/once", "within": "4s", "status": 201}},
        {"http": {"port": 9, "within": "2s"}},
        {"healthy": {"within": "8s"}},
        {"probe": "locale"},
        {"probe": "tls"},
    ]
    contained, stepped = (checks_of(project, smoke, *checks) for smoke in ("container", "graph"))
    assert contained[4]["reason"] == "after 4 s: status 200 instead of 201: hello", "its only answer, though it never ends another"
    outcomes = ["passed", "failed", "passed", "passed", "failed", "failed", "passed"]
    assert [check["outcome"] for check in stepped[:7]] == outcomes
    assert without(stepped, "runner", "duration_s", "detail") == without(contained, "runner", "duration_s", "detail")
    project.write(builder=builder(project, "container"), defaults={"smoke": checks[1:4], "retries": 0})
    inside = project.run_in_another_network(exit_code=1)["cells"][0]["smoke"]["checks"]
    assert [(check["runner"], check["outcome"]) for check in inside] == [("container", "passed")] * 2 + [("container", "failed")]
    assert without(inside, "runner", "duration_s", "detail") == without(stepped[2:5], "runner", "duration_s", "detail")
    project.folder.joinpath("app.py").write_text("import sys; sys.exit('no config')")
    ended: list[dict[str, Any]] = [{"http": {"port": 8000, "within": "60s"}}, {"healthy": {"within": "60s"}}]
    contained, stepped = (checks_of(project, smoke, *ended) for smoke in ("container", "graph"))
    assert without(stepped, "runner", "duration_s") == without(contained, "runner", "duration_s")
    assert stepped[0]["reason"] == "the container ended: exit 1: no config"


def test_an_unchanged_image_is_tested_again(project: Project) -> None:
    """It does not leave the builder a second time, and no check is taken from a cache."""
    check = {"run": ["sh", "-c", "read uptime rest < /proc/uptime; echo $uptime; exit 1"]}
    first, again = (checks_of(project, "graph", check)[0] for _ in range(2))
    assert "exit 1" in first["reason"]
    assert first["detail"] != again["detail"]


def test_an_image_cannot_talk_itself_through(project: Project) -> None:
    """It prints what builders and our own scripts print, floods its log, never ends, wants a network, leaves traces."""
    vertex = json.dumps({"vertexes": [{"digest": "sha256:0", "completed": "2026-01-01T00:00:00Z"}]})
    fakes = [vertex, '{"module": "json", "code": 0}', "did not complete successfully: exit code: 0", "#1 DONE 0.1s"]
    runc = 'runc run failed: unable to start container process: exec: "x": executable file not found in $PATH'
    found = checks_of(
        project,
        "graph",
        {"run": ["sh", "-c", f"echo '{chr(10).join(fakes)}' | tee /dev/stderr; exit 1"]},
        {"run": ["sh", "-c", f"echo '{runc}' >&2; exit 1"], "exit": 1},
        {"run": ["yes"], "timeout": "1s"},
        {"run": ["sh", "-c", "yes | head -c 9000000; echo done"], "stdout": "done"},
        {"run": ["sh", "-c", "trap '' TERM; sleep 100 & sleep 100 & wait; sleep 100"], "timeout": "1s"},
        {"run": ["sh", "-c", "wget -T 2 -O - http://1.1.1.1/"]},
        {"run": ["sh", "-c", "touch /left; ls -d /left"]},
        {"run": ["sh", "-c", "ls /dev/matrix-before"], "stdout": "^$"},
        {"run": ["ls", "-d", "/left"], "exit": 1},
    )
    assert [check["outcome"] for check in found] == ["failed", "failed", "timeout", "error", "timeout", "failed"] + ["passed"] * 3
    assert found[0]["reason"].startswith("exit 1")
    assert found[1]["reason"] == "'x' is not in the image"
    assert "BuildKit left out a part of its output" in found[3]["reason"]
    assert found[4]["duration_s"] < 20


def test_what_an_image_says_for_others_is_not_obeyed(project: Project) -> None:
    """ONBUILD is about images built on it, which a check is not."""
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE + "ONBUILD RUN touch /triggered\nWORKDIR /tmp\n")
    (found,) = checks_of(
        project, "graph", {"run": ["sh", "-c", "pwd; ls -d /triggered"], "exit": 1, "stdout": "^/tmp$"}, exit_code=0
    )
    assert found["outcome"] == "passed"


def test_an_image_without_a_place_for_devices_is_told_from_a_builder_that_breaks(project: Project) -> None:
    """Nothing can be started in it, which is said of the image, and of each check."""
    made = "FROM scratch\nCOPY --from=made /out/ /\n"
    steps = "RUN mkdir -p /out/bin && cp /bin/busybox /out/bin/busybox && touch /out/dev\n"
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE.replace("FROM scratch", "FROM scratch AS made") + steps + made)
    found = checks_of(project, "graph", {"run": ["/bin/busybox", "true"]}, {"run": ["/bin/busybox", "ls"]})
    assert [(check["outcome"], "not a directory" in check["reason"]) for check in found] == [("failed", True)] * 2


def test_what_a_step_cannot_do_is_skipped(project: Project) -> None:
    """By hand it was asked for; an image without Python cannot start its own service, a step has no memory limit."""
    found = checks_of(
        project, "graph", {"http": {"port": 8000}}, {"run": ["true"], "memory": "20MiB"}, {"run": ["true"]}, exit_code=0
    )
    assert [check["outcome"] for check in found] == ["skipped", "skipped", "passed"]
    assert found[1]["reason"] == "it needs a container, since it asks for a memory limit"


@pytest.mark.remote
def test_a_remote_builder_needs_no_engine(project: Project, daemon: str) -> None:
    """Doctor, bootstrap and run, where nothing answers for containers: the same record as on an engine."""
    write_more(project)
    contained = checks_of(project, "container", *CHECKS)
    project.endpoint = daemon
    project.write(builder=builder(project, "auto"))
    assert "none answers, and none is needed" in project.matrix("doctor", **NO_ENGINE).stdout
    assert "driver remote" in project.matrix("bootstrap", **NO_ENGINE).stdout
    stepped = checks_of(project, "auto", *CHECKS, **NO_ENGINE)
    assert without(stepped, "runner", "duration_s") == without(contained, "runner", "duration_s")
    record = project.record()
    assert (record["environment"]["docker"], record["environment"]["driver"]) == (None, "remote")
    cell = record["cells"][0]
    assert cell["image"]["compressed_bytes"] > 100_000
    assert (cell["build"]["platform"], cell["build"]["emulated"]) == (record["environment"]["platform"], False)
    assert [event for event in project.events() if event["kind"] in ("warning", "cell-loading")] == []
    project.matrix("clean", **NO_ENGINE)


@pytest.mark.remote
def test_a_platform_is_passed_on_and_said(project: Project, daemon: str) -> None:
    """An image for another platform is tested as one; whether that is emulation is said where it can be known."""
    project.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY busybox /bin/busybox\n")
    project.endpoint = daemon
    check = {"run": ["/bin/busybox", "true"]}
    project.write(
        axes={"platform": ["linux/amd64", "linux/riscv64"]},
        builder=builder(project, "auto"),
        defaults={"platform": "{platform}", "smoke": [check], "retries": 0},
    )
    cells = project.run(**NO_ENGINE)["cells"]
    assert [cell["build"]["platform"] for cell in cells] == ["linux/amd64", "linux/riscv64"]
    assert cells[0]["build"]["emulated"] is False
    assert [cell["smoke"]["checks"][0]["runner"] for cell in cells] == ["graph", "graph"]


def test_a_builder_that_writes_no_layouts_cannot_run_checks(project: Project) -> None:
    """What was asked for by hand and cannot be had ends the run before anything is built."""
    project.write(builder={"driver": "remote", "endpoint": "tcp://127.0.0.1:1", "name": "matrix-tests-1", "smoke": "container"})
    assert "no engine answers" in project.matrix("run", exit_code=4, **NO_ENGINE).stderr


@pytest.mark.answering
def test_caches_in_a_registry_are_written_and_read_and_results_are_pushed(project: Project) -> None:
    """By digest: what was pushed is what was measured. No image of that name is left in the engine."""
    with serve_registry([]) as address:
        cache = f"type=registry,ref={address}/cache:1"
        project.write(defaults={"push": f"{address}/tiny:1", "cache": {"from": [cache], "to": [f"{cache},mode=max"]}})
        image = project.run()["cells"][0]["image"]
        manifest = requests.get(f"http://{address}/v2/tiny/manifests/{image['digest']}", headers=ANY, timeout=30)
        assert manifest.status_code == 200
        assert manifest.headers["docker-content-digest"] == image["digest"]
        assert requests.get(f"http://{address}/v2/cache/manifests/1", headers=ANY, timeout=30).status_code == 200
        project.run()
        assert project.docker("image", "ls", "--all", "--quiet", f"{address}/tiny") == ""
    said = project.latest.joinpath("cells/one/progress.jsonl").read_text()
    assert f"importing cache manifest from {address}/cache:1" in said


ANY = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}
