"""An image's manifest and configuration to layers, instructions and sizes."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.record import Image, Layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.layers.index import LayerIndex

_NO_LAYER = re.compile(
    r"^(?:/bin/sh -c #\(nop\)\s+)?"
    r"(?:ENV|LABEL|CMD|ENTRYPOINT|EXPOSE|USER|ARG|HEALTHCHECK|STOPSIGNAL|SHELL|VOLUME|MAINTAINER|ONBUILD)\b"
)
_SHELL = "/bin/sh -c"  # unless a SHELL says otherwise
_ARGUMENTS = re.compile(r"(?:RUN )?\|\d+ ")
_ARGUMENT = re.compile(r"[A-Za-z_]\w*=")
_NOTHING = "#(nop)"  # as the classic builder begins what runs nothing
_MOST_VALUES = 200  # of ARG and ENV, that are looked for before a command
_FILLED_UP = "buildkit.exporter.image.v0"  # of what BuildKit puts behind a history that has fewer entries than the image has layers


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
    words = clean_history(str(entry.get("created_by", "")) for entry in history)
    comments = [str(entry.get("comment", "")) for entry in history]
    told = zip(words, comments, history, strict=True)
    return align_history([(one, comment) for one, comment, entry in told if not entry.get("empty_layer")], layers)


def align_history(made: Sequence[tuple[str, str]], layers: int) -> tuple[str | None, ...]:
    """Give each layer its instruction, from those that made one, each with the comment of its entry.

    A base may come without a history. BuildKit then puts as many entries behind
    the Dockerfile's as there are layers without one; but those are the base's,
    which lie below.
    """
    if len(made) != layers:
        return (None,) * layers
    told = [words for words, comment in made if comment != _FILLED_UP]
    return (None,) * (layers - len(told)) + tuple(told) if told else tuple(words for words, _ in made)


def makes_layer(created_by: str) -> bool:
    """Tell by its words whether an instruction made a layer, where the history does not say."""
    return not _NO_LAYER.match(created_by)


def clean_history(words: Iterable[str]) -> list[str]:
    """Write history entries, the oldest first, as the Dockerfile has them; SHELL, ARG and ENV say what stands before a command."""
    shell, values = _SHELL, deque[str](maxlen=_MOST_VALUES)
    made = []
    for one in words:
        text = _clean(one, shell, values)
        name, _, rest = text.partition(" ")
        if name == "SHELL":
            shell = rest.removeprefix("[").removesuffix("]")
        elif name in ("ARG", "ENV"):
            values.append(rest if "=" in rest else f"{rest}=")
        made.append(text)
    return made


def _clean(created_by: str, shell: str, values: Iterable[str]) -> str:
    text = " ".join(created_by.removesuffix("# buildkit").split())
    if text.startswith(f"{shell} {_NOTHING}"):
        return text.removeprefix(f"{shell} {_NOTHING}").strip()
    if start := _ARGUMENTS.match(text):
        text = f"RUN {_without_values(text[start.end() :], shell, values)}"
    command = text.removeprefix("RUN ")
    return f"RUN {command.removeprefix(f'{shell} ')}" if command.startswith(f"{shell} ") else text


def _without_values(text: str, shell: str, values: Iterable[str]) -> str:
    """Take the build arguments off a command; of one whose value nothing tells, the shell says where it ends."""
    while known := next((value for value in values if text.startswith(f"{value} ")), None):
        text = text[len(known) + 1 :]
    rest = text.partition(f" {shell} ")[2] if _ARGUMENT.match(text) else ""
    return rest or text
