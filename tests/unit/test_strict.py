"""JSON that others may have written."""

from __future__ import annotations

import pytest
from msgspec import Struct

from orchestrator.strict import parse_json, read_json


class Figures(Struct):
    """Something that holds figures at some depth."""

    name: str = ""
    parts: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"a": NaN}', "expected value at line 1"),
        (b'{\n"a": 1,\n}', "trailing comma at line 3"),
        (b'"\\ud800"', "unexpected end of hex escape at line 1"),
        (b'"\xff"', "invalid unicode code point at line 1"),
        (b'{"a": 1}\n{"b": 2}', "trailing characters at line 2"),
        (b"", "EOF while parsing a value"),
        (b"[" * 100_000 + b"]" * 100_000, "recursion limit exceeded"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(raw: bytes, words: str) -> None:
    """The standard is kept to the letter."""
    with pytest.raises(ValueError, match=words):
        parse_json(raw)


def test_json_is_read_as_it_stands() -> None:
    """Every kind of value, whatever editor it comes from."""
    text = '\ufeff {"a": [1, -2.5, 1e3, true, null, "😀", 123456789012345678901234567890], "a b": {}}'
    assert parse_json(text.encode()) == {"a": [1, -2.5, 1000.0, True, None, "😀", 123456789012345678901234567890], "a b": {}}


def test_the_first_number_that_is_no_figure_is_named_by_its_place() -> None:
    """In the order of the file, however deep it lies, and behind numbers that are figures."""
    deep = b"[" * 400 + b"1" * 20 + b"]" * 400
    raw = b'{"name": "n", "more": {"a": [12345678901234567890, 1], "b": ' + deep + b'}, "parts": []}'
    with pytest.raises(ValueError, match=r"^more\.a\.0: a number of more than 19 digits$"):
        read_json(raw, Figures)
    with pytest.raises(ValueError, match=rf"^more\.b{'.0' * 400}: a number of more than 19 digits$"):
        read_json(raw.replace(b"12345678901234567890", b"1234567890123456789"), Figures)
    assert read_json(raw.replace(b"12345678901234567890", b"1").replace(deep, b"-1"), Figures) == Figures("n")


def test_digits_in_a_text_are_no_number() -> None:
    """A name may be made of as many as it likes."""
    assert read_json(b'{"name": "%s"}' % (b"1" * 40), Figures) == Figures("1" * 40)
