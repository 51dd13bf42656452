"""A heredoc's step says all that it runs, where the build's provenance tells it."""

from __future__ import annotations

import time

import pytest

from orchestrator.docker.build import make_metadata
from orchestrator.measure.heredocs import is_cut, with_heredocs
from orchestrator.record import Build, Step
from tests.pace import slowness

WHOLE = "set -e\npip install  flask\n"


def step(name: str, digest: str | None = "sha256:a") -> Step:
    """Make a step as BuildKit's progress tells it."""
    return Step(f"[2/2] {name}", None, name, None, 1.0, "executed", digest=digest)


def told(argv: object) -> Build:
    """Give a build with one heredoc and what its provenance says of that."""
    definition = [{"id": "step0", "op": {"Op": {"exec": {"meta": {"args": argv}}}}}]
    described = {"buildConfig": {"digestMapping": {"sha256:a": "step0"}, "llbDefinition": definition}}
    build = Build("shared", 1, 1.0, steps=(step("RUN --mount=type=cache,target=/c <<EOT (set -e...)"),))
    return with_heredocs(build, make_metadata({"buildx.build.provenance": described}).commands)


def test_a_heredoc_is_told_with_all_its_lines() -> None:
    """Its name in the progress ends with the first of them."""
    (found,) = told(["/bin/sh", "-c", WHOLE]).steps
    assert found.instruction == "RUN --mount=type=cache,target=/c set -e pip install flask"
    assert found.name.endswith("<<EOT (set -e...)"), "the name is the builder's"
    assert not is_cut(found)


@pytest.mark.parametrize("argv", [["/bin/sh", "-c", "/dev/pipes/EOT"], ["make"], None, "sh -c x", ["/bin/sh", "-c", 7], []])
def test_one_that_the_provenance_does_not_tell_stays_cut(argv: object) -> None:
    """As with a `#!` line, by which the heredoc becomes a file of its own."""
    (found,) = told(argv).steps
    assert found.instruction == "RUN --mount=type=cache,target=/c <<EOT (set -e...)"
    assert is_cut(found)


@pytest.mark.parametrize("name", ["RUN echo $((1<<3))", "RUN cat <<< word", "COPY <<EOT /a", "RUN make"])
def test_what_is_no_heredoc_is_left_alone(name: str) -> None:
    """BuildKit's names of these are whole."""
    build = Build("shared", 1, 1.0, steps=(step(name),))
    assert with_heredocs(build, {"sha256:a": "something else"}) == build
    assert not is_cut(build.steps[0])


@pytest.mark.parametrize("words", ["--a ", "1", "1 ", "< "])
def test_a_hostile_instruction_takes_no_time(words: str) -> None:
    """A base may put off any that it likes."""
    began = time.process_time()
    assert not is_cut(step("RUN " + words * 100_000))
    assert time.process_time() - began < 1 * slowness()


@pytest.mark.parametrize("name", ["RUN python3 <<-'EOF'", "ONBUILD RUN <<EOT (a)", "RUN cat 3<<A <<B > x"])
def test_heredocs_of_all_forms_are_known(name: str) -> None:
    """Of one that something reads, BuildKit's name has no line at all."""
    assert is_cut(step(name))
