"""Markdown within a number of bytes: for a comment, or a job's summary; it says what it left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.report.markdown import Block, make_blocks
from orchestrator.report.text import escape_markdown
from orchestrator.smoke.words import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.record import RunRecord

COMMENT_BYTES = 60_000  # GitHub takes 65,536 characters in a comment, GitLab more
SUMMARY_BYTES = 1024 * 1024  # GitHub takes no more for one step
_MOST_IMPORTANT = ("verdict", "run", "gates", "table", "claims", "decision", "diagnosis", "notes", "foretold", "sizes", "times")
_PLAIN = re.compile(r"[\w.-]{1,80}")
_SPARED_BYTES = 600  # for the line that says what is missing


class _Room(Struct):
    """What is left of the bytes."""

    left: int

    def take(self, text: str) -> bool:
        """Take room for a line and its end, if there is enough."""
        size = len(text.encode(errors="replace")) + 1
        if size > self.left:
            return False
        self.left -= size
        return True


def render_comment(record: RunRecord) -> str:
    """Write a run for a comment."""
    return render_within(record, COMMENT_BYTES)


def render_within(record: RunRecord, limit_bytes: int) -> str:
    """Write a run in so many bytes: the most important parts first, in each the cells that did not end as expected."""
    title = f"## {escape_markdown(shorten(record.name))}"
    room = _Room(limit_bytes - _SPARED_BYTES)
    room.take(title)
    blocks = make_blocks(record)
    kept: dict[str, Sequence[int]] = {}
    for block in sorted(blocks, key=lambda block: _MOST_IMPORTANT.index(block.name)):
        if (items := _keep(block, room)) is not None:
            kept[block.name] = items
    lines = [title]
    for block in blocks:
        if block.name in kept:
            lines += ["", *block.render(kept[block.name])]
    if missing := [words for block in blocks if (words := _missing(block, kept.get(block.name)))]:
        rest = f"Left out to stay under {limit_bytes} bytes: {', '.join(missing)}; "
        run = record.id if _PLAIN.fullmatch(record.id) else "RUN"  # of a stored file, it may be anything
        lines += ["", escape_markdown(rest) + f"`matrix report {run} --format markdown` has all."]
    return "\n".join(lines) + "\n"


def _keep(block: Block, room: _Room) -> list[int] | None:
    """Choose the items that there is room for, in the block's order; None when there is none for any of them."""
    before = room.left
    if not room.take("\n".join(["", *block.render(())])):
        return None
    order = sorted(range(len(block.items)), key=lambda at: at not in block.urgent)
    kept = sorted(at for at in order if room.take(block.items[at]))
    if block.items and not kept:
        room.left = before
        return None
    return kept


def _missing(block: Block, kept: Sequence[int] | None) -> str | None:
    """Say what a block lacks, in the words of its title."""
    name = (block.title or {"table": "comparison"}.get(block.name, block.name)).lower()
    if kept is None:
        return name
    lacking = len(block.items) - len(kept)
    return f"{lacking} of {len(block.items)} items of {name}" if lacking else None
