"""`matrix preflight`: the cells' targets and dependencies, looked up in the package index, without an engine."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.dockerfile import Image, find_build_tools, find_images
from orchestrator.errors import UsageError
from orchestrator.index.sdist import read_sdist
from orchestrator.index.simple import PackageIndex
from orchestrator.index.sources import load_sources, with_options_of
from orchestrator.index.troubles import OfflineError, PackageIndexError, RefusedError
from orchestrator.index.uv import ResolutionError, Resolving, resolve
from orchestrator.instructions import DockerfileError
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.platforms import normal_platform
from orchestrator.preflight.choose import choose_versions, is_pips, names_of, unread_of, uv_reads
from orchestrator.preflight.forecast import make_forecast
from orchestrator.preflight.formats import Formats, find_formats
from orchestrator.preflight.judge import ELSEWHERE, judge
from orchestrator.preflight.nouns import FOREIGN, Judged, Preflight, RequirementSet, Row, Target, Verdict
from orchestrator.preflight.targets import has_compiler, make_target
from orchestrator.redact import Redactor
from orchestrator.requirements import load_requirements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from threading import Event as Signal

    from orchestrator.index.sources import Sources
    from orchestrator.model import Cell, Plan
    from orchestrator.packages import Offer, Pinned, SourceFacts

_AT_ONCE = 8
_PLATFORMS = {"x86_64": "linux/amd64", "AMD64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64"}


def platform_here() -> str:
    """Give the platform of a build that names none: this machine's, as engines have it."""
    machine = platform.machine()
    return _PLATFORMS.get(machine, f"linux/{machine}")


class _Look(Struct):
    """One look at the index: the first time it does not answer, the cache alone is asked from then on."""

    sources: Sources
    offline: bool
    cancel: Signal
    problem: str | None = None
    _known: dict[tuple[Sources, str], tuple[Offer, ...] | None] = field(default_factory=dict)
    _indices: dict[tuple[Sources, bool], PackageIndex] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def index(self, sources: Sources) -> PackageIndex:
        """Give the index, made once: reading the certificates takes some time."""
        with self._lock:
            key = (sources, self.offline)
            if key not in self._indices:
                self._indices[key] = PackageIndex(sources, self.cancel, offline=self.offline)
            return self._indices[key]

    def give_up(self, error: PackageIndexError) -> None:
        """Keep why the index is not asked any more; without a network from the start there is nothing to give up."""
        if not isinstance(error, OfflineError):
            self.problem = self.problem or str(error)
        self.offline = True

    def meet(self, sources: Sources, names: Iterable[str]) -> None:
        """Ask for packages a first time: an index that refuses one and answers for another has only not got the first."""
        for name in names:
            with suppress(RefusedError):
                self._find(sources, name)

    def offers_of(self, sources: Sources, name: str) -> tuple[Offer, ...] | None:
        """Give a package's files; None when nobody can be asked and nothing is remembered."""
        try:
            return self._find(sources, name)
        except RefusedError as error:
            self.give_up(error)
            return self._find(sources, name)

    def _find(self, sources: Sources, name: str) -> tuple[Offer, ...] | None:
        key = (sources, name)
        if key not in self._known:
            found = self._ask(sources, name)
            with self._lock:
                self._known[key] = found
        return self._known[key]

    def _ask(self, sources: Sources, name: str) -> tuple[Offer, ...] | None:
        for _ in range(2):
            try:
                return self.index(sources).offers_of(name)
            except OfflineError:
                return None
            except RefusedError:
                raise
            except PackageIndexError as error:
                self.give_up(error)
        return None

    def facts_of(self, sources: Sources, offer: Offer) -> SourceFacts | None:
        """Look into a source archive; what cannot be had is not known."""
        try:
            return None if self.offline else read_sdist(offer, self.index(sources).fetcher)
        except PackageIndexError:
            return None  # the archives may lie elsewhere than the index, which did answer


