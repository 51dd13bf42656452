"""Which kinds of files a requirements file allows: wheels, sources, or both, for all packages or for some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.packages import Offer

_ALL, _NONE = ":all:", ":none:"


class Formats(Struct, frozen=True):
    """What `--only-binary` and `--no-binary` leave; a package's own name counts for more than all."""

    only_binary: frozenset[str] = frozenset()
    no_binary: frozenset[str] = frozenset()
    prefers_wheels: bool = False
    takes_previews: bool = False

    def take(self, name: str, offer: Offer) -> bool:
        """Tell whether a file may be taken."""
        return self.wheels(name) if offer.filename.endswith(".whl") else self.sources(name)

    def wheels(self, name: str) -> bool:
        """Tell whether wheels of a package may be taken."""
        return not self._rules(name, self.no_binary, self.only_binary)

    def sources(self, name: str) -> bool:
        """Tell whether source archives of a package may be taken."""
        return not self._rules(name, self.only_binary, self.no_binary)

    @staticmethod
    def _rules(name: str, those: frozenset[str], others: frozenset[str]) -> bool:
        plain = canonicalize_name(name)
        return plain in those or (_ALL in those and plain not in others)


ANY = Formats()


def find_formats(options: Iterable[tuple[str, str]]) -> Formats:
    """Read the options as pip does: later ones undo earlier ones."""
    only: set[str] = set()
    none: set[str] = set()
    names = set()
    for name, value in options:
        names.add(name)
        if name in ("only-binary", "no-binary"):
            these, others = (only, none) if name == "only-binary" else (none, only)
            for word in value.split(","):
                if word in (_ALL, _NONE):
                    these.clear()
                if word == _ALL:
                    others.clear()
                if word != _NONE:
                    these.add(word if word == _ALL else canonicalize_name(word))
                    others.discard(canonicalize_name(word))
    return Formats(frozenset(only), frozenset(none), "prefer-binary" in names, "pre" in names)
