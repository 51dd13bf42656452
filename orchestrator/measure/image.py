"""An image's manifest and configuration to layers, instructions and sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.record import Image, Layer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.layers.index import LayerIndex

_NO_LAYER = re.compile(
    r"^(?:/bin/sh -c #\(nop\)\s+)?"
    r"(?:ENV|LABEL|CMD|ENTRYPOINT|EXPOSE|USER|ARG|HEALTHCHECK|STOPSIGNAL|SHELL|VOLUME|MAINTAINER|ONBUILD)\b"
)
_SHELL = re.compile(r"^(?:RUN )?(?:\|\d+ .*?)?/bin/sh -c (?!#\(nop\))", re.DOTALL)


class LayerSize(Struct, frozen=True):
    """What one layer weighs."""

    compressed_bytes: int | None
    uncompressed_bytes: int | None
    estimated: bool = False


class RawImage(Struct, frozen=True):
    """An image as it was read: its layers in order, by the digest of what they unpack to."""

    digest: str
    diff_ids: tuple[str, ...]
    sizes: tuple[LayerSize, ...]
    instructions: tuple[str | None, ...]
    labels: Mapping[str, str]
    command: tuple[str, ...] = ()
    user: str = ""
    port: int = 8000
    indices: tuple[LayerIndex, ...] = ()
    ports: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    manifest: str | None = None  # as JSON; none of an image that only an engine has
    config: str | None = None


def make_image(raw: RawImage, base_layers: int | None) -> Image:
    """Add up layers; with the number of the base's own layers, tell what came on top."""
    layers = tuple(
        Layer(diff_id, instruction, size.compressed_bytes, size.uncompressed_bytes)
        for diff_id, instruction, size in zip(raw.diff_ids, raw.instructions, raw.sizes, strict=True)
    )
    return Image(
        digest=raw.digest,
        compressed_bytes=total([size.compressed_bytes for size in raw.sizes]),
        compressed_estimated=any(size.estimated for size in raw.sizes),
        uncompressed_bytes=total([size.uncompressed_bytes for size in raw.sizes]),
        over_base_bytes=over_base_bytes(layers, base_layers),
        layers=layers,
        base_layers=base_layers,
    )


def over_base_bytes(layers: Sequence[Layer], base_layers: int | None) -> int | None:
    """Add up what came on top of the base's own layers."""
    return None if base_layers is None else total([layer.uncompressed_bytes for layer in layers[base_layers:]])


def base_layers_of(image: Image) -> int | None:
    """Give how many layers are the base's; a record that does not say so still says what lies over the base."""
    if image.base_layers is not None:
        return image.base_layers if image.base_layers <= len(image.layers) else None
    if image.over_base_bytes is None or image.uncompressed_bytes is None:
        return None
    left, count = image.uncompressed_bytes - image.over_base_bytes, 0
    for layer in image.layers:
        if left <= 0 or layer.uncompressed_bytes is None:
            break
        left -= layer.uncompressed_bytes
        count += 1
    return count if left == 0 else None


def total(figures: Sequence[int | None]) -> int | None:
    """Add figures up; a sum with an unknown part is unknown."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def count_base_layers(diff_ids: Sequence[str], bases: Sequence[Sequence[str]]) -> int:
    """Give the length of the longest base that the image starts with; 0 when it has none."""
    return max((len(base) for base in bases if tuple(diff_ids[: len(base)]) == tuple(base)), default=0)


def instructions_of(history: Sequence[Mapping[str, Any]], layers: int) -> tuple[str | None, ...]:
    """Give the instruction behind each layer, or None for all when the history does not fit."""
    made = [clean_instruction(str(entry.get("created_by", ""))) for entry in history if not entry.get("empty_layer")]
    return tuple(made) if len(made) == layers else (None,) * layers


def makes_layer(created_by: str) -> bool:
    """Tell by its words whether an instruction made a layer, where the history does not say."""
    return not _NO_LAYER.match(created_by)


def clean_instruction(created_by: str) -> str:
    """Write a history entry as the Dockerfile has it."""
    text = created_by.removesuffix("# buildkit").strip()
    text = _SHELL.sub("RUN ", text)
    text = text.removeprefix("/bin/sh -c #(nop)").strip()
    return " ".join(text.split())
