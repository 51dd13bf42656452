"""What a cell is built from, as digests and words that two runs can be compared by; no secret is among them."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.git import read_git
from orchestrator.model import StructureCheck
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.record import CellInputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.contexts import Contexts
    from orchestrator.model import Settings


_MOMENT = "SOURCE_DATE_EPOCH"  # buildx takes it from the environment for a build argument, by which an image is dated
_SOURCE_POLICY = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"  # names a file
_GIT_LABELS = "BUILDX_GIT_LABELS"
_YES = ("1", "t", "true", "full")
_IMAGE = "docker-image://"  # such a context is a base, which the build itself names, and a lock pins


def read_inputs(settings: Settings, folder: Path, contexts: Contexts) -> CellInputs:
    """Read what a cell will be built from, before it is."""
    dockerfile = None if is_remote(settings.context) else dockerfile_of(settings, folder)
    return CellInputs(
        dockerfile_digest=_file_digest(dockerfile),
        context_digest=contexts.digest_of(settings),
        requirements_digest=_file_digest(folder / settings.requirements if settings.requirements else None),
        args=dict(settings.args),
        options=dict(_options_of(settings)) | _policies_of(dockerfile) | _git_labels_of(settings, folder),
        smoke_digest=_smoke_digest(settings, folder),
        images={name: value for name, value in settings.contexts if value.startswith(_IMAGE)} or None,
        beside_digest=contexts.beside(settings),
    )


def _options_of(settings: Settings) -> Iterator[tuple[str, str]]:
    """Name what else a build is told. Of secrets only the names: a digest of a short one could be guessed."""
    yield "context", settings.context
    for name, value in (("target", settings.target), ("platform", settings.platform), ("network", settings.network)):
        if value is not None:
            yield name, value
    yield from ((f"contexts.{name}", value) for name, value in settings.contexts if not value.startswith(_IMAGE))
    yield from ((f"labels.{name}", value) for name, value in settings.labels)
    if _MOMENT in os.environ:
        yield _MOMENT, os.environ[_MOMENT]
    if settings.secret_args:
        yield "secret_args", ", ".join(sorted(name for name, _ in settings.secret_args))
    if settings.secrets:
        yield "secrets", ", ".join(sorted(secret.id for secret in settings.secrets))


def _policies_of(dockerfile: Path | None) -> dict[str, str]:
    """Give the digests of policies that allow, deny or replace what a build asks for: beside the Dockerfile, and a variable's."""
    beside = dockerfile.with_name(f"{dockerfile.name}.rego") if dockerfile else None
    named = os.environ.get(_SOURCE_POLICY)
    digests = {"policy": _file_digest(beside), _SOURCE_POLICY: _file_digest(Path(named) if named else None)}
    return {name: digest for name, digest in digests.items() if digest}


def _git_labels_of(settings: Settings, folder: Path) -> dict[str, str]:
    """Give the commit that buildx puts into an image's labels where a variable asks for it."""
    is_wanted = os.environ.get(_GIT_LABELS, "").lower() in _YES and not is_remote(settings.context)
    commit = _read_commit(folder / settings.context) if is_wanted else None
    return {_GIT_LABELS: commit} if commit else {}


@cache
def _read_commit(folder: Path) -> str | None:
    return read_git(folder)[0]


def _smoke_digest(settings: Settings, folder: Path) -> str | None:
    """Give the digest of a cell's checks, with the files that some are in, and of the environment that they run in."""
    if not settings.smoke:
        return None
    files = [_file_digest(folder / check.file) for check in settings.smoke if isinstance(check, StructureCheck)]
    text = repr((settings.smoke, settings.env, *files))
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()}"


def _file_digest(path: Path | None) -> str | None:
    if path is None or not path.is_file():
        return None
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError:  # gone, or not ours to read: the build will say so
        return None
