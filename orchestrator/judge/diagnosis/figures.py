"""Rules about what makes a cell large or slow: hidden bytes, leftovers, compiled packages, one step that takes the time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.failures import plain_step
from orchestrator.judge.diagnosis.caching import copies_context, in_order
from orchestrator.judge.diagnosis.nouns import Case, Rule, make_finding
from orchestrator.measure.image import base_layers_of
from orchestrator.measure.installing import find_install
from orchestrator.model import Status
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import Build, Image, Step
    from orchestrator.verdicts import Finding

MOST_HIDDEN_BYTES = 1_000_000  # below that, and below a share of the image, hidden bytes are nobody's worry
_HIDDEN_SHARE = 0.02
_CHANGES_RIGHTS = re.compile(r"\bRUN\b.*\b(?:chmod|chown|chgrp)\b", re.DOTALL)
_DELETES = re.compile(r"\b(?:rm|rmdir|find|del|remove|purge|autoremove|uninstall|clean|mv)\b")
_RIGHTS_REMEDY = (
    "Give files their mode and owner in the step that stores them (`COPY --chown=… --chmod=…`, or in the same RUN): changed in a "
    "later one, each is stored whole once more."
)
_COMPILED_S = 5.0
_SLOW_S = 15.0
_SLOW_SHARE = 0.5
_OF_THE_SYSTEM = {"apt", "apt-get", "apk", "dnf", "microdnf", "yum"}
_LEFT_BYTES = 2_000_000
_COMPILERS = {
    "gcc",
    "g++",
    "clang",
    "build-base",
    "build-essential",
    "cpp",
    "rust",
    "cargo",
    "rustc",
    "go",
    "golang-go",
    "binutils",
}
_NUMBERED = re.compile(r"(?:gcc|g\+\+|cpp|clang|llvm|rust)-\d+[\w.-]*")
_CACHES = (
    ("/root/.cache/pip", "`pip install --no-cache-dir`, or a cache mount for /root/.cache/pip"),
    ("/root/.cache/uv", "`uv --no-cache`, or a cache mount for /root/.cache/uv"),
    ("/root/.npm", "a cache mount for /root/.npm, or `npm cache clean --force` in the same RUN"),
    ("/root/.cargo/registry", "a cache mount for /root/.cargo/registry"),
    ("/var/cache/apk", "`apk add --no-cache`"),
    ("/var/cache/apt", "`apt-get clean` in the same RUN, or a cache mount"),
    ("/var/lib/apt/lists", "`rm -rf /var/lib/apt/lists/*` in the same RUN"),
)


def find_hidden_bytes(case: Case) -> Iterator[Finding]:
    """Say that a layer stores what a later one deletes or stores again: the image carries both."""
    image = case.cell.image
    for pair in image.wasted_by if image else ():
        total = image.uncompressed_bytes if image else None
        if image is None or pair.bytes < MOST_HIDDEN_BYTES or (total and pair.bytes < total * _HIDDEN_SHARE):
            continue
        stored, hidden = _layer_words(image, pair.layer), _layer_words(image, pair.by_layer)
        paths = [path for path in image.wasted_paths if (path.layer, path.by_layer) == (pair.layer, pair.by_layer)][:3]
        lines = [
            f"hidden by {hidden}",
            f"{_mb(pair.bytes)} in {count(pair.files, 'file')}",
            *(f"{path.path}: {_mb(path.bytes)}" for path in paths),
        ]
        if pair.by_layer < (base_layers_of(image) or 0):
            remedy = "Both layers are the base's own: another base, or a newer one, is the only remedy."
        else:
            remedy = (
                "Delete in the same RUN that stores, or store it in a builder stage and copy what is needed: a later layer "
                "only hides files, it gives none of their bytes back."
            )
            if _CHANGES_RIGHTS.search(hidden):
                remedy = _RIGHTS_REMEDY if not _DELETES.search(hidden) else f"{_RIGHTS_REMEDY} {remedy}"
        at = f"layer {pair.layer + 1} stores what layer {pair.by_layer + 1} deletes or overwrites"
        title = f"{_mb(pair.bytes)} of the image cannot be seen: {at}"
        yield make_finding("hidden-bytes", title, f"stored by {stored}", lines, remedy)


def _layer_words(image: Image, at: int) -> str:
    layer = image.layers[at] if 0 <= at < len(image.layers) else None
    return f"layer {at + 1}: {layer.instruction}" if layer and layer.instruction else f"layer {at + 1}"


def find_leftover_compilers(case: Case) -> Iterator[Finding]:
    """Say that compilers are in the image that runs."""
    image = case.cell.image
    packages = image.packages.os if image and image.packages else ()
    found = [one for one in packages if (one.name in _COMPILERS or _NUMBERED.fullmatch(one.name)) and one.bytes]
    size = sum(one.bytes or 0 for one in found)
    if size >= _LEFT_BYTES:
        found.sort(key=lambda one: -(one.bytes or 0))
        lines = [f"{one.name} {one.version}: {_mb(one.bytes or 0)}" for one in found]
        remedy = "Compile in a builder stage and copy the environment into a stage that installs no compiler."
        yield make_finding("compilers-left", f"compilers take {_mb(size)} of the image", "the image", lines, remedy)


def find_leftover_caches(case: Case) -> Iterator[Finding]:
    """Say that an installer's cache is in the image."""
    image = case.cell.image
    for folder in image.largest_folders if image else ():
        how = next((words for path, words in _CACHES if folder.path == path), None)
        if how and folder.bytes >= _LEFT_BYTES:
            line = f"{folder.path}: {_mb(folder.bytes)}"
            yield make_finding(
                "cache-left", f"an installer's cache takes {_mb(folder.bytes)} of the image", "the image", [line], f"Use {how}."
            )


