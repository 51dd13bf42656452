"""Durations and sizes as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("2h", 7200.0),
        ("1h1m1s", 3661.0),
        ("1.5m", 90.0),
        ("0.5s", 0.5),
        (90, 90.0),
        (" 3m ", 180.0),
        ("168h", 604800.0),
    ],
)
def test_durations_are_read(text: object, seconds: float) -> None:
    """A time is written with its units, or as whole seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "0s", 0, -1, "-5s", "5", "1s1m", "5 m", "1d", True, None, [], "169h", "m", "1e9s", "9" * 400 + "h"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    """Nothing, no time at all, and more than a week are no durations."""
    with pytest.raises(ValueError, match=r"is not a duration; write 90s, 1m30s or 2h \(more than 0, up to 7 days\)"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("250MB", 250_000_000),
        ("1.5GiB", 1_610_612_736),
        ("64k", 64_000),
        ("64KiB", 65_536),
        ("1G", 1_000_000_000),
        ("2Ti", 2 * 1024**4),
        ("10 MB", 10_000_000),
        (512, 512),
        ("7B", 7),
    ],
)
def test_sizes_are_read(text: object, size: int) -> None:
    """Decimal and binary units mean what they say."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1MB", "MB", "1XB", "1 000", True, None, "1.MB", "9" * 400, "0", 0, "0MB"])
def test_what_is_no_size_is_refused_with_an_example(text: object) -> None:
    """A size is a plain number with a unit, and more than nothing: 0 would lift a limit instead of setting it."""
    with pytest.raises(ValueError, match=r"is not a size; write 250MB or 1\.5GiB"):
        parse_size(text)


UNITS = st.sampled_from(["h", "m", "s", "ms", "k", "MB", "GiB", "B", "d", "", " "])


@given(
    text=st.lists(st.tuples(st.sampled_from(["0", "1", "2.5", "90", "."]), UNITS), max_size=3).map(
        lambda parts: "".join(map("".join, parts))
    )
)
def test_the_schemas_patterns_take_what_is_read(text: str) -> None:
    """An editor does not underline what matrix reads."""
    for parse, pattern in ((parse_duration, DURATION_PATTERN), (parse_size, SIZE_PATTERN)):
        try:
            parse(text)
        except ValueError:
            continue
        assert re.fullmatch(pattern, text.strip())
