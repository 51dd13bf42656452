"""matrix.lock: the same text for the same lock, what has moved, what a cell becomes, and nothing that gets out of it."""

from __future__ import annotations

import json
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.config.load import load_matrix
from orchestrator.docker import process
from orchestrator.docker.process import Exit
from orchestrator.docker.references import Resolved, explain_refusal, registry_of, resolve_reference
from orchestrator.errors import ConfigError, EngineError, UsageError
from orchestrator.lock.compare import find_moves
from orchestrator.lock.fit import CellFacts, fit_cell
from orchestrator.lock.nouns import SCHEMA, Lock, LockedBase, LockedRequirements
from orchestrator.lock.text import parse_lock, render_lock
from orchestrator.locking import Making, make_lock, read_facts
from orchestrator.model import Cell, Settings
from orchestrator.preflighting import platform_here
from tests.unit.docker_fake import Answer, FakeDocker

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = (f"sha256:{mark * 64}" for mark in "abc")
SLIM = LockedBase("python:3.13-slim", "linux/amd64", A, B)
REQUIREMENTS = LockedRequirements("deps/x.txt", C, "3.12", ("a==1", "b==2 ; sys_platform == 'linux'"))
LOCK = Lock(SCHEMA, "m", (SLIM,), (REQUIREMENTS,), {"a==1": (A, B), "b==2": (C,)})
FACTS = CellFacts(
    (("python:3.13-slim", "linux/amd64"),), C, ("--index-url https://i/simple\na\n",), "3.13", "glibc 3.13 linux/amd64"
)
CELL = Cell("c", (), Settings(requirements="deps/x.txt"))


def test_a_lock_is_read_as_it_was_written() -> None:
    """And written as it was read; its order does not depend on the order in which answers came."""
    assert parse_lock(render_lock(LOCK), "matrix.lock") == LOCK
    more = replace(LOCK, base=(replace(SLIM, ref="z"), SLIM), hashes={"b==2": (C,), "a==1": (A, B)})
    assert render_lock(more) == render_lock(parse_lock(render_lock(more), "matrix.lock"))
    assert render_lock(replace(more, base=more.base[::-1])) == render_lock(more)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_name_can_be_locked(name: str) -> None:
    """Marks that TOML keeps for itself, and others that nobody sees."""
    assert parse_lock(render_lock(replace(LOCK, name=name)), "matrix.lock").name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema = [", "matrix.lock: this is no TOML: "),
        ("schema = 2", "matrix.lock: written by a newer matrix (schema 2, this one knows 1)"),
        ("", "matrix.lock: the file: Object missing required field `schema`; `matrix lock` writes it anew"),
        (render_lock(LOCK).replace("python:3.13-slim", "--evil=x"), "base '--evil=x' is no reference to an image"),
        (render_lock(LOCK).replace(A, "latest", 1), "base python:3.13-slim: 'latest' is no digest"),
        (render_lock(LOCK).replace('"registry"', '"elsewhere"'), "base python:3.13-slim: 'elsewhere' is not registry or engine"),
        (
            render_lock(LOCK).replace('"a==1",', '"a==1\\n--index-url=x",'),
            "'a==1\\n--index-url=x' is no version of a package",
        ),
        (render_lock(LOCK).replace('"a==1",', '"a @ file:///x",'), "deps/x.txt: 'a @ file:///x' is no version of a package"),
        (
            render_lock(LOCK).replace('"a==1",', '"a==1 ; x --config-settings=y",'),
            "'a==1 ; x --config-settings=y' is no version of a pa",
        ),
        ("\n" + "a." * 21 + "b = 1", "matrix.lock:2: a key of more than 20 parts; `matrix lock` writes it anew"),
        ('"\\"".' + "'b'." * 21 + "b = 1", "matrix.lock:1: a key of more than 20 parts"),
        ("[" + "a." * 21 + "b]", "matrix.lock:1: a key of more than 20 parts"),
        ('x = {"' + "a." * 21 + '" = 1, ' + "a." * 21 + "b = 1}", "matrix.lock:1: a key of more than 20 parts"),
        (render_lock(LOCK).replace('"a==1",', '"c==3",'), "deps/x.txt: c==3 has no hash"),
        (render_lock(LOCK).replace(f'  "{C}",\n]', '  "sha256:x --evil",\n]'), "b==2: 'sha256:x --evil' is no hash"),
    ],
)
def test_what_is_no_lock_is_refused(text: str, words: str) -> None:
    """In words, and before any of it gets into a command or a file."""
    with pytest.raises(ConfigError) as caught:
        parse_lock(text, "matrix.lock")
    assert words in str(caught.value)


