"""Builds images for tests and runs probes in them, as the tool does: no network, no rights, the script on stdin."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.probes import INPUT_VARIABLE, PROBE_NEEDS, load_probe
from tests.conftest import buildx

ROOT = Path(__file__).parents[2]
PREFIX = f"img-test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-"  # workers must not give one tag at once


@dataclass(frozen=True)
class Answer:
    """The one line that a probe prints."""

    outcome: str
    reason: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Build:
    """What became of a build: the image, or the log that says why there is none."""

    image: str | None
    log: str

    def built(self) -> str:
        """Name the image; where there is none, the end of the log says why."""
        assert self.image, self.log[-2000:]
        return self.image


@cache
def build(name: str, dockerfile: str, *, target: str | None = None, **arguments: str) -> Build:
    """Build an image out of the repository, once for each worker; that it fails is a result."""
    image = f"{PREFIX}{name}"
    # The host's network: a mirror or a proxy may be at this machine's own address.
    command = [*buildx(), "build", "--load", "--network", "host", "--progress", "plain"]
    command += ["--tag", image, "--file", dockerfile]
    bundle = ssl.get_default_verify_paths().cafile
    if bundle:
        command += ["--secret", f"id=ca,src={bundle}"]
    if target:
        command += ["--target", target]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    run = subprocess.run([*command, "."], cwd=ROOT, capture_output=True, text=True, check=False)
    return Build(image if run.returncode == 0 else None, run.stderr)


def run_probe(image: str, probe: str, *more: str) -> Answer:
    """Run a probe in a container of the image, with what the probe says that it needs."""
    needs = PROBE_NEEDS[probe]
    command = ["docker", "run", "--rm", "--interactive", "--network", "none", "--cap-drop", "ALL"]
    command += ["--security-opt", "no-new-privileges", "--entrypoint", "python3"]
    command += ["--env", f"{INPUT_VARIABLE}={json.dumps({'command': ['python', '-m', 'app.start'], 'port': 8000})}"]
    command += ["--user", needs.user] if needs.user else []
    command += [] if needs.writable_root else ["--read-only"]
    command += [f"--tmpfs={folder}" for folder in needs.tmpfs]
    command += [f"--cap-add={capability}" for capability in needs.capabilities]
    command += [f"--sysctl={key}={value}" for key, value in needs.sysctls]
    run = subprocess.run(
        [*command, *more, image, "-"], input=load_probe(probe), capture_output=True, text=True, check=True, timeout=115
    )
    (line,) = run.stdout.splitlines()
    answer = json.loads(line)
    assert answer.pop("probe") == probe
    return Answer(**answer)


def remove_images() -> None:
    """Remove the images that tests have made."""
    listed = subprocess.run(
        ["docker", "image", "ls", "--quiet", "--filter", f"reference={PREFIX}*"], capture_output=True, text=True, check=True
    )
    if listed.stdout:
        subprocess.run(["docker", "image", "rm", "--force", *set(listed.stdout.split())], check=True, stdout=subprocess.DEVNULL)
