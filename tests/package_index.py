"""A package index on the loopback: the Simple API as JSON or HTML, wheels and source archives that hold what they must."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def make_wheel(name: str, version: str, tags: str, *requires: str) -> bytes:
    """Make a wheel that says what it requires, and holds nothing."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        wheel = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n"
        told = {"METADATA": "\n".join(lines) + "\n", "WHEEL": wheel, "RECORD": ""}
        for path, text in told.items():
            packed.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/{path}"), text)  # of no time: the same bytes every time
    return file.getvalue()


def make_sdist(name: str, version: str, files: Mapping[str, str]) -> bytes:
    """Make a source archive of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in {"PKG-INFO": f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n", **files}.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


class Index:
    """What an index offers, how it offers it, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.as_json = True
        self.password: str | None = None
        self.status: int | None = None  # instead of every answer
        self.missing = 404  # the status of what is not there
        self.packs = False  # its pages come as gzip, asked for or not
        self.asked: list[str] = []
        self.url = ""

    def offer(self, name: str, filename: str, content: bytes) -> None:
        """Offer a file."""
        self.files.setdefault(name, {})[filename] = content

    def wheel(self, name: str, version: str, tags: str, *requires: str) -> None:
        """Offer a wheel with these tags."""
        self.offer(name, f"{name}-{version}-{tags}.whl", make_wheel(name, version, tags, *requires))

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Answer as an index does."""
        self.asked.append(path)
        if self.status is not None:
            return self.status, "text/plain", b"no"
        if self.password and base64.b64decode(authorization.removeprefix("Basic ") or "") != f"user:{self.password}".encode():
            return 401, "text/plain", b"who are you?"
        _, kind, name, *_ = [*path.split("/"), "", "", ""]
        if kind == "simple" and name in self.files:
            return 200, *self._page(name)
        content = next((files[name] for files in self.files.values() if kind == "files" and name in files), None)
        return (200, "application/octet-stream", content) if content is not None else (self.missing, "text/plain", b"nothing here")

    def _page(self, name: str) -> tuple[str, bytes]:
        hashes = {filename: hashlib.sha256(content).hexdigest() for filename, content in self.files[name].items()}
        if self.as_json:
            files = [{"filename": one, "url": f"/files/{one}", "hashes": {"sha256": digest}} for one, digest in hashes.items()]
            data = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
            return "application/vnd.pypi.simple.v1+json", json.dumps(data).encode()
        links = "".join(f'<a href="../../files/{one}#sha256={digest}">{one}</a><br/>' for one, digest in hashes.items())
        return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()


@contextmanager
def serve(index: Index) -> Iterator[str]:
    """Serve an index on the loopback; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = index.answer(self.path, self.headers.get("Authorization") or "")
            self.send_response(status)
            if index.packs and status == 200:
                body = gzip.compress(body)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  # as http.server calls it

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        index.url = f"http://127.0.0.1:{server.server_port}/simple"
        try:
            yield index.url
        finally:
            server.shutdown()
            thread.join()
