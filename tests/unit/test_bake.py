"""Several cells in one buildx: what bake is given, and whose its lines are."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.baking import make_target
from orchestrator.docker import process
from orchestrator.docker.bake import (
    Sorter,
    find_ways_on,
    load_all_metadata,
    make_untraced_parent,
    render_bake_argv,
    render_bake_file,
)
from orchestrator.docker.build import Target
from orchestrator.docker.builder import Builder
from orchestrator.measure.progress import Progress, make_steps
from orchestrator.tracing.trace import read_traceparent
from tests.unit.docker_fake import Answer, FakeDocker, make_engine
from tests.unit.folders import make_files, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable


BUILDER = Builder("default", "docker", None, exports_oci=True, did="")
SHARED, OWN = "sha256:1", "sha256:2"


def vertex(name: str, digest: str = SHARED, **more: Any) -> dict[str, Any]:
    """Give what progress says of a step."""
    return {"digest": digest, "name": name, **more}


def sort(sorter: Sorter, *lines: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Sort lines; give each build's."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        for owner, part in sorter.sort(json.dumps(line).encode()):
            found.setdefault(owner, []).append(json.loads(part))
    return found


def names_of(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Give the names of the steps in some lines."""
    return [one["name"] for line in lines for one in line.get("vertexes", [])]


def test_a_target_is_the_build_of_its_cell(tmp_path: Path) -> None:
    """With its labels, its secrets, and the way out that its image has."""
    make_files(tmp_path, "Dockerfile", "token")
    secrets = "{t: {file: token}, u: {file: no, optional: true}}"
    text = f"axes: {{base: [a]}}\ndefaults: {{args: {{A: 1}}, labels: {{l: x}}, platform: linux/amd64, secrets: {secrets}}}\n"
    (cell,) = plan_of(text, tmp_path).cells
    file = render_bake_file({"cell0": (cell, Target(None, "i:1"))}, BUILDER, "m", tmp_path)
    assert json.loads(file) == {
        "target": {
            "cell0": {
                "context": str(tmp_path),
                "dockerfile": str(tmp_path / "Dockerfile"),
                "args": {"A": "1"},
                "labels": {"l": "x", "io.matrix.matrix": "m", "io.matrix.cell": "a"},
                "platforms": ["linux/amd64"],
                "secret": [f"id=t,src={tmp_path / 'token'}"],
                "output": ["type=image,name=i:1,oci-mediatypes=true"],
            }
        }
    }
    argv = render_bake_argv(["buildx"], BUILDER, Path("b.json"), Path("m.json"), ["cell0", "cell1"])
    assert argv[:4] == ["buildx", "bake", "--builder", "default"]
    assert argv[-4:] == ["--allow=fs.read=*", "--allow=network.host", "cell0", "cell1"]


@pytest.mark.parametrize(
    ("said", "ways_on"),
    [
        (
            '      --execution string   Set execution mode ("fail-fast", "defer-output", "defer-error")\n',
            ("--execution=defer-error",),
        ),
        ('      --execution string   Set execution mode ("one", "another")\n', ()),
        ("      --no-cache   Do not use cache when building the image\n", ()),
        ((1, "unknown command"), ()),
    ],
)
def test_bake_is_asked_whether_it_can_go_on(monkeypatch: pytest.MonkeyPatch, said: Answer, ways_on: tuple[str, ...]) -> None:
    """Once for each buildx that is installed; of one that does not say it, nothing is expected."""
    fake = FakeDocker(buildx_bake_help=said)
    monkeypatch.setattr(process, "run", fake)
    engine = make_engine(storage="overlay2", containerd_store=False)
    assert find_ways_on(engine) == find_ways_on(engine) == ways_on
    assert len(fake.asked) == (1 if isinstance(said, str) else 2)
    argv = render_bake_argv(["buildx"], BUILDER, Path("b.json"), Path("m.json"), ["cell0", "cell1"], ways_on)
    assert [word for word in argv if word.startswith("--execution")] == list(ways_on)


