"""The builder: made once, reused, and healed when it is not what matrix.yaml asks for."""

from __future__ import annotations

import shutil
import tomllib
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.docker import process, silence
from orchestrator.docker.builder import (
    driver_options,
    ensure_builder,
    look_for_builder,
    remove_builder,
    render_create_argv,
    was_made_here,
)
from orchestrator.docker.buildkitd import render_buildkitd_toml
from orchestrator.docker.nodes import Existing, parse_inspection
from orchestrator.docker.process import Exit
from orchestrator.errors import EngineError
from orchestrator.model import BuilderSpec, NodeSpec
from orchestrator.paths import cache_folder
from tests.unit.docker_fake import Answer, FakeDocker, make_engine, make_which

if TYPE_CHECKING:
    from orchestrator.docker.process import Output

ENGINE = make_engine(storage="overlay2", containerd_store=False)
SPEC = BuilderSpec(driver="docker-container", mirrors=(("docker.io", ("127.0.0.1:5000", "mirror.example")),), env=(("A", "b"),))
ABSENT: Answer = (1, 'ERROR: no builder "matrix" found')
INSPECTED = """\
Name:          matrix
Driver:        docker-container
Last Activity: 2026-01-01 00:00:00 +0000 UTC

Nodes:
Name:                  matrix0
Endpoint:              unix:///var/run/docker.sock
Driver Options:        env.A="b" env.MATRIX_BUILDER="0123456789ab" image="moby/buildkit:buildx-stable-1" network="host"
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement network.host
BuildKit version:      v0.21.0
Platforms:             linux/amd64
File#buildkitd.toml:
 > [registry]
 >   [registry."docker.io"]
 >     mirrors = ["127.0.0.1:5000", "mirror.example"]
 >   [registry."127.0.0.1:5000"]
 >     http = true
"""
STOPPED = INSPECTED.replace("running", "stopped").replace(
    "BuildKit version:      v0.21.0\nPlatforms:             linux/amd64\n", ""
)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """Give a docker that has no builder yet and makes one when asked."""
    fake = FakeDocker(
        buildx_inspect___bootstrap="",
        buildx_inspect_bootstrap="",
        buildx_inspect=[ABSENT, INSPECTED],
        buildx_create="",
        buildx_rm="",
    )
    monkeypatch.setattr(process, "run", fake)
    return fake


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give an engine that has a BuildKit of its own; it is asked for that where it is to build, and told why."""
    asked: list[str] = []
    monkeypatch.setattr("orchestrator.docker.builder.check_own_buildkit", lambda _, why: asked.append(why))
    return asked


def use(monkeypatch: pytest.MonkeyPatch, **answers: Answer | list[Answer]) -> FakeDocker:
    """Put a docker with these answers in the place of the real one."""
    fake = FakeDocker(buildx_inspect_bootstrap="", **answers)
    monkeypatch.setattr(process, "run", fake)
    return fake


def test_what_buildx_prints_of_a_builder_is_read() -> None:
    """Driver, options, version and configuration are those of the first node."""
    found = parse_inspection(INSPECTED)
    assert (found.driver, found.endpoint, found.buildkit) == ("docker-container", "unix:///var/run/docker.sock", "v0.21.0")
    assert found.options["env.A"] == "b"
    assert found.options["image"] == "moby/buildkit:buildx-stable-1"
    assert tomllib.loads(found.config) == tomllib.loads(render_buildkitd_toml(SPEC))


def test_a_builder_of_which_little_is_known_is_read_too() -> None:
    """A builder that does not run has no version, and an unreleased one has none that says anything."""
    assert parse_inspection("") == Existing("", {}, "", "", None)
    assert parse_inspection("BuildKit version: v0.0.0+unknown\n").buildkit is None


def test_mirrors_on_this_machine_are_asked_without_tls() -> None:
    """The daemon's configuration lists the mirrors, and says nothing when there are none."""
    assert tomllib.loads(render_buildkitd_toml(SPEC)) == {
        "registry": {"docker.io": {"mirrors": ["127.0.0.1:5000", "mirror.example"]}, "127.0.0.1:5000": {"http": True}}
    }
    assert render_buildkitd_toml(BuilderSpec()) == ""
    local = "127.0.0.1:5000"
    several = BuilderSpec(mirrors=(("docker.io", (local,)), ("cgr.dev", (local, "far.example")), (local, ("far.example",))))
    assert tomllib.loads(render_buildkitd_toml(several)) == {
        "registry": {
            "docker.io": {"mirrors": [local]},
            "cgr.dev": {"mirrors": [local, "far.example"]},
            local: {"mirrors": ["far.example"], "http": True},
        }
    }


