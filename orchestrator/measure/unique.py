"""What of each image no other cell of a run has."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.measure.image import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.record import CellRecord


def find_unique(cells: Sequence[CellRecord]) -> tuple[CellRecord, ...]:
    """Tell of each image how much of it no other cell of the run has; with a layer of unknown size that is unknown."""
    users = Counter(digest for cell in cells if cell.image for digest in {layer.digest for layer in cell.image.layers})

    def measured(cell: CellRecord) -> CellRecord:
        if cell.image is None:
            return cell
        own = [layer for layer in cell.image.layers if users[layer.digest] == 1]
        image = replace(
            cell.image,
            unique_bytes=total([layer.uncompressed_bytes for layer in own]),
            unique_compressed_bytes=total([layer.compressed_bytes for layer in own]),
        )
        return replace(cell, image=image)

    return tuple(map(measured, cells))
