"""What is found in an image against what a container-structure-test file asks: patterns, output, files, configuration."""

from __future__ import annotations

import re
import stat
import time
from threading import Event
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.structure import (
    CommandTest,
    FileExistenceTest,
    MetadataTest,
)
from orchestrator.docker import process
from orchestrator.docker.contents import Entry, ImageConfig
from orchestrator.docker.process import Exit, Output
from orchestrator.smoke.patterns import (
    Expectation,
    Searcher,
    UndecidedError,
    explain_matches,
    is_quick,
    judge_patterns,
    make_pattern,
)
from orchestrator.smoke.structure_rules import (
    expand,
    expect_metadata,
    expect_output,
    judge_existence,
    judge_metadata,
    summarize_problems,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$HOME/x", "/root/x"),
        ("${HOME}x", "/rootx"),
        ("$HOMEx ${NONE} $NONE", "$HOMEx ${NONE} $NONE"),
        ("$(ls) $$ $1 $? 5$", "$(ls) $$ $1 $? 5$"),
        ("$EMPTY|", "|"),
    ],
)
def test_known_variables_are_filled_in_and_others_stay(text: str, filled: str) -> None:
    """A loop's variable in `sh -c` belongs to the shell."""
    assert expand(text, {"HOME": "/root", "EMPTY": ""}) == filled


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^[[:alpha:]_]+$", "a_b", True),
        ("^[^[:space:]]$", " ", False),
        (r"[[:punct:]]", "a]b", True),
        (r"^a\z", "ab", False),
        (r"\[[:x]", "[:", True),
        ("[]a]+$", "]]a", True),
        ("[:alpha:]", "h", True),
        ("[:alpha:]", "z", False),
        (r"^\\z$", r"\z", True),
    ],
)
def test_a_pattern_means_what_it_means_in_go(pattern: str, text: str, *, matches: bool) -> None:
    """Python reads some of Go's patterns without a word, and as something else."""
    assert bool(re.search(make_pattern(pattern), text)) is matches


@pytest.mark.parametrize("pattern", ["[[:^alpha:]]", "[[:vowel:]]"])
def test_a_pattern_that_python_cannot_say_is_refused(pattern: str) -> None:
    """Rather than matched as something else."""
    with pytest.raises(re.error, match="bad escape"):
        re.compile(make_pattern(pattern))


def test_what_matches_and_must_not_is_told_from_what_does_not_and_must() -> None:
    """And a text that was cut can show that a pattern matches, never that it does not."""
    expectations = [
        Expectation("its output", "abc", "b"),
        Expectation("its output", "abc", "x"),
        Expectation("its output", "", "x"),
        Expectation("its output", "abc", "b", wanted=False),
        Expectation("its output", "abc", "x", wanted=False),
        Expectation("its output", "abc", "x", wanted=False, whole=False),
        Expectation("its output", "abc", "b", whole=False),
        Expectation("its output", "abc", "("),
    ]
    assert explain_matches(expectations, [True, False, False, True, False, False, True, "it is broken"]) == [
        ("failed", "its output does not match 'x': abc"),
        ("failed", "its output does not match 'x': it is empty"),
        ("failed", "its output matches 'b', which it must not"),
        ("error", "its output is too long; 'x' does not match the part that was kept"),
        ("error", "'(' is not a pattern that Python can read: it is broken"),
    ]


@pytest.mark.parametrize(
    ("pattern", "length", "quick"),
    [
        ("^hello$", 100_000, True),
        (r"^Python 3\.\d+\.\d+", 40, True),
        ("a+b", 900, True),
        ("a+b", 1_000, False),
        (r"^Python 3\.\d+\.\d+", 100, False),
        ("^(a+)+$", 1, False),
        ("(a|b)", 1, False),
        ("(ab)c", 100_000, True),
    ],
)
def test_only_what_cannot_take_long_is_tried_where_it_would_stop_everything(pattern: str, length: int, *, quick: bool) -> None:
    """While Python is at a pattern, no other cell goes on and no Ctrl-C is heard; but to start a process takes longer than most."""
    assert is_quick(pattern, "a" * length) is quick


@pytest.mark.parametrize(
    ("end", "outcome", "words"),
    [
        (Exit(None, timed_out=True), "timeout", "its patterns are still at work after 3 s; simplify them"),
        (Exit(None, cancelled=True), "error", "cancelled"),
        (Exit(1), "error", "its patterns cannot be tried: no room"),
        (Exit(0), "error", "'^(a+)+$' cannot be tried: too deep"),
    ],
)
def test_a_pattern_that_comes_to_no_end_is_neither_found_nor_missed(
    monkeypatch: pytest.MonkeyPatch, end: Exit, outcome: str, words: str
) -> None:
    """Whoever asked hears why nothing is known; a run that is cancelled waits for no pattern."""
    monkeypatch.setattr(process, "run", lambda *_, **__: Output(end, '["too deep"]', "no room"))
    with pytest.raises(UndecidedError) as found:
        Searcher(time.monotonic() + 3.4, Event()).finds("^(a+)+$", "a" * 40)
    assert (found.value.outcome, str(found.value)) == (outcome, words)
    if end.code != 0:
        assert [one[0] for one in judge_patterns([Expectation("its output", "a", "^(a+)+$")], 3.0)] == [outcome]