def test_any_number_of_dots_may_stand_in_a_text() -> None:
    """Only keys of many parts take long to read."""
    dotted = replace(LOCK, name=".".join("abcdefghijklmnopqrstuvwxyz") + '"')
    assert parse_lock(render_lock(dotted), "matrix.lock") == dotted


@given(st.text(max_size=100), st.integers(0, 900), st.integers(0, 50))
def test_a_damaged_lock_is_read_or_refused(text: str, at: int, length: int) -> None:
    """Whatever happened to it."""
    whole = render_lock(LOCK)
    for damaged in (text, whole[:at] + text + whole[at + length :]):
        with suppress(ConfigError):
            parse_lock(damaged, "matrix.lock")


def test_what_moved_is_named_and_nothing_else() -> None:
    """An index that moved for another platform, and files that are offered besides, change nothing."""
    assert find_moves(LOCK, LOCK) == ()
    assert find_moves(LOCK, replace(LOCK, base=(replace(SLIM, digest=C),), hashes={"a==1": (A, B, C), "b==2": (C,)})) == ()
    now = Lock(
        SCHEMA,
        "m",
        (replace(SLIM, image=A), replace(SLIM, ref="x")),
        (
            replace(REQUIREMENTS, digest=A, python="3.11", packages=("b==3", "c==1")),
            replace(REQUIREMENTS, path="y.txt", target="t"),
        ),
        {"a==1": (A,)},
    )
    assert find_moves(LOCK, now) == (
        "base python:3.13-slim (linux/amd64): sha256:bbbbbbbbbbbb -> sha256:aaaaaaaaaaaa",
        "base x (linux/amd64) is not locked",
        "deps/x.txt: the file has changed",
        "deps/x.txt: locked for Python 3.12 and newer, now 3.11 and newer",
        "deps/x.txt: a 1 -> not there",
        "deps/x.txt: b 2 ; sys_platform == 'linux' -> 3",
        "deps/x.txt: c not there -> 1",
        "y.txt (t) is not locked",
        "a==1: 1 of its 2 files are gone from the index",
    )
    assert find_moves(now, replace(now, base=(), requirements=())) == (
        "base python:3.13-slim (linux/amd64) is locked, and no cell is built on it",
        "base x (linux/amd64) is locked, and no cell is built on it",
        "deps/x.txt is locked, and no cell requires it",
        "y.txt is locked, and no cell requires it",
    )


def test_a_cell_is_pinned_without_a_change_to_its_dockerfile() -> None:
    """Its base by a named context, its requirements by a file beside the original that keeps the original's index."""
    fitted = fit_cell(CELL, LOCK, FACTS)
    assert fitted.problems == ()
    assert fitted.cell.settings.contexts == (("python:3.13-slim", f"docker-image://python:3.13-slim@{A}"),)
    assert fitted.file is not None
    assert fitted.cell.settings.requirements == fitted.file[0]
    assert fitted.file[0].startswith("deps/.x.")
    assert fitted.file[1].splitlines()[1:] == [
        "--index-url https://i/simple",
        "a==1 \\",
        f"    --hash={A} \\",
        f"    --hash={B}",
        "b==2 ; sys_platform == 'linux' \\",
        f"    --hash={C}",
    ]
    assert fit_cell(CELL, LOCK, FACTS) == fitted