def test_options_follow_from_the_file_and_the_driver() -> None:
    """Each driver is given what it understands."""
    spec = replace(SPEC, options=(("memory", "4g"),))
    assert driver_options(spec, "docker-container") == {"memory": "4g", "image": spec.image, "network": "host", "env.A": "b"}
    assert driver_options(spec, "kubernetes") == {"memory": "4g", "image": spec.image, "env.A": "b"}
    assert driver_options(replace(spec, options=(("image", "x"),)), "kubernetes") == {"image": "x", "env.A": "b"}
    assert driver_options(spec, "remote") == {"memory": "4g"}


def test_the_command_that_makes_a_builder_marks_it_as_ours() -> None:
    """A builder is made with the file's settings, and with a mark by which `clean` knows it."""
    argv = render_create_argv(
        ["docker", "buildx"], replace(SPEC, env=(("NO_PROXY", "a,b"),)), "docker-container", Path("/x/c.toml")
    )
    assert argv[:8] == ["docker", "buildx", "create", "--name", "matrix", "--driver", "docker-container", "--bootstrap"]
    assert '"env.NO_PROXY=a,b"' in argv
    assert [word for word in argv if word.startswith("env.MATRIX_BUILDER=")]
    assert argv[-2:] == ["--buildkitd-config", "/x/c.toml"]


def test_a_remote_builder_is_passed_on_as_it_is() -> None:
    """The endpoint of a remote builder is buildx's to understand."""
    spec = BuilderSpec(driver="remote", endpoint="tcp://buildkit:1234", options=(("cacert", "ca.pem"),))
    assert render_create_argv(["docker", "buildx"], spec, "remote", None)[3:] == [
        "--name", "matrix", "--driver", "remote", "--bootstrap", "--driver-opt", "cacert=ca.pem", "tcp://buildkit:1234",
    ]  # fmt: skip


def test_a_builder_that_is_not_there_is_created(docker: FakeDocker) -> None:
    """The first bootstrap makes the builder and says so."""
    builder = ensure_builder(ENGINE, SPEC)
    assert (builder.driver, builder.buildkit, builder.exports_oci) == ("docker-container", "v0.21.0", True)
    assert builder.did == "created builder 'matrix'"
    assert builder.loads_by_copy
    assert len(docker.did("buildx", "create")) == 1


def test_a_builder_that_fits_is_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second bootstrap changes nothing and says so; one that runs is asked once, and one that was stopped is started."""
    for inspected, questions in ([INSPECTED], 1), ([STOPPED, INSPECTED], 3):
        docker = use(monkeypatch, buildx_inspect=list(inspected))
        builder = ensure_builder(ENGINE, SPEC)
        assert (builder.did, builder.buildkit, builder.native) == ("reused builder 'matrix'", "v0.21.0", ("linux/amd64",))
        assert docker.did("buildx", "create") == docker.did("buildx", "rm") == []
        assert len(docker.did("buildx", "inspect")) == questions


def test_mirrors_are_known_by_the_mark_where_buildx_shows_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """As 0.13 does, with which each run would make the builder anew, and lose its cache."""
    argv = render_create_argv(("buildx",), SPEC, "docker-container", None)
    mark = next(word.partition("=")[2] for word in argv if word.startswith("env.MATRIX_BUILDER="))
    bare = INSPECTED.partition("File#")[0]
    docker = use(monkeypatch, buildx_inspect=bare.replace("0123456789ab", mark), buildx_create="", buildx_rm="")
    assert ensure_builder(ENGINE, SPEC).did == "reused builder 'matrix'"
    assert docker.did("buildx", "create") == []
    use(monkeypatch, buildx_inspect=bare, buildx_create="", buildx_rm="")
    assert "mirrors differed" in ensure_builder(ENGINE, SPEC).did


@pytest.mark.parametrize(
    ("spec", "differing"),
    [
        (replace(SPEC, image="moby/buildkit:v0.20.0"), "image"),
        (replace(SPEC, network="bridge"), "network"),
        (replace(SPEC, env=(("A", "c"), ("B", "d"))), "A, B"),
        (replace(SPEC, mirrors=()), "mirrors"),
    ],
)
def test_a_builder_of_ours_that_differs_is_made_anew(spec: BuilderSpec, differing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed setting is healed by making the builder again, and the words name the setting."""
    docker = use(monkeypatch, buildx_inspect=INSPECTED, buildx_create="", buildx_rm="")
    assert ensure_builder(ENGINE, spec).did == f"made builder 'matrix' anew: {differing} differed"
    assert [argv[1] for argv in docker.asked if argv[1] in ("rm", "create")] == ["rm", "create"]


