"""What `docker image save` has written, unpacked: a search through packed layers finds nothing."""

from __future__ import annotations

import gzip
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GZIP = b"\x1f\x8b"


def unpacked_files(archive: Path) -> Iterator[bytes]:
    """Give each file of a saved image: layers as the tar streams that they are, configuration and manifests as text."""
    with tarfile.open(archive) as saved:
        for member in saved:
            if file := saved.extractfile(member):
                data = file.read()
                yield gzip.decompress(data) if data.startswith(_GZIP) else data