def test_what_bake_would_take_for_a_variable_is_spelt_as_text(tmp_path: Path) -> None:
    """In every value, however deep, and in every name of a label."""
    (cell,) = plan_of(
        "axes: {base: [a]}\ndefaults: {args: {A: '${ %{ $C', D: '{base}'}, labels: {'who ${x}': y}}\n",
        make_files(tmp_path, "Dockerfile"),
    ).cells
    assert make_target(cell.settings, tmp_path, output=["${x}"]) == {
        "context": str(tmp_path),
        "dockerfile": str(tmp_path / "Dockerfile"),
        "args": {"A": "$${ %%{ $C", "D": "a"},
        "labels": {"who $${x}": "y"},
        "output": ["$${x}"],
    }


def test_each_build_is_told_its_steps_by_their_own_names() -> None:
    """A stage keeps its name; what belongs to no target is nobody's."""
    found = sort(
        Sorter(),
        {"vertexes": [vertex("[internal] load local bake definitions")]},
        {"vertexes": [vertex("[cell0 internal] load .dockerignore"), vertex("[cell1 internal] load .dockerignore")]},
        {"vertexes": [vertex("[cell0 builder 1/3] RUN [cell1 x] y", OWN), vertex("[cell10 2/3] COPY a b", OWN)]},
        {"vertexes": [vertex("[cell1] exporting to image", "sha256:3")]},
    )
    assert names_of(found["cell0"]) == ["[internal] load .dockerignore", "[builder 1/3] RUN [cell1 x] y"]
    assert names_of(found["cell1"]) == ["[internal] load .dockerignore", "exporting to image"]
    assert names_of(found["cell10"]) == ["[2/3] COPY a b"]
    assert set(found) == {"cell0", "cell1", "cell10"}


def test_what_is_said_of_a_common_step_is_told_to_all_that_have_it_and_once() -> None:
    """Bake says it again for each target; a line that is none is nobody's."""
    sorter = Sorter()
    began = {"started": "2026-01-01T00:00:00Z"}
    both = {"vertexes": [vertex("[cell0 1/1] RUN x", **began), vertex("[cell1 1/1] RUN x", **began)]}
    log = {"logs": [{"vertex": SHARED, "timestamp": "t", "data": base64.b64encode(b"hello\n").decode()}]}
    found = sort(
        sorter, both, log, log, {"statuses": [{"vertex": SHARED, "id": "x"}]}, {"logs": [{"vertex": "sha256:9", "data": ""}]}
    )
    for owner in ("cell0", "cell1"):
        progress = Progress()
        printed = [line.text for part in found[owner] for line in progress.feed(json.dumps(part).encode())]
        assert printed == ["hello\n"]
        assert [step.instruction for step in make_steps(progress)] == ["RUN x"]
    assert list(sorter.sort(b"ERROR: no")) == []


def test_builds_count_as_running_while_a_step_of_theirs_is_run() -> None:
    """The cache's steps, bases and what is around the steps are no work."""
    sorter = Sorter()
    began = {"started": "2026-01-01T00:00:00Z"}
    sort(
        sorter, {"vertexes": [vertex("[cell0 1/2] FROM x", "sha256:f", **began), vertex("[cell0] exporting", "sha256:e", **began)]}
    )
    sort(sorter, {"vertexes": [vertex("[cell0 2/2] RUN x", "sha256:c", **began, completed="2026-01-01T00:00:00Z", cached=True)]})
    assert sorter.count_running(0) == 0
    sort(sorter, {"vertexes": [vertex("[cell0 2/2] RUN x", **began), vertex("[cell1 2/2] RUN x", **began)]})
    assert (sorter.count_running(0), sorter.count_running(60)) == (2, 0)
    sort(sorter, {"vertexes": [vertex("[cell0 2/2] RUN x", **began, completed="2026-01-01T00:00:01Z")]})
    assert sorter.count_running(0) == 0


def test_metadata_that_is_not_there_is_none(tmp_path: Path) -> None:
    """And what buildx adds for the whole is no build's."""
    path = tmp_path / "metadata.json"
    assert load_all_metadata(path) == {}
    path.write_text('{"cell0": {"containerimage.digest": "sha256:d", "buildx.build.ref": "b/n/r"}, "buildx.build.warnings": []}')
    (found,) = load_all_metadata(path).values()
    assert (found.digest, found.ref) == ("sha256:d", "b/n/r")


def test_a_bake_has_a_parent_that_is_not_sampled() -> None:
    """Well formed, or buildx would begin a trace of its own."""
    parent = make_untraced_parent()
    assert read_traceparent(parent) != ("", "")
    assert parent.endswith("-00")
