"""Contexts to digests: what a build is given counts, and nothing else does."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import contexts as module
from orchestrator.contexts import Apart, Contexts, digest_context, find_named
from orchestrator.dockerignore import Ignore
from orchestrator.inputs import read_inputs
from orchestrator.model import Cell, RunCheck, Secret, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


WILD = {"*": "[^/]*", "?": "[^/]"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a context of a few files."""
    for name in ("app/main.py", "app/cache/x.pyc", "deps/a.txt", "Dockerfile", "notes.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def digest(root: Path, ignore: str = "", *named: Path) -> str:
    """Give a context's digest."""
    return digest_context(root, Ignore(ignore), Apart(frozenset(map(str, named)))).rest


def kept(root: Path, ignore: str) -> set[str]:
    """Give the files that these patterns leave in."""
    patterns = Ignore(ignore)

    def walk(folder: str, above: tuple[bool, ...]) -> Iterator[str]:
        for entry in os.scandir(root / folder):
            path = f"{folder}/{entry.name}".lstrip("/")
            matched = patterns.match(path, above)
            if entry.is_dir():
                yield from walk(path, matched)
            elif not patterns.leaves_out(matched):
                yield path

    return set(walk("", patterns.nothing_matched))


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("", {"app/main.py", "app/cache/x.pyc", "deps/a.txt", "Dockerfile", "notes.md"}),
        ("# app\n\n  *.md  \n/deps/", {"app/main.py", "app/cache/x.pyc", "Dockerfile"}),
        ("*\n!app\n**/cache", {"app/main.py"}),
        ("*\n!app/main.py", {"app/main.py"}),
        ("app\n!app/cache", {"app/cache/x.pyc", "deps/a.txt", "Dockerfile", "notes.md"}),
        ("**/*.p?c\n**\n!**/*.txt", {"deps/a.txt"}),
        ("[!n]*\nD*\nde*\napp/[m-z&&]*", {"app/cache/x.pyc"}),
        ("[a-d]*\nD[^x]*", {"notes.md"}),
        ("\ufeffapp\n./deps/../notes.md\n\\Dockerfile", {"deps/a.txt"}),
        ("main.py\ncache", {"app/main.py", "app/cache/x.pyc", "deps/a.txt", "Dockerfile", "notes.md"}),
    ],
)
def test_patterns_mean_what_they_mean_to_the_builder(root: Path, ignore: str, left: set[str]) -> None:
    """The last pattern that matches a path, or a folder around it, decides; names count from the context's folder."""
    assert kept(root, ignore) == left


@pytest.mark.parametrize(
    ("ignore", "path"),
    [
        ("**/node_modules\n!src", "src/node_modules/p/x.js"),
        ("*/*\n!b", "b/a/x"),
        ("**/a*\n!c", "c/ab/x"),
    ],
)
def test_a_pattern_is_tried_only_where_it_can_change_something(ignore: str, path: str, tmp_path: Path) -> None:
    """An exception for a folder lets in nothing below that a line before it leaves out by its own name."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).touch()
    assert kept(tmp_path, ignore) == set()


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("src/**.pyc", ["src/.pyc", "src/sub/.pyc"], ["src/x.pyc", "src/sub/x.pyc"]),
        ("**.pyc", ["x.pyc", "src/sub/x.pyc"], ["x.pyo"]),
        ("a**b", ["ab", "a/b", "ax/b", "a/x/b"], ["axb", "a/xb"]),
        ("a**", ["a", "ab", "a/b"], ["b/a"]),
        ("**b/**", ["b/x", "a/b/x"], ["ab/x"]),
        ("/*b/**foo", ["b/foo", "ab/foo", "ab/x/foo"], ["ab/xfoo"]),
        ("x*a**b", ["xab", "xaab", "xaba/b", "xa/a/b"], ["xaxb"]),
        ("a^", ["a^"], ["a"]),
        ("**/a^", ["a^", "x/a^"], ["a"]),
        ("^a?", ["ab"], ["^ab"]),
        ("a^*", [], ["a^", "ab"]),
        ("[^a]^\\^", [], ["b^^"]),
    ],
)
def test_stars_cross_what_the_builder_lets_them_cross(pattern: str, matching: list[str], other: list[str]) -> None:
    """Two stars are whole folders, but for the rest of a name at the end; elsewhere `^` is the beginning, not a letter."""
    patterns = Ignore(pattern)
    found = [path for path in (*matching, *other) if patterns.match(path, patterns.nothing_matched)[0]]
    assert found == matching


@given(st.text("ab*/", min_size=1, max_size=9), st.lists(st.text("ab/", min_size=1, max_size=9), max_size=20))
def test_no_match_is_lost_by_looking_at_first_places_only(pattern: str, paths: list[str]) -> None:
    """However the stars stand, a pattern matches what the builder's own expression would match, tried in full."""
    try:
        patterns = Ignore(f"a/{pattern}?*")
    except ValueError:
        return
    text = posixpath.normpath(f"a/{pattern}?*").lstrip("/")
    in_full = re.compile(
        re.sub(r"\*\*/?$|\*\*/?|\*|\?", lambda found: WILD.get(found[0], ".*" if found.end() == len(text) else "(?:.*/)?"), text)
    )
    for path in (posixpath.normpath(f"a/{path}") for path in paths):
        found = patterns.match(path, patterns.nothing_matched)[0]
        assert found == (in_full.fullmatch(path) is not None), path


