"""Whether two runs were measured with the same machine and tools, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.units import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import CellRecord, Environment, RunRecord

# Of what changes how long a build takes. Not among them: the builder's name, matrix's own Python, and `--jobs`, since an
# isolated build has the machine to itself.
TIMED = (
    "cpu",
    "cpus",
    "memory_bytes",
    "platform",
    "cgroup",
    "driver",
    "storage",
    "docker",
    "buildx",
    "buildkit",
    "builder_limits",
    "endpoints",
    "tool",
)
# Of what changes how large an image is, its Dockerfile and its bases being the same.
WEIGHED = ("platform", "driver", "storage", "docker", "buildkit", "tool")
_WORDS = {
    "memory_bytes": "memory",
    "storage": "image store",
    "tool": "matrix",
    "builder_limits": "builder limits",
    "cpus": "CPUs",
    "endpoints": "builder",
}
_SAME_MEMORY = 0.05  # virtual machines of one kind differ by what their firmware keeps


def environment_of(run: RunRecord, cell: CellRecord) -> Environment:
    """Give what a cell was made with: of a run that was merged from unlike machines, what its part was made with."""
    return next((part.environment for part in run.parts if cell.part == part.run), run.environment)


def differing(old: Environment, new: Environment, fields: tuple[str, ...] = TIMED) -> tuple[str, ...]:
    """Name each field that differs, with both values; one that only one run has recorded differs, too."""
    return tuple(_differing(old, new, fields))


def _differing(old: Environment, new: Environment, fields: tuple[str, ...]) -> Iterator[str]:
    for name in fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after or (name == "memory_bytes" and are_near(before, after)):
            continue
        yield f"{_WORDS.get(name, name)}: {_render(name, before)} → {_render(name, after)}"


def are_near(before: int | None, after: int | None) -> bool:
    """Tell whether two machines have as much memory as one kind of machine has."""
    return before is not None and after is not None and abs(before - after) <= _SAME_MEMORY * max(before, after)


def _render(name: str, value: object) -> str:
    if value is None:
        return "none" if name == "builder_limits" else "not known"
    if name == "memory_bytes" and isinstance(value, int):
        return f"{megabytes(value)} MB"
    if isinstance(value, tuple):
        return " and ".join(value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in sorted(value.items()))
    return str(value)