class _Resolved(Struct, frozen=True):
    """A requirements file with its versions, each with the targets that it is for."""

    noun: RequirementSet
    sources: Sources
    formats: Formats
    pins: tuple[tuple[Pinned, tuple[Target, ...]], ...] = ()


_Wanted = tuple[_Resolved, "Pinned", "tuple[Target, ...]"]


def look_ahead(plan: Plan, folder: Path, cancel: Signal, *, offline: bool = False) -> Preflight:
    """Foretell every cell of a plan, unless that is interrupted."""
    look = _Look(load_sources(os.environ, folder), offline, cancel)
    here = platform_here()
    images = {cell.id: images_of(cell, folder) for cell in plan.cells}
    targets = {cell.id: make_target(cell, images[cell.id][0], here) for cell in plan.cells}
    wanted: dict[str, list[Target]] = {}
    for cell in plan.cells:
        if cell.settings.requirements is not None:
            wanted.setdefault(cell.settings.requirements, []).append(targets[cell.id][0])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(partial(_resolve, look, folder), wanted, wanted.values()))
        packages = _packages(found)
        list(pool.map(partial(_meet, look), packages.values()))
        rows = [row for some in pool.map(partial(_judge, look), packages, packages.values()) for row in some]
    sets = {one.noun.path: one.noun for one in found}
    cells = tuple(
        make_forecast(cell, *targets[cell.id], rows, sets.get(cell.settings.requirements or ""), images[cell.id][1])
        for cell in plan.cells
    )
    return Preflight(
        name=plan.name,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        index=", ".join(Redactor().text(index) for index in look.sources.indices),
        targets=_bases_of(plan, {cell.id: targets[cell.id][0] for cell in plan.cells}),
        sets=tuple(sets.values()),
        rows=tuple(rows),
        cells=cells,
        problem=look.problem,
    )


def images_of(cell: Cell, folder: Path) -> tuple[tuple[Image, ...], tuple[str, ...] | None]:
    """Give the bases of a cell and the compilers that its Dockerfile has; None where that cannot be read."""
    if is_remote(cell.settings.context):
        return (), None
    settings = cell.settings
    try:
        text = dockerfile_of(settings, folder).read_text(encoding="utf-8", errors="replace")
        names = [name for name, _ in settings.contexts]
        here = platform_here()
        platform = normal_platform(settings.platform or here)
        images = find_images(text, dict(settings.args), target=settings.target, platform=platform, here=here, contexts=names)
    except (OSError, DockerfileError):
        return (), None
    tools = find_build_tools(text, [value for _, value in settings.args])
    return images, (*tools, "gcc") if has_compiler(images, ()) else tools


def _resolve(look: _Look, folder: Path, path: str, targets: list[Target]) -> _Resolved:
    """Resolve a requirements file once for all its targets; what it asks for directly is known even when that fails."""
    found = load_requirements(folder / path)
    sources, formats = with_options_of(look.sources, found.options), find_formats(found.options)
    if not uv_reads(path, found.lines):
        return _Resolved(RequirementSet(path, found.digest, "nothing", FOREIGN), sources, formats)
    known = tuple(dict.fromkeys(target for target in targets if not target.lacks))
    if not known:
        nothing = RequirementSet(path, found.digest, "nothing", "no base with it is known well enough")
        return _Resolved(nothing, sources, formats)
    oldest = min((target.python or "" for target in known), key=_as_numbers)
    pins, problem = _try_uv(look, sources, folder / path, folder, oldest)
    if pins is not None:
        return _Resolved(RequirementSet(path, found.digest, "uv"), sources, formats, tuple((pin, known) for pin in pins))
    if not is_pips(found.lines) or (look.offline and not all("==" in line for line in found.lines)):
        return _Resolved(RequirementSet(path, found.digest, "nothing", problem, unanswered=look.offline), sources, formats)
    look.meet(sources, names_of(found.lines))
    chosen: dict[Pinned, list[Target]] = {}
    for target in known:
        offers_of = partial(_offers_of, look, sources)
        for pin in choose_versions(found.lines, found.constraints, offers_of, target, formats):
            chosen.setdefault(pin, []).append(target)
    unread = (*unread_of(found.lines), *(f"-e {value}" for name, value in found.options if name == "editable"))
    noun = RequirementSet(path, found.digest, "the file alone", problem, unread)
    return _Resolved(noun, sources, formats, tuple((pin, tuple(targets)) for pin, targets in chosen.items()))


