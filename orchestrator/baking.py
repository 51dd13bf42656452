"""A cell as a target of bake: the same build, in another tool's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.places import dockerfile_of, inside_context, is_remote, named_context

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import Settings


def make_target(settings: Settings, folder: Path, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # whatever a target has
    """Give the target that builds what these settings say, and more; nothing stands in it that is empty."""
    remote = is_remote(settings.context)
    args = dict(settings.args)
    if settings.requirements:
        args["REQUIREMENTS"] = inside_context(settings.requirements, settings.context)
    found: dict[str, Any] = {
        "context": settings.context if remote else str(folder / settings.context),
        "dockerfile": settings.dockerfile if remote else str(dockerfile_of(settings, folder)),
        "args": args,
        "labels": dict(settings.labels),
        "contexts": {name: named_context(value, folder) for name, value in settings.contexts},
        "target": settings.target,
        "network": settings.network,
        "platforms": [settings.platform] if settings.platform else None,
        "cache-from": list(settings.cache_from),
        "cache-to": list(settings.cache_to),
        **more,
    }
    return {key: _spell(value) for key, value in found.items() if value}


def _spell(value: Any) -> Any:  # noqa: ANN401  # as above
    """Spell texts so that bake takes them as they are: it would look for variables and rules in them."""
    match value:
        case str():
            return value.replace("${", "$${").replace("%{", "%%{")
        case list():
            return [_spell(one) for one in value]
        case dict():
            return {_spell(key): _spell(one) for key, one in value.items()}
    return value
