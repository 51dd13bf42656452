"""The service for dependency sets without a web framework: the standard library answers /healthz."""

from __future__ import annotations

import json
import os
import signal
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers /healthz, and 404 to all else."""

    def do_GET(self) -> None:
        """Answer one request."""
        healthy = self.path == "/healthz"
        body = json.dumps({"status": "ok"} if healthy else {"detail": "not found"}).encode()
        self.send_response(HTTPStatus.OK if healthy else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until the container is stopped."""
    # As process 1 of a container Python has no default reaction to SIGTERM: without this, a stop takes ten seconds.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
