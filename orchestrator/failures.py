"""Why a build failed: the Dockerfile, or the world around it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.cuts import cut
from orchestrator.dockerfile import plain_ref
from orchestrator.measure.progress import BEHIND_A_COMMAND
from orchestrator.platforms import normal_platform
from orchestrator.smoke.words import inert, one_line, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.measure.progress import Vertex

_OF_THE_DOCKERFILE = re.compile(rf"{BEHIND_A_COMMAND}(?:exit code: (\d+)|cancell?ed)(?!.*{BEHIND_A_COMMAND})", re.DOTALL)
_BUILDX_FOLDER = re.compile(r"(?:mkdir|open) \S*/buildx(?:/\S*)?: (?:permission denied|read-only file system)")
_UNREACHED = re.compile(r"client version \S+ is too (?:new|old)|driver not connecting")
_NO_NETWORK = re.compile(rf"{BEHIND_A_COMMAND}network (\S+) not found")
_NO_MOUNT = re.compile(rf"{BEHIND_A_COMMAND}(using mount program .*)", re.DOTALL)
_PASSING = re.compile(
    r"connection reset|connection refused|broken pipe|unexpected EOF|: EOF$|i/o timeout|TLS handshake timeout"
    r"|network is unreachable|no route to host"
    r"|no such host|server misbehaving|temporary failure in name resolution|context deadline exceeded"
    r"|code = Unavailable|code = Internal desc = stream|transport is closing|error reading from server"
    r"|\b50[0234] |5\d\d (?:Internal|Bad|Service|Gateway)|429 Too Many|toomanyrequests"
    r"|Cannot connect to the Docker daemon|failed to connect to the docker API|error during connect"
    r"|failed to dial|no active session|failed to receive status"
    r"|failed to list workers|error reading server preface|use of closed network connection"  # a builder that goes away
    r"|failed to (?:create|find) (?:endpoint|builder)|no builder \"|no valid drivers found|closing transport"
    r"|snapshot (?:\S+ )?does not exist",  # the engine tidied up under the build, or lost what a full disk could not take
    re.IGNORECASE,
)
_SPOILT = re.compile(r"failed to commit \S+ to \S+ during finalize")  # of a killed build; every other that meets it fails, too
_DISK = re.compile(r"no space left on device|disk quota exceeded|(read-only file system|input/output error)", re.IGNORECASE)
_BOOTING = "[internal] booting buildkit"  # buildx starts a builder in a container that does not run
_DAMAGED = re.compile(r"unexpected commit (?:digest|size)|failed size validation")
_DENIED = re.compile(r'source "([^"]{1,500})" not allowed by policy')
_POLICY = re.compile(r"^Policy: (.*)$", re.MULTILINE)  # what a policy says beside, in the words of whoever wrote it
_FRONTEND = "resolve image config for docker-image://"  # what reads the Dockerfile, where its first line names an image for that
_BASE = re.compile(r"failed to resolve source metadata for (\S+): ")
_NOT_THERE = re.compile(r": not found\b|pull access denied|repository does not exist|manifest unknown")
_CONTEXT = re.compile(r"error from sender: (.*)")
_MISSING = re.compile(
    r'failed to compute cache key: (?:failed to calculate checksum of ref \S+: )?"(?P<checked>[^"]{1,500})":? not found'
    r"|^lstat (?P<copied>\S{1,500}): no such file or directory$"
)
_UNREADABLE = re.compile(
    r"dockerfile parse error|failed to read dockerfile|the Dockerfile cannot be empty|no build stage in current context"
    r"|base name \(\S{0,200}\) should not be blank|failed to parse stage name"
)
_NOT_GIVEN = re.compile(r"^(?:secret (?P<secret>\S{1,200}): not found|unset ssh forward key (?P<agent>\S{1,200}))$")
_NO_STAGE = re.compile(r'target stage "([^"]{1,200})" could not be found')
_POINTED = re.compile(r"^ *\d+ \| >>> (.*)$", re.MULTILINE)  # the lines of the Dockerfile that buildx shows
_CAUSE = re.compile(r"dial tcp: |failed to resolve source metadata for \S+: ")
_FOREIGN = re.compile(
    r"^InvalidBaseImagePlatform: Base image (?P<ref>\S{1,300}) was pulled with platform \"(?P<has>[^\"]{1,60})\", "
    r"expected \"(?P<asked>[^\"]{1,60})\""
)
_FLAGS = re.compile(r"--(?:mount|network|security)=\S+ ")
_NAME_LENGTH = 80  # of a step in a reason: what it printed says more than its command
_TELLING = re.compile(r"error|fatal|not found|no such|failed|denied", re.IGNORECASE)
_SUMMARY = re.compile(  # what installers say behind the error itself: that there was one
    r"(?:note|hint): |[\u00d7\u2502\u2570] ?|error: subprocess-exited-with-error|ERROR: ResolutionImpossible: |Failed to build "
    r"|(?:ERROR: )?(?:Failed building wheel for |Failed to build |Could not build wheels for )"
)
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)


class BuildFailure(Struct, frozen=True):
    """What stopped a build, and whether trying again may help."""

    reason: str
    is_ours: bool  # the cell's own doing: its Dockerfile, its context, its base's name
    passing: bool
    spoilt: bool = False  # the builder keeps something that is no good: trying again helps without its cache


def classify_failure(  # noqa: PLR0911  # one for each kind of cause
    step: Vertex | None, messages: Sequence[str], log_tail: Sequence[str], cache: str | None = None, builder: str | None = None
) -> BuildFailure:
    """Read the last error of a build; what its steps printed is evidence, never the judge.

    With matrix's own cache folder, where images leave the builder, a full disk of that one is told from the builder's,
    and with the name of a builder that is not the engine's own BuildKit that one from the engine's.
    """
    text = inert("\n".join(messages))
    errors = _ERROR.findall(text)
    error = errors[-1] if errors else (step.error if step and step.error else text.strip().rpartition("\n")[2])
    words = error.removeprefix("failed to build: ").removeprefix("failed to solve: ")
    if found := _OF_THE_DOCKERFILE.search(error):
        return BuildFailure(_step_reason(step, found[1], log_tail), is_ours=True, passing=False)
    if failure := _unstarted(step, error, words):
        return failure
    if found := _CONTEXT.search(error):
        return BuildFailure(
            f"the context cannot be read: {shorten(found[1])}; make it readable, or leave it out by a line in .dockerignore",
            is_ours=True,
            passing=False,
        )
    if (found := _DISK.search(error)) and "dockerfile parse error" not in error:
        return _disk_failure(words, cache, builder, is_full=not found[1])
    if cache and f"{cache.rstrip('/')}/images/" in words:
        gone = f"a file of this run is gone from matrix's own cache, {cache}: {shorten(words)}; leave that alone while a run lasts"
        return BuildFailure(gone, is_ours=False, passing=True)
    asked = " ".join([step.name if step else "", *_POINTED.findall(text)])
    if reason := _find_in_inputs(words, asked, _POLICY.findall(text)):
        return BuildFailure(reason, is_ours=True, passing=False)
    if _DAMAGED.search(error):
        reason = f"what a registry sent is not what its digest says: {shorten(words)}"
        return BuildFailure(reason, is_ours=False, passing=True)
    if "failed to resolve source metadata" in error or "pull access denied" in error:
        return _base_failure(words, is_frontend=step is not None and step.name.startswith(_FRONTEND))
    if _PASSING.search(error):
        return BuildFailure(shorten(words), is_ours=False, passing=True, spoilt=bool(_SPOILT.search(error)))
    return BuildFailure(shorten(words) or "buildx gave no reason", is_ours=bool(words), passing=False)


def _find_in_inputs(words: str, asked: str, policy: Sequence[str]) -> str | None:
    """Say what is wrong with the Dockerfile, or with what it names, if it is they: by the failed step, and a policy's words."""
    if found := _DENIED.search(words):
        return f"a policy does not allow {shorten(found[1])}: {shorten('; '.join(policy) or 'it gives no reason')}"
    if _UNREADABLE.search(words):
        return f"the Dockerfile cannot be read: {shorten(words.removeprefix('dockerfile parse error '))}"
    if found := _NO_STAGE.search(words):
        return f"the Dockerfile has no stage {found[1]!r}, which is the `target`"
    if found := _NOT_GIVEN.search(words):
        what = f"the secret {found['secret']}" if found["secret"] else f"the SSH agent {found['agent']}"
        return f"a step asks for {what}, and the build is not given it"
    if found := _MISSING.search(words):
        place = "the stage or image that it is copied from" if "from=" in asked else "the context"
        return f"there is no {shorten(found['checked'] or found['copied'])} in {place}"
    return None


