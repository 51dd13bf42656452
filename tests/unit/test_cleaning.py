"""`matrix clean`: what is removed, what is left alone, and that what cannot be removed stops nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cleaning import Asked, clean_up
from orchestrator.docker import process
from orchestrator.docker.api import RefusedError
from orchestrator.errors import EngineError
from orchestrator.model import LABEL
from orchestrator.names import make_run_id
from orchestrator.ours import remember_run
from orchestrator.paths import cache_folder, living, run_lock
from tests.unit.docker_fake import FakeDocker, make_engine
from tests.unit.folders import make_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.docker.engine import Engine

RUN = "20260101T000000Z-abcdef"
OVER = "20260101T000000Z-aaaaaa"
THEIRS = make_run_id(datetime.now(UTC))
MARKED = 'Driver: docker-container\nEndpoint: x\nDriver Options: env.MATRIX_BUILDER="0"\n'
MATRIX = "version: 1\nname: mine\naxes: {python: ['3.12']}\n"
NO_FILE = Path("there-is-none.yaml")


class FakeEngine:
    """Stands in the place of orchestrator.docker.api.ask, with things that may refuse to go."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.things: dict[str, list[dict[str, Any]]] = {"containers": [], "networks": [], "images": []}
        self.refusals: dict[str, RefusedError] = {}

    def add(self, run: str) -> None:
        """Hold a container and a network of a run."""
        self.things["containers"].append({"Names": [f"/box-{run}"], "Labels": {f"{LABEL}.run": run}})
        self.things["networks"].append({"Name": f"net-{run}", "Labels": {f"{LABEL}.run": run}})

    def add_image(self, run: str, matrix: str) -> str:
        """Hold an image that a run has made of a matrix."""
        name = f"matrix.local/{matrix}:{run.lower()}-1"
        self.things["images"].append({"RepoTags": [name], "Labels": {f"{LABEL}.cell": "1", f"{LABEL}.matrix": matrix}})
        return name

    def __call__(self, _engine: Engine, method: str, path: str, body: object = None, query: dict[str, Any] | None = None) -> object:
        """List things by their labels, or remove one by its name."""
        kind, _, name = path.removeprefix("/").partition("/")
        if method == "GET":
            wanted = [tuple(one.split("=")) for one in json.loads((query or {})["filters"])["label"]]
            return [
                thing
                for thing in self.things[kind]
                if all(
                    key in thing["Labels"] and thing["Labels"][key] in (value or [thing["Labels"][key]]) for key, *value in wanted
                )
            ]
        if name in self.refusals:
            raise self.refusals[name]
        assert method == "DELETE"
        assert body is None
        self.things[kind] = [thing for thing in self.things[kind] if name not in (thing.get("Name"), *self._names(thing))]
        return None

    def _names(self, thing: dict[str, Any]) -> list[str]:
        return [*thing.get("RepoTags", ()), *(name.removeprefix("/") for name in thing.get("Names", ()))]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Give an engine that holds nothing, and no builder."""
    fake = FakeEngine()
    monkeypatch.setattr("orchestrator.docker.api.ask", fake)
    monkeypatch.setattr("orchestrator.docker.containers.ask", fake)
    monkeypatch.setattr("orchestrator.docker.networks.ask", fake)
    monkeypatch.setattr("orchestrator.docker.images.ask", fake)
    monkeypatch.setattr("orchestrator.cleaning.connect", lambda **_: make_engine(storage="overlay2", containerd_store=False))
    use_builder(monkeypatch, None)
    remember_run(RUN)
    remember_run(OVER)
    return fake


def use_builder(monkeypatch: pytest.MonkeyPatch, inspected: str | None, refusal: str = "") -> FakeDocker:
    """Have a builder, or none; one that refuses to go says why."""
    removal = (1, refusal) if refusal else ""
    docker = FakeDocker(buildx_inspect=inspected or (1, "no builder"), buildx_rm=removal)
    monkeypatch.setattr(process, "run", docker)
    return docker


def clean(file: Path = NO_FILE, asked: Asked = Asked()) -> list[str]:  # noqa: B008  # it cannot change
    """Clean up without a failure, and give what is said."""
    return list(clean_up(file, None, asked))


def clean_in_part(reports: Path | None = None) -> list[str]:
    """Clean up where something cannot be removed; give what is said, the error last."""
    said: Iterator[str] = clean_up(NO_FILE, reports, Asked())
    lines: list[str] = []
    with pytest.raises(EngineError) as caught:
        lines.extend(said)
    return [*lines, str(caught.value)]


def test_a_run_that_has_nothing_yet_keeps_its_builder(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins with the builder, and long before there is an image or a container."""
    docker = use_builder(monkeypatch, MARKED)
    with living(RUN):
        assert clean() == [f"left alone: run {RUN}, which is under way, and the builder"]
        engine.add(RUN)
        engine.add_image(RUN, "mine")
        assert clean() == [f"left alone: run {RUN}, which is under way, and the builder"]
    assert docker.did("buildx", "rm") == []
    assert clean()[-1] == "removed builder matrix"


