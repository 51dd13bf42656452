"""What all pages have in common: everything that goes into them is escaped, and a policy lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from orchestrator.report.details import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment


def make_environment(styles: Sequence[str], scripts: Sequence[str]) -> Environment:
    """Make what templates are read with: every text that goes into one is escaped, and made printable before."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # only pages need it

    from orchestrator.report.compiled import Compiled  # noqa: PLC0415  # as above

    environment = Environment(
        autoescape=True,
        bytecode_cache=Compiled(),
        finalize=printable,
        loader=PackageLoader("orchestrator.report", "page"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    style_texts, script_texts = ([_read(name) for name in names] for names in (styles, scripts))
    environment.globals |= {
        "policy": _make_policy(style_texts, script_texts),
        "scripts": script_texts,
        "styles": style_texts,
    }
    return environment


@cache
def fingerprint() -> str:
    """Give what changes when any page would be drawn in another way: a digest of all templates, styles and scripts."""
    found = resources.files("orchestrator.report").joinpath("page").iterdir()
    files = sorted((file for file in found if file.is_file()), key=lambda file: file.name)
    return hashlib.sha256("".join(file.read_text(encoding="utf-8") for file in files).encode()).hexdigest()


def _read(name: str) -> str:
    return resources.files("orchestrator.report").joinpath("page", name).read_text(encoding="utf-8")


def _make_policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Allow the page its own styles and scripts by their hashes, and nothing else: no request, no other script."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_sources(scripts)}",
            f"style-src {_sources(styles)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _sources(texts: Sequence[str]) -> str:
    return " ".join(map(_hash_of, texts)) or "'none'"


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