def test_a_builder_of_somebody_elses_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder without our mark is left alone unless that is asked for."""
    theirs = INSPECTED.replace('env.MATRIX_BUILDER="0123456789ab" ', "")
    docker = use(monkeypatch, buildx_inspect=theirs, buildx_create="", buildx_rm="")
    with pytest.raises(EngineError, match=r"builder 'matrix' was not made by matrix and differs from matrix\.yaml in mirrors; "):
        ensure_builder(ENGINE, replace(SPEC, mirrors=()))
    assert docker.did("buildx", "rm") == []
    assert ensure_builder(ENGINE, replace(SPEC, mirrors=()), force=True).did.startswith("made builder 'matrix' anew")


def test_a_remote_builder_that_moved_is_made_anew_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is a setting like any other; a remote builder cannot carry our mark, so it takes --force."""
    text = "Driver: remote\nEndpoint: tcp://old:1\n"
    use(monkeypatch, buildx_inspect=text, buildx_create="", buildx_rm="")
    spec = BuilderSpec(driver="remote", endpoint="tcp://new:1")
    with pytest.raises(EngineError, match=r"differs from matrix\.yaml in endpoint; give another builder\.name, or"):
        ensure_builder(ENGINE, spec)
    assert ensure_builder(ENGINE, spec, force=True).did == "made builder 'matrix' anew: endpoint differed"


def test_a_builder_whose_configuration_cannot_be_read_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon's configuration that is no TOML is made anew, not believed."""
    use(monkeypatch, buildx_inspect=INSPECTED.replace("http = true", "http = = true"), buildx_create="", buildx_rm="")
    assert "mirrors differed" in ensure_builder(ENGINE, SPEC).did


def test_by_itself_matrix_takes_a_builder_of_its_own(docker: FakeDocker) -> None:
    """`driver: auto` makes a container builder where its image is there or can be had."""
    monkeypatched = replace(SPEC, driver="auto")
    docker.also(image_inspect=(1, ""), pull="done")  # the fake's own script
    assert ensure_builder(ENGINE, monkeypatched).driver == "docker-container"
    assert docker.did("pull") == [["pull", "--quiet", SPEC.image]]


def test_without_the_builders_image_the_engines_own_buildkit_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the builder image cannot be had, `auto` says so and uses what the engine has."""
    use(monkeypatch, buildx_inspect=ABSENT, image_inspect=(1, ""), pull=(1, ""))
    builder = ensure_builder(replace(ENGINE, context="desktop"), replace(SPEC, driver="auto"))
    assert (builder.name, builder.driver, builder.exports_oci, builder.loads_by_copy) == ("desktop", "docker", False, False)
    assert builder.did == f"using the engine's own BuildKit (the builder image {SPEC.image} cannot be had here)"


def test_the_engines_own_buildkit_can_be_asked_for(monkeypatch: pytest.MonkeyPatch, own: list[str]) -> None:
    """`driver: docker` makes nothing; with containerd's store its images leave as layouts."""
    use(monkeypatch)
    builder = ensure_builder(replace(ENGINE, containerd_store=True), BuilderSpec(driver="docker"))
    assert (builder.name, builder.exports_oci, own) == ("default", True, ["matrix.yaml asks for it"])


def test_a_builder_that_cannot_be_made_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """When making a builder fails, its half is removed and buildx's last word is passed on."""
    docker = use(monkeypatch, buildx_inspect=ABSENT, buildx_create=(1, "pulling\nERROR: no such image\n"), buildx_rm="")
    with pytest.raises(EngineError, match=r"^builder 'matrix' \(docker-container\) could not be made: no such image$"):
        ensure_builder(ENGINE, SPEC)
    assert docker.did("buildx", "rm")


