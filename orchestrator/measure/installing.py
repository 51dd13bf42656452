"""Which steps of a Dockerfile install packages, by their words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from re import Match

_LONGEST = 4000  # of an instruction; what stands behind that is not looked at
_INSTALL = re.compile(
    r"""\b(?:
        (?:pip[0-9.]*|pipx|uv|poetry|pdm|pipenv|conda|mamba|apt|apt-get|dnf|microdnf|yum|apk)
            \ (?:[^&|;]*?\ )?(?:install|wheel|sync|add)
        | npm\ (?:ci|install|i) | pnpm\ (?:install|i|add) | yarn\ (?:install|add) | yarn(?=\s*(?:$|[&|;]))
        | bundle\ install | cargo\ (?:build|fetch|install) | go\ mod\ download
    )(?![\w-])""",
    re.VERBOSE,
)


def find_install(instruction: str) -> Match[str] | None:
    """Find the words by which an instruction installs something."""
    return _INSTALL.search(instruction[:_LONGEST]) if instruction.startswith(("RUN ", "ONBUILD RUN ")) else None