@pytest.mark.parametrize(
    ("ignore", "words"), [("a\n!\n", "'!' stands alone"), ("[z-a]", r"'\[z-a\]' in a .dockerignore is no pattern")]
)
def test_a_line_that_is_no_pattern_is_refused(ignore: str, words: str) -> None:
    """The builder fails on it, too."""
    with pytest.raises(ValueError, match=words):
        Ignore(ignore)


def test_names_modes_contents_and_links_change_the_digest(root: Path) -> None:
    """Whatever a COPY could see makes another digest; a time does not."""
    first = digest(root)
    os.utime(root / "notes.md", (1, 1))
    assert digest(root) == first
    seen = {first}
    for change in (
        lambda: (root / "notes.md").write_text("other"),
        lambda: (root / "notes.md").rename(root / "notes.txt"),
        lambda: (root / "notes.txt").chmod(0o755),
        lambda: (root / "link").symlink_to("notes.txt"),
        (root / "empty").mkdir,
    ):
        change()
        seen.add(digest(root))
    assert len(seen) == 6


def test_what_is_ignored_or_has_its_own_digest_changes_nothing(root: Path) -> None:
    """A note that no build sees is no change, nor is another cell's requirements file, nor a locked run's."""
    before = digest(root, "*.md", root / "deps/a.txt")
    (root / "notes.md").write_text("other")
    (root / "deps/a.txt").write_text("other")
    (root / "deps/.a.0123456789ab.locked.txt").write_text("other")
    os.mkfifo(root / "pipe")
    assert digest(root, "*.md", root / "deps/a.txt") == before
    assert digest(root, "", root / "deps/a.txt") != before


def test_folders_in_which_nothing_is_let_in_are_not_walked(root: Path) -> None:
    """`*` with exceptions does not read a virtual environment of a million files."""
    patterns = Ignore("*\n!app/main.py\n!deps/**/x.txt")
    assert [patterns.may_let_in_below(path) for path in ("app", "app/cache", "deps", "deps/y", ".venv")] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_context_is_read_once_and_trouble_is_said_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of cells share a context; one that is too large has no digest, and the run goes on."""
    said: list[str] = []
    contexts = Contexts(root, (), (), said.append)
    first = contexts.digest_of(Settings())
    (root / "notes.md").write_text("changed while the run goes on")
    assert first is not None
    assert contexts.digest_of(Settings(target="other")) == first
    monkeypatch.setattr(module, "_MOST_ENTRIES", 3)
    strict = Contexts(root, (), (), said.append)
    assert [strict.digest_of(Settings()), strict.digest_of(Settings())] == [None, None]
    assert said == [f"the context {root} has no digest: more than 3 files and folders; a change of it will not be noticed"]
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    monkeypatch.setattr(module, "_MOST_ENTRIES", 300)
    assert Contexts(root, (), (), said.append).digest_of(Settings()) is None
    assert "more than 0 GiB" in said[-1]


def test_each_dockerfile_may_have_patterns_of_its_own(root: Path) -> None:
    """They come instead of the context's, and a further folder that a cell names counts as well."""
    contexts = Contexts(root, (), (), pytest.fail)
    plain = contexts.digest_of(Settings(dockerfile="deps/a.txt"))
    (root / "Dockerfile.dockerignore").write_text("app\n")
    own = contexts.digest_of(Settings())
    assert own not in (None, plain)
    assert contexts.digest_of(Settings(contexts=(("more", "deps"),))) not in (None, own)
    assert contexts.digest_of(Settings(contexts=(("base", "docker-image://x"),))) == own
    assert contexts.digest_of(Settings(context="https://example.org/x.git")) is None
    said: list[str] = []
    assert Contexts(root, (), (), said.append).digest_of(Settings(context="gone")) is None
    assert said == [
        f"the context {root}/gone has no digest: {root}/gone: No such file or directory; a change of it will not be noticed"
    ]


def test_files_with_a_digest_of_their_own_are_those_that_any_cell_names(root: Path) -> None:
    """Dockerfiles and requirements files; a remote context has none here."""
    cells = [
        Cell("a", (), Settings(requirements="deps/a.txt")),
        Cell("b", (), Settings(context="https://example.org/x.git")),
    ]
    assert find_named(cells, root) == {root / "Dockerfile", root / "deps/a.txt"}


def beside(root: Path) -> str | None:
    """Give the digest of the files that cells name, of which this one names one, where matrix keeps a file of its own."""
    named = find_named([Cell("a", (), Settings()), Cell("b", (), Settings(requirements="deps/a.txt"))], root)
    return Contexts(root, named, [root / "notes.md"], pytest.fail).beside(Settings())


