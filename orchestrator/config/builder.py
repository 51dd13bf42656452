"""The builder that matrix.yaml asks for, as the noun that a run works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.model import BuilderSpec, NodeSpec

if TYPE_CHECKING:
    from orchestrator.config import schema


def make_builder(asked: schema.Builder) -> BuilderSpec:
    """Give the builder as it stands in the file."""
    return BuilderSpec(
        name=asked.name,
        driver=asked.driver,
        image=asked.image,
        network=asked.network,
        endpoint=asked.endpoint,
        env=tuple(asked.env.items()),
        options=tuple(asked.options.items()),
        mirrors=tuple((registry, tuple(mirrors)) for registry, mirrors in asked.mirrors.items()),
        platforms=tuple(asked.platforms),
        nodes=tuple(NodeSpec(node.endpoint, tuple(node.platforms), tuple(node.options.items())) for node in asked.nodes),
        smoke=asked.smoke,
    )
