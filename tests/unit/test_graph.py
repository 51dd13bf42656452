"""Checks as steps of builds: several in one build, each with a limit of its own, and none judged by what it prints."""

from __future__ import annotations

import base64
import json
import re
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.docker import batch as door
from orchestrator.docker import build
from orchestrator.docker.graph import Graph, Place, start_together
from orchestrator.docker.process import Exit
from orchestrator.docker.stages import Task
from orchestrator.docker.variants import make_variant
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.docker.process import Signal

MANIFEST = {"schemaVersion": 2, "config": {"digest": "sha256:0", "size": 1}, "layers": [{"digest": "sha256:1"}]}
CONFIG = {"architecture": "amd64", "config": {"Env": ["PATH=/bin", "A=b"], "User": "1000", "OnBuild": ["RUN rm -rf /"]}}


class FakeBuilder:
    """Runs what a Dockerfile says: `exit N`, `print TEXT`, `take S`, `hang`, `later` (is not begun), or else what ends well."""

    def __init__(self) -> None:
        """Remember every build."""
        self.builds: list[list[list[str]]] = []
        self.argvs: list[list[str]] = []
        self.folders: list[Path] = []  # where each lays files aside
        self.policies: list[str] = []  # whether each asks buildx's default one
        self.says: list[str] = []
        self.most: float = float("inf")  # tasks in a build that it does not refuse
        self.lists_no_users = False  # in the image's /etc/passwd
        self.now = 100.0  # by a clock that `take` moves on

    def __call__(
        self,
        argv: list[str],
        *,
        on_progress: Callable[[bytes], None],
        cancel: Signal,
        environment: Mapping[str, str],
        dockerfile: bytes,
        **_: object,
    ) -> Exit:
        """Stand in the place of run_build."""
        self.folders.append(Path(environment["TMPDIR"]))
        self.policies.append(build.build_environment(environment).get("BUILDX_DEFAULT_POLICY", ""))
        self.folders[-1].joinpath("dockerfile1").mkdir()  # which buildx itself leaves when it is killed
        steps = [line for line in dockerfile.decode().splitlines() if line.startswith("RUN ")]
        self.argvs.append(argv)
        self.builds.append([])
        for line in self.says:
            on_progress(line.encode())
        if self.says or len(steps) > self.most:
            return Exit(1)
        for at, line in enumerate(steps):
            found = re.search(r"-(\d+)-\d+ ", line)
            assert found
            words = json.loads(line[line.index("[") :])
            self.builds[-1].append(words)
            step = {"digest": f"sha256:{at}", "name": f"[check{found[1]} 1/2] {line}", "started": "2026-01-01T00:00:00Z"}
            if words[0] != "later":
                tell(on_progress, vertexes=[step])
            while words[0] in ("hang", "later"):
                if cancel.is_set():
                    return Exit(None, cancelled=True)
                time.sleep(0.001)  # a build under way; it is asked whether to end, and not told
            self.now += float(words[1]) if words[0] == "take" else 0
            for piece in pieces_of(words):
                tell(on_progress, logs=[{"vertex": step["digest"], "stream": 1, "data": base64.b64encode(piece).decode()}])
            quoted = f'process "{" ".join(words)}" did not complete successfully: '
            error = {"error": f"{quoted}exit code: {words[1]}"} if words[0] == "exit" else {}
            if self.lists_no_users and not self.user_of(argv, dockerfile, found[1]).endswith(":0"):
                error = {"error": f"{quoted}unable to find user 1000: invalid argument"}
            tell(on_progress, vertexes=[{**step, "completed": "2026-01-01T00:00:01Z", **error}])
            if error:
                return Exit(1)
        return Exit(0)

    def user_of(self, argv: list[str], dockerfile: bytes, stage: str) -> str:
        """Read the user of a stage's image."""
        base = re.search(rf"^FROM (\w+) AS check{stage}$", dockerfile.decode(), re.MULTILINE)
        assert base
        layout, _, digest = (
            next(word for word in argv if word.startswith(f"{base[1]}=")).partition("oci-layout://")[2].partition("@")
        )
        blobs = Path(layout) / "blobs" / "sha256"
        manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())
        config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
        return str(config["config"]["User"])


