"""A registry that fails as its images' names say: as a module it serves on the loopback and prints its port.

Each repository is an image of its own: `fine/1`, `busy/1` (503), `passing/1` (503 twice, then well), `silent/1` (never an
answer), `short/1` (a layer cut in the middle), `wrong/1` (a layer that is not what its digest says).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.faults.engine.laboratory import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

_OCI = "application/vnd.oci.image."
_MANIFEST = f"{_OCI}manifest.v1+json"
_FOREVER_S = 600.0
_BUSY_AT_FIRST = 2


def digest_of(data: bytes) -> str:
    """Name bytes as registries do."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@cache
def image_of(repository: str) -> dict[str, bytes]:
    """Make a repository's image: its blobs by digest, and its manifest by its tag too."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as layer:
        text = f"{repository}\n".encode() * 20_000
        entry = tarfile.TarInfo("name")
        entry.size = len(text)
        layer.addfile(entry, io.BytesIO(text))
    packed = gzip.compress(tar.getvalue(), mtime=0)
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(tar.getvalue())]}}
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _entry("config.v1+json", config),
            "layers": [_entry("layer.v1.tar+gzip", packed)],
        }
    ).encode()
    return {digest_of(blob): blob for blob in (packed, config, manifest)} | {"1": manifest}


def _entry(kind: str, blob: bytes) -> dict[str, str | int]:
    return {"mediaType": _OCI + kind, "digest": digest_of(blob), "size": len(blob)}


class _Registry(BaseHTTPRequestHandler):
    """Answers as the repository's name says."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # what asks for TLS first is told in HTTP that there is none
    asked: ClassVar[Counter[str]] = Counter()
    guard = threading.Lock()

    def do_GET(self) -> None:  # the name that http.server calls
        """Give a manifest or a blob, or fail."""
        parts = self.path.removeprefix("/v2/").split("/")
        if len(parts) < 2:
            return self._answer(200, b"{}")
        fault, repository, kind, name = parts[0], "/".join(parts[:-2]), parts[-2], parts[-1]
        with self.guard:
            self.asked[repository] += 1
            count = self.asked[repository]
        if fault == "silent":
            time.sleep(_FOREVER_S)  # the fault itself; who started this process ends it
        if fault == "busy" or (fault == "passing" and count <= _BUSY_AT_FIRST):
            return self._answer(503, b"")
        blob = image_of(repository).get(name)
        if blob is None:
            return self._answer(404, b"")
        is_layer = kind == "blobs" and blob.startswith(b"\x1f\x8b")
        if is_layer and fault == "short":
            return self._answer(200, blob[: len(blob) // 2], missing=len(blob) - len(blob) // 2)
        if is_layer and fault == "wrong":
            blob = blob[:-1] + bytes([blob[-1] ^ 1])
        return self._answer(200, blob)

    do_HEAD = do_GET  # noqa: N815  # as above

    def _answer(self, status: int, body: bytes, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", _MANIFEST if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = bool(missing)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def faulty_registry() -> Iterator[str]:
    """Serve in the network of the engine that drills may break; gives the address."""
    words = [*inside(), sys.executable, "-m", "tests.faults.engine.registry"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as server:
        if server.stdout is None:
            raise AssertionError
        try:
            yield f"127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def main() -> None:
    """Serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
