"""Why a build failed: real last words of buildx, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.failures import classify_failure, find_foreign_base
from orchestrator.judge.diagnosis.nouns import Evidence
from orchestrator.judge.diagnosis.rules import diagnose
from orchestrator.measure.progress import Vertex
from orchestrator.model import Status
from orchestrator.record import CellRecord


@dataclass(frozen=True)
class Case:
    """The last words of a build, and how they are to be judged."""

    error: str
    words: str
    ours: bool = False
    passing: bool = False
    spoilt: bool = False
    step: Vertex | None = None
    log: tuple[str, ...] = ()


STEP = Vertex("sha256:s", "[2/3] RUN pip install grpcio", 2, error="process did not complete successfully: exit code: 1")
RAN = 'process "/bin/sh -c pip install grpcio" did not complete successfully: exit code: '
META = "failed to resolve source metadata for docker.io/library/"

BOOTING = Vertex("sha256:b", "[internal] booting buildkit", 0, error="Error response from daemon: container is marked for removal")

FAILED_PIP = Vertex("sha256:p", "[2/2] RUN pip install x", 1, error='process "x" did not complete successfully: exit code: 1')
CASES = {
    "a builder that somebody removes just now": Case(
        "ERROR: failed to build: Error response from daemon: container is marked for removal and cannot be started",
        "the builder did not start: Error response from daemon: container is marked for removal",
        passing=True,
        step=BOOTING,
    ),
    "a layer that is not what its digest says": Case(
        'ERROR: failed to solve: failed to compute cache key: failed commit on ref "layer-sha256:b7": unexpected commit digest '
        "sha256:0a, expected sha256:b7: failed precondition",
        "what a registry sent is not what its digest says: failed to compute cache key",
        passing=True,
    ),
    "a command that holds the words of another end": Case(
        "ERROR: failed to solve: process \"/bin/sh -c echo 'did not complete successfully: exit code: 7'; exit 3\" "
        "did not complete successfully: exit code: 3",
        "exit 3",
        ours=True,
    ),
    "a command that holds the words of an end, and was never begun": Case(
        'ERROR: failed to solve: process "/bin/sh -c echo did not complete successfully: exit code: 7" did not complete '
        "successfully: failed to dial: connection refused",
        "failed to dial",
        passing=True,
    ),
    "a full disk while a Dockerfile is read": Case(
        "ERROR: failed to solve: ResourceExhausted: failed to read dockerfile: write /cache.db: no space left on device",
        "no room left on the engine's disk: ResourceExhausted: failed to read dockerfile",
    ),
    "a Dockerfile that speaks of a full disk": Case(
        "ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: no space left on device",
        "the Dockerfile cannot be read: on line 2",
        ours=True,
    ),
    "a snapshot that a full disk, or a killed build, did not leave whole": Case(
        "ERROR: failed to solve: failed to commit 1sx to k7i during finalize: failed to stat active key during commit: "
        "snapshot does not exist: not found",
        "snapshot does not exist",
        passing=True,
        spoilt=True,
    ),
    "an engine whose disk has become read-only": Case(
        "ERROR: failed to solve: failed to read dockerfile: failed to create /data/overlay2/k1/diff/.tmp.7: "
        "open /data/overlay2/k1/diff/.tmp.7: read-only file system",
        "the engine's disk cannot be used as it is: failed to read dockerfile: failed to create /data/overlay2/k1/diff/.tmp.7",
    ),
    "a context on a disk that is broken": Case(
        "ERROR: failed to solve: error from sender: read /src/app.py: input/output error",
        "the context cannot be read: read /src/app.py: input/output error; make it readable",
        ours=True,
    ),
    "a step that writes where nothing can be written": Case(
        f"ERROR: failed to solve: {RAN}1",
        "exit 1: touch: /proc/x: Read-only file system",
        ours=True,
        step=STEP,
        log=("touch: /proc/x: Read-only file system",),
    ),
    "a folder of docker's settings that buildx may not write to": Case(
        "ERROR: mkdir /etc/docker-config/buildx: permission denied",
        "buildx cannot keep its own files: mkdir /etc/docker-config/buildx: permission denied; BUILDX_CONFIG names another folder",
    ),
    "a folder of docker's settings that is mounted read-only": Case(
        "ERROR: mkdir /etc/docker-config/buildx: read-only file system",
        "buildx cannot keep its own files: mkdir /etc/docker-config/buildx: read-only file system; BUILDX_CONFIG",
    ),
    "a version of the API that the engine does not speak": Case(
        "ERROR: failed to build: Error response from daemon: client version 1.99 is too new. Maximum supported API version is "
        "1.51: driver not connecting",
        "buildx does not reach the builder: Error response from daemon: client version 1.99 is too new. Maximum supported API",
    ),
    "an engine without a bridge": Case(
        'ERROR: failed to solve: process "/bin/sh -c true" did not complete successfully: network bridge not found',
        "the engine has no network 'bridge' for steps of a build; give it one, or the cell the setting `network: none` or `host`",
    ),
    "an engine whose storage driver lacks its program": Case(
        'ERROR: failed to build: failed to solve: process "/bin/sh -c true" did not complete successfully: using mount program '
        "fuse-overlayfs: fuse: device not found, try 'modprobe fuse' first\n: exit status 1",
        "the engine cannot put a step's files together: using mount program fuse-overlayfs: fuse: device not found",
    ),
    "a step's exit code, with a network error in its log": Case(
        f"ERROR: failed to build: failed to solve: {RAN}56",
        "[2/3] RUN pip install grpcio: exit 56: curl: (56) Recv failure: Connection reset by peer",
        ours=True,
        step=STEP,
        log=("#5 downloading", "curl: (56) Recv failure: Connection reset by peer", ""),
    ),
    "a step's exit code, with a 503 in its command": Case(
        'ERROR: failed to solve: process "/bin/sh -c echo 503 Service Unavailable; exit 1" did not complete '
        "successfully: exit code: 1",
        "[2/3] RUN pip install grpcio: exit 1",
        ours=True,
        step=STEP,
    ),
    "a step that says no space left": Case(
        f"ERROR: failed to solve: {RAN}1",
        "[2/3] RUN pip install grpcio: exit 1: OSError: [Errno 28] No space left on device",
        ours=True,
        step=STEP,
        log=("OSError: [Errno 28] No space left on device",),
    ),
    "a step with nothing said": Case(f"ERROR: failed to solve: {RAN}127", "a step: exit 127", ours=True),
    "the line that tells most is not always the last": Case(
        f"ERROR: failed to solve: {RAN}1",
        "[2/3] RUN pip install grpcio: exit 1: error: command 'gcc' failed: No such file or directory",
        ours=True,
        step=STEP,
        log=("error: command 'gcc' failed: No such file or directory", "[notice] a new release of pip is available", " "),
    ),
    "an image that does not exist": Case(
        f"ERROR: failed to build: failed to solve: python:9.9-slim: {META}python:9.9-slim: "
        "docker.io/library/python:9.9-slim: not found",
        "the base image python:9.9-slim does not exist, or may not be pulled: docker.io/library/python:9.9-slim: not found",
        ours=True,
    ),
    "an image that may not be pulled": Case(
        f"ERROR: failed to solve: nope: {META}nope:latest: pull access denied, repository does not exist or may require "
        "authorization: server message: insufficient_scope: authorization failed",
        "the base image nope:latest does not exist, or may not be pulled: ",
        ours=True,
    ),
    "an image without this platform": Case(
        f"ERROR: failed to solve: old:1: {META}old:1: no match for platform in manifest: not found",
        "the base image old:1 does not exist, or may not be pulled: no match for platform in manifest: not found",
        ours=True,
    ),
    "a registry that is overloaded": Case(
        f"ERROR: failed to solve: python:3.13: {META}python:3.13: unexpected status from HEAD request to "
        "https://registry.example/v2/library/python/manifests/3.13: 503 Service Unavailable",
        "the registry of the base image python:3.13 cannot be reached: ",
        passing=True,
    ),
    "a registry that limits": Case(
        f"ERROR: failed to solve: python:3.13: {META}python:3.13: failed to copy: httpReadSeeker: failed "
        "open: unexpected status code "
        "https://registry.example/v2/library/python/manifests/sha256:a: 429 Too Many Requests - Server "
        "message: toomanyrequests",
        "cannot be reached: ",
        passing=True,
    ),
    "a registry without an address": Case(
        f"ERROR: failed to solve: alpine: {META}alpine:latest: failed to do request: Head "
        '"https://registry.example/v2/": dial tcp: '
        "lookup registry.example on 127.0.0.11:53: no such host",
        "the registry of the base image alpine:latest cannot be reached: ",
        passing=True,
    ),
    "a registry that refuses connections": Case(
        f'ERROR: failed to solve: alpine: {META}alpine:latest: failed to do request: Head "http://127.0.0.1:5000/v2/": '
        "dial tcp 127.0.0.1:5000: connect: connection refused",
        "the registry of the base image alpine:latest cannot be reached: ",
        passing=True,
    ),
    "a registry whose login needs a program that is not there": Case(
        f'ERROR: failed to solve: alpine: {META}alpine:latest: error getting credentials - err: exec: "docker-credential-desktop": '
        "executable file not found in $PATH, out: ``",
        "error getting credentials - err: exec",
    ),
    "a private image without its registry's word": Case(
        "ERROR: failed to solve: pull access denied",
        "does not exist, or may not be pulled: pull access denied",
        ours=True,
    ),
    "a context with an unreadable file": Case(
        "ERROR: failed to build: failed to solve: error from sender: open /src/secret: permission denied",
        "the context cannot be read: open /src/secret: permission denied; make it readable, or leave it out "
        "by a line in .dockerignore",
        ours=True,
    ),
    "a layer whose download broke off": Case(
        "ERROR: failed to solve: failed to copy: read tcp 10.0.0.2:40000->104.16.0.1:443: read: connection reset by peer",
        "failed to copy: read tcp 10.0.0.2:40000->104.16.0.1:443: read: connection reset by peer",
        passing=True,
    ),
    "a remote file behind a broken gateway": Case(
        "ERROR: failed to solve: failed to load cache key: invalid response status 502 Bad Gateway",
        "failed to load cache key: invalid response status 502 Bad Gateway",
        passing=True,
    ),
    "a builder that went away": Case(
        "ERROR: failed to build: failed to receive status: rpc error: code = Unavailable desc = closing "
        "transport due to: connection "
        'error: desc = "error reading from server: EOF", received prior goaway',
        "failed to receive status: rpc error: code = Unavailable",
        passing=True,
    ),
    "a builder whose container was killed before the build was sent": Case(
        "ERROR: failed to build: listing workers for Build: failed to list workers: Unavailable: connection error: "
        'desc = "error reading server preface: EOF"',
        "failed to list workers: Unavailable",
        passing=True,
    ),
    "a builder whose container was removed": Case(
        "ERROR: failed to build: listing workers for Build: failed to list workers: Unavailable: connection error: "
        'desc = "transport: Error while dialing: use of closed network connection"',
        "failed to list workers: Unavailable",
        passing=True,
    ),
    "a transport that closes": Case(
        "ERROR: failed to solve: rpc error: code = Unavailable desc = transport is closing",
        "rpc error: code = Unavailable desc = transport is closing",
        passing=True,
    ),
    "a builder that cannot be dialled": Case(
        'ERROR: failed to build: failed to dial gRPC: cannot connect to the Docker daemon at "unix:///var/run/docker.sock"',
        "failed to dial gRPC: ",
        passing=True,
    ),
    "an engine that is gone, in the words of buildx 0.36": Case(
        "ERROR: failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the "
        "daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
        "failed to connect to the docker API at unix:///var/run/docker.sock",
        passing=True,
    ),
    "an engine elsewhere that cannot be reached": Case(
        'ERROR: error during connect: Get "http://docker.example.com/v1.55/info": command [ssh -l me -- far docker system '
        "dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the "
        "remote host: stderr=ssh: Could not resolve hostname far: Name or service not known",
        "error during connect: ",
        passing=True,
    ),
    "a base that a policy denies": Case(
        "Policy: only good images\nERROR: failed to build: failed to solve: x:1: failed to resolve source metadata for "
        "docker.io/library/x:1: could not resolve image due to policy: source "
        '"docker-image://docker.io/library/x:1" not allowed by policy: action DENY',
        "a policy does not allow docker-image://docker.io/library/x:1: only good images",
        ours=True,
    ),
    "a Dockerfile that a policy denies": Case(
        "ERROR: failed to build: failed to solve: failed to read dockerfile: failed to load LLB: error evaluating the source "
        'policy: source "local://dockerfile" not allowed by policy: action DENY',
        "a policy does not allow local://dockerfile: it gives no reason",
        ours=True,
    ),
    "a snapshot that the engine tidied away": Case(
        'ERROR: failed to build: failed to solve: failed to prepare extraction snapshot "extract-46 sha256:da9e": '
        "parent snapshot sha256:cc50 does not exist: not found",
        'failed to prepare extraction snapshot "extract-46 sha256:da9e": parent snapshot sha256:cc50 does not exist',
        passing=True,
    ),
    "no builder": Case('ERROR: no builder "matrix" found', 'no builder "matrix" found', passing=True),
    "a Dockerfile that does not parse": Case(
        "ERROR: failed to build: failed to solve: dockerfile parse error on line 3: unknown instruction: RUNN (did you mean RUN?)",
        "the Dockerfile cannot be read: on line 3: unknown instruction: RUNN (did you mean RUN?)",
        ours=True,
    ),
    "a Dockerfile that quotes a network error": Case(
        "ERROR: failed to build: failed to solve: dockerfile parse error on line 3: unknown instruction: 503 Service",
        "the Dockerfile cannot be read: on line 3: unknown instruction: 503 Service",
        ours=True,
    ),
    "a Dockerfile that is not there": Case(
        "ERROR: failed to build: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory",
        "the Dockerfile cannot be read: failed to read dockerfile: open Dockerfile: no such file or directory",
        ours=True,
    ),
    "a file that is not in the context": Case(
        'ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref x::y: "/nope.txt": not found',
        "there is no /nope.txt in the context",
        ours=True,
    ),
    "a file that is not in the stage it is copied from": Case(
        "Dockerfile:4\n   3 |     FROM base\n   4 | >>> COPY --from=builder /venv /venv\n"
        'ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref x::y: "/venv": not found',
        "there is no /venv in the stage or image that it is copied from",
        ours=True,
    ),
    "a file that is in no stage, of which the step is known": Case(
        'ERROR: failed to solve: failed to compute cache key: "/venv" not found',
        "there is no /venv in the stage or image that it is copied from",
        ours=True,
        step=Vertex("sha256:c", "[stage-1 2/2] COPY --from=builder /venv /venv", 1, error="not found"),
    ),
    "a file that is not in the stage, by the engine's own BuildKit": Case(
        "Dockerfile:3\n   3 | >>> COPY --from=b /nothing /x\n"
        "ERROR: failed to build: failed to solve: lstat /nothing: no such file or directory",
        "there is no /nothing in the stage or image that it is copied from",
        ours=True,
    ),
    "a base whose name is an argument without a value": Case(
        "ERROR: failed to build: failed to solve: base name (${X}) should not be blank",
        "the Dockerfile cannot be read: base name (${X}) should not be blank",
        ours=True,
    ),
    "a Dockerfile without a stage": Case(
        "ERROR: failed to build: failed to solve: no build stage in current context",
        "the Dockerfile cannot be read: no build stage",
        ours=True,
    ),
    "a Dockerfile with nothing in it": Case(
        "ERROR: failed to build: failed to solve: the Dockerfile cannot be empty",
        "the Dockerfile cannot be read: the Dockerfile cannot be empty",
        ours=True,
    ),
    "a base with capitals": Case(
        'ERROR: failed to build: failed to solve: failed to parse stage name "Python:3.13": invalid reference format: repository '
        "name (library/Python) must be lowercase",
        'the Dockerfile cannot be read: failed to parse stage name "Python:3.13"',
        ours=True,
    ),
    "a secret that is not given": Case(
        "ERROR: failed to build: failed to solve: secret npmrc: not found",
        "a step asks for the secret npmrc, and the build is not given it",
        ours=True,
    ),
    "an SSH agent that is not given": Case(
        "ERROR: failed to build: failed to solve: unset ssh forward key default",
        "a step asks for the SSH agent default, and the build is not given it",
        ours=True,
    ),
    "pip's note behind an error": Case(
        "",
        "exit 1: AttributeError: 'build_ext' object has no attribute 'cython_sources'",
        ours=True,
        step=FAILED_PIP,
        log=(
            "      AttributeError: 'build_ext' object has no attribute 'cython_sources'",
            "      [end of output]",
            "  note: This error originates from a subprocess, and is likely not a problem with pip.",
            "error: subprocess-exited-with-error",
            "\N{MULTIPLICATION SIGN} Getting requirements to build wheel did not run successfully.",
            "note: This error originates from a subprocess, and is likely not a problem with pip.",
        ),
    ),
    "pip's summary of what was not built": Case(
        "",
        "exit 1: error: command 'gcc' failed: No such file or directory",
        ours=True,
        step=FAILED_PIP,
        log=(
            "      error: command 'gcc' failed: No such file or directory",
            "  ERROR: Failed building wheel for psutil",
            "Failed to build psutil",
            "ERROR: Could not build wheels for psutil, which is required to install pyproject.toml-based projects",
        ),
    ),
    "a summary that is all there is": Case(
        "", "exit 1: Failed to build psutil", ours=True, step=FAILED_PIP, log=("Failed to build psutil",)
    ),
    "a stage that is not there": Case(
        'ERROR: failed to solve: target stage "finl" could not be found',
        "the Dockerfile has no stage 'finl', which is the `target`",
        ours=True,
    ),
    "a full disk": Case(
        "ERROR: failed to solve: failed to copy files: write /var/lib/docker/tmp/x: no space left on device",
        "no room left on the engine's disk: failed to copy files: write /var/lib/docker/tmp/x: no space left on device; "
        "`docker buildx prune` frees some",
    ),
    "a disk over its quota": Case("ERROR: failed to solve: mkdir /x: disk quota exceeded", "no room left on the engine's disk: "),
    "several errors": Case("ERROR: one\nsome words\nERROR: failed to solve: two", "two", ours=True),
    "words without a mark": Case("something odd\nhappened at the end", "happened at the end", ours=True),
    "a step's error without a last line": Case(
        "",
        "[2/2] RUN x: exit 2",
        ours=True,
        step=Vertex("sha256:x", "[2/2] RUN x", 1, error='process "x" did not complete successfully: exit code: 2'),
    ),
    "nothing at all": Case("", "buildx gave no reason"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_last_error_of_a_build_is_judged(case: Case) -> None:
    """The Dockerfile's own failures are told from the world's, and only what may pass is worth another try."""
    failure = classify_failure(case.step, case.error.split("\n"), case.log)
    assert (failure.is_ours, failure.passing, failure.spoilt) == (case.ours, case.passing, case.spoilt)
    assert case.words in failure.reason


@pytest.mark.parametrize(
    ("cache", "where"),
    [
        ("/home/me/.cache/matrix", "the disk of matrix's own cache, /home/me/.cache/matrix: "),
        ("/home/me/.cache/matri", "the engine's disk: "),
        (None, "the engine's disk: "),
    ],
)
def test_a_full_disk_of_the_cache_is_not_the_engines(cache: str | None, where: str) -> None:
    """Images leave the builder there: to prune the builder would free nothing."""
    words = "write /home/me/.cache/matrix/images/x/blobs/sha256/ab: no space left on device"
    failure = classify_failure(None, [f"ERROR: failed to solve: {words}"], (), cache)
    assert failure.reason.startswith(f"no room left on {where}{words}; ")
    assert ("MATRIX_CACHE_DIR names another folder" in failure.reason) == (cache == "/home/me/.cache/matrix")
    assert (failure.is_ours, failure.passing) == (False, False)


@pytest.mark.parametrize("cache", ["/home/me/.cache/matrix", "/home/me/.cache/matrix/", "/elsewhere"])
def test_a_cache_that_was_emptied_under_a_run_is_not_the_dockerfile(cache: str) -> None:
    """An image had nowhere to go: no failure that can have been expected, and another try makes the folder anew."""
    words = "invalid output path: stat /home/me/.cache/matrix/images/run/passing-qq30: no such file or directory"
    failure = classify_failure(None, [f"ERROR: {words}"], (), cache)
    is_its_own = cache != "/elsewhere"
    assert (failure.is_ours, failure.passing) == (not is_its_own, is_its_own)
    assert failure.reason.startswith("a file of this run is gone from matrix's own cache, ") == is_its_own


def test_a_full_disk_of_a_builder_is_not_the_engines() -> None:
    """`docker buildx prune` by itself would take the cache of whichever builder is the current one."""
    words = "failed to copy files: write /var/lib/buildkit/x: no space left on device"
    failure = classify_failure(None, [f"ERROR: failed to solve: {words}"], (), "/cache", "far")
    assert failure.reason == f"no room left on the builder's disk: {words}; `docker buildx prune --builder far` frees some"
    cell = CellRecord("c", {}, Status.ERROR, Status.PASSED, as_expected=False, reason=failure.reason)
    (found,) = diagnose(cell, Evidence(build_log=f"ERROR: failed to solve: {words}"))
    assert (found.code, found.title, found.evidence[-1]) == ("disk-full", "no room is left on the builder's disk", failure.reason)


def test_a_reason_is_one_harmless_line_of_bounded_length() -> None:
    """Whatever a build prints, its reason is a line for a table, without what could rewrite a terminal."""
    hostile = f"\x1b[31merror\x1b[0m {'x' * 5000} \u202e failed"
    for case in CASES.values():
        failure = classify_failure(case.step, [*case.error.split("\n"), "see: \x1b[2J"], [*case.log, hostile])
        assert not {"\x1b", "\u202e", "\n"} & set(failure.reason)
        assert len(failure.reason) < 800


@pytest.mark.parametrize(
    ("platform", "refs", "found"),
    [
        ("linux/arm64", ["docker.io/corp/base:1"], "corp/base:1 is for linux/amd64, and linux/arm64 was asked for"),
        ("linux/arm64/v8", [], "corp/base:1 is for linux/amd64, and linux/arm64 was asked for"),
        ("linux/amd64", ["corp/base:1"], None),
        ("linux/arm64", ["corp/other:1"], None),
        (None, ["corp/base:1"], None),
    ],
)
def test_a_base_for_another_platform_is_one_that_this_build_has(platform: str | None, refs: list[str], found: str | None) -> None:
    """Cells that are asked for together all hear what is said of a Dockerfile that they have in common."""
    said = 'was pulled with platform "linux/amd64", expected "linux/arm64" for current build (line 1)'
    warnings = ["JSONArgsRecommended: JSON arguments", f"InvalidBaseImagePlatform: Base image corp/base:1 {said}"]
    assert find_foreign_base(warnings, platform, refs) == found