def pieces_of(words: list[str]) -> list[bytes]:
    """Give what a command prints, as BuildKit hands it on: cut anywhere, also within a character."""
    printed = words[1].encode() if words[0] == "print" else b""
    return [printed[:9], printed[9:]] if printed else []


def tell(on_progress: Callable[[bytes], None], **data: object) -> None:
    """Write a line of progress."""
    on_progress(json.dumps(data).encode())


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> FakeBuilder:
    """Put a fake in the place of buildx."""
    fake = FakeBuilder()
    monkeypatch.setattr(door, "run_build", fake)
    return fake


def make_graph(folder: Path, **changed: Any) -> Graph:
    """Make a graph on an image whose layers nobody needs."""
    known: dict[str, Any] = {"layout": folder, "manifest": MANIFEST, "config": CONFIG, "cancel": Event(), "platform": None}
    return Graph(Place(buildx_argv=("buildx",), builder="b", **{**known, **changed}))


def task(*words: str, **more: Any) -> Task:
    """Make a task of one command."""
    return Task((words,), **more)


def run_all(graph: Graph, tasks: Sequence[Task]) -> list[int | None]:
    """Foresee and run tasks one after another; give their codes."""
    graph.foresee([(one, 5.0) for one in tasks])
    codes = [graph.run(one, 5.0)[-1].code for one in tasks]
    graph.close()
    return codes


def test_what_is_foreseen_goes_into_one_build(builder: FakeBuilder, tmp_path: Path) -> None:
    """Starting buildx costs more than most checks."""
    assert run_all(make_graph(tmp_path), [task("a"), task("b"), task("a"), task("c")]) == [0, 0, 0, 0]
    assert builder.builds == [[["a"], ["b"], ["a"], ["c"]]]


