"""What a reference to an image stands for now: its digest in the registry, or in the engine that alone has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.cuts import cut_begin
from orchestrator.digests import is_digest
from orchestrator.docker import process
from orchestrator.docker.api import RefusedError, ask
from orchestrator.errors import EngineError, UsageError
from orchestrator.platforms import fitting_platforms, normal_platform
from orchestrator.strict import parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event as Signal

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.process import Output

_ANSWER_S = 90.0
_NOT_THERE = re.compile(r"not found|manifest unknown|does not exist|repository name not known", re.IGNORECASE)
_TOO_MANY = re.compile(r"toomanyrequests|too many requests|\b429\b", re.IGNORECASE)
_REFUSED = re.compile(r"unauthorized|denied|forbidden|\b40[13]\b", re.IGNORECASE)


class Resolved(Struct, frozen=True):
    """What a reference stands for: in a registry, or only in the engine."""

    digest: str
    images: Mapping[str, str]  # by platform; empty when there is one image and its platform is not said
    source: str
    why: str | None = None  # why the engine was asked, where it was

    def image_on(self, ref: str, platform: str) -> str:
        """Give the manifest for a platform."""
        if not self.images:
            return self.digest
        wanted = next((one for one in fitting_platforms(normal_platform(platform)) if one in self.images), None)
        if wanted is None:
            message = f"{ref} has no image for {platform}; it has {', '.join(self.images)}"
            raise UsageError(message)
        return self.images[wanted]


def resolve_reference(
    docker: str, ref: str, builder: str | None, buildx: Sequence[str] = (), cancel: Signal | None = None
) -> Resolved:
    """Ask the registry, as the builder would with its mirrors; where it has nothing for us, the engine's own images.

    A registry that is silent may have the image as ever: what the engine has
    would then be locked in its place.
    """
    chosen = ["--builder", builder] if builder else []
    argv = [*(buildx or (docker, "buildx")), "imagetools", "inspect", *chosen, ref, "--format", "{{json .Manifest}}"]
    answer = _ask(argv, cancel)
    found = parse_object(answer.stdout) if answer.ok else {}
    if is_digest(str(found.get("digest"))):
        return Resolved(found["digest"], _images_of(found), "registry")
    why = explain_refusal(ref, answer.stderr, timed_out=answer.exit.timed_out)
    has_answered = not _TOO_MANY.search(answer.stderr) and (_NOT_THERE.search(answer.stderr) or _REFUSED.search(answer.stderr))
    local = read_engine_digest(docker, ref, cancel) if has_answered else None
    if local is None:
        raise EngineError(why)
    return Resolved(local, {}, "engine", why)


def has_builder(docker: str, name: str, cancel: Signal | None = None) -> bool:
    """Tell whether buildx knows a builder of that name."""
    return _ask([docker, "buildx", "inspect", name], cancel).ok


def _ask(argv: Sequence[str], cancel: Signal | None) -> Output:
    """Have docker ask, unless that is interrupted."""
    answer = process.run(argv, timeout_s=_ANSWER_S, cancel=cancel)
    if answer.exit.cancelled:
        raise KeyboardInterrupt
    return answer


def read_engine_digest(docker: str, ref: str, cancel: Signal | None = None) -> str | None:
    """Give the id of an image that the engine has, or None."""
    answer = _ask([docker, "image", "inspect", "--format", "{{.Id}}", ref], cancel)
    found = answer.stdout.strip()
    return found if answer.ok and is_digest(found) else None


def find_in_engine(engine: Engine, ref: str) -> str | None:
    """Give the id of an image that an engine has which answers, or None; over its own API."""
    try:
        found = str(ask(engine, "GET", f"/images/{ref}/json")["Id"])
    except RefusedError:
        return None
    return found if is_digest(found) else None


def _images_of(found: dict[str, Any]) -> dict[str, str]:
    """Give the manifests of an index by platform; attestations are of no platform."""
    images: dict[str, str] = {}
    for one in found.get("manifests") or ():
        where = one.get("platform") or {}
        name = "/".join(str(where[key]) for key in ("os", "architecture", "variant") if where.get(key))
        if name and not name.startswith("unknown") and is_digest(str(one.get("digest"))):
            images.setdefault(normal_platform(name), one["digest"])
    return images


def explain_refusal(ref: str, words: str, *, timed_out: bool) -> str:
    """Say why a registry gave no digest, and what to do about it."""
    registry = registry_of(ref)
    last = cut_begin(process.last_line(words).removeprefix("ERROR: "), 300)
    said = f" ({last})" if last else ""
    if timed_out:
        return f"the registry {registry} did not answer within {_ANSWER_S:.0f} s when asked for {ref}; try again"
    if _TOO_MANY.search(words):
        return (
            f"the registry {registry} takes no more requests from here for now; try again later, or `docker login {registry}`{said}"
        )
    if _REFUSED.search(words):
        return f"the registry {registry} does not give {ref} to us; `docker login {registry}`, or mend the name{said}"
    if _NOT_THERE.search(words):
        return f"the registry {registry} has no {ref}; mend the name, or build it here{said}"
    return f"the registry {registry} cannot be reached for {ref}; is this machine on the network, or is a mirror needed?{said}"


def registry_of(ref: str) -> str:
    """Give the registry that a reference names, or Docker Hub."""
    first, slash, _ = ref.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"
