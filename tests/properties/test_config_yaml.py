"""YAML's traps: what a matrix.yaml may hold stays as it is written, and what it may not is a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import source
from orchestrator.config.load import load_matrix
from orchestrator.config.parse import parse_matrix
from orchestrator.config.source import parse_source
from orchestrator.errors import ConfigError
from tests.unit.folders import HEAD, make_files, plan_of, problems_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a Dockerfile in it, for tests that only read."""
    return make_files(tmp_path_factory.mktemp("matrix"), "Dockerfile")


def test_bare_words_stay_as_they_are_written(folder: Path) -> None:
    """Python 3.10 is not 3.1, and what YAML 1.1 takes for a boolean, a time or an octal is a word here."""
    words = ["3.10", "no", "on", "off", "yes", "y", "1:30", "010", "0x1f", "0o17", "1_0", "1e3", ".5", "2001-01-01", "3.0"]
    with pytest.raises(ConfigError) as caught:
        plan_of(f"axes: {{python: [{', '.join(words)}]}}\n", folder)
    assert caught.value.problems == (
        (
            "matrix.yaml:3: axes.python[12]: '.5' cannot name a cell; "
            "use letters (a to z), digits and _ . + : @ / -, not a mark in front"
        ),
    )
    words.remove(".5")
    plan = plan_of(f"axes: {{python: [{', '.join(words)}]}}\n", folder)
    assert [cell.id for cell in plan.cells] == words


def test_plain_numbers_and_booleans_are_taken_for_the_text_they_are(folder: Path) -> None:
    """Where a text belongs, 3, true and -1 are fine without quotes."""
    plan = plan_of("axes: {a: [3, true, False, 12]}\ndefaults: {args: {A: 1, B: true, C: 0, D: -1}}\n", folder)
    assert [cell.id for cell in plan.cells] == ["3", "true", "false", "12"]
    assert plan.cells[0].settings.args == (("A", "1"), ("B", "true"), ("C", "0"), ("D", "-1"))


def test_numbers_of_any_length_stay_text(folder: Path) -> None:
    """A number too long for a machine is the text it is written as; so is what means not a number."""
    plan = plan_of(f"axes: {{a: [x]}}\ndefaults: {{args: {{A: {'9' * 40}, B: .nan, C: -.inf, D: 1e999}}}}\n", folder)
    assert plan.cells[0].settings.args == (("A", "9" * 40), ("B", ".nan"), ("C", "-.inf"), ("D", "1e999"))


def test_keys_are_texts_whatever_they_look_like(folder: Path) -> None:
    """Settings of `3.10:` or `no:` are found, quoted or not."""
    plan = plan_of("axes: {a: [3.10, no, 7]}\nsettings: {a: {3.10: {target: t}, no: {target: u}, 7: {target: v}}}\n", folder)
    assert [cell.settings.target for cell in plan.cells] == ["t", "u", "v"]


def test_merge_keys_and_aliases_are_followed(folder: Path) -> None:
    """What YAML offers against repetition works, and what stands there itself wins."""
    text = """\
axes: {a: [x, y]}
defaults: &common {target: t, retries: 1}
settings:
  a:
    x: {<<: *common, target: u}
    y: {<<: [{libc: musl}, {libc: glibc, retries: 3}]}
"""
    first, second = (cell.settings for cell in plan_of(text, folder).cells)
    assert (first.target, first.retries) == ("u", 1)
    assert (second.libc, second.retries) == ("musl", 3)


def test_a_merge_key_within_a_merged_mapping_is_followed(folder: Path) -> None:
    """Mappings may be built up in several steps."""
    text = "axes: {a: [x]}\nsettings: {a: {x: {<<: {<<: {target: t}, retries: 4}}}}\n"
    settings = plan_of(text, folder).cells[0].settings
    assert (settings.target, settings.retries) == ("t", 4)