def _disk_failure(words: str, cache: str | None, builder: str | None, *, is_full: bool) -> BuildFailure:
    if cache and f"{cache.rstrip('/')}/" in words:
        disk, cure = f"the disk of matrix's own cache, {cache}", "MATRIX_CACHE_DIR names another folder"
    elif builder:
        disk, cure = "the builder's disk", f"`docker buildx prune --builder {builder}` frees some"
    else:
        disk, cure = "the engine's disk", "`docker buildx prune` frees some"
    if is_full:
        reason = f"no room left on {disk}: {shorten(words)}; {cure}"
    else:
        reason = f"{disk} cannot be used as it is: {shorten(words)}; the log of its machine's kernel (`dmesg`) says more"
    return BuildFailure(reason, is_ours=False, passing=False)


def _unstarted(step: Vertex | None, error: str, words: str) -> BuildFailure | None:
    """Say what kept buildx, a builder, or a step of it from being begun at all, where that is what stopped a build."""
    if _BUILDX_FOLDER.match(words):
        reason = f"buildx cannot keep its own files: {shorten(words)}; BUILDX_CONFIG names another folder for them"
        return BuildFailure(reason, is_ours=False, passing=False)
    if _UNREACHED.search(error):
        return BuildFailure(f"buildx does not reach the builder: {shorten(words)}", is_ours=False, passing=False)
    if step is not None and step.name == _BOOTING and not _DISK.search(error):
        return BuildFailure(f"the builder did not start: {shorten(words)}", is_ours=False, passing=True)
    if found := _NO_NETWORK.search(error):
        reason = (
            f"the engine has no network '{found[1]}' for steps of a build; "
            "give it one, or the cell the setting `network: none` or `host`"
        )
    elif found := _NO_MOUNT.search(error):
        reason = f"the engine cannot put a step's files together: {shorten(found[1])}"
    else:
        return None
    return BuildFailure(reason, is_ours=False, passing=False)


