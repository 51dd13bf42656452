"""A resolver that fails: it answers every question with SERVFAIL, at the address that this machine asks."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.engine.laboratory import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVFAIL = b"\x81\x82"


@contextmanager
def failing_resolver() -> Iterator[None]:
    """Let the engine that drills may break ask a resolver that fails, in its own network only."""
    found = re.search(r"^nameserver\s+([0-9.]+)", Path("/etc/resolv.conf").read_text(encoding="utf-8"), re.MULTILINE)
    address = found[1] if found else "127.0.0.1"
    subprocess.run([*inside(), "ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    words = [*inside(), sys.executable, "-m", "tests.faults.engine.resolver", address]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as server:
        if server.stdout is None:
            raise AssertionError
        server.stdout.readline()
        try:
            yield
        finally:
            server.kill()
            subprocess.run([*inside(), "ip", "address", "del", f"{address}/32", "dev", "lo"], check=False)


def main() -> None:
    """Answer until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((sys.argv[1], 53))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            question, asker = listener.recvfrom(4096)
            listener.sendto(question[:2] + _SERVFAIL + question[4:6] + bytes(6) + question[12:], asker)


if __name__ == "__main__":
    main()
