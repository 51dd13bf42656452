"""What a page says of a run and of a cell besides the table: facts as pairs of label and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.table import UNKNOWN, megabytes
from orchestrator.smoke.words import inert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from orchestrator.record import Build, CellRecord, Image, RunRecord

Fact = tuple[str, str | None]

_LONGEST_TEXT = 4000


def printable(value: object) -> object:
    """Make what goes into a page fit to be there: unknown is said, and nothing can turn or hide other text."""
    if value is None:
        return UNKNOWN
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return inert(value)
    return value


def cut(text: str | None) -> str | None:
    """Bound a text, and say how much of it is left out."""
    if text is None or len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}… ({len(text) - _LONGEST_TEXT} more characters)"


def milliseconds(seconds: float | None) -> str | None:
    """Write a time with the digits of a trace."""
    return None if seconds is None else f"{seconds:.2f}"


def megabytes_of(size_bytes: int | None) -> str:
    """Write a size with the digits of the table."""
    return megabytes(size_bytes)


def about_run(record: RunRecord) -> list[Fact]:
    """Say when, where and with what a run was measured."""
    where, inputs = record.environment, record.inputs
    memory = None if where.memory_bytes is None else f"{where.memory_bytes / 1e9:.1f} GB"
    commit = inputs.git_commit and inputs.git_commit + (" with changes" if inputs.git_dirty else "")
    facts: list[Fact] = [
        ("run", record.id),
        ("started", _moment(record.started_at)),
        ("finished", _moment(record.finished_at)),
        ("engine", _joined(f"Docker {where.docker or '?'}", where.storage and f"{where.storage} image store")),
        ("builder", _joined(f"buildx {where.buildx or '?'}", where.driver and f"driver {where.driver}", where.buildkit)),
        ("machine", _joined(f"{where.cpus or '?'} CPUs", memory, where.platform)),
        ("matrix", where.tool),
        ("commit", commit),
    ]
    if inputs.lock_digest:
        facts.append(("built as locked", inputs.lock_digest))
    asked = [*(f"--only {words}" for words in record.only), *(f"--skip {words}" for words in record.skip)]
    return [*facts, ("cells asked for", " ".join(asked))] if asked else facts


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def about_inputs(cell: CellRecord) -> list[Fact]:
    """Say what a cell was built from."""
    inputs = cell.inputs
    facts: list[Fact] = [(f"base {base.ref}", base.digest) for base in inputs.base]
    facts += [("stand-in for the base", inputs.stand_in)] if inputs.stand_in else []
    digests = (
        ("Dockerfile", inputs.dockerfile_digest),
        ("context", inputs.context_digest),
        ("requirements", inputs.requirements_digest),
    )
    facts += [(label, digest) for label, digest in digests if digest]
    return [*facts, *((f"argument {name}", value) for name, value in (inputs.args or {}).items())]


def about_image(image: Image) -> list[Fact]:
    """Say how large an image is."""
    estimated = " (estimated)" if image.compressed_estimated else ""
    sizes = [("compressed", image.compressed_bytes, estimated), ("unpacked", image.uncompressed_bytes, "")]
    sizes += [("over base", image.over_base_bytes, "")]
    sizes += [("wasted", image.wasted_bytes, "")] if image.wasted_bytes is not None else []
    facts: list[Fact] = [(label, size if size is None else f"{megabytes(size)} MB{more}") for label, size, more in sizes]
    return [*facts, ("digest", image.digest)]


def about_build(cell: CellRecord, build: Build) -> list[Fact]:
    """Say how long a build took, and how that was measured."""
    return list(_about_build(cell, build))


def _about_build(cell: CellRecord, build: Build) -> Iterator[Fact]:
    yield "timing", f"{build.timing}, up to {build.jobs} builds at once"
    yield "wall", _seconds(build.wall_s)
    figures = (
        ("own steps", build.own_s),
        ("shared steps", build.shared_s),
        ("alone", build.alone_s),
        ("pull", build.pull_s),
        ("export", build.export_s),
        ("median", build.median_s),
        ("spread", build.spread_s),
    )
    yield from ((label, _seconds(figure)) for label, figure in figures if figure is not None)
    if build.total_steps is not None:
        yield "steps", f"{build.total_steps}, {UNKNOWN if build.cached_steps is None else build.cached_steps} of them cached"
    if cell.attempts > 1:
        yield "attempts", str(cell.attempts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"
