"""Templates as they were compiled, kept beside them as Python keeps its own: to compile one takes longer than to fill it in."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import FileSystemBytecodeCache

if TYPE_CHECKING:
    from jinja2.bccache import Bucket


class Compiled(FileSystemBytecodeCache):
    """What is kept; where the package may not be written, or Python is told to keep nothing, templates are compiled anew."""

    def __init__(self) -> None:
        """Keep them where only those can write who can change the program itself."""
        super().__init__(str(Path(__file__).with_name("page") / "__pycache__"), f"%s.{sys.implementation.cache_tag}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read one; jinja passes over what was made by another version, or of another text."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep one, whole or not at all."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)
