"""Packages of images: what changed between two, and which were compiled."""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.packages import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.inside import Package, Packages
    from orchestrator.record import Image


class PackageChange(Struct, frozen=True):
    """A package then and now."""

    old: Package | None
    new: Package | None

    @property
    def words(self) -> str:
        """Say what became of it."""
        if self.old is None or self.new is None:
            there = self.new or self.old
            return f"{there.name} {there.version} {'added' if self.new else 'removed'}" if there else ""
        if self.old.version != self.new.version:
            return f"{self.new.name} {self.old.version} → {self.new.version}"
        return f"{self.new.name} {self.new.version} from {self.old.built_from} → {self.new.built_from}"


def find_package_changes(old: Image, new: Image) -> tuple[PackageChange, ...] | None:
    """Pair the packages of two images by name; None where the packages of one are not known."""
    if old.packages is None or new.packages is None:
        return None
    pairs = ((old.packages.os, new.packages.os), (old.packages.python, new.packages.python))
    return tuple(change for before, after in pairs for change in _pair(before, after))


def _pair(old: Sequence[Package], new: Sequence[Package]) -> Iterator[PackageChange]:
    olds, news = _by_name(old), _by_name(new)
    for name in sorted(olds.keys() | news.keys()):
        before, after = olds[name], news[name]
        same = [package for package in before if any(_is_same(package, other) for other in after)]
        gone = [package for package in before if package not in same]
        come = [package for package in after if not any(_is_same(other, package) for other in same)]
        yield from (PackageChange(one, other) for one, other in zip_longest(gone, come))


def _is_same(old: Package, new: Package) -> bool:
    """Tell whether nothing is known to differ; where a package came from is often not known."""
    origins = {old.built_from, new.built_from} - {None}
    return old.version == new.version and len(origins) < 2  # noqa: PLR2004  # two that are known and differ


def _by_name(packages: Iterable[Package]) -> defaultdict[str, list[Package]]:
    found: defaultdict[str, list[Package]] = defaultdict(list)
    for package in packages:
        found[normal_name(package.name)].append(package)
    return found


def find_compiled(packages: Packages) -> tuple[tuple[Package, ...], tuple[Package, ...]]:
    """Give the packages that were compiled from source, and those that may have been: pure ones take no compiler."""
    may_be = [package for package in packages.python if package.native is not False and package.built_from != "wheel"]
    compiled = tuple(package for package in may_be if package.native and package.built_from == "sdist")
    return compiled, tuple(package for package in may_be if package not in compiled)
