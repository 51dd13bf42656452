"""An image's packages as a CycloneDX SBOM."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from orchestrator.packages import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    from orchestrator.layers.inventory import Contents

_TYPES = {"apk": "apk", "dpkg": "deb"}
_NAMESPACE = uuid.UUID("6f1a3e52-53a8-4f0e-9d0a-2f6c1c9d5b77")  # ours: the same image has the same serial number


def render_sbom(contents: Contents, name: str, digest: str, made_at: datetime) -> str:
    """Write an SBOM as JSON."""
    from cyclonedx.model.bom import Bom  # noqa: PLC0415  # takes 0.2 s, which only measuring needs
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415  # as above
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415  # as above

    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, digest))
    image = Component(name=name, type=ComponentType.CONTAINER, version=digest, bom_ref="image")
    bom.metadata.component = image
    bom.metadata.timestamp = made_at
    parts = list(_components(contents))
    bom.components.update(parts)
    bom.register_dependency(image, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _components(contents: Contents) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415  # as above
    from cyclonedx.model.license import DisjunctiveLicense  # noqa: PLC0415  # as above

    system = contents.system.get("ID")
    if system:
        version = contents.system.get("VERSION_ID")
        yield Component(name=system, type=ComponentType.OPERATING_SYSTEM, version=version, bom_ref="system")
    seen: dict[str, int] = {}
    for name, version, licence, address in _packages(contents):
        text = address.to_string()
        seen[text] = seen.get(text, 0) + 1
        yield Component(
            name=name,
            version=version or None,
            purl=address,
            bom_ref=text if seen[text] == 1 else f"{text}#{seen[text]}",
            licenses=[DisjunctiveLicense(name=licence)] if licence else None,
        )


def _packages(contents: Contents) -> Iterator[tuple[str, str, str | None, PackageURL]]:
    """Give name, version, licence and address of each package, as scanners look them up."""
    from packageurl import PackageURL  # noqa: PLC0415  # as above

    system, version = contents.system.get("ID"), contents.system.get("VERSION_ID")
    for package in contents.os:
        of = {"arch": package.arch, "distro": f"{system}-{version}" if version else system, "upstream": package.source}
        qualifiers = {key: value for key, value in of.items() if value}
        address = PackageURL(_TYPES[package.manager], system, package.name, package.version or None, qualifiers)
        yield package.name, package.version, package.licence, address
    for one in contents.python:
        yield one.name, one.version, one.licence, PackageURL("pypi", None, normal_name(one.name), one.version or None)
