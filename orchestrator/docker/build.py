"""One traced buildx build: its command line, its run, and what buildx says of the result."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.cuts import cut
from orchestrator.docker import process
from orchestrator.docker.engine import child_environment
from orchestrator.errors import UsageError
from orchestrator.measure.heredocs import parse_commands
from orchestrator.measure.unfold import Unfolder
from orchestrator.measure.usage import parse_usage
from orchestrator.model import LABEL
from orchestrator.places import dockerfile_of, inside_context, is_remote, named_context, render_secret, secret_source
from orchestrator.record import Base, Usage
from orchestrator.strict import as_map, items_of, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.docker.builder import Builder
    from orchestrator.measure.progress import Progress
    from orchestrator.model import Cell, Secret, Settings

_PRUNE_S = 300.0
_LAYOUT = "pkg:oci/"  # what provenance says of an image that no registry has: nobody can be asked for its layers
_NOT_KEPT = ",store=false"  # or the engine's own BuildKit leaves an image in the engine, of that name or of none
_SAME_MANIFEST = ",oci-mediatypes=true"  # or the layout's index names the manifest of the other output, which it lacks


class Target(Struct, frozen=True):
    """Where a build's image goes: a folder of the image store, the engine, both, or nowhere: then only its digest is wanted."""

    oci: Path | None
    image: str | None


class Variation(Struct, frozen=True):
    """What is different in a build that is no cell's first."""

    fresh: str | None = None  # every step is run, with cache mounts that nobody else has: the name of theirs
    context: Path | None = None  # a changed copy of the cell's own
    again: bool = False  # the same once more, for the image only
    uncached: bool = False  # every step is run: what the builder keeps is no good


AS_IT_IS = Variation()
WITHOUT_CACHE = Variation(uncached=True)
ONCE_MORE = Variation(again=True)
_WHOLE = (AS_IT_IS, WITHOUT_CACHE)  # whose image is the cell's


def render_build_argv(  # noqa: PLR0913  # the parts of one command line
    buildx: Sequence[str],
    builder: Builder,
    matrix: str,
    cell: Cell,
    folder: Path,
    target: Target,
    metadata: Path,
    variation: Variation = AS_IT_IS,
) -> list[str]:
    """Write the buildx command of a cell."""
    settings = cell.settings
    argv = [*buildx, "build", "--builder", builder.name, "--progress=rawjson", "--provenance=false"]
    argv += ["--metadata-file", str(metadata)]
    if is_remote(settings.context):
        context = settings.context
        argv += ["--file", settings.dockerfile]
    else:
        context = str(folder / settings.context)
        argv += ["--file", str(dockerfile_of(settings, folder))]
    arguments = [*(f"{name}={value}" for name, value in settings.args), *(name for name, _ in settings.secret_args)]
    argv += [word for argument in arguments for word in ("--build-arg", argument)]  # a secret's value is in the environment
    if settings.requirements is not None:
        argv += ["--build-arg", f"REQUIREMENTS={inside_context(settings.requirements, settings.context)}"]
    for name, value in settings.contexts:
        argv += ["--build-context", f"{name}={named_context(value, folder)}"]
    for secret in settings.secrets:
        argv += render_secret_argv(secret, folder)
    for name, value in (*settings.labels, *label_cell(matrix, cell)):
        argv += ["--label", f"{name}={value}"]
    for flag in ("target", "platform", "network"):
        if value := getattr(settings, flag):
            argv += [f"--{flag}", value]
    if settings.network == "host" and builder.driver != "docker":
        argv += ["--allow", "network.host"]
    argv += _cache_argv(settings, variation)
    push = settings.push if variation in _WHOLE else None
    argv += [word for output in make_outputs(builder, target, push) for word in ("--output", output)]
    return [*argv, str(variation.context or context)]


def label_cell(matrix: str, cell: Cell) -> tuple[tuple[str, str], ...]:
    """Give the labels by which an image is known to be ours."""
    return (f"{LABEL}.matrix", matrix), (f"{LABEL}.cell", cell.id)


