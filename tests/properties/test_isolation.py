"""What can be seen in the source alone: no shell, no listener that others reach, no way in for code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import orchestrator
from tests.properties.test_architecture import modules

ROOT = Path(orchestrator.__file__).parent
LISTENERS = ("bind", "create_server", "ThreadingHTTPServer", "HTTPServer", "TCPServer", "UDPServer", "start_server")
PORTS = ("add_insecure_port", "add_secure_port")
READERS_OF_CODE = ("eval", "exec", "__import__")
LOADERS_OF_CODE = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "code", "runpy")


def calls() -> list[tuple[str, str, ast.Call]]:
    """Give every call in the package: the module, the name that is called, and the call."""
    found = []
    for module in modules().values():
        for node in module.nodes:
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found.append((module.name, name, node))
    return found


def test_nothing_passes_through_a_shell() -> None:
    """Processes are started by lists of arguments; no call asks for a shell, and none starts one as `sh -c`."""
    assert [(module, name) for module, name, call in calls() for one in call.keywords if one.arg == "shell"] == []
    starters = ("system", "popen", "getoutput", "getstatusoutput")
    started = [ast.unparse(call.func) for _, name, call in calls() if name in starters]
    assert [name for name in started if name.startswith(("os.", "subprocess."))] == []
    as_a_list = re.compile(r"""\[\s*["'](?:/bin/)?(?:ba|da)?sh["']""")
    assert [path.name for path in ROOT.rglob("*.py") if as_a_list.search(path.read_text(encoding="utf-8"))] == []


def test_no_text_becomes_code() -> None:
    """Neither matrix.yaml nor a stored run, nor what an image says, is ever run in matrix's own process."""
    assert [
        (module, name, call.lineno) for module, name, call in calls() if name in READERS_OF_CODE[:2] + READERS_OF_CODE[3:]
    ] == []
    compiled = {ast.unparse(call.func) for _, name, call in calls() if name == "compile"}
    assert compiled == {"re.compile"}
    imported = {one.name.split(".")[0] for module in modules().values() for one in module.imports}
    assert imported.isdisjoint(LOADERS_OF_CODE)


def test_listeners_are_on_the_loopback_only() -> None:
    """Whatever waits for a connection, probes inside an image included, waits at an address that other machines cannot reach.

    One waits in a folder that no other user can enter.
    """
    in_a_folder = [("orchestrator.docker.dial", "door.bind(path)")]
    found = [(module, ast.unparse(call)) for module, name, call in calls() if name in LISTENERS + PORTS]
    listening = [one for one in found if one not in in_a_folder]
    assert len(listening) > 3
    assert [one for one in listening if "'127.0.0.1'" not in one[1] and "'127.0.0.1:" not in one[1]] == []


def test_ports_are_published_on_the_loopback_only() -> None:
    """A port of a container is published at 127.0.0.1, or not at all."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count('"--publish"') == text.count('"--publish", f"127.0.0.1:'), path
        assert '"-p"' not in text
        assert "0.0.0.0" not in text, path  # noqa: S104  # it must not be there