def _base_failure(words: str, *, is_frontend: bool) -> BuildFailure:
    found = _BASE.search(words)
    name = found[1].removeprefix("docker.io/library/") if found else "a base image"
    what = f"the frontend {name}, which the line `# syntax=` names," if is_frontend else f"the base image {name}"
    cause = shorten(_CAUSE.split(words)[-1])
    if "error getting credentials" in words:
        return BuildFailure(f"no login to the registry of {what.rstrip(',')}: {cause}", is_ours=False, passing=False)
    if _NOT_THERE.search(words):
        return BuildFailure(f"{what} does not exist, or may not be pulled: {cause}", is_ours=True, passing=False)
    passing = bool(_PASSING.search(words))
    return BuildFailure(f"the registry of {what} cannot be reached: {cause}", is_ours=False, passing=passing)


def find_foreign_base(warnings: Sequence[str], platform: str | None, refs: Sequence[str]) -> str | None:
    """Say which base is for another platform than the one that is built for: a builder only warns of it, and goes on.

    What a builder says of a Dockerfile it says to all builds that it reads it
    for at once: only what fits this one's platform and bases is about it.
    """
    own = {plain_ref(ref) for ref in refs}
    for found in filter(None, map(_FOREIGN.match, warnings)):
        is_ours = not own or plain_ref(found["ref"]) in own
        if is_ours and platform and normal_platform(found["asked"]) == normal_platform(platform):
            return f"{inert(found['ref'])} is for {inert(found['has'])}, and {inert(found['asked'])} was asked for"
    return None


def plain_step(name: str) -> str:
    """Give a step's name without what is mounted for it: the command says more."""
    return _FLAGS.sub("", one_line(name))


def _step_reason(step: Vertex | None, code: str | None, log_tail: Sequence[str]) -> str:
    """Name the step, its exit code, and the line that tells most."""
    said = [line for line in map(str.strip, log_tail) if line]
    telling = [line for line in said if _TELLING.search(line)]
    line = ([line for line in telling if not _SUMMARY.match(line)] or telling or said or [""])[-1]
    name = plain_step(step.name) if step else "a step"
    return shorten(f"{cut(name, _NAME_LENGTH + 1)}: exit {code or 'unknown'}{f': {line}' if line else ''}")