REFUSED = {
    "empty": ("", "1: matrix.yaml must be a mapping with version, name and axes; `matrix init` writes one"),
    "only a remark": ("# nothing\n", "1: matrix.yaml must be a mapping with version, name and axes; `matrix init` writes one"),
    "a list": ("- a\n- b\n", "1: matrix.yaml must be a mapping with version, name and axes; `matrix init` writes one"),
    "a word": ("hello\n", "1: matrix.yaml must be a mapping with version, name and axes; `matrix init` writes one"),
    "a tab": (
        "version: 1\naxes:\n\ta: [x]\n",
        "3: not YAML: a tab cannot stand here; use spaces",
    ),
    "a key that is not indented as the others": (
        "axes:\n  a: [x]\n b: [y]\n",
        "3: not YAML: while parsing a block mapping, found a key that is not indented as those above it",
    ),
    "an item that is not indented as the others": (
        "a:\n    - x: 1\n   - y: 2\n",
        "3: not YAML: while parsing a block mapping, found an item of a list that is not indented as those above it",
    ),
    "a colon in a text": (
        "name: a: b\n",
        "1: not YAML: a second ': ' cannot stand here; put a text that has one in quotes, or see how the line is indented",
    ),
    "a word after a quoted one": (
        "a: 'm' n\n",
        "1: not YAML: while parsing a block mapping, expected the next key, but found a text",
    ),
    "a bracket left open": (
        "version: 1\naxes: [a\n",
        "3: not YAML: while parsing a flow sequence, expected ',' or ']', but got the end of the file",
    ),
    "a quote left open": ("name: 'm\n", "2: not YAML: while scanning a quoted scalar, found the end of the file"),
    "two documents": (
        "version: 1\n---\nversion: 1\n",
        "2: not YAML: expected a single document in the stream, but found another document",
    ),
    "an alias to nothing": ("name: *gone\n", "1: not YAML: found undefined alias 'gone'"),
    "a control character": ("version: 1\nname: \x07\n", "2: a control character (U+0007) cannot be in YAML; remove it"),
    "a null byte": ("version: \0\n", "1: a control character (U+0000) cannot be in YAML; remove it"),
    "half a character": ("name: \ud800\n", "1: a control character (U+D800) cannot be in YAML; remove it"),
    "deep lists": ("a: " + "[" * 600, "1: not YAML: nested too deeply"),
    "a list deeper than anyone needs": ("a: " + "[" * 60 + "]" * 60, "1: nested deeper than 40 levels"),
    "a list within itself": ("name: x\na: &a [*a]\n", "2: nested deeper than 40 levels"),
    "a mapping within itself": ("a: &a\n  b: *a\n", "1: nested deeper than 40 levels"),
    "a merge of itself": ("a: &a {<<: *a}\n", "1: merge keys nested deeper than 40 levels"),
    "a merge of itself, twice each time": ("a: &a {<<: [*a, *a], b: 1}\n", "1: merge keys nested deeper than 40 levels"),
}


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_matrix_at_all_is_refused_with_its_line(text: str, problem: str, folder: Path) -> None:
    """A file that cannot be read as a matrix is one error, with the line at which reading ended."""
    assert problems_of(text, folder) == [f"matrix.yaml:{problem}"]


PECULIAR = {
    "a Python object": ("name: !!python/object/apply:os.system [id]", "tag tag:yaml.org,2002:python/object/apply:os.system"),
    "a Python name": ("name: !!python/name:os.system", "tag tag:yaml.org,2002:python/name:os.system"),
    "a tag of one's own": ("name: !secret x", "tag !secret"),
    "binary": ("name: !!binary aGk=", "tag tag:yaml.org,2002:binary"),
    "an object of Python's as a mapping": ("name: !!python/object:foo {a: b}", "tag tag:yaml.org,2002:python/object:foo"),
    "a set": ("name: !!set {a}", "tag tag:yaml.org,2002:set"),
    "a float by force": ("name: !!float 1.5", "tag tag:yaml.org,2002:float"),
    "a number that is none": ("name: !!int x", "tag tag:yaml.org,2002:int"),
}


@pytest.mark.parametrize(("line", "tag"), PECULIAR.values(), ids=PECULIAR)
def test_tags_make_nothing_run(line: str, tag: str, folder: Path) -> None:
    """The file holds plain values only: a tag runs nothing and makes nothing, and is said to be unknown."""
    problems = problems_of(f"version: 1\naxes: {{a: [x]}}\n{line}\n", folder)
    assert f"matrix.yaml:3: {tag} is not known here; matrix.yaml holds plain values only" in problems
    assert all(problem.startswith("matrix.yaml:3: ") for problem in problems)


@pytest.mark.parametrize("text", ['axes: {a: ["x\\0"]}', 'axes: {a: [x]}\ndefaults: {args: {X: "a\\0b"}}', 'axes: {"a\\0": [x]}'])
def test_a_null_byte_by_another_way_is_refused(text: str, folder: Path) -> None:
    """YAML can write it; no path, argument or variable can hold it, so that a run would end in the midst of a build."""
    words = "a NUL (\\0) can be in no argument, name or variable; remove it"
    assert problems_of(HEAD + text + "\n", folder) == [f"matrix.yaml:{2 + len(text.splitlines())}: {words}"]


def test_the_nearest_of_merged_mappings_wins() -> None:
    """As in every other reader of YAML: what a mapping says itself comes before what it has from others."""
    text = "a: &a {x: 1, y: 1, z: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: [*b, {y: 3, w: 3}], z: 4}\n"
    assert parse_source(text, "m").data == yaml.safe_load(text)


def test_a_second_merge_key_is_refused(folder: Path) -> None:
    """Like any other key that is there twice; a list of mappings merges them all."""
    text = HEAD + "axes: {a: [x]}\ndefaults:\n  <<: {retries: 1}\n  <<: {libc: musl}\n"
    assert problems_of(text, folder) == ["matrix.yaml:6: key '<<' is there twice; the first is on line 5"]


