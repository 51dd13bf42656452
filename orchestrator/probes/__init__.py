"""The probes as data: their names, their sources as one script each, and what their containers need."""

from __future__ import annotations

import ast
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROBE_NAMES: tuple[str, ...] = (
    "otlp-grpc",
    "otlp-http",
    "telemetry",
    "tls",
    "timezone",
    "locale",
    "dns",
    "native",
    "pyroscope",
)
INPUT_VARIABLE = "MATRIX_PROBE_INPUT"


class ContainerNeeds(Struct, frozen=True):
    """What a probe's container gets beyond the plain one: no network, read-only root, no capabilities, image's user."""

    user: str | None = None
    writable_root: bool = False
    capabilities: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    no_graph: str | None = None  # why it cannot be a step of a build
    tmpfs: tuple[str, ...] = ("/tmp",)  # noqa: S108 - a folder of the container, and only it


_PLAIN = ContainerNeeds()
PROBE_NEEDS: Mapping[str, ContainerNeeds] = MappingProxyType(
    dict.fromkeys(PROBE_NAMES, _PLAIN)
    | {
        # Adding a CA the base's own way writes to /etc and is root's to do.
        "tls": ContainerNeeds(user="0", writable_root=True),
        # The probe tries several settings in one container by writing /etc/resolv.conf, which is root's and read-only
        # where the root is; and its resolver listens on port 53.
        "dns": ContainerNeeds(
            user="0",
            writable_root=True,
            sysctls=(("net.ipv4.ip_unprivileged_port_start", "0"),),
            no_graph="it writes /etc/resolv.conf, which BuildKit mounts read-only",
        ),
    }
)

# Shared modules are handed to the interpreter under the names that the probe imports: nothing is read from a disk, so
# the script runs in any container that takes it on its standard input.
_SCRIPT = """\
import sys, types
for _name, _source in {modules!r}.items():
    _module = sys.modules[_name] = types.ModuleType(_name)
    exec(compile(_source, _name, "exec"), _module.__dict__)
exec(compile({probe!r}, "<probe {name}>", "exec"), {{"__name__": "__main__"}})
"""


def load_probe(name: str) -> str:
    """Read a probe and the modules it shares with others as one script that needs the standard library only."""
    if name not in PROBE_NAMES:
        message = f"no probe {name!r}; there are {', '.join(PROBE_NAMES)}"
        raise ValueError(message)
    probe = _load_source(name.replace("-", "_"))
    modules = {__package__.partition(".")[0]: "", __package__: ""} | dict(_load_shared(probe))
    return _SCRIPT.format(modules=modules, probe=probe, name=name)


def _load_source(stem: str) -> str:
    return resources.files(__package__).joinpath(f"{stem}.py").read_text(encoding="utf-8")


def _load_shared(source: str) -> Iterator[tuple[str, str]]:
    """Each shared module that a source imports, after those that it imports itself."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{__package__}._"):
            shared = _load_source(node.module.rpartition(".")[2])
            yield from _load_shared(shared)
            yield node.module, shared
