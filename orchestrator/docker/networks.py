"""The network without a way out that checks of a run share, and the label by which what a run makes is known."""

from __future__ import annotations

import json
import socket
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING

from orchestrator.docker.api import RefusedError, ask, remove
from orchestrator.errors import EngineError
from orchestrator.model import LABEL

if TYPE_CHECKING:
    from orchestrator.docker.engine import Engine

OF_RUN = f"{LABEL}.run"
_making = Lock()


def made_by(run: str | None) -> str:
    """Give the filter for what matrix made, or for what one run did."""
    return json.dumps({"label": [OF_RUN if run is None else f"{OF_RUN}={run}"]})


def make_internal_network(engine: Engine, run: str) -> str:
    """Make the run's network without a way out.

    An engine before 25 makes a second one of that name unless it is told to look
    first, and then still for two who ask at once; and finds neither by its name.
    """
    name = f"matrix-{run}"
    network = {"Name": name, "Internal": True, "CheckDuplicate": True, "Labels": {OF_RUN: run}}
    try:
        with _making:
            ask(engine, "POST", "/networks/create", network)
    except RefusedError as error:
        if error.status != HTTPStatus.CONFLICT and not _is_there(engine, name):
            message = f"the internal network could not be made: {error}"
            raise EngineError(message) from error
    return name


def _is_there(engine: Engine, name: str) -> bool:
    """Tell whether a network is there; Podman does not say by its status that another cell of the run has made it."""
    try:
        ask(engine, "GET", f"/networks/{name}")
    except RefusedError:
        return False
    return True


@cache
def reaches_containers(engine: Engine, run: str) -> bool:
    """Tell whether a container's address is its own here, too: the bridge of the run's network is then one of this machine's.

    Behind the engine's socket there may be a virtual machine, another network
    or another machine, in which the same address is nobody's, or somebody else's.
    """
    found = ask(engine, "GET", f"/networks/{make_internal_network(engine, run)}")
    return f"br-{found['Id'][:12]}" in (name for _, name in socket.if_nameindex())


def list_networks(engine: Engine, run: str | None = None) -> list[tuple[str, str]]:
    """List the networks that matrix made, each with its run."""
    found = ask(engine, "GET", "/networks", query={"filters": made_by(run)})
    return [(str(network["Name"]), str(network["Labels"][OF_RUN])) for network in found]


def remove_network(engine: Engine, name: str) -> None:
    """Remove a network; one that is gone is fine."""
    remove(engine, f"/networks/{name}", f"the network {name}")
