"""What is inside an image, from its visible files alone: packages with their bytes, users, shells; nothing is run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.inside import Package, Packages, User
from orchestrator.layers.os_packages import OsPackage, find_os_packages, read_system
from orchestrator.layers.python_packages import PythonPackage, find_python_packages
from orchestrator.layers.stack import sum_by_owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.layers.index import LayerIndex
    from orchestrator.layers.stack import Stack
    from orchestrator.measure.installs import Origin

_MAX_OWNED = 500_000  # paths that packages claim; past it nobody's bytes are added up
_MAX_USERS = 200
_PASSWD_FIELDS = 7


@dataclass(frozen=True, slots=True)
class Contents:
    """The packages of an image, and the system they are of."""

    os: tuple[OsPackage, ...]
    python: tuple[PythonPackage, ...]
    system: Mapping[str, str]
    packages: Packages
    package_bytes: tuple[int | None, ...]  # of each layer; unknown where nobody's bytes were added up


def find_contents(layers: Sequence[LayerIndex], stack: Stack, origins: Mapping[str, Origin]) -> Contents:
    """Find the packages of an image, each with the bytes of its files."""
    system_packages = find_os_packages(stack.captured)
    python_packages = find_python_packages(stack.captured, origins)
    claims = [package.files for package in system_packages] + [package.files for package in python_packages]
    sizes, package_bytes = _sizes(layers, claims)
    count = len(system_packages)
    packages = Packages(
        os=tuple(
            Package(
                package.name,
                package.version,
                bytes=size,
                installed_bytes=package.installed_bytes,
                installed_by=package.manager,
            )
            for package, size in zip(system_packages, sizes[:count], strict=True)
        ),
        python=tuple(
            Package(
                package.name,
                package.version,
                package.built_from,
                package.native,
                bytes=size,
                installed_by=package.installed_by,
                compile_s=package.compile_s,
            )
            for package, size in zip(python_packages, sizes[count:], strict=True)
        ),
    )
    return Contents(tuple(system_packages), tuple(python_packages), read_system(stack.captured), packages, package_bytes)


def _sizes(
    layers: Sequence[LayerIndex], claims: Sequence[tuple[bytes, ...]]
) -> tuple[Sequence[int | None], tuple[int | None, ...]]:
    """Add up what each package's files take, and what those of all packages take in each layer.

    A file that two claim is the first one's, and no list means nobody knows.
    """
    if claims and (not any(claims) or sum(map(len, claims)) > _MAX_OWNED):
        return [None] * len(claims), (None,) * len(layers)
    owners: dict[bytes, int] = {}
    for owner, keys in enumerate(claims):
        for key in keys:
            owners.setdefault(key, owner)
    of_owners: Counter[int] = Counter()
    of_layers: Counter[int] = Counter()
    for (owner, layer), size in sum_by_owner(layers, owners).items():
        of_owners[owner] += size
        of_layers[layer] += size
    sizes = [of_owners[owner] if keys else None for owner, keys in enumerate(claims)]
    return sizes, tuple(of_layers[layer] for layer in range(len(layers)))


def find_users(captured: Mapping[str, bytes]) -> tuple[User, ...]:
    """Read the image's users; a line that is none is passed over."""
    lines = captured.get("/etc/passwd", b"").decode("utf-8", "replace").splitlines()
    fields = [line.split(":") for line in lines]
    found = [
        User(name, int(uid), int(gid), home, shell)
        for name, _, uid, gid, _, home, shell in (row for row in fields if len(row) == _PASSWD_FIELDS)
        if _is_id(uid) and _is_id(gid)
    ]
    return tuple(found[:_MAX_USERS])


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10  # noqa: PLR2004  # digits of the largest id
