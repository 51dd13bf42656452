"""A registry, or a resolver, that fails while a run goes on: the cells that need it say so, the others do not notice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.engine.conftest import times
from tests.faults.engine.registry import faulty_registry
from tests.faults.engine.resolver import failing_resolver
from tests.faults.engine.tally import Tally
from tests.faults.engine.whole import check_ended, check_files, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Project

FROM_A_REGISTRY = "ARG BASE\nFROM ${BASE}\nCOPY Dockerfile /Dockerfile\n"
UNREACHED = r"the registry of the base image \S+ cannot be reached: .*"
EXPECTED = {
    "busy": ("error", UNREACHED + "503"),
    "passing": ("passed", ""),
    "silent": ("timeout", r"build: still running after 5 s in .*load metadata"),
    "short": ("error", r".*(unexpected EOF|short read|failed to copy)"),
    "wrong": ("error", r".*(digest|checksum)"),
}
CODES = {"error": 4, "passed": 0, "timeout": 1}


def run_with(project: Project, base: str, exit_code: int, **defaults: Any) -> dict[str, Any]:
    """Run two cells on this base beside two that need no registry."""
    project.folder.joinpath("base.Dockerfile").write_text(FROM_A_REGISTRY)
    remote: dict[str, Any] = {"dockerfile": "base.Dockerfile", "smoke": [], "retries": 1, **defaults}
    project.write(
        axes={"kind": ["own-1", "far-1", "own-2", "far-2"]},
        settings={
            "kind": {
                **{f"own-{number}": {"smoke": [{"run": ["true"]}]} for number in (1, 2)},
                **{f"far-{number}": {**remote, "args": {"BASE": base}} for number in (1, 2)},
            }
        },
    )
    return project.run("--jobs", "4", exit_code=exit_code)


def without_names(reason: str) -> str:
    """Leave out of a reason what differs each time: ports, digests, numbers, the resolver's address."""
    reason = re.sub(r"127\.0\.0\.1:\d+/\S+?(?=[\s:])", "…", reason)
    reason = re.sub(r"(base|…):\d+", r"\1", reason)
    reason = re.sub(r"unexpected status from HEAD request.*", "503", reason)
    return re.sub(r"(short read|what its digest says|lookup \S+)(?::| on) .*", r"\1", reason)


def check(project: Project, record: dict[str, Any], status: str, reason: str) -> str:
    """See that the cells concerned say what it was, and that no other was harmed; give the reason."""
    found = outcomes(record)
    assert {cell: words for cell, words in found.items() if cell.startswith("own")} == {
        "own-1": ("passed", None),
        "own-2": ("passed", None),
    }
    for cell in ("far-1", "far-2"):
        assert found[cell][0] == status, found[cell]
        assert re.match(reason, found[cell][1] or ""), found[cell]
    check_files(project)
    check_ended(project)
    return without_names(found["far-1"][1] or "")


@pytest.mark.parametrize("fault", [*(pytest.param(name, marks=pytest.mark.whole) for name in list(EXPECTED)[:-1]), "wrong"])
def test_a_registry_that_fails_is_named_and_harms_no_other_cell(fault: str, fresh: Callable[[str], Project]) -> None:
    """It answers 503, or not at all; a layer ends too early, or is not what it should be."""
    status, reason = EXPECTED[fault]
    tally = Tally()
    with faulty_registry() as address:
        for number in range(times(1, 10)):
            with tally.one():
                project = fresh(f"{fault}-{number}")
                record = run_with(project, f"{address}/{fault}/{number}:1", CODES[status], timeout={"build": "5s"})
                tally.seen[f"{status}, exit {CODES[status]}: {check(project, record, status, reason)}".rstrip(": ")] += 1
    words = {
        "busy": "a registry that answers 503",
        "passing": "a registry that answers 503 twice, then well",
        "silent": "a registry that never answers",
        "short": "a registry that cuts a layer short",
        "wrong": "a registry whose layer has another digest",
    }
    tally.save("faults under way", words[fault])


@pytest.mark.whole
@pytest.mark.parametrize("fault", ["no resolver", "SERVFAIL"])
def test_a_name_that_does_not_resolve_is_named_and_harms_no_other_cell(fault: str, fresh: Callable[[str], Project]) -> None:
    """Whether the resolver is silent, or says that it failed."""
    tally = Tally()
    for number in range(times(1, 10)):
        with tally.one():
            project = fresh(f"dns-{number}")
            if fault == "SERVFAIL":
                with failing_resolver():
                    record = run_with(project, f"registry.example/base:{number}", 4)
            else:
                record = run_with(project, f"registry.example/base:{number}", 4)
            tally.seen[f"error, exit 4: {check(project, record, 'error', UNREACHED)}"] += 1
    tally.save("faults under way", f"names do not resolve ({fault})")
