"""The builder: found, made, or healed when it is not what matrix.yaml asks for."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.asking import beside
from orchestrator.docker import process
from orchestrator.docker.buildkitd import has_mirrors, mark_of, render_buildkitd_toml
from orchestrator.docker.cluster import (
    explain_other_cluster,
    explain_pods,
    explain_rest,
    find_choice,
    find_other_cluster,
    waiting_s,
)
from orchestrator.docker.dial import check_own_buildkit
from orchestrator.docker.engine import child_environment, connect
from orchestrator.docker.marks import MARK, is_marked, remove_mark, write_mark
from orchestrator.docker.nodes import Existing, native_platforms, needed_nodes, other_platforms, parse_inspection
from orchestrator.docker.silence import CERTIFICATES, explain_silence
from orchestrator.errors import EngineError
from orchestrator.paths import held

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.docker.engine import Answer, Engine
    from orchestrator.docker.process import Signal
    from orchestrator.model import BuilderSpec, NodeSpec

_BOOT_S = 180.0
_GRACE_S = 60.0
_POLL_S = 0.1


class Builder(Struct, frozen=True):
    """A builder that runs, and how its images can leave it."""

    name: str
    driver: str
    buildkit: str | None
    exports_oci: bool
    did: str
    native: tuple[str, ...] = ()  # what its nodes are themselves
    others: tuple[str, ...] = ()  # what they build besides
    pods: str | None = None  # by what buildx takes one of them, where a node has several

    @property
    def loads_by_copy(self) -> bool:
        """Tell whether an image must be copied to reach the engine."""
        return self.driver != "docker"


def look_for_builder(asked: Future[Answer], spec: BuilderSpec) -> Future[Existing | None]:
    """Look whether the builder is there, beside other work; who needs it looks again where that fails, and says what is wrong."""
    if spec.driver == "docker":
        return beside(lambda: None)
    return beside(lambda: inspect_builder(connect(is_needed=False, asked=asked), spec.name))


def ensure_builder(  # the engine, what is asked for and for which platforms, and what is known already
    engine: Engine,
    spec: BuilderSpec,
    *,
    platforms: Collection[str | None] = (),
    force: bool = False,
    cancel: Signal | None = None,
    looked: Future[Existing | None] | None = None,
) -> Builder:
    """Create, heal or reuse the builder; a second call changes nothing. With platforms, those nodes must answer that they need."""
    seen = _wait_for(looked, cancel) if looked else None
    if seen and _runs(seen, platforms) and not _differences(spec, driver := _driver_of(spec), seen):
        return _describe(spec.name, driver, seen, f"reused builder '{spec.name}'", platforms)
    with held(f"builder-{spec.name}", cancel):
        if spec.driver == "docker":
            return _own_buildkit(engine, spec.why_in_engine)
        existing = inspect_builder(engine, spec.name)
        driver = _driver_of(spec)
        if existing is None:
            if spec.driver == "auto" and not _builder_image_is_there(engine, spec.image):
                return _own_buildkit(engine, f"the builder image {spec.image} cannot be had here")
            return _create(engine, spec, driver, f"created builder '{spec.name}'", cancel)
        differences = _differences(spec, driver, existing)
        if not differences:
            return _reuse(engine, spec, driver, existing, cancel, platforms)
        if not force and (trouble := explain_other_cluster(spec.name, existing)):
            raise EngineError(trouble)
        if not is_marked(spec.name, existing) and not force:
            lost = "" if existing.driver == "remote" else " (its build cache is lost)"
            message = (
                f"builder '{spec.name}' was not made by matrix and differs from matrix.yaml in {', '.join(differences)}; "
                f"give another builder.name, or `matrix bootstrap --force` makes it anew{lost}"
            )
            raise EngineError(message)
        remove_builder(engine, spec.name)
        return _create(engine, spec, driver, f"made builder '{spec.name}' anew: {', '.join(differences)} differed", cancel)


def _reuse(  # as `ensure_builder`, and what is there
    engine: Engine, spec: BuilderSpec, driver: str, existing: Existing, cancel: Signal | None, platforms: Collection[str | None]
) -> Builder:
    did = f"reused builder '{spec.name}'"
    if _runs(existing, platforms):
        return _describe(spec.name, driver, existing, did, platforms)
    return _boot(engine, spec, driver, did, cancel, platforms)


def _wait_for(looked: Future[Existing | None], cancel: Signal | None) -> Existing | None:
    """Give what was seen, if anything was before the run is cancelled."""
    while not looked.done():
        if cancel and cancel.is_set():
            return None
        wait([looked], _POLL_S)
    return None if looked.exception() else looked.result()


def _driver_of(spec: BuilderSpec) -> str:
    return "docker-container" if spec.driver == "auto" else spec.driver


def _runs(existing: Existing, platforms: Collection[str | None]) -> bool:
    """Tell whether all nodes answer that are needed: only a BuildKit that does tells its version."""
    return all(node.buildkit for node in needed_nodes(existing, platforms))


def _own_buildkit(engine: Engine, why: str) -> Builder:
    """Use the BuildKit inside the engine; it has no settings to heal."""
    check_own_buildkit(engine, why)
    did = f"using the engine's own BuildKit ({why})"
    return Builder(engine.context, "docker", None, engine.containerd_store, did, native=(engine.platform,))


def _differences(spec: BuilderSpec, driver: str, existing: Existing) -> list[str]:
    """Name the settings in which a builder is not what the file asks for."""
    found = [] if existing.driver == driver else ["driver"]
    wanted = driver_options(spec, driver)
    keys = sorted({*wanted, *existing.options} - {MARK})
    found += [key.removeprefix("env.") for key in keys if wanted.get(key) != existing.options.get(key)]
    if driver != "remote" and not has_mirrors(spec, existing):
        found.append("mirrors")
    if driver == "remote" and spec.endpoint != existing.endpoint:
        found.append("endpoint")
    if driver == "kubernetes" and find_other_cluster(existing):
        found.append("KUBECONFIG")
    if set(spec.platforms) != set(existing.pinned):
        found.append("platforms")
    pairs = zip(spec.nodes, existing.others, strict=False)
    if len(spec.nodes) != len(existing.others) or any(_is_other_node(spec, driver, wanted, node) for wanted, node in pairs):
        found.append("nodes")
    return found


def _is_other_node(spec: BuilderSpec, driver: str, wanted: NodeSpec, found: Existing) -> bool:
    """Tell whether a further node is not what the file asks for."""
    options = {key: value for key, value in found.options.items() if key != MARK}
    moved = wanted.endpoint is not None and wanted.endpoint != found.endpoint
    return moved or set(wanted.platforms) != set(found.pinned) or options != driver_options(spec, driver) | dict(wanted.options)


def driver_options(spec: BuilderSpec, driver: str) -> dict[str, str]:
    """Give the driver options that follow from matrix.yaml."""
    options = dict(spec.options)
    if driver == "docker-container":
        options |= {"image": spec.image, "network": spec.network}
    elif driver == "kubernetes":
        options.setdefault("image", spec.image)
    if driver in ("docker-container", "kubernetes"):
        options |= {f"env.{name}": value for name, value in spec.env}
    return options


def render_create_argv(
    buildx: Sequence[str], spec: BuilderSpec, driver: str, config: Path | None, node: NodeSpec | None = None
) -> list[str]:
    """Write the buildx command that makes the builder, or appends a further node to it."""
    argv = [*buildx, "create", "--name", spec.name, "--driver", driver, "--bootstrap"]
    argv += ["--append"] if node else []
    options = driver_options(spec, driver) | (dict(node.options) if node else {})
    if driver == "docker-container":
        options[MARK] = mark_of(render_buildkitd_toml(spec))
        argv += ["--buildkitd-flags", "--allow-insecure-entitlement network.host"]
    for key, value in options.items():
        argv += ["--driver-opt", f'"{key}={value}"' if "," in value else f"{key}={value}"]
    if platforms := node.platforms if node else spec.platforms:
        argv += ["--platform", ",".join(platforms)]
    if config is not None:
        argv += ["--buildkitd-config", str(config)]
    if endpoint := node.endpoint if node else spec.endpoint:
        argv.append(endpoint)
    return argv


def _create(engine: Engine, spec: BuilderSpec, driver: str, did: str, cancel: Signal | None) -> Builder:
    """Make the builder; what is left of it when this is broken off carries the mark, too."""
    _check_files(spec)
    toml = render_buildkitd_toml(spec)
    options = driver_options(spec, driver)
    write_mark(
        spec.name, driver, [(spec.endpoint, options), *((node.endpoint, options | dict(node.options)) for node in spec.nodes)]
    )
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        config = Path(folder, "buildkitd.toml") if toml and driver != "remote" else None
        if config is not None:
            config.write_text(toml)
        for node in (None, *spec.nodes):
            argv = render_create_argv(engine.buildx_argv, spec, driver, config, node)
            own = options | dict(node.options) if node else options
            answer = process.run(argv, timeout_s=_boot_s(own), cancel=cancel)
            if not answer.ok:
                with suppress(EngineError):  # why it could not be made says more
                    remove_builder(engine, spec.name)
                reason = explain_pods(explain_silence(answer, [((node or spec).endpoint, own)]), own)
                message = f"builder '{spec.name}' ({driver}) could not be made: {reason}"
                raise EngineError(message)
    return _boot(engine, spec, driver, did, cancel)


def _boot_s(options: Mapping[str, str]) -> float:
    """Give how long a builder may take to start: longer than buildx waits for it, which then says what it has waited for."""
    return max(_BOOT_S, waiting_s(options) + _GRACE_S)


def _check_files(spec: BuilderSpec) -> None:
    """Miss a certificate before it is taken for a builder that does not answer."""
    for options in (spec.options, *(node.options for node in spec.nodes)):
        for name, path in options:
            if name in CERTIFICATES and not Path(path).is_file():
                message = f"builder.options.{name}: there is no file {path}"
                raise EngineError(message)


def _boot(  # as `ensure_builder`, and what has been done
    engine: Engine, spec: BuilderSpec, driver: str, did: str, cancel: Signal | None, platforms: Collection[str | None] = ()
) -> Builder:
    name, options = spec.name, driver_options(spec, driver)
    answer = process.run([*engine.buildx_argv, "inspect", "--bootstrap", name], timeout_s=_boot_s(options), cancel=cancel)
    existing = inspect_builder(engine, name)
    if not answer.ok and not (existing and not answer.exit.cancelled and _runs(existing, platforms)):
        nodes = needed_nodes(existing, platforms) if existing and driver == "remote" else ()
        advice = "see that its daemon runs" if driver == "remote" else "`matrix clean` removes it"
        reason = explain_silence(answer, [(node.endpoint, node.options) for node in nodes if not node.buildkit])
        reason = explain_pods(reason, options)
        message = f"builder '{name}' does not start: {reason}; {advice}"
        raise EngineError(message)
    if existing is None:
        return Builder(name, driver, None, exports_oci=True, did=did)
    if lost := next((node.error for node in needed_nodes(existing, platforms) if node.error and not node.buildkit), None):
        message = f"builder '{name}' cannot be reached: {lost}"
        raise EngineError(message)
    return _describe(name, driver, existing, did, platforms)


def _describe(name: str, driver: str, existing: Existing, did: str, platforms: Collection[str | None]) -> Builder:
    native, others = native_platforms(existing), other_platforms(existing)
    needed = needed_nodes(existing, platforms)
    if silent := ", ".join(node.endpoint for node in existing.nodes if node not in needed and not node.buildkit):
        did += f"; nothing answers at {silent}, which no cell needs"
    pods = find_choice(existing) if driver == "kubernetes" else None
    return Builder(name, driver, existing.buildkit, exports_oci=True, did=did, native=native, others=others, pods=pods)


def remove_builder(engine: Engine, name: str) -> None:
    """Remove a builder and then its mark; one that is gone is fine."""
    answer = process.run([*engine.buildx_argv, "rm", "--force", name], timeout_s=_BOOT_S)
    if not answer.ok and "no builder" not in answer.stderr:
        said = answer.stderr.rpartition(f"failed to remove {name}: ")[2].strip().splitlines()  # then, that it has failed
        reason = said[0] if said else "no reason given"
        message = f"the builder {name} could not be removed: {reason}{explain_rest(reason)}"
        raise EngineError(message)
    remove_mark(name)


def was_made_here(engine: Engine, name: str) -> bool:
    """Tell whether a builder carries matrix's mark."""
    existing = inspect_builder(engine, name)
    return existing is not None and is_marked(name, existing)


def inspect_builder(engine: Engine, name: str) -> Existing | None:
    """Ask for this builder only: listing all would wait for every one that is out of reach."""
    answer = process.run([*engine.buildx_argv, "inspect", name])
    if answer.ok:
        return parse_inspection(answer.stdout)
    if "no builder" in answer.stderr:
        return None
    message = f"buildx cannot inspect builder '{name}': {process.last_line(answer.stderr)}"
    raise EngineError(message)


def _builder_image_is_there(engine: Engine, image: str) -> bool:
    """Look in the engine first, then ask the registry."""
    if process.run([engine.docker, "image", "inspect", "--format", "{{.Id}}", image]).ok:
        return True
    return process.run([engine.docker, "pull", "--quiet", image], env=child_environment(), timeout_s=_BOOT_S).ok