def test_what_buildx_lays_aside_lies_with_the_images_of_the_run(builder: FakeBuilder, tmp_path: Path) -> None:
    """Where `matrix clean` and a run that goes on remove it after a kill; nothing is left where nobody was killed."""
    layout = tmp_path / "run" / "cell"
    layout.mkdir(parents=True)
    run_all(make_graph(layout), [task("a")])
    assert [folder.parent for folder in builder.folders] == [tmp_path / "run"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["cell"]


def test_no_default_policy_is_asked(builder: FakeBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no OCI layout; what was built as it allows is only looked into."""
    monkeypatch.setenv("BUILDX_DEFAULT_POLICY", "1")
    run_all(make_graph(tmp_path), [task("exit", "3"), task("a")])
    assert builder.policies == ["false", "false"]


def test_one_that_fails_stops_no_other(builder: FakeBuilder, tmp_path: Path) -> None:
    """Its build ends with it, so what comes after has another."""
    tasks = [task("a"), task("exit", "3"), task("b"), task("exit", "4")]
    assert run_all(make_graph(tmp_path), tasks) == [0, 3, 0, 4]
    assert builder.builds == [[["a"], ["exit", "3"]], [["b"], ["exit", "4"]]]


def test_what_is_not_known_yet_ends_a_build(builder: FakeBuilder, tmp_path: Path) -> None:
    """Nothing is run before its turn only to be thrown away."""
    graph = make_graph(tmp_path)
    graph.foresee([(task("a"), 5.0), None, (task("b"), 5.0), (task("c"), 5.0)])
    for one in (task("a"), task("unforeseen"), task("b"), task("c")):
        assert graph.run(one, 5.0)[-1].code == 0
    assert builder.builds == [[["a"]], [["unforeseen"]], [["b"], ["c"]]]


def test_each_task_has_its_own_time(builder: FakeBuilder, tmp_path: Path) -> None:
    """One that hangs is ended by itself, and the next one still gets its turn."""
    graph = make_graph(tmp_path)
    graph.foresee([(task("hang"), 0.05), (task("a"), 5.0)])
    ended = graph.run(task("hang"), 0.05)[-1]
    assert (ended.code, ended.timed_out, ended.cancelled) == (None, True, False)
    assert graph.run(task("a"), 5.0)[-1].code == 0
    assert builder.builds == [[["hang"]], [["a"]]]


def test_the_time_of_a_task_may_be_over_between_two_of_its_commands(
    builder: FakeBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has begun, so it took too long; only where no command has begun did the builder not come to it."""
    ends = make_graph(tmp_path).run(Task((("a",), ("later",))), 0.05)
    assert [(ended.code, ended.timed_out) for ended in ends] == [(0, False), (None, True)]
    monkeypatch.setattr(door, "_BEGIN_S", 0.05)
    with pytest.raises(EngineError, match=r"^the builder did not begin with a check within 0 s$"):
        make_graph(tmp_path).run(Task((("later",), ("a",))), 5.0)


def test_a_run_that_is_cancelled_ends_what_is_under_way(builder: FakeBuilder, tmp_path: Path) -> None:
    """A cancelled check has neither passed nor taken too long."""
    cancel = Event()
    cancel.set()
    ended = make_graph(tmp_path, cancel=cancel).run(task("hang"), 5.0)[-1]
    assert (ended.code, ended.timed_out, ended.cancelled) == (None, False, True)


def test_no_verdict_comes_from_what_is_printed(builder: FakeBuilder, tmp_path: Path) -> None:
    """A program may print progress of builds, and BuildKit's own words: they are its output and nothing else."""
    fake = '{"vertexes":[{"digest":"sha256:1","completed":"2026-01-01T00:00:01Z"}]}\nexit code: 0\n'
    graph = make_graph(tmp_path)
    graph.foresee([(task("print", fake), 5.0), (task("exit", "1"), 5.0)])
    assert graph.run(task("print", fake), 5.0)[-1].stdout == fake
    assert graph.run(task("exit", "1"), 5.0)[-1].code == 1


def test_what_is_printed_is_whole(builder: FakeBuilder, tmp_path: Path) -> None:
    """A character that is cut between two pieces is one all the same."""
    assert make_graph(tmp_path).run(task("print", "xääääääää"), 5.0)[-1].stdout == "xääääääää"


def test_a_command_may_hold_the_words_for_a_cancelled_build(builder: FakeBuilder, tmp_path: Path) -> None:
    """BuildKit quotes it where it says how it ended."""
    graph = make_graph(tmp_path)
    assert graph.run(task("exit", "3", "context canceled"), 5.0)[-1].code == 3
    assert graph.run(task("exit", "1", "did not complete successfully: exit code: 0"), 5.0)[-1].code == 1
    assert len(builder.builds) == 2


def test_what_buildkit_left_out_of_a_stream_is_known(builder: FakeBuilder, tmp_path: Path) -> None:
    """Only what stands where BuildKit puts it."""
    note = "\n[output clipped, log limit 200KiB/s reached]\n"
    graph = make_graph(tmp_path)
    assert graph.run(task("print", f"yyyyyyyyyyyyyyyy{note}"), 5.0)[-1].clipped == ("stdout",)
    assert graph.run(task("print", f"yyyyyyyyyyyyyyyy{note}y"), 5.0)[-1].clipped == ()


def test_a_setup_that_fails_is_the_last_that_was_run(builder: FakeBuilder, tmp_path: Path) -> None:
    """The command behind it was never begun, and has no end."""
    ends = make_graph(tmp_path).run(Task((("a",), ("exit", "2"), ("b",))), 5.0)
    assert [ended.code for ended in ends] == [0, 2]


def make_graphs(folder: Path, *names: str) -> list[Graph]:
    """Make a graph on an image for each name."""
    layouts = [folder / name for name in names]
    for layout in layouts:
        layout.mkdir()
    return [make_graph(layout, config={"config": {"Labels": {"is": layout.name}}}) for layout in layouts]


def run_own(graph: Graph, *own: Task) -> list[int | None]:
    """Run tasks of a graph as a cell does, from its turn to its end."""
    graph.wait_for_turn()
    return run_all(graph, own)


def test_several_images_are_tested_in_one_build(builder: FakeBuilder, tmp_path: Path) -> None:
    """One after another, each asked for whenever its cell comes to it; a task of one is no other's, were it the same."""
    first, second, third = make_graphs(tmp_path, "first", "second", "third")
    start_together(
        [(first, [(task("a"), 5.0)]), (second, [(task("a"), 5.0), (task("exit", "3"), 5.0)]), (third, [(task("a"), 5.0)])]
    )
    assert run_own(second, task("a"), task("exit", "3")) == [0, 3]
    assert run_own(first, task("a")) == [0]
    assert builder.builds == [[["a"], ["a"], ["exit", "3"]]]
    assert [word.partition("=")[2].split("@")[0] for word in builder.argvs[0] if "oci-layout" in word] == [
        f"oci-layout://{tmp_path / name}" for name in ("first", "second", "third")
    ]
    assert run_own(third, task("a"), task("b")) == [0, 0]
    assert builder.builds[1:] == [[["a"], ["b"]]], "the build ended before it came to the last one"


def test_a_turn_comes_when_the_images_before_have_been_tested(builder: FakeBuilder, tmp_path: Path) -> None:
    """A cell's own time limit begins with its turn; a build that ends before keeps nobody waiting."""
    first, second = make_graphs(tmp_path, "first", "second")
    start_together([(first, [(task("hang"), 0.2)]), (second, [(task("a"), 5.0)])])
    began = time.monotonic()
    second.wait_for_turn()
    assert time.monotonic() - began >= 0.15
    assert run_all(second, [task("a")]) == [0]
    (ended,) = first.run(task("hang"), 0.2)
    assert ended.timed_out
    assert builder.builds == [[["hang"]], [["a"]]]


def test_what_ran_ahead_of_its_cell_took_its_time_all_the_same(
    builder: FakeBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a cell would pass beside others within a limit that it breaks by itself; what it waits for the builder is not its time."""
    monkeypatch.setattr(door, "time", SimpleNamespace(monotonic=lambda: builder.now))
    ahead, other = make_graphs(tmp_path, "ahead", "other")
    start_together([(ahead, [(task("take", "3"), 60.0), (task("take", "2"), 60.0)]), (other, [(task("a"), 60.0)])])
    other.wait_for_turn()
    builder.now += 30
    assert ahead.run(task("take", "3"), 4.0)[-1].code == 0
    assert ahead.ahead_s == 3.0
    (late,) = ahead.run(task("take", "2"), 4.0 - 3.0)
    assert (late.code, late.timed_out) == (None, True)
    assert ahead.ahead_s == 5.0
    other.close()


def test_a_build_for_several_images_goes_on_until_the_last_has_left(builder: FakeBuilder, tmp_path: Path) -> None:
    """A cell that failed otherwise ends no check of another; nobody waits for the hour that a check may take."""
    first, second = make_graphs(tmp_path, "first", "second")
    start_together([(first, [(task("a"), 5.0), (task("b"), 5.0)]), (second, [(task("c"), 5.0), (task("hang"), 3600.0)])])
    first.close()
    second.wait_for_turn()
    assert second.run(task("c"), 5.0)[-1].code == 0
    second.close()
    assert builder.builds == [[["a"], ["b"], ["c"], ["hang"]]]


def test_a_builder_that_breaks_is_no_verdict(builder: FakeBuilder, tmp_path: Path) -> None:
    """The cell may be tried again; nothing is said of its image."""
    builder.says = ["ERROR: failed to build: no route to host"]
    with pytest.raises(EngineError, match=r"^the builder did not run a check: failed to build: no route to host$"):
        make_graph(tmp_path).run(task("a"), 5.0)


def test_what_cannot_be_run_with_others_is_run_alone(builder: FakeBuilder, tmp_path: Path) -> None:
    """An image whose /dev is a file takes no folder that the next task could wait for; what it does by itself is still told."""
    builder.most = 1
    assert run_all(make_graph(tmp_path), [task("a"), task("exit", "3"), task("b")]) == [0, 3, 0]
    assert [build for build in builder.builds if build] == [[["a"]], [["exit", "3"]], [["b"]]]


def test_layers_that_the_builder_has_lost_are_brought(builder: FakeBuilder, tmp_path: Path) -> None:
    """An image that is known stays in the builder; only when it is gone from there is it taken out and handed back."""
    builder.says = ["ERROR: failed to build: failed to solve: NotFound: content sha256:1: not found"]
    graph = make_graph(tmp_path, export=builder.says.clear)
    assert graph.run(task("a"), 5.0)[-1].code == 0
    assert len(builder.argvs) == 2


def test_a_user_that_is_only_a_number_needs_no_list_of_users(builder: FakeBuilder, tmp_path: Path) -> None:
    """The engine starts such an image, with the group 0; BuildKit does where the group is named, which is found out once."""
    builder.lists_no_users = True
    assert run_all(make_graph(tmp_path), [task("a"), task("exit", "3"), task("b", user="7")]) == [0, 3, 0]
    assert builder.builds == [[["a"]], [["a"], ["exit", "3"]], [["b"]]]
    (ended,) = make_graph(tmp_path).run(task("a", user="somebody"), 5.0)
    assert (ended.code, ended.start_error) == (None, "unable to find user 1000: invalid argument")


def test_variables_and_user_of_a_check_are_in_the_images_configuration(builder: FakeBuilder, tmp_path: Path) -> None:
    """So any value is possible, and what the image says for images built on it is not obeyed."""
    made = make_variant(CONFIG, (("A", "c\nd"), ("X", "'\"$HOME")), "0")["config"]
    assert made == {"Env": ["PATH=/bin", "A=c\nd", "X='\"$HOME"], "User": "0"}
    assert make_variant({}, (), None)["config"]["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    run_all(make_graph(tmp_path, platform="linux/arm64"), [task("a"), task("b", user="0"), task("c")])
    contexts = [word for word in builder.argvs[0] if "oci-layout" in word]
    assert [name.partition("=")[0] for name in contexts] == ["cell0", "cell1"]
    assert builder.argvs[0][:7] == ["buildx", "build", "--builder", "b", "--progress=rawjson", "--provenance=false", "--no-cache"]
    assert builder.argvs[0][7:9] == ["--platform", "linux/arm64"]
    for context in contexts:
        digest = context.partition("@")[2].removeprefix("sha256:")
        manifest = json.loads(tmp_path.joinpath("blobs", "sha256", digest).read_bytes())
        assert manifest["layers"] == MANIFEST["layers"]


def test_files_that_are_not_handed_out_are_missed_in_the_builders_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of an image are a build of their own, which nobody follows."""

    def fail(argv: list[str], *, on_progress: Callable[[bytes], None], dockerfile: bytes, **_: object) -> Exit:
        assert argv[argv.index("--output") + 1].startswith("type=tar,dest=")
        assert dockerfile == b"FROM cell\n"
        for line in (b"#1 exporting", b"ERROR: no room"):
            on_progress(line)
        return Exit(1)

    monkeypatch.setattr(build, "run_build", fail)
    words = "the builder did not hand out the files of the image: ERROR: no room"
    with pytest.raises(EngineError, match=words), make_graph(tmp_path).files():
        pass


def test_an_image_is_tested_where_it_was_built(builder: FakeBuilder, tmp_path: Path) -> None:
    """Of several pods buildx takes one by the folder of the context, of which nothing is read here."""
    for folder, last in ((None, ["type=cacheonly", "-"]), ("/x/context", ["type=cacheonly", "--file", "-", "/x/context"])):
        place = replace(make_graph(tmp_path).place, folder=folder)
        assert Graph(place).run(task("a"), 5.0)[-1].code == 0
        assert builder.argvs[-1][-len(last) :] == last


def test_a_check_in_a_pod_that_is_gone_has_not_taken_too_long(builder: FakeBuilder, tmp_path: Path) -> None:
    """It is no timeout of the image's, but for the cell to be tried again."""
    lost = SimpleNamespace(is_set=lambda: False, is_lost=lambda: True)
    pulse: Any = SimpleNamespace(watch=lambda *_: nullcontext(lost))
    with pytest.raises(EngineError, match=r"^the pod that built it is gone, for which buildx would have waited on$"):
        Graph(replace(make_graph(tmp_path).place, pulse=pulse)).run(task("hang"), 0.05)
    lost.is_lost = lambda: False
    assert Graph(replace(make_graph(tmp_path).place, pulse=pulse)).run(task("hang"), 0.05)[-1].timed_out
