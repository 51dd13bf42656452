"""What building a source archive needs: compilers by its build requirements and sources, headers by its includes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.providers import HEADERS

if TYPE_CHECKING:
    from orchestrator.packages import SourceFacts
    from orchestrator.providers import Provider

_TOOLS = {  # build requirements that bring or call a compiler
    "maturin": "Rust",
    "setuptools-rust": "Rust",
    "cffi": "C compiler",
    "cython": "C compiler",
    "pybind11": "C++ compiler",
    "nanobind": "C++ compiler",
    "scikit-build": "C++ compiler",
    "scikit-build-core": "C++ compiler",
    "cmake": "C++ compiler",
    "meson-python": "C compiler",
    "numpy": "C compiler",
}
_LANGUAGES = {"C": "C compiler", "Cython": "C compiler", "C++": "C++ compiler", "Rust": "Rust", "Fortran": "Fortran compiler"}


def find_needs(facts: SourceFacts) -> tuple[tuple[str, ...], str | None]:
    """Give what a build needs and how that was judged; nothing when there is no sign that anything is compiled.

    Sources alone are no sign: archives of pure packages hold some, as tests or examples.
    """
    names = [re.split(r"[\s<>=!~;\[(@]", one.strip())[0].lower().replace("_", "-") for one in facts.build_requires]
    tools = {name: _TOOLS[name] for name in names if name in _TOOLS}
    if not tools and not facts.declares_extension:
        return (), None
    compilers = {*tools.values()}
    if facts.declares_extension or "Rust" not in compilers:
        compilers |= {_LANGUAGES[language] for language in facts.languages if language in _LANGUAGES}
    if "C++ compiler" in compilers:
        compilers.discard("C compiler")
    headers = {_words(found) for header in facts.headers for start, found in HEADERS.items() if header.startswith(start)}
    signs = [f"built with {', '.join(tools)}"] if tools else []
    signs += ["its build names extension modules"] if facts.declares_extension else []
    signs += [f"{', '.join(facts.languages)} sources"] if facts.languages else []
    return (*(sorted(compilers) or ["a compiler"]), *sorted(headers)), "; ".join(signs)


def _words(provider: Provider) -> str:
    """Say what headers are needed, with their packages' names."""
    return f"{provider.what} ({', '.join(dict.fromkeys((provider.alpine, provider.debian)))})"
