"""matrix.lock as text: TOML, in one order, a line for each thing that can move, and back."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

from orchestrator.digests import is_digest
from orchestrator.errors import ConfigError
from orchestrator.lock.nouns import SCHEMA, Lock
from orchestrator.strict import read_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST = 8 * 1024**2
_LONGEST_LINE = 4000  # a key of thousands of parts takes minutes to read
_MOST_DOTS = 20  # the same
_QUOTED = re.compile(r"\"(?:[^\"\\]++|\\.)*+(?:\"|$)|'[^']*+(?:'|$)")
_HASH = re.compile(r"sha(?:256|384|512):[0-9a-f]{64,128}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*(?: ; (?!.*--)[^\r\n\\#]+)?")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}")
_HEAD = "# Written by `matrix lock`; `matrix lock --check` says what has moved since, `matrix run --locked` builds this.\n"


def render_lock(lock: Lock) -> str:
    """Write a lock: the same lock is always the same text."""
    parts = [f"{_HEAD}schema = {lock.schema}\nname = {_text(lock.name)}\n"]
    for base in sorted(lock.base, key=lambda one: (one.ref, one.platform)):
        lines = [f"{key} = {_text(getattr(base, key))}" for key in ("ref", "platform", "digest", "image", "source")]
        parts.append("\n".join(["[[base]]", *lines]) + "\n")
    for found in sorted(lock.requirements, key=lambda one: (one.path, one.target or "")):
        lines = [f"{key} = {_text(value)}" for key in ("path", "digest", "python", "target") if (value := getattr(found, key))]
        parts.append("\n".join(["[[requirements]]", *lines, f"packages = {_list(found.packages)}"]) + "\n")
    hashes = sorted((lock.hashes or {}).items())
    parts.append("[hashes]\n" + "".join(f"{_text(package)} = {_list(sorted(values))}\n" for package, values in hashes))
    return "\n".join(parts)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's texts are TOML's, but for this mark


def _list(texts: Iterable[str]) -> str:
    lines = [f"  {_text(text)},\n" for text in texts]
    return f"[\n{''.join(lines)}]" if lines else "[]"


def parse_lock(text: str, name: str, options: str = "") -> Lock:
    """Read a lock, or say what is wrong with it; whoever can write it can decide what is built, but no more than that."""
    mend = f"`matrix lock{options}` writes it anew"
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            raise ConfigError([f"{name}:{number}: this line is longer than {_LONGEST_LINE} characters; {mend}"])
        if line.count(".") > _MOST_DOTS and _QUOTED.sub("", line).count(".") > _MOST_DOTS:
            raise ConfigError([f"{name}:{number}: a key of more than {_MOST_DOTS} parts; {mend}"])
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{name}: this is no TOML: {error}; {mend}"]) from error
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise ConfigError([f"{name}: written by a newer matrix (schema {schema}, this one knows {SCHEMA})"])
    try:
        lock = read_data(data, Lock)
    except ValueError as error:
        raise ConfigError([f"{name}: {error}; {mend}"]) from error
    if problems := [f"{name}: {words}; {mend}" for words in _find_problems(lock)]:
        raise ConfigError(problems[:20])
    return lock


def _find_problems(lock: Lock) -> Iterator[str]:
    """Find what would not be a reference, a digest, a pin or a hash where it is put into a command or a file."""
    for base in lock.base:
        if not _REF.fullmatch(base.ref):
            yield f"base {base.ref[:100]!r} is no reference to an image"
        yield from (f"base {base.ref[:100]}: {one[:100]!r} is no digest" for one in (base.digest, base.image) if not is_digest(one))
        if base.source not in ("registry", "engine"):
            yield f"base {base.ref[:100]}: {base.source[:100]!r} is not registry or engine"
    hashes = lock.hashes or {}
    for path, package in ((found.path, package) for found in lock.requirements for package in found.packages):
        if not _PACKAGE.fullmatch(package):
            yield f"{path}: {package[:100]!r} is no version of a package"
        elif not hashes.get(package.partition(" ;")[0]):
            yield f"{path}: {package.partition(' ;')[0]} has no hash"
    for package, value in ((package, value) for package, values in hashes.items() for value in values):
        if not _HASH.fullmatch(value):
            yield f"{package[:100]}: {value[:100]!r} is no hash"