def test_a_builder_that_does_not_start_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder that is there and does not run is an engine error."""
    docker = FakeDocker(buildx_inspect_bootstrap=(1, "ERROR: boom"), buildx_inspect=STOPPED)
    monkeypatch.setattr(process, "run", docker)
    with pytest.raises(EngineError, match="builder 'matrix' does not start: boom; `matrix clean` removes it"):
        ensure_builder(ENGINE, SPEC)


def looked_at(found: Existing | EngineError) -> Future[Existing | None]:
    """Make what became of an early look."""
    looked: Future[Existing | None] = Future()
    if isinstance(found, EngineError):
        looked.set_exception(found)
    else:
        looked.set_result(found)
    return looked


def test_a_builder_that_was_looked_at_early_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is not as it should be, or nobody could tell: then it is looked at again, when nobody else makes one."""
    docker = FakeDocker(buildx_inspect_bootstrap="", buildx_inspect=INSPECTED)
    monkeypatch.setattr(process, "run", docker)
    builder = ensure_builder(ENGINE, SPEC, looked=looked_at(parse_inspection(INSPECTED)))
    assert (builder.did, builder.buildkit, docker.asked) == ("reused builder 'matrix'", "v0.21.0", [])
    for found in (parse_inspection(STOPPED), EngineError("no answer")):
        assert ensure_builder(ENGINE, SPEC, looked=looked_at(found)).did == "reused builder 'matrix'"
    assert len(docker.did("buildx", "inspect", "matrix")) == 2


def test_who_is_cancelled_does_not_wait_for_an_early_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder that is out of reach may take its time."""
    monkeypatch.setattr(process, "run", FakeDocker(buildx_inspect=INSPECTED))
    cancel = Event()
    cancel.set()
    assert ensure_builder(ENGINE, SPEC, looked=Future(), cancel=cancel).did == "reused builder 'matrix'"


def test_a_look_goes_on_beside_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own BuildKit needs none."""
    monkeypatch.setattr(process, "run", FakeDocker(buildx_inspect=INSPECTED))
    monkeypatch.setattr(shutil, "which", make_which(found=True))
    asked: Future[Any] = Future()
    looked = look_for_builder(asked, SPEC)
    assert look_for_builder(asked, BuilderSpec(driver="docker")).result() is None
    assert not looked.done()
    asked.set_exception(EngineError("no docker"))
    with pytest.raises(EngineError, match="no docker"):
        looked.result(timeout=10)


