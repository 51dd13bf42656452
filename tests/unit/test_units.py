"""Durations and sizes as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.units import DURATION_PATTERN, MORE_THAN_NOTHING, SIZE_PATTERN, parse_duration, parse_size, render_limit


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
        ("7.0", 7),
        ("8.2MB", 8_200_000),
        ("16.4MB", 16_400_000),
        ("8.04GB", 8_040_000_000),
        ("131.2MB", 131_200_000),
        ("0.0010k", 1),
        ("0.000000000001TB", 1),
        ("1.1GiB", 1_181_116_006),
    ],
)
def test_sizes_are_read(text: object, size: int) -> None:
    """Decimal and binary units mean what they say."""
    assert parse_size(text) == size


SHARES_OF_A_BYTE = ["1.5", "1.5B", "0.5", "0.0001k", "1.0001kB", "8.1234567MB", "0.0001KiB", "0.0000000001GB"]


@pytest.mark.parametrize(
    "text", ["", "big", "-1MB", "MB", "1XB", "1 000", True, None, "1.MB", "9" * 400, "0", 0, "0MB", *SHARES_OF_A_BYTE]
)
def test_what_is_no_size_is_refused_with_an_example(text: object) -> None:
    """A size is a plain number with a unit, and more than nothing: 0 would lift a limit instead of setting it."""
    with pytest.raises(ValueError, match=r"is not a size in whole bytes; write 250MB or 1\.5GiB"):
        parse_size(text)


DIGITS = st.text("0125", max_size=13)


@given(
    whole=DIGITS,
    point=st.sampled_from(["", "."]),
    behind=DIGITS,
    unit=st.sampled_from(["", "B", "k", " KiB", "M", "GB", "Ti", "x"]),
)
@example(whole="0", point=".", behind="0001", unit="k")
@example(whole="0", point=".", behind="5", unit="KiB")
def test_the_schema_takes_a_size_where_matrix_does(whole: str, point: str, behind: str, unit: str) -> None:
    """What an editor does not underline is read, and what is read is not underlined."""
    text = f"{whole}{point}{behind}{unit}"
    is_taken = all(re.search(pattern, text) for pattern in (SIZE_PATTERN, MORE_THAN_NOTHING))
    try:
        size = parse_size(text)
    except ValueError:
        assert not is_taken
    else:
        assert is_taken
        assert size >= 1


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


@pytest.mark.parametrize(("seconds", "words"), [(0.1, "0.1 s"), (1.9997, "2 s"), (5, "5 s"), (90.4, "90 s"), (604800, "604800 s")])
def test_a_limit_is_never_said_to_be_nothing(seconds: float, words: str) -> None:
    """A build that was ended after 100 ms was not ended after 0 s."""
    assert render_limit(seconds) == words
