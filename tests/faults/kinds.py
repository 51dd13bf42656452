"""Every kind of file that others may have written: real ones to begin with, and what matrix does with each."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config.load import load_matrix
from orchestrator.config.structure import load_structure
from orchestrator.contexts import Apart, digest_context
from orchestrator.dockerfile import find_build_tools, find_images
from orchestrator.dockerignore import Ignore
from orchestrator.errors import MatrixError
from orchestrator.instructions import DockerfileError
from orchestrator.layers.archive import unpack
from orchestrator.layers.index import make_index
from orchestrator.layers.stack import stack_layers
from orchestrator.lock.compare import find_moves
from orchestrator.lock.text import parse_lock, render_lock
from orchestrator.locking import load_lock
from orchestrator.plan.render import FORMATS as PLANS
from orchestrator.plan.render import render_plan
from orchestrator.tracing.buildkit import NotSpansError
from tests.faults import kept, seeds, stored
from tests.faults.seeds import pick
from tests.unit.folders import CONTRACT_FILES, make_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ARGUMENTS = {"BASE_IMAGE": "python:3.13", "A": "$B", "B": "${A}"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: what it is called, real ones, words that mean something in it, and what matrix does with one.

    `take` gives a word on what became of the file. It may raise a MatrixError,
    which is a sentence for a person, or what its reader promises besides.
    """

    name: str
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    take: Callable[[bytes, Path], str]
    refusals: tuple[type[Exception], ...] = (MatrixError,)

    def try_one(self, data: bytes, folder: Path) -> str:
        """Say what became of a file: what was made of it, or that it was refused in words."""
        try:
            return self.take(data, folder)
        except self.refusals as error:
            if not str(error).strip():
                raise AssertionError("refused without a word") from error
            return "refused"


def _take_matrix(data: bytes, folder: Path) -> str:
    path = folder / "matrix.yaml"
    if not path.exists():
        make_files(folder, "Dockerfile", *CONTRACT_FILES)
    path.write_bytes(data)
    matrix = load_matrix(path)
    assert render_plan(matrix.plan, pick(data, PLANS), folder, 80) or not matrix.plan.cells
    return "planned"


def _take_lock(data: bytes, folder: Path) -> str:
    path = folder / "matrix.lock"
    path.write_bytes(data)
    lock, _ = load_lock(path)
    assert parse_lock(render_lock(lock), "again").name == lock.name
    find_moves(lock, lock)
    return "read"


def _take_structure(data: bytes, folder: Path) -> str:
    path = folder / pick(data, ("cst.yaml", "cst.json"))
    path.write_bytes(data)
    load_structure(path, path.name)
    return "read"


def _take_dockerfile(data: bytes, _folder: Path) -> str:
    text = data.decode("utf-8", "replace")
    find_build_tools(text)
    find_images(text, _ARGUMENTS, target=pick(data, (None, "build")), platform="linux/amd64", contexts=("base",))
    return "read"


def _take_dockerignore(data: bytes, folder: Path) -> str:
    root = folder / "context"
    if not root.exists():
        make_files(root, "a", "a.txt", "b/c/d.txt", ".git/config", "app/main.py", "n" * 100, "[x]")
    digest_context(root, Ignore(data.decode("utf-8", "surrogateescape")), Apart())
    return "obeyed"


def _take_layer(data: bytes, _folder: Path) -> str:
    index = make_index(unpack(io.BytesIO(data)))
    if index.problem is not None:
        return "refused"
    stack_layers([index, index])
    return "read"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("matrix.yaml", seeds.matrices(), seeds.YAML_WORDS, _take_matrix),
        Kind("matrix.lock", seeds.locks(), seeds.TOML_WORDS, _take_lock),
        Kind("run.json", seeds.runs(), seeds.JSON_WORDS, stored.take_run),
        Kind("events.jsonl", seeds.journals(), seeds.JSON_WORDS, stored.take_journal),
        Kind("progress.jsonl", seeds.progresses(), seeds.PROGRESS_WORDS, stored.take_progress),
        Kind("trace.json", seeds.traces(), seeds.TRACE_WORDS, stored.take_trace),
        Kind("BuildKit's trace", seeds.stubs(), seeds.TRACE_WORDS, stored.take_stubs, (NotSpansError,)),
        Kind("result.json", seeds.results(), seeds.JSON_WORDS, stored.take_result),
        Kind("figures.json", kept.figures(), seeds.JSON_WORDS, kept.take_figures),
        Kind("baselines.json", kept.baselines(), seeds.JSON_WORDS, kept.take_baselines),
        Kind("container-structure-test", seeds.structures(), seeds.YAML_WORDS, _take_structure),
        Kind("Dockerfile", seeds.dockerfiles(), seeds.DOCKER_WORDS, _take_dockerfile, (DockerfileError,)),
        Kind(".dockerignore", seeds.ignores(), seeds.IGNORE_WORDS, _take_dockerignore, (ValueError,)),
        Kind("layer", seeds.layers(), seeds.LAYER_WORDS, _take_layer),
        Kind("cache: layers", kept.indices(), seeds.JSON_WORDS, kept.take_index),
        Kind("cache: images", kept.images(), seeds.JSON_WORDS, kept.take_image),
        Kind("cache: forecasts", kept.forecasts(), seeds.JSON_WORDS, kept.take_forecast),
    )
}
NAMED = tuple(KINDS)[:7]  # those that the promise names; trace files come from us and from BuildKit
