"""The quick part of the drill of hostile files: every kind of file, damaged and generated, and each fault that was found."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from orchestrator.config.load import load_matrix
from orchestrator.dockerignore import Ignore
from orchestrator.errors import ConfigError, StoreError
from orchestrator.measure.progress import split_step
from orchestrator.tracing.buildkit import NotSpansError, parse_stubs
from orchestrator.tracing.otlp import dump_lines, load_lines
from tests.faults.generated import damages_of, files_of
from tests.faults.kinds import KINDS
from tests.faults.stored import take_journal, take_progress, take_run
from tests.faults.watch import Watched
from tests.pace import slowness
from tests.unit.records import run_json

if TYPE_CHECKING:
    from pathlib import Path

_EVERY = 211  # the drill cuts each file at every byte


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    """Cut off, with a byte lost or changed, in another encoding: never an exception that is no sentence."""
    watched = Watched()
    for _, data in damages_of(KINDS[name], _EVERY):
        watched.try_one(KINDS[name], data, tmp_path)
    assert watched.faults == {}
    assert watched.tried > 3


@pytest.mark.parametrize("name", KINDS)
def test_a_generated_file_is_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    """As above, for files that hypothesis makes of real ones; the real ones are read."""
    kind, watched = KINDS[name], Watched()

    @settings(suppress_health_check=list(HealthCheck))
    @given(files_of(kind))
    def try_one(data: bytes) -> None:
        watched.try_one(kind, data, tmp_path)

    assert kind.try_one(kind.seeds[0], tmp_path) not in ("refused", "as good as none")
    try_one()
    assert watched.faults == {}


RUN = json.loads(run_json())
MANY = dict.fromkeys(map(str, range(20_000)), 1)
LONG = {"timing": "shared", "jobs": 1, "wall_s": 10**400}


def problem_of_run(folder: Path, data: bytes) -> str:
    """Say what is wrong with a run.json."""
    with pytest.raises(StoreError) as caught:
        take_run(data, folder)
    return str(caught.value).partition("run.json ")[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": [{}] * 200_000}, "is damaged: cells.0: Object missing required field `id`"),
        ({"environment": {"builder_limits": MANY}}, "is damaged: environment.builder_limits: "),
        ({"excerpt_of": 10**30}, "is damaged: excerpt_of: "),
        ({"cells": [{**RUN["cells"][0], "build": LONG}]}, "is damaged: cells.0.build.wall_s: "),
    ],
    ids=["many bad cells", "many bad values", "a huge number", "a huge time"],
)
def test_a_record_is_given_up_at_its_first_fault(change: dict[str, object], words: str, tmp_path: Path) -> None:
    """Two megabytes of bad cells cost three gigabytes and a quarter of a minute when each was kept with its reason."""
    began = time.process_time()
    problem = problem_of_run(tmp_path, json.dumps({**RUN, **change}).encode())
    assert problem.startswith(words)
    assert len(problem) < 300
    assert time.process_time() - began < 2 * slowness()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_no_figure(number: str, tmp_path: Path) -> None:
    """A time that is not a number ended `matrix history` with a traceback."""
    text = run_json().replace('"wall_s": 12.34', f'"wall_s": {number}')
    assert number in text
    assert problem_of_run(tmp_path, text.encode()).startswith("is damaged: ")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" + b"[]," * 3_100_000 + b"1]", "it has more than 6,000,000 values"),
        (b"{" + b'""  :0,' * 4_900_000 + b'"":0}', "it has more than 4,800,000 keys"),
    ],
    ids=["values", "keys"],
)
def test_more_values_than_any_run_has_are_refused_before_they_take_room(data: bytes, words: str, tmp_path: Path) -> None:
    """Each takes a hundred bytes and more, however few it takes in the file."""
    assert problem_of_run(tmp_path, data) == f"is damaged: {words}"


def test_half_a_character_in_a_step_costs_no_result(tmp_path: Path) -> None:
    """JSON can say half of a character, no file can hold it: the line is no progress, and the cell is stored."""
    line = b'{"vertexes":[{"digest":"a","name":"[1/2] RUN \\ud800","started":"2026-01-01T00:00:00Z"}]}\n'
    assert take_progress(line, tmp_path) == "followed"


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_nested_deeply_ends_nothing(deep: bytes, tmp_path: Path) -> None:
    """A journal's line is kept as it is when shards are merged; a builder's trace is refused in words."""
    assert take_journal(deep, tmp_path) == "merged"
    with pytest.raises(NotSpansError, match="these are no spans of BuildKit's"):
        parse_stubs(deep.decode())


@pytest.mark.parametrize("stub", ["{}", '{"SpanContext":[]}', '{"SpanContext":{"TraceID":"a","SpanID":"b"},"Events":[1]}'])
def test_what_is_no_span_is_refused_as_such(stub: str) -> None:
    """Of these some ended the thread that collects traces, and with it the traces of all later cells."""
    with pytest.raises(NotSpansError):
        parse_stubs(stub)


def test_an_attribute_that_is_no_number_is_written_so_that_it_can_be_read() -> None:
    """Python writes NaN where JSON has none, and a trace with one could not be shown."""
    text = '{"SpanContext":{"TraceID":"a","SpanID":"b"},"Attributes":[{"Key":"k","Value":{"Value":NaN}}]}'
    written = dump_lines(parse_stubs(text))
    assert '{"doubleValue":"nan"}' in written
    (span,) = load_lines(written)
    assert str(span.attributes["k"]) == "nan"


def test_a_moment_before_there_were_any_is_one_that_can_be_read() -> None:
    """Go writes a time that it does not know as one of the year 1, and a trace with it could not be shown."""
    text = '{"SpanContext":{"TraceID":"a","SpanID":"b"},"StartTime":"0001-01-01T00:00:00Z"}'
    (span,) = load_lines(dump_lines(parse_stubs(text)))
    assert span.start_ns == 0


def test_a_lock_with_a_key_of_thousands_of_parts_is_refused_at_once(tmp_path: Path) -> None:
    """Reading 200 kB of it took four seconds, and each doubling four times as long."""
    with pytest.raises(
        ConfigError, match=r"matrix\.lock:2: this line is longer than 4000 characters; `matrix lock` writes it anew"
    ):
        KINDS["matrix.lock"].take(b"schema = 1\n" + b"0.1" * 70_000, tmp_path)


def test_a_matrix_that_would_take_minutes_to_read_is_refused_by_its_size(tmp_path: Path) -> None:
    """YAML is read at some hundred kB a second, and nobody writes so much of it."""
    (tmp_path / "matrix.yaml").write_bytes(b"- a\n" * 200_000)
    with pytest.raises(ConfigError, match=r"larger than 500 kB; this is not a matrix\.yaml"):
        load_matrix(tmp_path / "matrix.yaml")


@pytest.mark.parametrize("pattern", ["*a" * 50 + "b", "**/a/" * 50 + "b", "*?" * 50 + "b"])
def test_a_pattern_of_many_stars_takes_no_longer_than_one(pattern: str) -> None:
    """A .dockerignore of one line kept `matrix run` at work for hours before the first build."""
    began = time.process_time()
    ignore = Ignore(pattern)
    assert ignore.match("a/" * 100 + "a" * 200, ignore.nothing_matched) == (False,)
    assert time.process_time() - began < 1 * slowness()


def test_a_star_star_within_names_is_refused_when_it_is_there_again_and_again() -> None:
    """Each could be meant at every place of a path: `a**/b`, which nobody means."""
    assert [Ignore("a**/b").match(path, (False,)) for path in ("ab", "ax/b", "ax/cb")] == [(True,), (True,), (False,)]
    for pattern in ("**a" * 50 + "b", "**a" * 9 + "**a**/b**/c**/d**/e**/f"):
        with pytest.raises(ValueError, match="stands within names again and again; let it follow a '/'"):
            Ignore(pattern)


def test_a_step_whose_name_is_blanks_is_no_step() -> None:
    """A frontend names steps as it likes; 100 kB of blanks took minutes."""
    began = time.process_time()
    assert split_step("[" + " " * 100_000 + "x") is None
    assert time.process_time() - began < 1 * slowness()