def test_what_the_installer_may_take_stays_as_it_is() -> None:
    """Sources that the original rules out are not built from a lock either; a line may go on below."""
    text = "--only-binary :all:\n--no-binary=a,b\n--prefer-binary\n--extra-index-url \\\n  https://i/simple\n--pre\n# --pre \\\na\n"
    fitted = fit_cell(CELL, LOCK, replace(FACTS, requirements_texts=(text,)))
    assert fitted.file is not None
    assert [line for line in fitted.file[1].splitlines() if line.startswith("--")] == [
        "--only-binary :all:",
        "--no-binary=a,b",
        "--prefer-binary",
        "--extra-index-url   https://i/simple",
        "--pre",
    ]


def test_a_context_that_names_an_image_is_pinned_in_its_place() -> None:
    """And one that the engine alone has is left to the engine."""
    cell = Cell("c", (), Settings(contexts=(("base", "docker-image://docker.io/library/python:3.13-slim"), ("src", "./src"))))
    pinned = (("base", f"docker-image://python:3.13-slim@{A}"), ("src", "./src"))
    assert fit_cell(cell, LOCK, FACTS).cell.settings.contexts == pinned
    local = replace(LOCK, base=(replace(SLIM, source="engine"),))
    assert fit_cell(cell, local, FACTS).cell == cell


@pytest.mark.parametrize(
    ("lock", "facts", "words"),
    [
        (replace(LOCK, base=()), FACTS, "base python:3.13-slim (linux/amd64) is not in it"),
        (replace(LOCK, requirements=()), FACTS, "deps/x.txt is not in it"),
        (LOCK, replace(FACTS, requirements_digest=A), "deps/x.txt has changed since it was written"),
        (LOCK, replace(FACTS, python="3.9"), "deps/x.txt is locked for Python 3.12 and newer, not for 3.9"),
        (
            replace(LOCK, requirements=(replace(REQUIREMENTS, target="musl 3.13 linux/amd64"),)),
            FACTS,
            "deps/x.txt is not locked for glibc 3.13 linux/amd64",
        ),
        (LOCK, replace(FACTS, refs=None), "c: its Dockerfile is fetched by the builder, so its bases cannot be pinned"),
    ],
)
def test_a_lock_that_does_not_fit_says_why(lock: Lock, facts: CellFacts, words: str) -> None:
    """Rather than building something else."""
    (problem,) = fit_cell(CELL, lock, facts).problems
    assert problem.startswith(words)


def test_what_another_installer_reads_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bases are locked of a project in any language, and a locked run takes its own lock file as it is."""
    (tmp_path / "Dockerfile").write_text("FROM golang:1.22\n")
    (tmp_path / "go.mod").write_text("module example.com/m\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/text v0.3.0\n)\n")
    (tmp_path / "matrix.yaml").write_text(
        "version: 1\nname: m\naxes: {base: [a]}\ndefaults: {requirements: go.mod, platform: linux/amd64}\n"
    )
    monkeypatch.setattr("orchestrator.locking.find_client", lambda: "docker")
    monkeypatch.setattr("orchestrator.locking.has_builder", lambda *_: False)
    monkeypatch.setattr("orchestrator.locking.resolve_reference", lambda *_, **__: Resolved(A, {}, "registry"))
    said: list[str] = []
    matrix = load_matrix(tmp_path / "matrix.yaml")
    lock = make_lock(matrix, Making(may_build=False, say=said.append, cancel=Event()))
    assert [base.ref for base in lock.base] == ["golang:1.22"]
    assert lock.requirements == ()
    assert said == ["go.mod is not in pip's format, and is not locked: a run with --locked takes it as it is"]
    (cell,) = matrix.plan.cells
    fitted = fit_cell(cell, lock, read_facts([cell], tmp_path)[cell.id])
    assert fitted.problems == ()
    assert fitted.cell.settings.requirements == "go.mod"
    assert fitted.cell.settings.contexts == (("golang:1.22", f"docker-image://golang:1.22@{A}"),)
    once = replace(lock, requirements=(replace(REQUIREMENTS, path="go.mod"),))
    assert fit_cell(cell, once, read_facts([cell], tmp_path)[cell.id]).problems == ("go.mod has changed since it was written",)


def test_a_digest_is_asked_of_the_registry_then_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the builder's mirrors; an index has a manifest for each platform, an image alone is for any."""
    index = {"digest": A, "manifests": [{"digest": B, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]}
    answers: list[Answer] = [json.dumps(index), json.dumps({"digest": C}), (1, "ERROR: x: not found"), "{"]
    docker = FakeDocker(buildx_imagetools=answers, image_inspect=f"{B}\n")
    monkeypatch.setattr(process, "run", docker)
    found = resolve_reference("docker", "x", "matrix")
    assert found == Resolved(A, {"linux/arm64": B}, "registry")
    assert docker.asked == [["buildx", "imagetools", "inspect", "--builder", "matrix", "x", "--format", "{{json .Manifest}}"]]
    assert found.image_on("x", "linux/arm64") == B
    with pytest.raises(UsageError, match="x has no image for linux/amd64; it has linux/arm64"):
        found.image_on("x", "linux/amd64")
    alone = resolve_reference("docker", "x", None)
    assert (alone.digest, alone.image_on("x", "linux/s390x")) == (C, C)
    local = resolve_reference("docker", "x", None)
    assert (local.digest, local.source) == (B, "engine")
    with pytest.raises(EngineError, match="cannot be reached for x"):
        resolve_reference("docker", "x", None)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: failed to do request: Head: dial tcp 1.2.3.4:443: i/o timeout", "r.io cannot be reached for r.io/x"),
        ("ERROR: toomanyrequests: not found in your plan", "r.io takes no more requests from here for now; try again later, or"),
        ("ERROR: unexpected status: 503 Service Unavailable", "r.io cannot be reached for r.io/x"),
    ],
)
def test_an_outage_does_not_turn_a_base_into_one_of_the_engine(monkeypatch: pytest.MonkeyPatch, said: str, words: str) -> None:
    """Or the lock of everybody would name an id that only this machine knows, because a registry was down for a minute."""
    monkeypatch.setattr(process, "run", FakeDocker(buildx_imagetools=(1, said), image_inspect=f"{B}\n"))
    with pytest.raises(EngineError, match=f"the registry {words}"):
        resolve_reference("docker", "r.io/x", None)


