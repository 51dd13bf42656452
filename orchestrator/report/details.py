"""What a page says of a run and of a cell besides the table: facts as pairs of label and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.smoke.words import inert
from orchestrator.units import UNKNOWN, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from orchestrator.inside import Package, SizedPath
    from orchestrator.record import Build, CellRecord, Image, RunRecord

Fact = tuple[str, str | None]

_LONGEST_TEXT = 4000


def printable(value: object) -> object:
    """Make what goes into a page fit to be there: unknown is said, and nothing can turn or hide other text."""
    if type(value) is str and value.isprintable():  # nearly all, of millions; what is escaped already is of another type
        return value
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


def hundredths(seconds: float | None) -> str | None:
    """Write a time with the digits of a trace."""
    return None if seconds is None else f"{seconds:.2f}"


def about_run(record: RunRecord) -> list[Fact]:
    """Say when, where and with what a run was measured."""
    where, inputs = record.environment, record.inputs
    memory = None if where.memory_bytes is None else f"{where.memory_bytes / 1e9:.1f} GB"
    stored = where.storage and f"{where.storage} image store"
    engine = f"{where.product or 'Docker'} {where.docker or '?'}"
    elsewhere = f"at {' and '.join(where.endpoints)}" if where.endpoints else None
    commit = inputs.git_commit and inputs.git_commit + (" with changes" if inputs.git_dirty else "")
    facts: list[Fact] = [
        ("run", record.id),
        ("started", _moment(record.started_at)),
        ("finished", _moment(record.finished_at)),
        ("engine", None if elsewhere and not where.docker else _joined(engine, stored)),
        ("builder", _joined(f"buildx {where.buildx or '?'}", where.driver and f"driver {where.driver}", where.buildkit, elsewhere)),
        ("machine", _joined("unknown" if elsewhere else f"{where.cpus or '?'} CPUs", memory, where.platform)),
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
    more_sizes = (("wasted", image.wasted_bytes), ("unique, unpacked", image.unique_bytes))
    sizes += [(label, size, "") for label, size in more_sizes if size is not None]
    facts: list[Fact] = [(label, size if size is None else f"{megabytes(size)} MB{more}") for label, size, more in sizes]
    return [*facts, ("digest", image.digest), *_about_inventory(image)]


def _about_inventory(image: Image) -> Iterator[Fact]:
    """Say what else is inside, as far as it is known."""
    if image.packages is not None:
        yield "packages", f"{len(image.packages.os)} of the system, {len(image.packages.python)} of Python"
    if (found := image.vulnerabilities) is not None:
        counts = f"{found.critical} critical, {found.high} high, {found.medium} medium, {found.low} low, {found.other} other"
        yield "vulnerabilities", f"{counts} ({found.scanner}, database of {found.database_built_at or 'an unknown date'})"
    if (inside := image.inventory) is None:
        return
    yield "system", _joined(f"{inside.system or '?'} {inside.system_version or ''}".strip())
    yield "starts", " ".join((*inside.entrypoint, *inside.command)) or None
    yield "user", _joined(inside.user or "root, as nothing else is said", f"of {len(inside.users)} in the image")
    lists = (("ports", inside.ports), ("set-user-id files", inside.set_id_files), ("shells", inside.shells))
    yield from ((label, cut(", ".join(texts)) or "none") for label, texts in lists)


def about_waste(image: Image) -> list[tuple[str, str, int]]:
    """Say of each file that wastes most which instruction stored it and which one hid it."""

    def step(number: int) -> str:
        layer = image.layers[number] if 0 <= number < len(image.layers) else None
        return f"layer {number + 1}" + (f", {layer.instruction}" if layer and layer.instruction else "")

    return [(one.path, f"stored by {step(one.layer)}; hidden by {step(one.by_layer)}", one.bytes) for one in image.wasted_paths]


def about_sizes(found: Sequence[SizedPath]) -> list[tuple[str, str, int]]:
    """List files or folders with their bytes."""
    return [(one.path, "", one.bytes) for one in found]


def about_packages(image: Image, most: int) -> list[tuple[str, str, int | None]]:
    """List the largest packages of an image, and what is left of them."""
    packages = [*image.packages.os, *image.packages.python] if image.packages else []
    packages.sort(key=lambda one: (-(one.bytes or 0), one.name, one.version))
    found = [(f"{one.name} {one.version}", _about_package(one), one.bytes) for one in packages[:most]]
    rest = [one.bytes for one in packages[most:]]
    known = [size for size in rest if size is not None]
    size = sum(known) if len(known) == len(rest) else None
    return found + ([(f"{len(rest)} more", "all of them are in run.json", size)] if rest else [])


def _about_package(package: Package) -> str:
    native = None if package.native is None else "native" if package.native else "pure Python"
    built = package.built_from and f"from {'a wheel' if package.built_from == 'wheel' else 'source'}"
    compiled = None if package.compile_s is None else f"compiled in {package.compile_s:.1f} s"
    return _joined(package.installed_by, native, built, compiled)


def about_build(cell: CellRecord, build: Build) -> list[Fact]:
    """Say how long a build took, and how that was measured."""
    return list(_about_build(cell, build))


def _about_build(cell: CellRecord, build: Build) -> Iterator[Fact]:
    yield "timing", build.timing
    at_once = f"up to {build.jobs} builds at once" if build.jobs > 1 else "one build at a time"
    yield "wall", f"{_seconds(build.wall_s)}, {at_once}"
    figures = (
        ("own work", build.own_s),
        ("steps of others that it needed", build.shared_s),
        ("alone it would have taken", build.alone_s),
        ("pull", build.pull_s),
        ("export", build.export_s),
        *((f"median of {one.name}", one.median_s) for one in build.scenarios),
        *((f"spread of {one.name}", one.spread_s) for one in build.scenarios),
    )
    yield from ((label, _seconds(figure)) for label, figure in figures if figure is not None)
    if build.total_steps is not None:
        yield "steps", f"{build.total_steps}, {UNKNOWN if build.cached_steps is None else build.cached_steps} of them cached"
    if cell.attempts > 1:
        yield "attempts", str(cell.attempts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"
