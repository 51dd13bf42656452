"""Bases read once for each platform, and never another than the one that was built on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from orchestrator.docker import build
from orchestrator.docker.bases import BaseReader
from orchestrator.docker.build import BuildMetadata, Source, make_metadata, sources_of
from orchestrator.docker.builder import Builder
from orchestrator.docker.process import Exit
from orchestrator.errors import EngineError
from orchestrator.model import Cell, Settings
from orchestrator.record import Base

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.images import ImageStore

BASE = Base("python:3.13", "sha256:ab")
BUILDERS = {driver: Builder("b", driver, None, exports_oci=True, did="") for driver in ("docker", "docker-container")}


class _Builds:
    """Stands for the builder: says which base it found, and has layers that are named after the platform."""

    def __init__(self, folder: Path, digest: str = "ab") -> None:
        self.folder, self._digest = folder, digest
        self.asked: list[tuple[str, str]] = []
        self.refusal: list[bytes] | None = None
        self.steps: tuple[str, ...] = ()
        self.layers: tuple[str, ...] | None = None

    def run(self, argv: list[str], *, on_progress: Callable[[bytes], None], **_: object) -> Exit:
        for number, name in enumerate(self.steps):
            vertex = {
                "digest": f"sha256:{number}",
                "name": name,
                "started": "2026-01-01T00:00:00Z",
                "completed": "2026-01-01T00:00:01Z",
            }
            on_progress(json.dumps({"vertexes": [vertex]}).encode())
        if self.refusal is not None:
            for line in self.refusal:
                on_progress(line)
            return Exit(1)
        platform = argv[argv.index("--platform") + 1] if "--platform" in argv else ""
        self.asked.append((Path(argv[-1], "Dockerfile").read_text(), platform))
        materials = [{"uri": "pkg:docker/python@3.13", "digest": {"sha256": self._digest}}]
        told = {"buildx.build.provenance": {"materials": materials}}
        Path(argv[argv.index("--metadata-file") + 1]).write_text(json.dumps(told))
        return Exit(0)

    def prepare(self, name: str) -> Path:
        return self.folder / name

    def read(self, _: Path) -> SimpleNamespace:
        return SimpleNamespace(diff_ids=self.layers or (f"layer of {self.asked[-1][1]}",))


def reader(builds: _Builds, driver: str, monkeypatch: pytest.MonkeyPatch) -> BaseReader:
    """Make a reader whose builder is a stand-in."""
    monkeypatch.setattr(build, "run_build", builds.run)
    engine = cast("Engine", SimpleNamespace(buildx_argv=["buildx"]))
    return BaseReader(engine, BUILDERS[driver], cast("ImageStore", builds), Event())


def test_each_platform_has_a_base_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index has one digest for all: read for one platform only, every other cell would be its base's from the first byte."""
    builds = _Builds(tmp_path)
    read = reader(builds, "docker-container", monkeypatch)
    for platform in ("linux/amd64", "linux/arm64", "linux/amd64"):
        assert read.count_layers((f"layer of {platform}", "own"), (Source(BASE, platform),)) == 1
    assert [platform for _, platform in builds.asked] == ["linux/amd64", "linux/arm64"]
    later = reader(builds, "docker-container", monkeypatch)
    assert later.count_layers(("layer of linux/arm64",), (Source(BASE, "linux/arm64"),)) == 1
    assert len(builds.asked) == 2, "what was read is remembered for each"


@pytest.mark.parametrize(
    ("driver", "is_pinned", "line"),
    [
        ("docker", False, "FROM python:3.13\n"),
        ("docker", True, "FROM python:3.13@sha256:ab\n"),
        ("docker-container", False, "FROM python:3.13@sha256:ab\n"),
    ],
)
def test_a_base_that_is_pinned_is_asked_for_by_its_digest(
    driver: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_pinned: bool
) -> None:
    """Its tag may stand for another image by now, also in the engine."""
    builds = _Builds(tmp_path)
    reader(builds, driver, monkeypatch).count_layers((), (Source(BASE, None, is_pinned),))
    assert builds.asked == [(line, "")]


