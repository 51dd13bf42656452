"""Rules about what a step or a container was not allowed or not given: memory, disk, rights, time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.nouns import Case, Rule, first, lines_of, make_finding, make_finding_from, search
from orchestrator.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.verdicts import Finding

_MEMORY = re.compile(
    r"^out of memory(?: \(limit \d+ MiB\))?, exit \d+|the container ended: out of memory|^[ \t]*MemoryError\b"
    r"|Cannot allocate memory"
    r"|fatal error: Killed signal terminated program \S{1,60}|std::bad_alloc|JavaScript heap out of memory|\bENOMEM\b",
    re.MULTILINE,
)
_KILLED = re.compile(r"killed \(SIGKILL\), exit 137")
_DISK = re.compile(r"No space left on device|Disk quota exceeded|\bENOSPC\b", re.IGNORECASE)
_DENIED = re.compile(
    r"\[Errno 13\] Permission denied: '(?P<path>[^'\n]{1,300})'"
    r"|(?:cannot|can't) (?:create|open|remove|touch|make)[^\n:]{0,20} "
    r"[\u2018'\"]?(?P<made>[^\u2019'\":\n]{1,300})[\u2019'\"]?: Permission denied"
    r"|Could not open lock file (?P<lock>\S{1,200}) - open \(13: Permission denied\)"
    r"|Unable to (?:lock database|open apk database|open log): Permission denied"
    r"|EACCES: permission denied, \w{1,20} '(?P<node>[^'\n]{1,300})'"
    r"|^/bin/sh: (?:(?:line )?\d+: )?(?P<command>\S{1,200}): Permission denied$|^/bin/sh: [^\n]{1,200}: Permission denied$"
    r"|(?P<bundle>SSLError\(PermissionError\(13), 'Permission denied'\)"
    r"|the command in the image may not be executed \(permission denied\)",
    re.MULTILINE,
)
_NOT_BEGUN = re.compile(
    r"^runc run failed: unable to start container process: error during container init: error mounting [^\n]{1,500}", re.MULTILINE
)
_READ_ONLY = re.compile(r"Read-only file system(?:: '(?P<path>[^'\n]{1,300})')?")


def find_no_memory(case: Case) -> Iterator[Finding]:
    """Say that memory ran out."""
    hits = first(search(case.said, _MEMORY))
    if hits:
        if hits[0].said is case.build:
            remedy = (
                "Give the builder more memory, run fewer cells at once (`--jobs 1`), or compile with fewer processes "
                "(MAKEFLAGS=-j1, MAX_JOBS=1)."
            )
        else:
            remedy = (
                "Raise the check's limit (`memory: 1GB` on the check) if the service may use that much; otherwise find "
                "what takes it."
            )
        yield make_finding_from("out-of-memory", "memory ran out", hits, remedy)


def find_killed(case: Case) -> Iterator[Finding]:
    """Say that something was killed from outside, and nobody says that it was for want of memory."""
    hits = first(search(case.checks, _KILLED))
    where, lines = (hits[0].said.where, lines_of(hits)) if hits else ("", [])
    if case.build and re.search(r": exit 137\b", case.cell.reason or ""):
        where, lines = case.build.where, ["exit 137"]
    if lines:
        remedy = (
            "Look at the machine's kernel log for its out-of-memory killer (`dmesg`); if that was it, give the builder or "
            "the check more memory. Otherwise find who ended it."
        )
        title = "a process was killed (SIGKILL); want of memory is the usual cause, and nothing here proves it"
        yield make_finding("killed", title, where, lines, remedy)


def find_no_room(case: Case) -> Iterator[Finding]:
    """Say that a disk is full."""
    hits = first(search(case.said, _DISK))
    reason = case.cell.reason or ""
    if reason.startswith("no room left on the engine's disk"):
        remedy = "Free some: `docker buildx prune` removes cache, `docker image prune` images that nothing uses."
        yield make_finding("disk-full", "no room is left on the engine's disk", "the engine", [reason], remedy)
    elif reason.startswith("no room left on the builder's disk"):
        remedy = "Free some where the builder keeps its cache, as the reason says, or give it more."
        yield make_finding("disk-full", "no room is left on the builder's disk", "the builder", [reason], remedy)
    elif reason.startswith("no room left on the disk of matrix's own cache"):
        remedy = "Free some room there, or name another folder by MATRIX_CACHE_DIR: images pass through it on their way."
        yield make_finding("disk-full", "no room is left on the disk of matrix's own cache", "matrix", [reason], remedy)
    elif hits:
        in_build = hits[0].said is case.build
        remedy = (
            "Free some room where the builder keeps its cache (`docker buildx prune`, `docker system df` shows what there is); "
            "where the step writes to a tmpfs or a cache mount, that one's size is the limit."
            if in_build
            else "A check's container has a small tmpfs for /tmp and nothing else to write to: write less, or set "
            "`writable: true` on the check."
        )
        yield make_finding_from("disk-full", "no room is left where this writes", hits, remedy)


def find_not_begun(case: Case) -> Iterator[Finding]:
    """Say that a builder cannot begin a step, of which nothing has run."""
    if case.build and (hits := first(search([case.build], _NOT_BEGUN))):
        remedy = (
            "It is the builder's machine, not the Dockerfile: it may not mount what a step needs. Inside a container it needs more "
            "rights; an engine with `userns-remap` and the containerd image store has to do without one of them, or take "
            "`builder: {driver: docker-container}`."
        )
        yield make_finding_from("step-not-begun", "the builder cannot begin a step", hits, remedy)


def find_denied(case: Case) -> Iterator[Finding]:
    """Say that a user may not do what was tried."""
    hits = first(search(case.said, _DENIED))
    if not hits:
        return
    inside = case.cell.image.inventory if case.cell.image else None
    name = inside.user if inside else ""
    user = [f"the image's user is {name}"] if name else []
    found = hits[0].found
    path = next((value for hit in hits for key, value in hit.found.groupdict().items() if value and key != "bundle"), None)
    title = f"permission denied{f' for {path}' if path else ''}"
    if found["bundle"]:
        title = "permission denied for the CA bundle"
        remedy = (
            "Let the step's user read what PIP_CERT, SSL_CERT_FILE or REQUESTS_CA_BUNDLE names: a secret's mount is root's alone "
            "unless it says otherwise (`--mount=type=secret,id=ca,mode=0444`, or `uid=`)."
        )
    elif "may not be executed" in found[0] or found["command"]:
        remedy = "Make the command executable: `COPY --chmod=755`, or `RUN chmod +x` before USER."
    elif hits[0].said is case.build:
        remedy = (
            "Do what needs root before the line with USER, or change the owner of the folder first (`COPY --chown`, "
            "`install -d -o`)."
        )
    else:
        remedy = (
            f"Give the folder to the user that the image runs as: `COPY --chown`, or `RUN install -d -o {name or 'USER'} FOLDER`."
        )
    yield make_finding("permission-denied", title, hits[0].said.where, [*lines_of(hits), *user], remedy)


def find_read_only(case: Case) -> Iterator[Finding]:
    """Say that a check's container may not be written to, as it is told."""
    hits = first(search(case.checks, _READ_ONLY))
    if hits:
        path = hits[0].found["path"]
        remedy = (
            "A check's container is read-only but for /tmp. Write there, or set `writable: true` on this check; where the service "
            "runs with a read-only root too, it would fail there in the same way."
        )
        title = f"{path or 'a folder'} is written to, and the container's file system is read-only"
        yield make_finding_from("read-only", title, hits, remedy)