def _cache_argv(settings: Settings, variation: Variation) -> list[str]:
    """Name the caches of a cell; a build that is only timed, or made once more, neither asks a registry's nor writes into it."""
    if variation.fresh is not None:
        return ["--no-cache", "--build-arg", f"BUILDKIT_CACHE_MOUNT_NS={variation.fresh}"]
    if variation not in _WHOLE:
        return []
    argv = ["--no-cache"] if variation.uncached else []
    argv += [word for source in settings.cache_from for word in ("--cache-from", source)]
    return argv + [word for sink in settings.cache_to for word in ("--cache-to", sink)]


def sample_mounts(run: str) -> str:
    """Give the name that all cache mounts of a run's samples begin with."""
    return f"matrix-sample-{run.lower()}"


def forget_sample_mounts(buildx: Sequence[str], builder: str, run: str) -> None:
    """Remove the cache mounts of a run's samples; where that fails the builder's own housekeeping does it later."""
    wanted = f"description~={sample_mounts(run)}"
    process.run([*buildx, "prune", "--builder", builder, "--force", "--filter", wanted], timeout_s=_PRUNE_S)


def make_outputs(builder: Builder, target: Target, push: str | None = None) -> list[str]:
    """Name what becomes of an image, as buildx does."""
    outputs: list[str] = []
    if target.oci is not None:
        outputs.append(f"type=oci,tar=false,dest={target.oci}")
    if target.image is not None:
        kind = "image" if builder.exports_oci and not builder.loads_by_copy else "docker"
        outputs.append(f"type={kind},name={target.image}{_SAME_MANIFEST if kind == 'image' else ''}")
    if push is not None:
        outputs.append(f"type=image,name={push},push=true{_SAME_MANIFEST}{_NOT_KEPT if builder.exports_oci else ''}")
    return outputs or [f"type=image{_SAME_MANIFEST}{_NOT_KEPT}"]


def render_secret_argv(secret: Secret, folder: Path) -> list[str]:
    """Name a secret's source; its value goes from there to the builder, never through here."""
    if source := secret_source(secret, folder):
        return ["--secret", render_secret(secret, source)]
    if secret.optional or (secret.file_env is not None and not os.environ.get(secret.file_env)):
        return []
    wanted = secret.env or secret.file or secret.file_env
    message = f"secret '{secret.id}' is not there: {wanted}; give it, or mark it `optional: true`"
    raise UsageError(message)


def read_secret_args(cell: Cell) -> dict[str, str]:
    """Read the build arguments of a cell that are secrets, for the environment of its build."""
    return {argument[0]: read_secret_arg(argument) for argument in cell.settings.secret_args}


def read_secret_arg(argument: tuple[str, str]) -> str:
    """Read the value of a build argument that is a secret."""
    name, variable = argument
    value = os.environ.get(variable)
    if value is None:
        message = f"secret build argument '{name}': the variable {variable} is not set"
        raise UsageError(message)
    return value


def run_build(
    argv: list[str],
    *,
    on_progress: Callable[[bytes], None],
    timeout_s: float,
    cancel: process.Signal,
    environment: Mapping[str, str] | None = None,
    dockerfile: bytes = b"",
) -> process.Exit:
    """Run a build, with more in its environment; every line of its progress goes to the callback."""
    out, err = Unfolder(on_progress), Unfolder(on_progress)
    ended = process.stream(
        argv,
        on_stdout=out.feed,
        on_stderr=err.feed,
        env=build_environment(environment or {}),
        stdin=dockerfile,
        timeout_s=timeout_s,
        cancel=cancel,
    )
    out.close()
    err.close()
    return ended