@pytest.mark.usefixtures("engine")
def test_the_lock_and_the_cache_mounts_of_a_killed_run_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds the one and nobody knows of the others; they are in matrix's own builder, or in the engine's."""
    docker = use_builder(monkeypatch, None)
    for name in (run_lock(OVER), "builder-matrix"):
        (cache_folder("locks") / name).touch()
    with living(RUN):
        clean()
        assert {path.name for path in cache_folder("locks").iterdir()} == {run_lock(RUN), "builder-matrix"}
    wanted = ["--force", "--filter", f"description~=matrix-sample-{OVER.lower()}"]
    assert docker.did("buildx", "prune") == [["buildx", "prune", "--builder", name, *wanted] for name in ("matrix", "default")]


def test_what_cannot_be_removed_stops_nothing(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said with its reason, and never that it was removed; the end is an error."""
    engine.add(OVER)
    first, second = engine.add_image(OVER, "a"), engine.add_image(OVER, "b")
    engine.refusals = {f"net-{OVER}": RefusedError(403, "it has active endpoints"), first: RefusedError(409, "it is in use")}
    (cache_folder("images") / OVER).touch()
    use_builder(monkeypatch, MARKED, refusal="failed to remove matrix: no access\n")
    assert clean_in_part() == [
        f"removed container box-{OVER}",
        f"the network net-{OVER} could not be removed: it has active endpoints",
        f"the image {first} could not be removed: it is in use",
        f"removed image {second}",
        f"the image folder {OVER} could not be removed: Not a directory",
        "the builder matrix could not be removed: no access",
        "4 of the things to remove could not be removed",
    ]


def test_what_is_gone_is_fine(engine: FakeEngine) -> None:
    """Another may clean up at the same time."""
    engine.add(OVER)
    engine.refusals = {f"net-{OVER}": RefusedError(404, "not found"), f"box-{OVER}": RefusedError(404, "not found")}
    assert clean() == [f"removed container box-{OVER}", f"removed network net-{OVER}"]


@pytest.mark.usefixtures("engine")
def test_pointers_to_runs_that_may_not_be_removed_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs belong to one user, the folder around them to another; what is under way is said all the same."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "latest").symlink_to(f"runs/{RUN}")
    (tmp_path / "baselines.json").touch()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert clean_in_part(tmp_path) == [
        "removed 0 stored runs",
        f"{tmp_path}/baselines.json could not be removed: Permission denied",
        f"{tmp_path}/latest could not be removed: Permission denied",
        "2 of the things to remove could not be removed",
    ]


@pytest.mark.usefixtures("engine")
def test_a_stored_run_that_may_not_be_removed_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go, and the sentence names it."""
    for run in (RUN, OVER):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "run.json").touch()

    def refuse(folder: Path) -> None:
        if folder.name == OVER:
            raise PermissionError(13, "Permission denied")
        folder.joinpath("run.json").unlink()
        folder.rmdir()

    monkeypatch.setattr("orchestrator.store.remove_folder", refuse)
    assert clean_in_part(tmp_path) == [
        "removed 1 stored run",
        f"the stored run {tmp_path}/runs/{OVER} could not be removed: Permission denied",
        "1 of the things to remove could not be removed",
    ]


@pytest.mark.usefixtures("engine")
def test_files_of_a_killed_locked_run_go(tmp_path: Path) -> None:
    """They lie in the user's own folder, beside the requirements."""
    file = make_files(tmp_path, "Dockerfile", "deps/requirements.txt") / "matrix.yaml"
    file.write_text(f"{MATRIX}defaults: {{requirements: deps/requirements.txt}}\n")
    left = tmp_path / "deps" / ".requirements.0123456789ab.locked.txt"
    left.touch()
    assert clean(file) == [f"removed file {left}"]


def test_images_of_other_matrices_are_left_alone_unless_all_are_to_go(engine: FakeEngine, tmp_path: Path) -> None:
    """Somebody has kept them; where there is no matrix.yaml, nothing says whose are meant."""
    file = make_files(tmp_path, "Dockerfile") / "matrix.yaml"
    file.write_text(MATRIX)
    mine, other = engine.add_image(OVER, "mine"), engine.add_image(RUN, "other")
    left = "left alone: 1 image of other matrices than mine; `matrix clean --all` removes them"
    assert clean(file) == [f"removed image {mine}", left]
    assert clean(file, Asked(everything=True)) == [f"removed image {other}"]
    other = engine.add_image(RUN, "other")
    assert clean() == [f"removed image {other}"]


def test_what_others_runs_made_is_left_alone_unless_everybodys_is_to_go(engine: FakeEngine, tmp_path: Path) -> None:
    """Their locks are in another cache folder, so nobody here knows whether they live; a name that no run has is nobody's."""
    file = make_files(tmp_path, "Dockerfile") / "matrix.yaml"
    file.write_text(MATRIX)
    for run in (THEIRS, "../../etc/passwd"):
        engine.add(run)
    images = [engine.add_image(THEIRS, name) for name in ("mine", "other")]
    left = "left alone: 6 things of runs of other users, machines or cache folders, which may be under way; "
    assert clean(file) == [f"{left}`matrix clean --everybody` removes them"]
    assert [line for line in clean(asked=Asked(everybody=True)) if "image" in line] == [
        f"removed image {image}" for image in images
    ]
    assert clean() == []


def test_what_a_run_of_another_day_has_left_goes_whosever_it_was(engine: FakeEngine) -> None:
    """No run takes so long; CI begins each job with an empty cache folder."""
    image = engine.add_image(make_run_id(datetime.now(UTC) - timedelta(days=2)), "mine")
    assert clean() == [f"removed image {image}"]
