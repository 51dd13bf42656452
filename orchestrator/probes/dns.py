"""Finds out which names the C library's resolver knows: short, under a search domain, qualified, with large answers."""

from __future__ import annotations

import platform
import socket
import struct
import sysconfig
import threading
from pathlib import Path

from orchestrator.probes._prelude import ProbeError, Result, failed, passed, run_probe, run_python

RESOLV_CONF = Path("/etc/resolv.conf")
# Addresses of sixteen bytes each: more than a plain UDP answer of 512 bytes holds, fewer than the 48 that musl stops at.
LARGE = 40
ZONE = {
    "otel-collector.matrix.test": 1,
    "otel-collector.monitoring.matrix.test": 1,
    "large.matrix.test": LARGE,
}
BROKEN = "broken.test"
NAME_ERROR, SERVER_FAILURE = 3, 2
ADDRESS, INTERNET = 1, 1
UDP_LIMIT = 512

# What is tried: the name, the search domains, ndots, and how many addresses it must give.
CASES = {
    "short name": ("otel-collector", "matrix.test", 1, 1),
    "short name with a dot, ndots:1": ("otel-collector.monitoring", "matrix.test", 1, 1),
    "short name with a dot, ndots:5": (
        "otel-collector.monitoring",
        "other.matrix.test matrix.test",
        5,
        1,
    ),
    "short name, first search domain broken": ("otel-collector", f"{BROKEN} matrix.test", 1, 1),
    "qualified name, ndots:5": (
        "otel-collector.monitoring.matrix.test",
        "other.matrix.test matrix.test",
        5,
        1,
    ),
    "qualified name with final dot": (
        "otel-collector.monitoring.matrix.test.",
        "matrix.test",
        5,
        1,
    ),
    "large answer over TCP": ("large.matrix.test", "matrix.test", 1, LARGE),
}
_LOOK_UP = """
import socket, sys
try:
    print(len(socket.getaddrinfo(sys.argv[1], 4317, socket.AF_INET, socket.SOCK_STREAM)))
except socket.gaierror:
    print(0)
"""


def probe() -> Result:
    """Try each case with the image's own C library against a resolver in this container."""
    serve()
    found = {case: look_up(name, search, ndots) for case, (name, search, ndots, _) in CASES.items()}
    worked = {case: found[case] == wanted for case, (*_, wanted) in CASES.items()}
    detail = {
        "libc": "musl" if "musl" in str(sysconfig.get_config_var("SOABI")) else platform.libc_ver()[0],
        "resolved": worked,
        "large_answer_addresses": found["large answer over TCP"],
    }
    missing = [case for case, good in worked.items() if not good]
    if missing:
        return failed(f"does not resolve as on glibc: {'; '.join(missing)}", **detail)
    return passed("every name resolves, short, qualified and large", **detail)


def look_up(name: str, search: str, ndots: int) -> int:
    """Count the addresses that a fresh process gets for a name under these settings."""
    try:
        RESOLV_CONF.write_text(
            f"nameserver 127.0.0.1\nsearch {search}\noptions ndots:{ndots} timeout:1 attempts:2\n",
            encoding="ascii",
        )
    except OSError as error:
        message = f"{RESOLV_CONF} must be writable: {error.strerror}"
        raise ProbeError(message) from error
    return int(run_python(_LOOK_UP, name).stdout)


def serve() -> None:
    """Answer on port 53 of the loopback, over UDP and over TCP."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        for listener in (datagrams, streams):
            listener.bind(("127.0.0.1", 53))
    except OSError as error:
        message = f"port 53 cannot be opened: {error.strerror}"
        raise ProbeError(message) from error
    streams.listen()

    def serve_datagrams() -> None:
        while True:
            query, client = datagrams.recvfrom(UDP_LIMIT)
            datagrams.sendto(make_answer(query, UDP_LIMIT), client)

    def serve_streams() -> None:
        while True:
            connection, _ = streams.accept()
            with connection, connection.makefile("rwb") as stream:
                (length,) = struct.unpack("!H", stream.read(2))
                answer = make_answer(stream.read(length), 0xFFFF)
                stream.write(struct.pack("!H", len(answer)) + answer)

    for server in (serve_datagrams, serve_streams):
        threading.Thread(target=server, daemon=True).start()


def make_answer(query: bytes, limit: int) -> bytes:
    """Answer one query from the zone; what exceeds the limit is cut off and marked as truncated."""
    name, end = read_name(query, 12)
    (kind,) = struct.unpack_from("!H", query, end)
    question = query[12 : end + 4]
    code = 0 if name in ZONE else NAME_ERROR
    if name.endswith(BROKEN):
        code = SERVER_FAILURE
    count = ZONE.get(name, 0) if kind == ADDRESS else 0
    records = [struct.pack("!HHHIH4B", 0xC00C, ADDRESS, INTERNET, 60, 4, 10, 0, 0, number + 1) for number in range(count)]
    room = (limit - 12 - len(question)) // 16
    truncated = len(records) > room
    answers = b"".join(records[:room])
    # Response, authoritative, recursion available; the query's own "recursion desired" is always set by resolvers.
    flags = 0x8580 | (0x0200 if truncated else 0) | code
    header = query[:2] + struct.pack("!HHHHH", flags, 1, min(len(records), room), 0, 0)
    return header + question + answers


def read_name(message: bytes, position: int) -> tuple[str, int]:
    """Read the name at a position, in lower case, and say where it ends."""
    labels = []
    while message[position]:
        length = message[position]
        labels.append(message[position + 1 : position + 1 + length].decode("ascii").lower())
        position += length + 1
    return ".".join(labels), position + 1


if __name__ == "__main__":
    run_probe("dns", probe)