def find_compiled_packages(case: Case) -> Iterator[Finding]:
    """Say that packages were compiled in this build, and that took its time."""
    image = case.cell.image
    packages = image.packages.python if image and image.packages else ()
    compiled = [one for one in packages if one.built_from == "sdist" and (one.compile_s or 0) >= _COMPILED_S]
    if compiled:
        compiled.sort(key=lambda one: -(one.compile_s or 0))
        lines = [f"{one.name} {one.version}: {one.compile_s or 0:.1f} s" for one in compiled]
        names = ", ".join(one.name for one in compiled[:3]) + (f" and {len(compiled) - 3} more" if len(compiled) > 3 else "")  # noqa: PLR2004  # as cut
        total = sum(one.compile_s or 0 for one in compiled)
        remedy = (
            "Take versions that have a wheel here (`matrix preflight`), keep pip's cache in a cache mount so that each is "
            "compiled once, or build their wheels once and serve them from an index of your own."
        )
        yield make_finding("compiled-packages", f"compiling {names} took {total:.1f} s", "the build", lines, remedy)


def find_slow_step(case: Case) -> Iterator[Finding]:
    """Say that one step is most of the time that a build takes by itself."""
    build = case.cell.build
    if build is None or (case.cell.image is None and case.cell.status is not Status.TIMEOUT):
        return  # of a build that failed, the step that failed is what matters
    total_s = build.alone_s or build.wall_s
    ran = [step for step in build.steps if step.outcome != "cached" and step.duration_s is not None]
    slowest = max(ran, key=lambda step: step.duration_s or 0, default=None)
    if slowest is None or (slowest.duration_s or 0) < max(_SLOW_S, _SLOW_SHARE * total_s):
        return
    took_s = slowest.duration_s or 0
    share = min(took_s / total_s, 1) if total_s else 1
    lines = [f"{took_s:.1f} s of {total_s:.1f} s ({share:.0%})"]
    lines += [f"it was run by {slowest.ran_in}, which this cell waited for"] if slowest.outcome == "joined" else []
    title = f"one step is {share:.0%} of the build's time"
    yield make_finding("slow-step", title, f"step {plain_step(slowest.name)}", lines, _speed_up(build, slowest))


def _speed_up(build: Build, step: Step) -> str:
    trace = "`matrix trace RUN CELL` shows what it waits for."
    if step.instruction.startswith("FROM "):
        return f"It is the base's pull: a mirror near the builder (`builder: {{mirrors: …}}`), or a smaller base. {trace}"
    found = find_install(step.instruction)
    if found and found[0].split()[0] in _OF_THE_SYSTEM:
        return (
            "Install fewer packages, place the step before what changes often, so that the cache has it, or take a base that has "
            f"them: one that is built once for all, with what this step installs. {trace}"
        )
    if found:
        has_mount = "--mount=type=cache" in step.instruction
        mount = "its cache mount is there already" if has_mount else "give it a cache mount (`--mount=type=cache`)"
        stage = in_order(build, step.stage)
        first = ""
        if step in stage and any(map(copies_context, stage[: stage.index(step)])):
            first = "Copy only what it needs (the requirements) before it, so that a change of the code does not run it again; "
        remedy = f"{first}{mount}; wheels in place of sources are faster. {trace}"
        return f"{remedy[0].upper()}{remedy[1:]}"
    return f"Split it, or place it before what changes often, so that the cache has it. {trace}"


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


RULES = (
    Rule(
        "hidden-bytes",
        "The image carries bytes that nobody can see, because a later layer deletes or overwrites them.",
        "The layers' own entries: at least 1 MB and 2 % of the image, with the step that stores, the one that hides, and paths.",
        "Deleting in the same RUN, mode and owner where a file is stored, or a builder stage.",
        find_hidden_bytes,
    ),
    Rule(
        "compilers-left",
        "Compilers are in the image that runs.",
        "The system's package database, with the bytes that can be seen: at least 2 MB.",
        "A builder stage.",
        find_leftover_compilers,
    ),
    Rule(
        "cache-left",
        "An installer's cache is in the image.",
        "The folder among the image's largest, with at least 2 MB.",
        "No cache, or a cache mount.",
        find_leftover_caches,
    ),
    Rule(
        "compiled-packages",
        "Packages were compiled in this build.",
        "What pip or uv printed: at least 5 s for a package.",
        "Versions with wheels, or a cache of wheels.",
        find_compiled_packages,
    ),
    Rule(
        "slow-step",
        "One step is at least half of the build's time, and 15 s.",
        "The step's time against what the build takes alone.",
        "The order of the steps, a cache mount, a wheel.",
        find_slow_step,
    ),
)
