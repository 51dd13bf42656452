"""Secrets, and the confinement of checks, seen from outside while a run goes on."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.archives import unpacked_files
from tests.e2e.conftest import TOOLS, Project
from tests.faults.engine.conftest import times
from tests.faults.engine.laboratory import processes, while_running
from tests.faults.engine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable


DOCKERFILE = f"""\
FROM scratch
COPY busybox /bin/busybox
{TOOLS}
RUN --mount=type=secret,id=token test "$(cat /run/secrets/token | wc -c)" -gt 9 && sleep 1
CMD ["sleep", "100"]
"""


def watch_arguments(project: Project, words: tuple[str, ...], canaries: tuple[str, ...], **environment: str) -> set[str]:
    """Run, and look at the argument lists of all processes meanwhile; give the canaries that were in one."""
    process, found = project.start(*words, **environment), set()
    for _ in while_running(process, 0.01, 300):
        for _, arguments in processes():
            found |= {canary for canary in canaries if canary.encode() in arguments}
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    return found | {canary for canary in canaries if canary in out + err}


@pytest.mark.whole
def test_a_secret_is_in_nothing_that_a_run_shows_or_leaves(fresh: Callable[[str], Project]) -> None:
    """No argument list, log, trace, report, image layer, and not `docker history`."""
    tally = Tally()
    for number in range(times(1, 10)):
        with tally.one():
            project = fresh(f"secret-{number}")
            project.traced = True
            project.folder.joinpath("Dockerfile").write_text(DOCKERFILE)
            canary = f"canary-secret-{number}-5c1e"
            project.write(defaults={"secrets": {"token": {"env": "TOKEN"}}, "smoke": [{"run": ["true"]}]})
            seen = watch_arguments(project, ("run", "--progress", "plain", "--keep"), (canary,), TOKEN=canary)
            assert seen == set(), "in an argument list, or printed"
            files = [path for path in project.folder.rglob("*") if path.is_file() and not path.is_symlink()]
            assert len(files) > 10
            assert [path.name for path in files if canary.encode() in path.read_bytes()] == []
            words = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=matrix.local/*")
            image = project.docker(*words).split()[0]
            assert canary not in project.docker("history", "--no-trunc", image)
            assert canary not in project.docker("image", "inspect", image)
            archive = project.folder / "image.tar"
            project.docker("image", "save", "--output", str(archive), image)
            saved = list(unpacked_files(archive))
            assert any(b"bin/busybox" in file for file in saved), "what is in the layers can be read"
            assert not any(canary.encode() in file for file in saved)
            project.matrix("clean")
            tally.seen["found nowhere"] += 1
    tally.save("isolation", "a secret with a canary: argument lists, logs, traces, reports, cache, layers, `docker history`")


def confinement_of(project: Project) -> list[dict[str, Any]]:
    """Run a cell with each kind of check, and give what the engine says of the containers while they run."""
    process, found = project.start("run", "--progress", "none"), {}
    for _ in while_running(process, 0.2, 300):
        for name in project.docker("ps", "--quiet", "--filter", "label=io.matrix.run").split():
            with suppress(AssertionError):
                found[name] = json.loads(project.docker("inspect", name))[0]
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    return list(found.values())


def test_the_containers_of_checks_are_shut_in(fresh: Callable[[str], Project]) -> None:
    """No network, no capabilities, no new privileges, a read-only root, limits, nothing of the host: as the engine sees it."""
    tally = Tally()
    for number in range(times(1, 10)):
        with tally.one():
            project = fresh(f"confined-{number}")
            project.write(defaults={"smoke": [{"run": ["sleep", "2"]}, {"run": ["sleep", "2"], "cpus": 0.5, "memory": "64MiB"}]})
            boxes = confinement_of(project)
            assert len(boxes) == 2
            for box in boxes:
                host = box["HostConfig"]
                assert host["NetworkMode"] == "none"
                assert host["CapDrop"] == ["ALL"]
                assert not host["CapAdd"]
                assert "no-new-privileges" in host["SecurityOpt"]
                assert host["ReadonlyRootfs"]
                assert not host["Privileged"]
                assert host["PidsLimit"] == 256
                assert (host["PidMode"], host["IpcMode"], host["UsernsMode"]) == ("", "private", "")
                assert not host["Binds"]
                assert not host["Devices"]
                assert [mount["Type"] for mount in box["Mounts"] if mount["Type"] == "bind"] == []
            limits = {(box["HostConfig"]["Memory"], box["HostConfig"]["NanoCpus"]) for box in boxes}
            assert limits == {(512 * 1024**2, 2_000_000_000), (64 * 1024**2, 500_000_000)}, limits
            tally.seen["no network, capabilities, privileges or mounts; limits of memory, processes and processors"] += 1
    tally.save("isolation", "containers of checks, as the engine sees them")
