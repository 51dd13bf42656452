"""The builder: found, made, or healed when it is not what matrix.yaml asks for."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.docker import process
from orchestrator.errors import EngineError
from orchestrator.paths import cache_folder, held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.docker.engine import Engine
    from orchestrator.model import BuilderSpec

MARK = "env.MATRIX_BUILDER"  # buildx cannot label a builder; a variable in its environment can
_BOOT_S = 180.0


@dataclass(frozen=True, slots=True)
class Builder:
    """A builder that runs, and how its images can leave it."""

    name: str
    driver: str
    buildkit: str | None
    exports_oci: bool
    did: str

    @property
    def loads_by_copy(self) -> bool:
        """Tell whether an image must be copied to reach the engine."""
        return self.driver != "docker"


@dataclass(frozen=True, slots=True)
class Existing:
    """A builder as buildx knows it."""

    driver: str
    options: dict[str, str]
    config: str
    endpoint: str
    buildkit: str | None


def ensure_builder(engine: Engine, spec: BuilderSpec, *, force: bool = False) -> Builder:
    """Create, heal or reuse the builder; a second call changes nothing."""
    with held(f"builder-{spec.name}"):
        if spec.driver == "docker":
            return _own_buildkit(engine, "matrix.yaml asks for it")
        existing = inspect_builder(engine, spec.name)
        driver = "docker-container" if spec.driver == "auto" else spec.driver
        if existing is None:
            if spec.driver == "auto" and not _builder_image_is_there(engine, spec.image):
                return _own_buildkit(engine, f"the builder image {spec.image} cannot be had here")
            return _create(engine, spec, driver, f"created builder '{spec.name}'")
        differences = _differences(spec, driver, existing)
        if not differences:
            return _boot(engine, spec.name, driver, f"reused builder '{spec.name}'")
        if not _is_marked(spec.name, existing) and not force:
            message = (
                f"builder '{spec.name}' was not made by matrix and differs from matrix.yaml in {', '.join(differences)}; "
                "give another builder.name, or `matrix bootstrap --force` makes it anew (its build cache is lost)"
            )
            raise EngineError(message)
        remove_builder(engine, spec.name)
        return _create(engine, spec, driver, f"made builder '{spec.name}' anew: {', '.join(differences)} differed")


def _own_buildkit(engine: Engine, why: str) -> Builder:
    """Use the BuildKit inside the engine; it has no settings to heal."""
    return Builder(engine.context, "docker", None, engine.containerd_store, f"using the engine's own BuildKit ({why})")


def _differences(spec: BuilderSpec, driver: str, existing: Existing) -> list[str]:
    """Name the settings in which a builder is not what the file asks for."""
    found = [] if existing.driver == driver else ["driver"]
    wanted = driver_options(spec, driver)
    keys = sorted({*wanted, *existing.options} - {MARK})
    found += [key.removeprefix("env.") for key in keys if wanted.get(key) != existing.options.get(key)]
    if driver != "remote" and _parse_toml(render_buildkitd_toml(spec)) != _parse_toml(existing.config):
        found.append("mirrors")
    if driver == "remote" and spec.endpoint != existing.endpoint:
        found.append("endpoint")
    return found


def _parse_toml(text: str) -> dict[str, Any]:
    """Read a configuration for comparison: buildx lays the file out anew."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return {"unreadable": str(error)}


def driver_options(spec: BuilderSpec, driver: str) -> dict[str, str]:
    """Give the driver options that follow from matrix.yaml."""
    options = dict(spec.options)
    if driver == "docker-container":
        options |= {"image": spec.image, "network": spec.network}
        options |= {f"env.{name}": value for name, value in spec.env}
    elif driver == "kubernetes":
        options.setdefault("image", spec.image)
    return options


def render_buildkitd_toml(spec: BuilderSpec) -> str:
    """Write the daemon's configuration: mirrors, and nothing when there are none."""
    blocks = []
    for registry, mirrors in spec.mirrors:
        blocks.append(f"[registry.{json.dumps(registry)}]\n  mirrors = {json.dumps(list(mirrors))}\n")
        plain = [mirror for mirror in mirrors if mirror.startswith(("127.", "localhost", "[::1]"))]
        blocks += [f"[registry.{json.dumps(mirror)}]\n  http = true\n" for mirror in plain]
    return "".join(blocks)


