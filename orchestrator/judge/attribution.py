"""Why a cell is not what it was: each difference charged to what changed, and the rest said to be unexplained.

Bytes are unpacked ones, since only those can be added up: the base's own layers
are weighed as such, each package that lies above them by its files, and what is
left belongs to whatever else changed, together where that is more than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.differences import Cause
from orchestrator.judge.inputs import make_base_cause, make_input_causes, short_digest
from orchestrator.judge.noise import SIZE_NOISE_BYTES, size_noise
from orchestrator.judge.packages import PackageChange, find_package_changes
from orchestrator.measure.image import base_layers_of, total
from orchestrator.units import megabytes, signed_megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.inside import Package
    from orchestrator.record import CellRecord, Image, Layer

_MOST_NAMED = 20
_AROUND = 0.1  # of what packages changed by: their folders, caches and the installer's notes, which no list of files names


def attribute(old: CellRecord, new: CellRecord, environment: Sequence[str] = ()) -> tuple[Cause, ...]:
    """Say what changed between two records of a cell, and what of its size each change is charged with."""
    base = make_base_cause(old.inputs, new.inputs)
    inputs = tuple(make_input_causes(old.inputs, new.inputs))
    if old.image is None or new.image is None:
        return _without_sizes(base, inputs, environment)
    return tuple(_Account(old.image, new.image, base, inputs, tuple(environment)).settle())


def _without_sizes(base: Cause | None, inputs: Sequence[Cause], environment: Sequence[str]) -> tuple[Cause, ...]:
    """Name what changed where a cell has no image to weigh."""
    found = [*([base] if base else []), *inputs]
    if environment:
        found.append(_environment_cause(environment))
    return tuple(found) or (Cause("unexplained", "nothing that is recorded changed"),)


def _environment_cause(environment: Sequence[str], size: int | None = None) -> Cause:
    return Cause("environment", "tool or machine changed", size, tuple(environment))


class _Account(Struct):
    """The bytes of one cell's difference while they are charged."""

    old: Image
    new: Image
    base: Cause | None
    inputs: tuple[Cause, ...]
    environment: tuple[str, ...]

    def settle(self) -> Iterator[Cause]:
        """Charge the base, then packages, then what else changed; give them in that order."""
        whole = _difference(self.old.uncompressed_bytes, self.new.uncompressed_bytes)
        base_bytes, base_lines = self._weigh_bases()
        inside, above = self._sort_packages()
        builders = [cause for cause in self.inputs if cause.kind != "checks"]
        only_base = self.base is not None and not above and not builders and not self.environment
        rest = None if whole is None or base_bytes is None else whole - base_bytes
        if self.base or base_bytes:
            lines = [*base_lines, *_named("in it: ", inside)]
            if only_base and (anew := self._beyond_noise(rest)) is not None:
                lines.append(f"{signed_megabytes(anew)} MB of it in layers that were built anew on it")
            yield self._charge_base(whole if only_base else base_bytes, lines)
        if above:
            packages, rest = self._charge_packages(above, rest, alone=not builders)
            yield packages
        left = None if only_base else self._beyond_noise(rest)
        yield from self._charge_rest(builders, left)
        yield from (cause for cause in self.inputs if cause.kind == "checks")
        yield from self._unexplained(None if builders else left)

    def _beyond_noise(self, rest: int | None) -> int | None:
        return rest if rest is not None and abs(rest) > size_noise(self.old.uncompressed_bytes or 0) else None

    def _charge_packages(self, above: Sequence[PackageChange], rest: int | None, *, alone: bool) -> tuple[Cause, int | None]:
        """Charge packages with their files, and with what must be theirs as well; give what is left."""
        weighed = [_bytes_above(change, self._heights()) for change in above]
        known = [size for size in weighed if size is not None]
        charged = sum(known)
        if rest is not None:
            around = abs(rest - charged) <= _AROUND * sum(map(abs, known))
            if around or (alone and len(known) < len(weighed)):
                charged = rest
            rest -= charged
        lines = tuple(_package_lines(above, self._heights()))
        return Cause("packages", _count_packages(above), charged if known or charged else None, lines), rest

    def _heights(self) -> tuple[int | None, int | None]:
        return base_layers_of(self.old), base_layers_of(self.new)

    def _weigh_bases(self) -> tuple[int | None, list[str]]:
        """Give the difference of the bases' own layers, and the layers that are others now."""
        low, high = self._heights()
        if low is None or high is None:
            return (0, []) if self.base is None else (None, ["which layers are the base's is not known"])
        before, after = self.old.layers[:low], self.new.layers[:high]
        gone, come = _not_in(before, after), _not_in(after, before)
        if not gone and not come:
            return 0, []
        lines = [f"{len(come)} of its {len(after)} layers are others (of {len(before)} before)"]
        packed = _difference(*(total([layer.compressed_bytes for layer in layers]) for layers in (before, after)))
        lines += [f"{signed_megabytes(packed)} MB compressed"] if packed is not None else []
        lines += [f"before: {_layer_line(layer)}" for layer in gone] + [f"now: {_layer_line(layer)}" for layer in come]
        sizes = [total([layer.uncompressed_bytes for layer in layers]) for layers in (before, after)]
        return _difference(*sizes), lines[:_MOST_NAMED]

    def _sort_packages(self) -> tuple[list[PackageChange], list[PackageChange]]:
        """Tell the packages that changed inside the base from those above it; of old runs, a moved base explains them all."""
        low, high = self._heights()
        inside: list[PackageChange] = []
        above: list[PackageChange] = []
        for change in find_package_changes(self.old, self.new) or ():
            places = [(change.old, low), (change.new, high)]
            known = [_is_above(package.layer, height) for package, height in places if package is not None]
            is_above = any(known) if None not in known else self.base is None
            (above if is_above else inside).append(change)
        return inside, above

    def _charge_base(self, charged: int | None, lines: Sequence[str]) -> Cause:
        if self.base is None:
            return Cause("base", "the base's layers are others", charged, tuple(lines))
        return Cause("base", self.base.title, charged, (*self.base.evidence, *lines))

    def _charge_rest(self, builders: Sequence[Cause], rest: int | None) -> Iterator[Cause]:
        """Charge what is left to the one thing that changed, or to all of them together."""
        lines = tuple(self._layer_lines()) if rest is not None else ()
        if len(builders) == 1:
            (only,) = builders
            yield Cause(only.kind, only.title, rest, (*only.evidence, *lines))
            return
        yield from builders
        if builders and rest is not None:
            yield Cause("inputs", f"these together: {'; '.join(cause.title for cause in builders)}", rest, lines)

    def _unexplained(self, left: int | None) -> Iterator[Cause]:
        """Name another machine or tool, charged with what is left; without one, say that nothing explains it."""
        if self.environment:
            yield _environment_cause(self.environment, left)
        elif left is not None:
            yield Cause("unexplained", "nothing that is recorded explains the rest", left, tuple(self._layer_lines()))

    def _layer_lines(self) -> Iterator[str]:
        """Name the layers above the base that weigh otherwise, in pairs by their instruction."""
        low, high = (height or 0 for height in self._heights())
        before, after = list(self.old.layers[low:]), list(self.new.layers[high:])
        lines = []
        for layer in after:
            place = next((at for at, one in enumerate(before) if one.instruction == layer.instruction), None)
            other = before.pop(place) if place is not None else None
            size = _difference(other.uncompressed_bytes if other else 0, layer.uncompressed_bytes)
            lines.append((size, f"{_instruction(layer)}{'' if other else ' (new)'}"))
        lines += [(_difference(layer.uncompressed_bytes, 0), f"{_instruction(layer)} (gone)") for layer in before]
        real = [(size, words) for size, words in lines if size is not None and abs(size) > SIZE_NOISE_BYTES]
        for size, words in sorted(real, key=lambda one: -abs(one[0]))[:_MOST_NAMED]:
            yield f"{signed_megabytes(size)} MB: {words}"


