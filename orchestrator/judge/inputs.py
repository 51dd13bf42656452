"""What a cell was built from, then and now: what of it changed, as causes that have no bytes yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.differences import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import CellInputs

_MOST_NAMED = 20
_SHORT_DIGEST = 19


def make_base_cause(old: CellInputs, new: CellInputs) -> Cause | None:
    """Say which bases moved, came or went; where a build named none, nothing is known of them."""
    if not old.base or not new.base:
        return None
    before, after = ({base.ref: base.digest for base in inputs.base} for inputs in (old, new))
    moved = [ref for ref in after if ref in before and after[ref] != before[ref]]
    lines = [f"{ref}: {short_digest(before[ref])} → {short_digest(after[ref])}" for ref in moved]
    come, gone = [ref for ref in after if ref not in before], [ref for ref in before if ref not in after]
    lines += [f"{ref}: {short_digest(after[ref])}, not a base of the old run" for ref in come]
    lines += [f"{ref}: {short_digest(before[ref])}, not a base of the new run" for ref in gone]
    if not lines:
        return None
    if not moved and len(come) == len(gone) == 1:
        return Cause("base", f"another base: {gone[0]} → {come[0]}", None, tuple(lines))
    names = ", ".join([*moved, *come, *gone])
    return Cause(
        "base", f"the base moved: {names}" if moved and not come and not gone else f"other bases: {names}", None, tuple(lines)
    )


def short_digest(digest: str) -> str:
    """Cut a digest to what tells it from others."""
    return digest[:_SHORT_DIGEST]


def make_input_causes(old: CellInputs, new: CellInputs) -> Iterator[Cause]:
    """Name each input that differs; one that either run does not know may have changed, and is not accused."""
    digests = (
        ("dockerfile", "the Dockerfile changed", old.dockerfile_digest, new.dockerfile_digest),
        ("context", "the build context changed", old.context_digest, new.context_digest),
        ("requirements", "the requirements file changed", old.requirements_digest, new.requirements_digest),
        ("checks", "the checks, or their environment, changed", old.smoke_digest, new.smoke_digest),
    )
    for kind, title, before, after in digests:
        if before is not None and after is not None and before != after:
            yield Cause(kind, title, None, (f"{short_digest(before)} → {short_digest(after)}",))
    yield from _mapping_cause("args", "build arguments changed", old.args, new.args)
    yield from _mapping_cause("options", "settings of the build changed", old.options, new.options)


def _mapping_cause(kind: str, title: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> Iterator[Cause]:
    if old is None or new is None:
        return
    names = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
    if names:
        lines = [f"{name}: {old.get(name, 'not there')} → {new.get(name, 'not there')}" for name in names]
        yield Cause(kind, f"{title}: {', '.join(names)}", None, tuple(lines[:_MOST_NAMED]))