def run_unfollowed(  # as `run_build`
    argv: list[str],
    *,
    timeout_s: float,
    cancel: process.Signal,
    environment: Mapping[str, str] | None = None,
    dockerfile: bytes = b"",
    progress: Progress | None = None,
) -> tuple[process.Exit, str]:
    """Run a build of which only the end is of interest; give that, and the last that it said, which of one that failed is why.

    Whoever wants to know its steps as well gives what they are put into.
    """
    said: deque[bytes] = deque(maxlen=1)

    def hear(line: bytes) -> None:
        said.append(line)
        if progress is not None:
            progress.feed(line)

    ended = run_build(argv, on_progress=hear, timeout_s=timeout_s, cancel=cancel, environment=environment, dockerfile=dockerfile)
    return ended, cut(said[0].decode("utf-8", "replace"), 300) if said else "no reason given"


def build_environment(more: Mapping[str, str]) -> Mapping[str, str]:
    """Give the variables of a build.

    buildx starts git seven times for each build in a repository, to say in the
    provenance where the context comes from; a run reads that once. Who wants
    labels of it asks for them by a variable, and has them.
    """
    found = {"BUILDX_METADATA_PROVENANCE": "max", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    if not any(name.startswith("BUILDX_GIT_") for name in os.environ):
        found["BUILDX_GIT_INFO"] = "false"
    return child_environment(**found, **more)


def own_environment(folder: Path) -> dict[str, str]:
    """Give the variables of a build that only looks into a cell's image, with a folder for what buildx lays aside.

    The image was built as policies allow. buildx's default one, which a variable
    asks for, knows no OCI layout, and would end each such build.
    """
    return {"TMPDIR": str(folder), "BUILDX_DEFAULT_POLICY": "false"}


class Source(Struct, frozen=True):
    """A base as a build asked for it: for which platform, and whether by its digest."""

    base: Base
    platform: str | None = None
    is_pinned: bool = False


class BuildMetadata(Struct, frozen=True):
    """What buildx says of a finished build."""

    ref: str | None = None
    digest: str | None = None
    bases: tuple[Base, ...] | None = None  # unknown where no provenance is told, as by buildx 0.13
    usage: Mapping[str, Usage] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)  # what the shell of each step is given, by the step's digest
    sources: tuple[Source, ...] = ()


def load_metadata(path: Path) -> BuildMetadata:
    """Read buildx's metadata file; one that is not there means that nothing is known."""
    try:
        return make_metadata(parse_object(path.read_bytes()))
    except OSError:
        return BuildMetadata()


def make_metadata(data: dict[str, Any]) -> BuildMetadata:
    """Read what buildx says of one build."""
    provenance = as_map(data.get("buildx.build.provenance"))
    materials = items_of(provenance, "materials") or items_of(provenance.get("buildDefinition"), "resolvedDependencies")
    sources = tuple(dict.fromkeys(source for source in map(_make_source, materials) if source))
    is_known = bool(provenance) and not any(str(one.get("uri")).startswith(_LAYOUT) for one in materials)
    return BuildMetadata(
        ref=data.get("buildx.build.ref"),
        digest=data.get("containerimage.digest"),
        bases=tuple(dict.fromkeys(source.base for source in sources)) if is_known else None,
        usage=parse_usage(provenance),
        commands=parse_commands(provenance),
        sources=sources,
    )


def sources_of(metadata: BuildMetadata, cell: Cell) -> tuple[Source, ...] | None:
    """Give the bases of a build as it asked for them; where it does not tell for which platform, that is the cell's."""
    if metadata.bases is None:
        return None
    sources = metadata.sources or map(Source, metadata.bases)
    return tuple(replace(source, platform=source.platform or cell.settings.platform) for source in sources)


def _make_source(material: dict[str, Any]) -> Source | None:
    """Read a base out of its package URL: `pkg:docker/python@3.13-slim?digest=sha256:…&platform=linux%2Famd64`."""
    uri, digest = str(material.get("uri", "")), as_map(material.get("digest")).get("sha256")
    if not uri.startswith("pkg:docker/") or not digest:
        return None
    address, _, query = uri.removeprefix("pkg:docker/").partition("?")
    name, asked = unquote(address), parse_qs(query)
    path, at, tag = name.rpartition("@")
    base = Base(f"{path}:{tag}" if at else name, f"sha256:{digest}")
    return Source(base, asked.get("platform", [None])[0], is_pinned="digest" in asked)
