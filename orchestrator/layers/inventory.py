"""What is inside an image, from its visible files alone: packages with their bytes, users, shells; nothing is run."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from orchestrator.inside import Package, Packages, User
from orchestrator.layers.os_packages import OsPackage, find_os_packages, read_system
from orchestrator.layers.python_packages import PythonPackage, find_python_packages
from orchestrator.layers.stack import Room, sum_by_owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.layers.index import LayerIndex
    from orchestrator.layers.stack import Stack
    from orchestrator.measure.installs import Origin

_MAX_OWNED = 500_000  # paths that packages claim; past it nobody's bytes are added up
_MAX_USERS = 200
_PASSWD_FIELDS = 7
_MAX_FOLLOWED = 8  # links on the way to a folder: a circle ends there
_DEEPEST = 16  # parts of a folder's path that are looked up among links


class Contents(Struct, frozen=True):
    """The packages of an image, and the system they are of."""

    os: tuple[OsPackage, ...]
    python: tuple[PythonPackage, ...]
    system: Mapping[str, str]
    packages: Packages
    package_bytes: tuple[int | None, ...]  # of each layer; unknown where nobody's bytes were added up


class _Taken(NamedTuple):
    """What a package's files take, in themselves and in archives, and the layer that stores most of it."""

    bytes: int | None = None
    stored_bytes: int | None = None
    layer: int | None = None


def find_contents(layers: Sequence[LayerIndex], stack: Stack, origins: Mapping[str, Origin]) -> Contents:
    """Find the packages of an image, each with the bytes of its files."""
    system_packages = find_os_packages(stack.captured)
    python_packages = find_python_packages(stack.captured, origins)
    claims = [package.files for package in system_packages] + [package.files for package in python_packages]
    room, package_bytes = _weigh(layers, claims, stack.links)
    count = len(system_packages)
    packages = Packages(
        os=tuple(
            Package(
                package.name,
                package.version,
                bytes=taken.bytes,
                installed_bytes=package.installed_bytes,
                installed_by=package.manager,
                layer=taken.layer,
                stored_bytes=taken.stored_bytes,
            )
            for package, taken in zip(system_packages, room[:count], strict=True)
        ),
        python=tuple(
            Package(
                package.name,
                package.version,
                package.built_from,
                package.native,
                bytes=taken.bytes,
                installed_by=package.installed_by,
                compile_s=package.compile_s,
                layer=taken.layer,
                stored_bytes=taken.stored_bytes,
            )
            for package, taken in zip(python_packages, room[count:], strict=True)
        ),
    )
    return Contents(tuple(system_packages), tuple(python_packages), read_system(stack.captured), packages, package_bytes)


def _weigh(
    layers: Sequence[LayerIndex], claims: Sequence[tuple[bytes, ...]], links: Mapping[bytes, bytes]
) -> tuple[list[_Taken], tuple[int | None, ...]]:
    """Add up what each package's files take, and what those of all packages take in each layer.

    A file that two claim is the first one's, and no list means nobody knows.
    Lists may name files below folders that are links in the image.
    """
    if claims and (not any(claims) or sum(map(len, claims)) > _MAX_OWNED):
        return [_Taken()] * len(claims), (None,) * len(layers)
    owners: dict[bytes, int] = {}
    real_folder = cache(lambda folder: _follow(folder, links))
    for owner, keys in enumerate(claims):
        for key in keys:
            folder, _, name = key.rpartition(b"\0")
            owners.setdefault((real_folder(folder) + b"\0" + name).lstrip(b"\0"), owner)
    rooms = sum_by_owner(layers, owners)
    of_layers: Counter[int] = Counter()
    for room in rooms.values():
        of_layers.update(room.by_layer)
    taken = [_take(rooms.get(owner, Room())) if keys else _Taken() for owner, keys in enumerate(claims)]
    return taken, tuple(of_layers[layer] for layer in range(len(layers)))


def _follow(folder: bytes, links: Mapping[bytes, bytes]) -> bytes:
    """Find where a folder really lies when some of its path are links, such as /lib64 to /usr/lib."""
    real = folder
    for _ in range(_MAX_FOLLOWED):
        above = accumulate(real.split(b"\0")[:_DEEPEST], lambda path, part: path + b"\0" + part)
        link = next((path for path in above if path in links), None)
        if link is None:
            return real
        real = (links[link] + real.removeprefix(link)).lstrip(b"\0")
    return folder


def _take(room: Room) -> _Taken:
    most = min(room.by_layer, key=lambda layer: (-room.by_layer[layer], layer), default=None)
    return _Taken(sum(room.by_layer.values()), room.stored_bytes, most)


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
