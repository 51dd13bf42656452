"""Backends that fail, each in its own way, on free ports of the loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def nothing_listens() -> Iterator[int]:
    """Give a port at which connections are refused: it is bound, so that nobody else takes it, and not listened at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def never_accepts() -> Iterator[int]:
    """Give a port whose connections are made by the kernel and seen by nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def _serve(handle: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    over = threading.Event()
    threads: list[threading.Thread] = []

    def talk(client: socket.socket) -> None:
        with client:
            try:
                handle(client, over)
            except OSError:
                return  # the client has had enough, which is what is tested

    def accept() -> None:
        while not over.is_set():
            try:
                client, _ = server.accept()
            except TimeoutError:
                continue
            client.settimeout(0.1)
            threads.append(threading.Thread(target=talk, args=(client,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            for thread in (acceptor, *threads):
                thread.join()


def _swallow(client: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        try:
            if not client.recv(65536):
                return
        except TimeoutError:
            continue


def _drip(client: socket.socket, over: threading.Event) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.wait(0.2):
        client.sendall(b"x: y\r\n")


def _hang_up(client: socket.socket, over: threading.Event) -> None:
    _ = over
    client.recv(1)


@contextmanager
def never_answers() -> Iterator[int]:
    """Give a port that takes everything and says nothing."""
    with _serve(_swallow) as port:
        yield port


@contextmanager
def drips() -> Iterator[int]:
    """Give a port whose answer goes on for ever, a header at a time, so that no time limit between bytes is reached."""
    with _serve(_drip) as port:
        yield port


@contextmanager
def hangs_up() -> Iterator[int]:
    """Give a port that closes each connection at once."""
    with _serve(_hang_up) as port:
        yield port