def _difference(old: int | None, new: int | None) -> int | None:
    return None if old is None or new is None else new - old


def _not_in(layers: Sequence[Layer], others: Sequence[Layer]) -> list[Layer]:
    known = {layer.digest for layer in others}
    return [layer for layer in layers if layer.digest not in known]


def _layer_line(layer: Layer) -> str:
    return f"{short_digest(layer.digest)}, {megabytes(layer.uncompressed_bytes)} MB, {_instruction(layer)}"


def _instruction(layer: Layer) -> str:
    return (layer.instruction or "an instruction that is not known")[:200]


def _is_above(layer: int | None, height: int | None) -> bool | None:
    return None if layer is None or height is None else layer >= height


def _bytes_above(change: PackageChange, heights: tuple[int | None, int | None]) -> int | None:
    """Give what a package adds above the base; a side that lies in the base is weighed with it."""
    sides = []
    for package, height in zip((change.old, change.new), heights, strict=True):
        in_base = package is not None and _is_above(package.layer, height) is False
        sides.append(0 if package is None or in_base else _stored(package))
    return _difference(*sides)


def _stored(package: Package) -> int | None:
    """Give what a package takes in its layers; older runs only know its files without the archive around them."""
    return package.bytes if package.stored_bytes is None else package.stored_bytes


def _count_packages(changes: Sequence[PackageChange]) -> str:
    kinds = (
        ("added", sum(change.old is None for change in changes)),
        ("removed", sum(change.new is None for change in changes)),
        ("changed", sum(change.old is not None and change.new is not None for change in changes)),
    )
    if len(changes) == 1:
        return f"the package {changes[0].words}"
    return f"packages: {', '.join(f'{count} {kind}' for kind, count in kinds if count)}"


def _package_lines(changes: Sequence[PackageChange], heights: tuple[int | None, int | None]) -> Iterator[str]:
    """Name the packages, those with the largest difference first."""
    weighed = [(_bytes_above(change, heights), change) for change in changes]
    weighed.sort(key=lambda one: -abs(one[0] or 0))
    for size, change in weighed[:_MOST_NAMED]:
        yield f"{change.words}: {f'{signed_megabytes(size)} MB' if size is not None else 'its bytes are not known'}"
    if len(changes) > _MOST_NAMED:
        yield f"and {len(changes) - _MOST_NAMED} more"


def _named(label: str, changes: Sequence[PackageChange]) -> list[str]:
    if not changes:
        return []
    more = f", and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
    return [label + ", ".join(change.words for change in changes[:_MOST_NAMED]) + more]
