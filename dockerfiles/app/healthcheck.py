"""The image's HEALTHCHECK: ends with 0 when the service answers (no base has to bring curl for it)."""

from __future__ import annotations

import os
import urllib.request


def main() -> None:
    """Ask /healthz; anything but a success is an exception, so an exit code of 1."""
    port = os.environ.get("PORT", "8000")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=3) as answer:
        answer.read()


if __name__ == "__main__":
    main()