@pytest.mark.parametrize("name", ["Dockerfile", "deps/a.txt"])
def test_files_that_some_cell_names_have_a_digest_of_contents_modes_and_links(name: str, root: Path) -> None:
    """Any of them may be copied; a mode that changes in it changes the image, though the file's own digest stays."""
    seen = {beside(root)}
    (root / name).chmod(0o700)
    seen.add(beside(root))
    (root / name).write_text("other")
    seen.add(beside(root))
    (root / name).rename(root / "moved")
    (root / name).symlink_to(root / "moved")
    seen.add(beside(root))
    assert len(seen) == 4


def test_what_no_build_is_given_is_not_among_the_files_that_cells_name(root: Path) -> None:
    """Neither what is ignored, nor what matrix writes: a baseline that was chosen changes nothing."""
    (root / ".dockerignore").write_text("Dockerfile\ndeps\n")
    assert beside(root) is None
    (root / ".dockerignore").write_text("deps\n")
    before = beside(root)
    (root / "deps/a.txt").write_text("other")
    (root / "notes.md").write_text("other")
    assert beside(root) == before


def test_a_context_of_more_folders_has_the_files_of_each(root: Path) -> None:
    """A file may be given to a build by any of them; of what has no digest nothing is known."""
    named = find_named([Cell("b", (), Settings(requirements="deps/a.txt"))], root)
    contexts = Contexts(root, named, (), pytest.fail)
    alone = contexts.beside(Settings())
    assert alone not in (None, contexts.beside(Settings(contexts=(("more", "deps"),))))
    assert contexts.beside(Settings(contexts=(("more", "https://example.org/x.git"),))) is None
    assert contexts.beside(Settings(context="https://example.org/x.git")) is None


def test_patterns_that_cannot_be_read_are_said_once(root: Path) -> None:
    """Each cell asks twice."""
    (root / ".dockerignore").write_text("[a")
    said: list[str] = []
    contexts = Contexts(root, (), (), said.append)
    for _ in range(2):
        assert contexts.digest_of(Settings()) is contexts.beside(Settings()) is None
    assert len(said) == 1


def test_the_moment_that_dates_an_image_is_an_option_of_its_build(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to buildx from the environment, past all settings."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert read_inputs(Settings(), root, Contexts(root, (), (), pytest.fail)).options == {"context": ".", "SOURCE_DATE_EPOCH": "5"}


def test_a_policy_beside_the_dockerfile_is_an_option_of_its_build(root: Path) -> None:
    """It may deny tomorrow what is built today, and lies in no context where the Dockerfile does not."""
    settings = Settings(context="deps", dockerfile="Dockerfile")
    without = read_inputs(settings, root, Contexts(root, (), (), pytest.fail))
    policy, found = root / "Dockerfile.rego", []
    for words in ("package docker\n", "package docker\ndefault allow := false\n"):
        policy.write_text(words)
        found.append(read_inputs(settings, root, Contexts(root, (), (), pytest.fail)))
    assert without.options == {"context": "deps"}
    assert len({one.options["policy"] for one in found if one.options}) == 2
    assert {one.context_digest for one in found} == {without.context_digest}


def test_so_is_the_policy_that_a_variable_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may put another base in the place of the one that is asked for; one that is not there is buildx's to complain of."""
    policy, name = root / "sources.json", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
    monkeypatch.setenv(name, str(policy))
    assert read_inputs(Settings(), root, Contexts(root, (), (), pytest.fail)).options == {"context": "."}
    found = []
    for words in ("{}", '{"rules": []}'):
        policy.write_text(words)
        found.append(read_inputs(Settings(), root, Contexts(root, (), (policy,), pytest.fail)).options)
    assert len({options[name] for options in found if options}) == 2


def test_inputs_tell_all_that_decides_a_build_and_no_secret(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are known by their names; checks and their environment by a digest."""
    monkeypatch.setenv("MY_TOKEN", "hush-hush")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    settings = Settings(
        args=(("A", "b"),),
        secret_args=(("TOKEN", "MY_TOKEN"),),
        secrets=(Secret("pip", env="MY_TOKEN"),),
        contexts=(("base", "docker-image://x@sha256:1"), ("more", "deps")),
        labels=(("team", "x"),),
        target="t",
        requirements="deps/a.txt",
        smoke=(RunCheck(("true",)),),
    )
    inputs = read_inputs(settings, root, Contexts(root, (), (), pytest.fail))
    assert None not in (inputs.dockerfile_digest, inputs.context_digest, inputs.requirements_digest, inputs.smoke_digest)
    assert inputs.args == {"A": "b"}
    assert inputs.options == {
        "context": ".",
        "target": "t",
        "contexts.more": "deps",
        "labels.team": "x",
        "secret_args": "TOKEN",
        "secrets": "pip",
    }
    assert "hush" not in repr(inputs)
