"""What docker and buildx say of themselves, kept until what is installed changes: each answer takes a start of theirs."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cached import Shelf
from orchestrator.docker import process
from orchestrator.errors import StoreError
from orchestrator.paths import home_or_here

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHELF = Shelf("client", b"matrix-client-1\n", max_bytes=1024**2, max_entry_bytes=64 * 1024)
_HELP = Shelf("buildx", b"matrix-buildx-1\n", max_bytes=1024**2, max_entry_bytes=64 * 1024)
_VARIABLES = ("DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST", "HOME")
_EVERYBODYS = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")  # where docker looks for plugins


def installation(docker: str) -> str:
    """Name what is installed and configured: another client, buildx or configuration gives another name."""
    files = [Path(docker), _settings(), *_plugins()]
    words = [docker, *(os.environ.get(name, "") for name in _VARIABLES), *map(_mark, files)]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def recall_client(name: str) -> dict[str, Any] | None:
    """Give what docker said of itself while this was installed; whoever writes into the cache names no program to start."""
    with suppress(StoreError):
        if body := _SHELF.load(name):
            client: dict[str, Any] = json.loads(bytes(body))
            return client if client.get("Plugins") and Path(client["Plugins"][0]["Path"]) in _plugins() else None
    return None


def remember_client(name: str, client: dict[str, Any]) -> None:
    """Keep what docker says of itself and of buildx; without a cache it is asked each time."""
    plugins = [plugin for plugin in client.get("Plugins") or () if plugin.get("Name") == "buildx" and plugin.get("Path")]
    if plugins:
        with suppress(StoreError):
            _SHELF.save(name, json.dumps({"Context": client.get("Context"), "Plugins": plugins}).encode())


def help_of(docker: str, command: Sequence[str]) -> str:
    """Give what a command of buildx's says of its options; of one that says nothing, nothing is known."""
    name = hashlib.sha256("\0".join([installation(docker), *command]).encode()).hexdigest()
    with suppress(StoreError):
        if body := _HELP.load(name):
            return bytes(body).decode()
    asked = process.run([*command, "--help"])
    if asked.ok:
        with suppress(StoreError):
            _HELP.save(name, asked.stdout.encode())
    return asked.stdout if asked.ok else ""


def _settings() -> Path:
    """Name docker's configuration."""
    return Path(os.environ.get("DOCKER_CONFIG") or home_or_here() / ".docker", "config.json")


def buildx_folder() -> Path:
    """Name the folder in which buildx keeps its own files."""
    return Path(os.environ.get("BUILDX_CONFIG") or _settings().with_name("buildx"))


def _plugins() -> list[Path]:
    """Give the files that docker would take for buildx, were they there, in the order in which it looks."""
    settings = _settings()
    everybodys = (Path(one, "docker/cli-plugins") for one in _EVERYBODYS)
    return [folder / "docker-buildx" for folder in (*_more_folders(settings), settings.with_name("cli-plugins"), *everybodys)]


def _more_folders(settings: Path) -> list[Path]:
    try:
        named = json.loads(settings.read_bytes())["cliPluginsExtraDirs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [Path(str(one)) for one in named] if isinstance(named, list) else []


def _mark(file: Path) -> str:
    """Tell this file from any other that may come to lie there."""
    try:
        about = file.stat()
    except OSError:
        return ""
    return f"{about.st_dev} {about.st_ino} {about.st_size} {about.st_mtime_ns}"