def render_create_argv(buildx: Sequence[str], spec: BuilderSpec, driver: str, config: Path | None) -> list[str]:
    """Write the buildx command that makes the builder."""
    argv = [*buildx, "create", "--name", spec.name, "--driver", driver, "--bootstrap"]
    options = driver_options(spec, driver)
    if driver == "docker-container":
        options[MARK] = hashlib.sha256(render_buildkitd_toml(spec).encode()).hexdigest()[:12]
        argv += ["--buildkitd-flags", "--allow-insecure-entitlement network.host"]
    for key, value in options.items():
        argv += ["--driver-opt", f'"{key}={value}"' if "," in value else f"{key}={value}"]
    if config is not None:
        argv += ["--buildkitd-config", str(config)]
    if spec.endpoint:
        argv.append(spec.endpoint)
    return argv


def _create(engine: Engine, spec: BuilderSpec, driver: str, did: str) -> Builder:
    toml = render_buildkitd_toml(spec)
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        config = Path(folder, "buildkitd.toml") if toml and driver != "remote" else None
        if config is not None:
            config.write_text(toml)
        argv = render_create_argv(engine.buildx_argv, spec, driver, config)
        answer = process.run(argv, timeout_s=_BOOT_S)
    if not answer.ok:
        remove_builder(engine, spec.name)
        reason = _last_line(answer.stderr) or "no reason given"
        message = f"builder '{spec.name}' ({driver}) could not be made: {reason}"
        raise EngineError(message)
    _mark_file(spec.name).touch()
    return _boot(engine, spec.name, driver, did)


def _boot(engine: Engine, name: str, driver: str, did: str) -> Builder:
    answer = process.run([*engine.buildx_argv, "inspect", "--bootstrap", name], timeout_s=_BOOT_S)
    if not answer.ok:
        message = f"builder '{name}' does not start: {_last_line(answer.stderr)}; `matrix clean` removes it"
        raise EngineError(message)
    existing = inspect_builder(engine, name)
    return Builder(name, driver, existing.buildkit if existing else None, exports_oci=True, did=did)


def remove_builder(engine: Engine, name: str) -> bool:
    """Remove a builder; tell whether there was one."""
    _mark_file(name).unlink(missing_ok=True)
    return process.run([*engine.buildx_argv, "rm", "--force", name], timeout_s=_BOOT_S).ok


def was_made_here(engine: Engine, name: str) -> bool:
    """Tell whether a builder carries matrix's mark."""
    existing = inspect_builder(engine, name)
    return existing is not None and _is_marked(name, existing)


def _is_marked(name: str, existing: Existing) -> bool:
    """Look for the mark in the builder's own environment; remote and kubernetes ones have it in our cache."""
    return MARK in existing.options or _mark_file(name).exists()


def _mark_file(name: str) -> Path:
    return cache_folder("builders") / name


def inspect_builder(engine: Engine, name: str) -> Existing | None:
    """Ask for this builder only: listing all would wait for every one that is out of reach."""
    answer = process.run([*engine.buildx_argv, "inspect", name])
    if answer.ok:
        return parse_inspection(answer.stdout)
    if "no builder" in answer.stderr:
        return None
    message = f"buildx cannot inspect builder '{name}': {_last_line(answer.stderr)}"
    raise EngineError(message)


def parse_inspection(text: str) -> Existing:
    """Read what `buildx inspect` prints of a builder and its first node."""
    fields: dict[str, str] = {}
    config: list[str] = []
    for line in text.splitlines():
        if line.startswith(" > "):
            config.append(line[3:])
        elif found := re.match(r"(Driver|Endpoint|Driver Options|BuildKit version):\s*(.*)", line):
            fields.setdefault(found[1], found[2].strip())
    options = dict(word.split("=", 1) for word in shlex.split(fields.get("Driver Options", "")) if "=" in word)
    version = fields.get("BuildKit version", "")
    known = version if version and not version.startswith("v0.0.0") else None
    return Existing(fields.get("Driver", ""), options, "\n".join(config), fields.get("Endpoint", ""), known)


def _builder_image_is_there(engine: Engine, image: str) -> bool:
    """Look in the engine first, then ask the registry."""
    if process.run([engine.docker, "image", "inspect", "--format", "{{.Id}}", image]).ok:
        return True
    return process.run([engine.docker, "pull", "--quiet", image], timeout_s=_BOOT_S).ok


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