def test_a_base_that_has_moved_is_unknown_and_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has now says nothing of a cell that was built on what it was."""
    moved = reader(_Builds(tmp_path, "cd"), "docker", monkeypatch)
    with pytest.raises(EngineError, match=r"the base python:3\.13 is now sha256:cd, and no longer the sha256:ab that was built on"):
        moved.count_layers((), (Source(BASE),))
    builds = _Builds(tmp_path)
    assert reader(builds, "docker", monkeypatch).count_layers(("layer of ",), (Source(BASE),)) == 1


def test_a_base_that_cannot_be_read_is_unknown_in_the_builders_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of them as a line holds; one that says nothing gave no reason."""
    builds = _Builds(tmp_path)
    read = reader(builds, "docker", monkeypatch)
    for said, words in (([b"#1 resolving", b"ERROR: " + b"x" * 400], f"ERROR: {'x' * 292}…"), ([], "no reason given")):
        builds.refusal = said
        with pytest.raises(EngineError, match=rf"^the base python:3\.13 cannot be read: {words}$"):
            read.count_layers((), (Source(BASE),))


def test_what_a_base_has_put_off_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of the base alone does its ONBUILD steps as well; of a --link the second half makes no layer."""
    builds = _Builds(tmp_path)
    builds.layers = ("base", "triggered", "linked")
    builds.steps = (
        "[1/3] FROM python",
        "[2/3] ONBUILD RUN make",
        "[3/3] ONBUILD COPY --link a /",
        "[3/3] LINK ONBUILD COPY --link a /",
    )
    read = reader(builds, "docker", monkeypatch)
    assert read.count_layers(("base", "triggered", "linked", "own"), (Source(BASE),)) == 1


def test_of_a_base_whose_put_off_steps_need_more_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a file of the context, which a build of the base alone does not have."""
    builds = _Builds(tmp_path)
    builds.steps = ("[1/2] FROM python", "[2/2] ONBUILD COPY a /")
    builds.refusal = [b'ERROR: "/a": not found']
    words = (
        'the base python:3.13 cannot be read, since its ONBUILD steps fail where they have nothing but the base: ERROR: "/a": not'
    )
    with pytest.raises(EngineError, match=re.escape(words)):
        reader(builds, "docker", monkeypatch).count_layers((), (Source(BASE),))


def test_a_build_says_how_it_asked_for_its_bases() -> None:
    """For which platform each is, and whether by its digest; a build of several platforms has a base several times."""
    uris = (
        "python@3.13?platform=linux%2Famd64",
        "python@3.13?platform=linux%2Farm64%2Fv8",
        "app@1?digest=sha256:ab&platform=linux%2Famd64",
    )
    materials = [{"uri": f"pkg:docker/{uri}", "digest": {"sha256": "ab"}} for uri in uris]
    found = make_metadata({"buildx.build.provenance": {"materials": materials}})
    assert found.bases == (BASE, Base("app:1", "sha256:ab"))
    cell = Cell("a", (), Settings(platform="linux/riscv64"))
    assert sources_of(found, cell) == (
        Source(BASE, "linux/amd64"),
        Source(BASE, "linux/arm64/v8"),
        Source(Base("app:1", "sha256:ab"), "linux/amd64", is_pinned=True),
    )


@pytest.mark.parametrize("platform", ["linux/riscv64", None])
def test_where_only_the_progress_tells_of_bases_the_cells_platform_counts(platform: str | None) -> None:
    """As with buildx 0.13, which has no provenance."""
    cell = Cell("a", (), Settings(platform=platform))
    assert sources_of(BuildMetadata(bases=(BASE,)), cell) == (Source(BASE, platform),)
    assert sources_of(BuildMetadata(), cell) is None
