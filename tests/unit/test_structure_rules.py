"""What is found in an image against what a container-structure-test file asks: patterns, output, files, configuration."""

from __future__ import annotations

import re
import stat

import pytest

from orchestrator.config.structure import (
    CommandTest,
    FileExistenceTest,
    MetadataTest,
)
from orchestrator.docker.contents import Entry, ImageConfig
from orchestrator.smoke.patterns import Expectation, explain_matches, make_pattern
from orchestrator.smoke.structure_rules import (
    expand,
    expect_metadata,
    expect_output,
    judge_existence,
    judge_metadata,
    summarize_problems,
)


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


def test_output_that_was_cut_is_known_to_be() -> None:
    """The limit counts bytes."""
    test = CommandTest.model_validate({"name": "x", "command": "x", "expectedOutput": ["a"], "excludedError": ["b"]})
    assert [(one.text, one.wanted, one.whole) for one in expect_output(test, "aa", "b", 2)] == [
        ("aa", True, False),
        ("b", False, True),
    ]


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