def test_a_pattern_of_a_check_means_what_it_means_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters are those of all languages, wherever it is tried; those of a structure file are Go's."""
    asked: list[str] = []

    def run(argv: Sequence[str], *, stdin: bytes, **_: object) -> Output:
        asked.append(stdin.decode())
        return Output(Exit(0), "[true]", "")

    monkeypatch.setattr(process, "run", run)
    searcher = Searcher(time.monotonic() + 60, Event())
    assert searcher.finds(r"^\w$", "ä")
    assert searcher.finds(r"^(\w)+$", "ä")
    assert judge_patterns([Expectation("its output", "ä", r"^(\w)+$")], 3.0) == []
    assert [int(re.findall(r'"flags": (\d+)', one)[0]) for one in asked] == [0, re.ASCII]


def test_output_that_was_cut_is_known_to_be() -> None:
    """The limit counts bytes; what BuildKit left out may have held what must not be there, in that stream and no other."""
    test = CommandTest.model_validate({"name": "x", "command": "x", "expectedOutput": ["a"], "excludedError": ["b"]})
    assert [(one.text, one.wanted, one.whole) for one in expect_output(test, "aa", "b", 2)] == [
        ("aa", True, False),
        ("b", False, True),
    ]
    for clipped, whole in (((), [True, True]), (("stderr",), [True, False]), (("stdout", "stderr"), [False, False])):
        assert [one.whole for one in expect_output(test, "aa", "b", 9, clipped)] == whole


@pytest.mark.parametrize(
    ("mode", "as_ls", "as_go"),
    [
        (stat.S_IFREG | 0o644, "-rw-r--r--", "-rw-r--r--"),
        (stat.S_IFDIR | 0o1777, "drwxrwxrwt", "dtrwxrwxrwx"),
        (stat.S_IFREG | 0o6755, "-rwsr-sr-x", "ugrwxr-xr-x"),
        (stat.S_IFLNK | 0o777, "lrwxrwxrwx", "Lrwxrwxrwx"),
        (stat.S_IFCHR | 0o620, "crw--w----", "Dcrw--w----"),
        (stat.S_IFIFO | 0o600, "prw-------", "prw-------"),
    ],
)
def test_permissions_may_be_written_as_ls_or_as_go_does(mode: int, as_ls: str, as_go: str) -> None:
    """The format's own tool writes Go's, its users what they see."""
    entry = Entry(mode, 0, 0)
    for written, passes in ((as_ls, True), (as_go, True), ("-r--------", False)):
        test = FileExistenceTest(name="x", path="/x", permissions=written)
        assert (list(judge_existence(test, entry, entry)) == []) is passes


@pytest.mark.parametrize(("who", "mode"), [("owner", 0o100), ("group", 0o010), ("other", 0o001), ("any", 0o010)])
def test_who_may_execute_is_read_from_the_bits(who: str, mode: int) -> None:
    """Each from its own."""
    test = FileExistenceTest.model_validate({"name": "x", "path": "/x", "isExecutableBy": who})
    allowed, denied = Entry(stat.S_IFREG | mode, 0, 0), Entry(stat.S_IFREG | 0o666, 0, 0)
    assert list(judge_existence(test, allowed, allowed)) == []
    assert list(judge_existence(test, denied, denied)) == [("failed", f"/x (-rw-rw-rw-) is not executable by {who}")]


def test_an_image_that_says_nothing_fails_what_is_asked_of_it() -> None:
    """Every part of a metadata test, against an empty configuration."""
    test = MetadataTest.model_validate(
        {
            "envVars": [{"key": "a", "value": "b", "isRegex": True}],
            "labels": [{"key": "c"}],
            "exposedPorts": ["80"],
            "volumes": ["/v"],
            "entrypoint": ["e"],
            "cmd": ["c"],
            "workdir": "/w",
            "user": "u",
        }
    )
    config = ImageConfig({}, {}, (), (), (), (), "", "")
    assert [words for _, words in judge_metadata(test, config)] == [
        "variable a is not set",
        "label c is not set",
        "port 80 is not exposed",
        "/v is no volume",
        "entrypoint is [], not ['e']",
        "cmd is [], not ['c']",
        "workdir is '', not '/w'",
        "user is '', not 'u'",
    ]
    assert expect_metadata(test, config) == []


def test_a_test_ends_as_badly_as_the_worst_that_was_found() -> None:
    """With all reasons, as the next run would bring the next one."""
    assert summarize_problems([]) == ("passed", None)
    assert summarize_problems([("error", "b"), ("failed", "a")]) == ("failed", "b; a")
    assert summarize_problems([("error", "b"), ("timeout", "a")]) == ("timeout", "b; a")