REMOTE = BuilderSpec(driver="remote", endpoint="tcp://amd:1234", name="matrix")
SILENT = """\
Name:   matrix
Driver: remote

Nodes:
Name:      matrix0
Endpoint:  tcp://amd:1234
Status:    inactive
"""
NOBODY = "nothing that speaks BuildKit's protocol answers at tcp://amd:1234 (context deadline exceeded)"
LATE: Answer = (1, "ERROR: context deadline exceeded")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"buildx_inspect": ABSENT, "buildx_create": LATE, "buildx_rm": ""},
            f"builder 'matrix' (remote) could not be made: {NOBODY}",
        ),
        (
            {"buildx_inspect_bootstrap": LATE, "buildx_inspect": SILENT},
            f"builder 'matrix' does not start: {NOBODY}; see that its daemon runs",
        ),
    ],
)
def test_a_builder_out_of_reach_is_named_with_its_address(
    answers: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buildx says after a while that time is up, whatever is wrong, and not where it looked."""
    monkeypatch.setattr(process, "run", FakeDocker(**answers))
    monkeypatch.setattr(silence, "find_tls_trouble", lambda _endpoint, _options: None)
    with pytest.raises(EngineError) as caught:
        ensure_builder(ENGINE, REMOTE)
    assert str(caught.value) == words
    monkeypatch.setattr(silence, "find_tls_trouble", lambda endpoint, _options: f"{endpoint} speaks TLS")
    with pytest.raises(EngineError, match=r"(could not be made|does not start): tcp://amd:1234 speaks TLS"):
        ensure_builder(ENGINE, REMOTE)


def test_what_is_left_of_a_builder_that_was_not_finished_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made anew the next time, and `matrix clean` finds it."""
    docker = FakeDocker(buildx_inspect=ABSENT)

    def break_off(argv: list[str], **more: object) -> Output:
        if argv[2:3] == ["create"]:
            raise KeyboardInterrupt
        return docker(argv, **more)

    monkeypatch.setattr(process, "run", break_off)
    with pytest.raises(KeyboardInterrupt):
        ensure_builder(ENGINE, REMOTE)
    docker.also(buildx_inspect=SILENT)
    assert was_made_here(ENGINE, "matrix")


def test_a_cancelled_start_is_no_fault_of_the_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended at once, and said to have been."""
    cancelled = Exit(None, cancelled=True)
    monkeypatch.setattr(process, "run", FakeDocker(buildx_inspect=ABSENT, buildx_create=cancelled, buildx_rm=""))
    with pytest.raises(EngineError, match=r"could not be made: cancelled$"):
        ensure_builder(ENGINE, REMOTE)


def test_a_builder_that_cannot_be_asked_after_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not knowing is not the same as not being there."""
    use(monkeypatch, buildx_inspect=(1, "ERROR: config is broken"))
    with pytest.raises(EngineError, match="buildx cannot inspect builder 'matrix': ERROR: config is broken"):
        ensure_builder(ENGINE, SPEC)


def test_only_a_builder_with_our_mark_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """`clean` asks first."""
    use(monkeypatch, buildx_inspect=[INSPECTED, INSPECTED.replace("MATRIX_BUILDER", "X"), ABSENT])
    assert [was_made_here(ENGINE, "matrix") for _ in range(3)] == [True, False, False]


def make_remote(monkeypatch: pytest.MonkeyPatch, spec: BuilderSpec = REMOTE) -> FakeDocker:
    """Make a builder that cannot carry the mark itself."""
    docker = use(monkeypatch, buildx_inspect=[ABSENT, SILENT], buildx_create="", buildx_rm="")
    ensure_builder(ENGINE, spec)
    return docker


@pytest.mark.parametrize(
    "theirs",
    [
        INSPECTED.replace("MATRIX_BUILDER", "MINE"),
        SILENT.replace("tcp://amd:1234", "tcp://mine:1234"),
        SILENT.replace("Status:", 'Driver Options: cacert="/mine.pem"\nStatus:'),
        f"{SILENT}Name: matrix1\nEndpoint: tcp://mine:1234\n",
    ],
)
def test_a_builder_that_somebody_made_since_under_the_same_name_is_theirs(theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written down of ours does not fit it, so neither a run nor `matrix clean` removes it."""
    docker = make_remote(monkeypatch)
    assert was_made_here(ENGINE, "matrix")
    docker.also(buildx_inspect=theirs)
    assert not was_made_here(ENGINE, "matrix")
    with pytest.raises(EngineError, match="builder 'matrix' was not made by matrix and differs"):
        ensure_builder(ENGINE, replace(REMOTE, endpoint="tcp://new:1234"))
    assert docker.did("buildx", "rm") == []


def test_a_builder_of_several_nodes_is_ours_with_its_last_ones_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a broken-off start leaves it."""
    docker = make_remote(monkeypatch, replace(REMOTE, nodes=(NodeSpec("tcp://arm:1234", options=(("key", __file__),)),)))
    assert was_made_here(ENGINE, "matrix")
    docker.also(buildx_inspect=f'{SILENT}Name: matrix1\nEndpoint: tcp://arm:1234\nDriver Options: key="{__file__}"\n')
    assert was_made_here(ENGINE, "matrix")


def test_each_of_dockers_configurations_has_builders_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was made in one says nothing of one in another; nor does the mark of an older matrix, which says only a name."""
    make_remote(monkeypatch)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (cache_folder("builders") / "matrix").touch()
    assert not was_made_here(ENGINE, "matrix")


def test_a_builder_is_ours_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be removed is said with the reason, and found again; one that is gone is fine."""
    docker = make_remote(monkeypatch)
    words = "failed to remove matrix: {}\nERROR: failed to remove one or more builders\n"
    docker.also(buildx_rm=[(1, words.format("no access")), (1, words.format('no builder "matrix" found'))])
    with pytest.raises(EngineError, match=r"^the builder matrix could not be removed: no access$"):
        remove_builder(ENGINE, "matrix")
    assert was_made_here(ENGINE, "matrix")
    remove_builder(ENGINE, "matrix")
    assert not was_made_here(ENGINE, "matrix")