def test_a_key_must_be_a_plain_word(folder: Path) -> None:
    """A list as a key is refused where it stands, also behind a merge key."""
    text = HEAD + "axes: {a: [x]}\ndefaults:\n  ? [a]\n  : 1\n"
    assert problems_of(text, folder) == ["matrix.yaml:5: a key must be a plain word"]
    text = HEAD + "axes: {a: [x]}\ndefaults:\n  <<: {[a]: 1}\n"
    assert problems_of(text, folder) == ["matrix.yaml:5: a key must be a plain word"]


def test_a_merge_key_takes_mappings_only(folder: Path) -> None:
    """A merge of something that has no keys is refused where it stands."""
    text = HEAD + "axes: {a: [x]}\ndefaults:\n  <<: [3, {retries: 1}]\n"
    assert problems_of(text, folder) == ["matrix.yaml:5: '<<' takes a mapping or a list of mappings"]


@pytest.mark.parametrize("merge", ["", "<<: "], ids=["aliases", "merge keys"])
def test_a_bomb_is_put_out(merge: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few lines of aliases that stand for billions of values are refused after a bounded number of them."""
    monkeypatch.setattr(source, "MAX_NODES", 2_000)
    lines = ["a0: &a0 {k0: v}" if merge else "a0: &a0 [x]"]
    for at in range(1, 30):
        nine = ", ".join([f"*a{at - 1}"] * 9)
        lines.append(f"a{at}: &a{at} {{{merge}[{nine}], k{at}: v}}" if merge else f"a{at}: &a{at} [{nine}]")
    (problem,) = problems_of("\n".join(lines), folder)
    assert problem.endswith(("more than 2000 values once aliases are expanded", "more than 2000 values once merged"))


def test_a_byte_order_mark_is_no_part_of_the_file(folder: Path) -> None:
    """A file saved with a byte order mark is read as if it had none."""
    path = folder / "marked.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\nname: m\naxes: {a: [x]}\n")
    assert load_matrix(path).plan.name == "m"


def test_line_ends_of_any_system_are_line_ends(folder: Path) -> None:
    """Lines are counted the same whatever editor has written them."""
    text = "version: 1\r\nname: m\r\naxes: {a: [x]}\r\nexclude: [{b: x}]\r\n"
    assert problems_of(text, folder) == ["matrix.yaml:4: exclude[0].b: 'b' is not an axis; the axes are a"]


WORDS = st.sampled_from(
    ["version", "name", "axes", "base", "settings", "defaults", "smoke", "import", "run", "http", "args", "exclude", "include",
     "expect", "claims", "left", "is", "builder", "decide", "budgets", "growth", "<<", "timeout", "memory", "healthy",
     "secrets", "cache"]
)  # fmt: skip
MARKS = "ab0 :-#{}[]*?(\\'\"\n\t\0\x1b\x85\u2028\ufeff\ud800é😀"
TEXTS = st.text(MARKS, max_size=5)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), TEXTS, st.sampled_from(["3.10", "{base}", "a*", "1h", "5%", "x" * 300])
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _as_flow(data: object) -> str:
    """Write data as YAML in one line, quoted as JSON is."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{_as_flow(key)}: {_as_flow(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(_as_flow, data)) + "]"
    if isinstance(data, str):
        return '"' + "".join(f"\\U{ord(mark):08x}" if not mark.isalnum() else mark for mark in data) + '"'
    return "null" if data is None else str(data).lower()


@given(data=st.dictionaries(WORDS, DATA, max_size=6))
def test_data_of_any_shape_is_planned_or_refused(data: dict[str, object], folder: Path) -> None:
    """Whatever YAML holds, the answer is a plan or a ConfigError, never another exception."""
    head = {"version": 1, "name": "m", "axes": {"base": ["x", "y"]}}
    try:
        _, plan = parse_matrix(_as_flow({**head, **data}), "matrix.yaml", folder)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ("matrix.yaml:" + plan.name,)
    assert problems
    assert all(problem.startswith("matrix.yaml:") for problem in problems)


@given(text=st.text(MARKS, max_size=60) | st.text("ab:- \n\t[]{}&*<!|>'\"#?,%@`\\0", max_size=120))
def test_text_of_any_kind_is_read_or_refused(text: str) -> None:
    """Whatever a file holds, reading it ends with data or with a ConfigError, never with another exception."""
    try:
        found = parse_source(text, "matrix.yaml")
    except ConfigError as error:
        problems = error.problems
    else:
        problems = (f"matrix.yaml:{found.line_of(('nowhere', 0))}",)
    assert problems
    assert all(re.match(r"matrix\.yaml:[1-9]", problem) for problem in problems)
