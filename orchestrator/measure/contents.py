"""An image's layers, as they were read, to what it wastes and holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from orchestrator.inside import Inventory
from orchestrator.layers.inventory import Contents, find_contents, find_users
from orchestrator.layers.stack import Stack, stack_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.measure.image import RawImage
    from orchestrator.measure.installs import Origin
    from orchestrator.record import Image


class Analysed(NamedTuple):
    """An image with all that its layers tell; without contents where a layer could not be read."""

    image: Image
    contents: Contents | None


def analyse(raw: RawImage, image: Image, origins: Mapping[str, Origin]) -> Analysed:
    """Tell what an image wastes and holds; with one layer unread all of that is unknown, since it may hide anything."""
    if len(raw.indices) != len(image.layers):
        return Analysed(image, None)
    layers = [replace(layer, problem=index.problem) for layer, index in zip(image.layers, raw.indices, strict=True)]
    if any(layer.problem for layer in layers):
        return Analysed(replace(image, layers=tuple(layers)), None)
    stack = stack_layers(raw.indices)
    contents = find_contents(raw.indices, stack, origins)
    told = zip(layers, stack.wasted_bytes, contents.package_bytes, strict=True)
    image = replace(
        image,
        layers=tuple(replace(layer, wasted_bytes=wasted, package_bytes=packages) for layer, wasted, packages in told),
        wasted_bytes=sum(stack.wasted_bytes),
        wasted_paths=stack.wasted,
        wasted_by=stack.flows,
        largest_files=stack.largest_files,
        largest_folders=stack.largest_folders,
        packages=contents.packages,
        inventory=_make_inventory(raw, stack, contents),
    )
    return Analysed(image, contents)


def _make_inventory(raw: RawImage, stack: Stack, contents: Contents) -> Inventory:
    return Inventory(
        system=contents.system.get("ID") or None,
        system_version=contents.system.get("VERSION_ID") or None,
        files=stack.files,
        file_bytes=stack.file_bytes,
        users=find_users(stack.captured),
        user=raw.user,
        ports=raw.ports,
        entrypoint=raw.entrypoint,
        command=raw.command[len(raw.entrypoint) :],
        set_id_files=stack.set_id,
        shells=stack.shells,
    )