def _offers_of(look: _Look, sources: Sources, name: str) -> tuple[Offer, ...]:
    return look.offers_of(sources, name) or ()


def _try_uv(look: _Look, sources: Sources, path: Path, folder: Path, python: str) -> tuple[tuple[Pinned, ...] | None, str | None]:
    for _ in range(2):
        try:
            return resolve(path, folder, Resolving(python, offline=look.offline), sources, look.cancel), None
        except (ResolutionError, OfflineError, UsageError) as error:
            return None, str(error)
        except PackageIndexError as error:
            look.give_up(error)
    return None, look.problem


def _as_numbers(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split("."))


def _packages(found: Iterable[_Resolved]) -> dict[tuple[str, str], list[_Wanted]]:
    """Give each version of each package once, with the files that want it."""
    packages: dict[tuple[str, str], list[_Wanted]] = {}
    for one in found:
        for pin, targets in one.pins:
            packages.setdefault((pin.name, pin.version), []).append((one, pin, targets))
    return dict(sorted(packages.items()))


def _meet(look: _Look, wanted: list[_Wanted]) -> None:
    for one, pin, _ in wanted:
        if not pin.is_direct:
            look.meet(one.sources, [pin.name])


def _judge(look: _Look, package: tuple[str, str], wanted: list[_Wanted]) -> list[Row]:
    """Judge a package for every target of the files that want it; files of which the same is to be said share a row."""
    name, version = package
    by_file: dict[str, dict[Target, Judged]] = {}
    for one, pin, targets in wanted:
        offers = () if pin.is_direct else look.offers_of(one.sources, name)
        judged = by_file.setdefault(one.noun.path, {})
        for target in targets:
            if target in judged and judged[target].verdict is not Verdict.NOT_WANTED:
                continue
            if offers is None:
                judged[target] = Judged(Verdict.UNKNOWN, how="the index was not asked, and the cache does not have it")
            else:
                judged[target] = judge(pin, offers, target, partial(look.facts_of, one.sources), one.formats)
    label = f"{name}=={version}" if version[:1].isdigit() else f"{name} {version}"
    return [Row(label, name, version, tuple(paths), tuple(judged.items())) for paths, judged in _alike(by_file)]


def _alike(by_file: dict[str, dict[Target, Judged]]) -> list[tuple[list[str], dict[Target, Judged]]]:
    """Put files together that have no target of which different things are to be said."""
    groups: list[tuple[list[str], dict[Target, Judged]]] = []
    for path, judged in by_file.items():
        for paths, known in groups:
            if all(known.get(target, found) == found for target, found in judged.items()):
                paths.append(path)
                known.update(judged)
                break
        else:
            groups.append(([path], dict(judged)))
    return groups


def _bases_of(plan: Plan, targets: dict[str, Target]) -> tuple[tuple[Target, tuple[str, ...]], ...]:
    """Name the bases that share a target: the values of the first axis."""
    found: dict[Target, dict[str, None]] = {}
    for cell in plan.cells:
        found.setdefault(targets[cell.id], {})[cell.axes[0][1]] = None
    return tuple((target, tuple(bases)) for target, bases in found.items())


def is_certain(found: Preflight) -> bool:
    """Tell whether the index, or what is remembered of it, answered all that was asked."""
    judged = [one for row in found.rows for _, one in row.judged]
    known = all(one.verdict is not Verdict.UNKNOWN or one.how == ELSEWHERE for one in judged)
    return found.problem is None and known and not any(one.unanswered for one in found.sets)
