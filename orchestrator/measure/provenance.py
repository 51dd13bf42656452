"""The steps of a build as its provenance describes them, in both forms that BuildKit writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def defined_steps(provenance: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # JSON is anything
    """Give each step with its digest; what is not as BuildKit writes it is none."""
    described = within(provenance, "buildDefinition", "internalParameters", "buildConfig") or within(provenance, "buildConfig")
    digests = within(described, "digestMapping")
    definition = within(described, "llbDefinition")
    if not isinstance(digests, dict) or not isinstance(definition, list):
        return
    by_step = {step: digest for digest, step in digests.items() if isinstance(step, str)}
    for one in definition:
        if digest := by_step.get(str(within(one, "id"))):
            yield digest, one


def within(data: Any, *keys: str) -> Any:  # noqa: ANN401  # as above
    """Give what lies below these keys, or None."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
