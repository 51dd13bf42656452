"""What each step used of the machine, as a builder on cgroup v2 tells in the provenance of a build.

A step's CPU time is what it took however busy the machine was, so it can be
compared where wall times cannot. A builder on cgroup v1 tells nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.measure.provenance import defined_steps, within
from orchestrator.record import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import Build


def parse_usage(provenance: Any) -> dict[str, Usage]:  # noqa: ANN401  # JSON is anything
    """Read the usage of each step by its digest; what is not as BuildKit writes it says nothing."""
    found: dict[str, Usage] = {}
    for digest, one in defined_steps(provenance):
        samples = within(one, "resourceUsage", "samples")
        if isinstance(samples, list) and (usage := _sum_up(samples)) != Usage():
            found[digest] = usage
    return found


def with_usage(build: Build, usage: Mapping[str, Usage]) -> Build:
    """Give a build whose steps know what they used; its own figure is the sum of those that ran."""
    if not usage:
        return build
    steps = tuple(replace(step, usage=usage.get(step.digest or "") if step.outcome != "cached" else None) for step in build.steps)
    cpu_s = {step.digest: step.usage.cpu_s for step in steps if step.usage and step.usage.cpu_s is not None}
    return replace(build, steps=steps, cpu_s=round(sum(cpu_s.values()), 3) if cpu_s else None)


def _sum_up(samples: list[Any]) -> Usage:
    """Take the last figure of what adds up, and the highest of what does not."""
    nanos = _highest(samples, "cpuStat", "usageNanos")
    return Usage(
        cpu_s=None if nanos is None else round(nanos / 1e9, 6),
        peak_memory_bytes=_highest(samples, "memoryStat", "peak"),
        read_bytes=_highest(samples, "ioStat", "readBytes"),
        written_bytes=_highest(samples, "ioStat", "writeBytes"),
        received_bytes=_highest(samples, "netStat", "rxBytes"),
        sent_bytes=_highest(samples, "netStat", "txBytes"),
    )


def _highest(samples: list[Any], kind: str, name: str) -> int | None:
    return max(_numbers(samples, kind, name), default=None)


def _numbers(samples: list[Any], kind: str, name: str) -> Iterator[int]:
    for sample in samples:
        value = within(sample, kind, name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            yield value
