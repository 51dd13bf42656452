"""What steps used of the machine is read from a build's provenance, and believed only where it is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.measure.usage import parse_usage, with_usage
from orchestrator.record import Build, Step, Usage
from tests.unit.golden import FOLDER

BUSY = "sha256:24bffe7eb015815619671bcb2f0e040c920dab8078a7035115425dfb8ccb2ea1"
WRITING = "sha256:ef28b7775339a6d47ee632280e36753d844893854b72307f7507cbb5e1df9812"


def load_provenance() -> dict[str, Any]:
    """Load what BuildKit 0.32 told of four steps on cgroup v2: nothing of the COPY, and no memory where nobody counts it."""
    found: dict[str, Any] = json.loads(FOLDER.joinpath("provenance-usage.json").read_text())
    return found


def test_each_step_that_ran_a_command_has_its_cpu_time() -> None:
    """The last sample is the sum; what the builder cannot count stays unknown."""
    usage = parse_usage(load_provenance())
    assert usage[BUSY] == Usage(cpu_s=2.055504)
    assert usage[WRITING] == Usage(cpu_s=0.171617)
    assert len(usage) == 3


def test_newer_provenance_says_it_elsewhere() -> None:
    """With SLSA 1.0 the same lies among the internal parameters."""
    newer = {"buildDefinition": {"internalParameters": load_provenance()}}
    assert parse_usage(newer) == parse_usage(load_provenance())


def test_peaks_and_sums_are_told_apart_by_taking_the_highest() -> None:
    """Memory has a peak, bytes add up from sample to sample: the highest is right for both."""
    samples = [
        {"memoryStat": {"peak": 30}, "ioStat": {"readBytes": 1, "writeBytes": 2}, "netStat": {"rxBytes": 5}},
        {"memoryStat": {"peak": 20}, "ioStat": {"readBytes": 4, "writeBytes": 8}, "netStat": {"rxBytes": 50, "txBytes": 7}},
    ]
    definition = [{"id": "step0", "resourceUsage": {"samples": samples}}]
    found = parse_usage({"buildConfig": {"digestMapping": {"sha256:a": "step0"}, "llbDefinition": definition}})
    assert found == {"sha256:a": Usage(None, 30, 4, 8, 50, 7)}


@pytest.mark.parametrize(
    "provenance",
    [
        None,
        [],
        {"buildConfig": 3},
        {"buildConfig": {"digestMapping": {"a": ["step0"]}, "llbDefinition": [7, None, {"id": "step0"}]}},
        {"buildConfig": {"digestMapping": {"a": "s"}, "llbDefinition": [{"id": "s", "resourceUsage": {"samples": [{}, "x"]}}]}},
        {
            "buildConfig": {
                "digestMapping": {"a": "s"},
                "llbDefinition": [{"id": "s", "resourceUsage": {"samples": [{"cpuStat": {"usageNanos": -1}}]}}],
            }
        },
    ],
)
def test_what_is_not_as_the_builder_writes_it_says_nothing(provenance: Any) -> None:
    """Metadata may be of any builder: nothing is made up, and nothing breaks."""
    assert parse_usage(provenance) == {}


def test_a_build_knows_what_its_steps_took_together() -> None:
    """Cached steps took nothing; without any figure the sum is unknown, not 0."""
    ran = Step("[2/2] RUN y", None, "RUN y", None, 2.0, "executed", digest="sha256:a")
    joined = replace(ran, outcome="joined", digest="sha256:b", ran_in="other")
    cached = replace(ran, outcome="cached", digest="sha256:c")
    build = Build("shared", 1, 2.0, steps=(ran, joined, cached))
    usage = {"sha256:a": Usage(cpu_s=1.5), "sha256:b": Usage(cpu_s=0.25), "sha256:c": Usage(cpu_s=9.0)}
    known = with_usage(build, usage)
    assert known.cpu_s == 1.75
    assert [step.usage for step in known.steps] == [Usage(cpu_s=1.5), Usage(cpu_s=0.25), None]
    assert with_usage(build, {}).cpu_s is None
    assert with_usage(build, {"sha256:a": Usage(peak_memory_bytes=3)}).cpu_s is None