def test_a_platform_has_the_image_that_docker_takes_for_it() -> None:
    """However it is written, and where there is none of its own variant, that of a lesser one."""
    found = Resolved(A, {"linux/amd64": "1", "linux/arm64": "2", "linux/arm/v5": "3", "linux/arm/v7": "4"}, "registry")
    wanted = {"linux/arm64/v8": "2", "aarch64": "2", "linux/arm": "4", "linux/arm/v6": "3", "linux/amd64/v2": "1", "x86_64": "1"}
    assert {platform: found.image_on("x", platform) for platform in wanted} == wanted
    with pytest.raises(UsageError, match="x has no image for linux/s390x"):
        found.image_on("x", "linux/s390x")


def test_each_platform_of_a_cell_has_its_own_bases(tmp_path: Path) -> None:
    """An image that only builds is needed on the builder's platform."""
    (tmp_path / "Dockerfile").write_text("FROM --platform=$BUILDPLATFORM go AS b\nFROM base-${TARGETARCH}\nCOPY --from=b / /\n")
    cells = [Cell(name, (), Settings(platform=platform)) for name, platform in (("a", "linux/amd64"), ("b", "linux/arm64/v8"))]
    facts = read_facts(cells, tmp_path)
    assert facts["a"].refs == (("go", platform_here()), ("base-amd64", "linux/amd64"))
    assert facts["b"].refs == (("go", platform_here()), ("base-arm64", "linux/arm64"))


def test_a_registry_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the reference names, or Docker Hub."""
    assert [registry_of(ref) for ref in ("python", "team/app", "r.io/x", "localhost/x", "127.0.0.1:5000/x")] == [
        "docker.io",
        "docker.io",
        "r.io",
        "localhost",
        "127.0.0.1:5000",
    ]
    monkeypatch.setattr(process, "run", FakeDocker(buildx_imagetools=Exit(None, timed_out=True)))
    with pytest.raises(EngineError, match=r"the registry r\.io did not answer within 90 s when asked for r\.io/x; try again"):
        resolve_reference("docker", "r.io/x", None)
    assert "`docker login r.io`" in explain_refusal("r.io/x", "403 Forbidden", timed_out=False)