def find_timeout(case: Case) -> Iterator[Finding]:
    """Say that a build or a check did not end within its time."""
    cell = case.cell
    if cell.status is Status.TIMEOUT and (cell.reason or "").startswith("build: still running"):
        last = case.build.text.strip().splitlines()[-1:] if case.build else []
        remedy = (
            "See with `matrix trace` where the time went. Raise `timeout: {build: …}` if the step is merely slow; a "
            "wheel in place of a compile is faster."
        )
        yield make_finding(
            "timed-out",
            "the build did not end within its time",
            case.build.where if case.build else "the build",
            [cell.reason or "", *last],
            remedy,
        )
        return
    for said in case.checks:
        if said.check and said.check.outcome == "timeout":
            remedy = (
                "Raise the check's `timeout` if it is merely slow here; otherwise the last lines of smoke.log show "
                "what it waits for."
            )
            yield make_finding("timed-out", "a check did not end within its time", said.where, [said.check.reason or ""], remedy)


RULES = (
    Rule(
        "out-of-memory",
        "Memory ran out.",
        "The engine's own word about the container, `MemoryError`, `Cannot allocate memory`, or the compiler's `Killed signal`.",
        "More memory, or less at once.",
        find_no_memory,
        hides=("killed", "compile-error"),
    ),
    Rule(
        "killed",
        "A process was killed from outside.",
        "Exit 137 without any word of memory.",
        "The kernel's log tells whether it was for want of memory.",
        find_killed,
    ),
    Rule(
        "disk-full",
        "No room is left on a disk.",
        "`No space left on device` in what failed, or the engine's error.",
        "`docker buildx prune`, or less to write.",
        find_no_room,
    ),
    Rule(
        "step-not-begun",
        "The builder cannot begin a step: nothing of it has run.",
        "The runtime's word that it cannot mount what a step needs, in the step that failed.",
        "The builder's rights, or another builder.",
        find_not_begun,
        hides=("permission-denied",),
    ),
    Rule(
        "permission-denied",
        "A user may not do what was tried.",
        "`Permission denied` with the path or the lock in what failed; the image's user where it is known.",
        "The folder's owner, the place of USER, or the command's mode.",
        find_denied,
        hides=("nothing-offered",),
    ),
    Rule(
        "read-only",
        "A check writes where its container is read-only.",
        "`Read-only file system` in a check that failed.",
        "`writable: true`, or /tmp.",
        find_read_only,
    ),
    Rule(
        "timed-out",
        "A build or a check did not end within its time.",
        "The cell's or the check's outcome.",
        "The step that takes the time; then the limit.",
        find_timeout,
    ),
)
