"""Files made from real ones: by their structure, by their words, and by the damages that files suffer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.kinds import Kind

_TOKEN = re.compile(rb"\w+|\s+|.", re.DOTALL)
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"|\w+|\s+|.', re.DOTALL)
_ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037", "utf-7")
_LARGE = 100_000  # bytes of a file that says one thing over and over
_DEEP = 20_000
LIKE = {
    int: st.sampled_from([0, 1, -1, 2**31, 2**63, 10**400, -(10**30), True]) | st.integers(),
    float: st.floats() | st.sampled_from([1e308, 5e-324, -0.0, 10**400, float("nan"), float("inf")]),
    bool: st.booleans() | st.sampled_from(["true", 1]),
    str: st.text(max_size=8) | st.sampled_from(
        ["", "\x1b[2J", "\ud800", "\0", "../x", "=1+1", "passed", "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59",
         "9999-12-31T23:59:59-23:59", "x" * 3000, "\u202e", "<script>", "${A}", "*", "é", "{base}"]
    ),
}  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**30), 2**63, 2**64, 1e308, -0.0]),
    st.text(max_size=8),
    st.sampled_from(["", "\x1b[2J", "\ud800", "\0", "../x", "=1+1", "2026-01-01T00:00:00", "0001-01-01T00:00Z", "x" * 3000]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)


def files_of(kind: Kind) -> st.SearchStrategy[bytes]:
    """Give files of a kind: changed where they are JSON, changed by words, and cut."""
    ways = [_by_words(kind)] * 2
    documents = [one for one in map(_as_json, kind.seeds) if one is not None]
    if documents:
        ways += [_by_structure(documents)] * 3
    return st.one_of(ways)


def _as_json(seed: bytes) -> list[object] | None:
    """Read a seed as lines of JSON; None when it is anything else."""
    try:
        return [json.loads(line) for line in seed.splitlines() if line.startswith(b"{")] or None
    except ValueError:
        return None


@st.composite
def _by_structure(draw: st.DrawFn, documents: list[list[object]]) -> bytes:
    """Put other values in some places of a document, or leave those places out, or have them twice."""
    lines = []
    for document in draw(st.sampled_from(documents)):
        places = list(_places(document))
        chosen = draw(st.lists(st.integers(0, len(places) - 1), max_size=3))
        changes = {places[at]: draw(st.sampled_from(("like", "like", "like", "other", "gone", "twice", "more"))) for at in chosen}
        lines.append(_write(document, (), changes, lambda like: draw(LIKE.get(type(like), VALUES))))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from _places(one, (*path, key))


def _write(
    value: object, path: tuple[str | int, ...], changes: dict[tuple[str | int, ...], str], other: Callable[[object], object]
) -> str:
    """Write a document as JSON with its changes; Python's own words for what JSON has none for are among them."""
    change = changes.get(path)
    if change == "other":
        return json.dumps(other(None), ensure_ascii=False)
    parts = []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        return json.dumps(other(value) if change == "like" else value, ensure_ascii=False)
    for key, one in inside:
        place = (*path, key)
        if changes.get(place) == "gone":
            continue
        head = f"{json.dumps(key)}:" if isinstance(value, dict) else ""
        parts += [head + _write(one, place, changes, other)] * (2 if changes.get(place) == "twice" else 1)
    if change == "more":
        parts.append(("" if isinstance(value, list) else '"other":') + json.dumps(other(None), ensure_ascii=False))
    return f"[{','.join(parts)}]" if isinstance(value, list) else f"{{{','.join(parts)}}}"


@st.composite
def _by_words(draw: st.DrawFn, kind: Kind) -> bytes:
    """Change some words of a file: left out, doubled, exchanged, or put in; and cut the file at times."""
    seed = draw(st.sampled_from(kind.seeds))
    words = (_TEXT if seed.startswith(b"{") else _TOKEN).findall(seed)
    strange = st.sampled_from(kind.words) | st.binary(max_size=6)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(0, len(words) - 1)))
        match draw(st.sampled_from(("put in", "exchange", "leave out", "double", "move", "cut"))):
            case "put in":
                words.insert(at, draw(strange))
            case "exchange":
                words[at : at + 1] = [draw(strange)]
            case "leave out":
                del words[at : at + draw(st.integers(1, 5))]
            case "double":
                words[at:at] = words[at : at + draw(st.integers(1, 20))]
            case "move":
                words.append(words.pop(at)) if words else None
            case "cut":
                words = words[:at]
    return b"".join(words)


def damages_of(kind: Kind, step: int = 1) -> Iterator[tuple[str, bytes]]:
    """Give every real file cut at every byte, with a byte changed, and in other encodings."""
    for seed in kind.seeds:
        for at in range(0, len(seed), step):
            yield "cut off", seed[:at]
            yield "a byte lost", seed[:at] + seed[at + 1 :]
            yield "a byte changed", seed[:at] + bytes([seed[at] ^ 0xFF]) + seed[at + 1 :]
        text = seed.decode("utf-8", "replace").replace("ﻼ", "?")
        for encoding in _ENCODINGS:
            yield f"in {encoding}", text.encode(encoding, "replace")


def repeats_of(kind: Kind, size: int = _LARGE) -> Iterator[tuple[str, bytes]]:
    """Give files that say one word over and over: alone, behind each real file's beginning, and nested as deep as it goes."""
    for word in dict.fromkeys((*kind.words, b" ", b"a", b"\n", b"a\n", b"a: ", b"a ", b"- a\n", b"[a ", b'"a",', b"{a: ")):
        many = word * (size // len(word))
        yield f"{word[:20]!r} repeated", many
        for seed in kind.seeds:
            yield f"{word[:20]!r} repeated behind a beginning", seed[: len(seed) // 2] + many
            yield f"{word[:20]!r} repeated in the middle", seed[: len(seed) // 3] + many + seed[len(seed) // 3 :]
    for left, right in ((b"[", b"]"), (b'{"a":', b"}"), (b"{a: ", b"}"), (b"(", b")"), (b"${A:-", b"}")):
        yield f"{left!r} nested", left * _DEEP + right * _DEEP
        for seed in kind.seeds:
            yield f"{left!r} nested behind", seed + b"\n" + left * _DEEP + b"1" + right * _DEEP
