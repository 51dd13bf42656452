"""`matrix preflight` with a real uv, against an index on the loopback, and briefly against the configured one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.forked import run_forked
from tests.package_index import Index, make_sdist, make_wheel, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MATRIX = """\
version: 1
name: m
axes: {base: [alpine, slim, odd], python: ["3.12", "3.13"], deps: [app]}
defaults: {requirements: "{deps}.txt", args: {BASE_IMAGE: "python:{python}-{base}"}}
settings:
  base: {alpine: {libc: musl, platform: linux/amd64}, slim: {libc: glibc, platform: linux/amd64}}
exclude: [{base: odd, python: "3.13"}]
"""
DOCKERFILE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN pip install -r x\n"
LINUX = "{python}-{python}-manylinux_2_17_x86_64"
MUSL = "{python}-{python}-musllinux_1_2_x86_64"


class Project:
    """A folder with a matrix.yaml, and matrix run in it with an index of the test's own."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        (folder / "matrix.yaml").write_text(MATRIX)
        (folder / "Dockerfile").write_text(DOCKERFILE)
        self.env = {"UV_DEFAULT_INDEX": index.url}

    def require(self, *lines: str) -> None:
        """Write what the cells require."""
        (self.folder / "app.txt").write_text("".join(f"{line}\n" for line in lines))

    def matrix(self, *argv: str) -> tuple[int, str, str]:
        """Run matrix; give its exit code and what it printed."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("UV_", "PIP_")) and "proxy" not in name.lower()
        }
        places = {"UV_CACHE_DIR": str(self.folder / "uv"), "MATRIX_CACHE_DIR": str(self.folder / "cache"), "HOME": str(self.folder)}
        variables = {**kept, "PIP_CONFIG_FILE": os.devnull, **places, **self.env}
        done = run_forked([*argv], self.folder, variables, timeout_s=300)
        return done.returncode, done.stdout, done.stderr

    def verdicts(self, *argv: str) -> dict[str, dict[str, str]]:
        """Give, for each dependency, what there is for each base on Python 3.12."""
        code, out, err = self.matrix("preflight", "--format", "json", *argv)
        assert code == 0, err
        data = json.loads(out)
        assert data["schema"] == 1
        return {
            f"{row['name']}=={row['version']}": {one["libc"]: one["verdict"] for one in row["on"] if one["python"] == "3.12"}
            for row in data["dependencies"]
        }


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Give a project whose index has wheels for some bases, for none, and for all."""
    index = Index()
    index.wheel(
        "app", "1", "py3-none-any", "both>=1", "glibcy", "sourced; sys_platform == 'linux'", "never; sys_platform == 'win32'"
    )
    for python in ("cp312", "cp313"):
        for tags in (LINUX, MUSL):
            index.wheel("both", "1", tags.format(python=python))
        for name in ("glibcy", "sourced"):
            index.wheel(name, "1", LINUX.format(python=python))
    sources = {"setup.py": "setup(ext_modules=[])", "src/x.c": "#include <linux/futex.h>\n#include <Python.h>\n"}
    index.offer("sourced", "sourced-1.tar.gz", make_sdist("sourced", "1", sources))
    index.wheel("never", "1", "py3-none-any")
    with serve(index):
        yield Project(tmp_path, index)


@pytest.mark.parametrize("as_json", [True, False])
def test_every_dependency_without_a_wheel_is_named(project: Project, *, as_json: bool) -> None:
    """Not the first only; whether the index speaks JSON or HTML; and not what a marker leaves out."""
    project.index.as_json = as_json
    project.require("app")
    assert project.verdicts() == {
        "app==1": {"glibc": "pure wheel", "musl": "pure wheel"},
        "both==1": {"glibc": "wheel", "musl": "wheel"},
        "glibcy==1": {"glibc": "wheel", "musl": "nothing"},
        "never==1": {"glibc": "not wanted", "musl": "not wanted"},
        "sourced==1": {"glibc": "wheel", "musl": "compile"},
    }


def test_the_table_says_what_is_foretold(project: Project) -> None:
    """What is lacking, what a compile needs and how that is known, which cells it hits, and which base is not known."""
    project.require("app")
    code, out, err = project.matrix("preflight")
    assert (code, err) == (0, "")
    assert ["sourced==1", "COMPILE", "COMPILE", "wheel", "wheel"] in [line.split() for line in out.splitlines()]
    assert (
        "sourced==1 (app): on musl 3.12, musl 3.13: COMPILE needs C compiler, kernel headers (linux-headers, linux-libc-dev)" in out
    )
    assert "glibcy==1 (app): on musl 3.12, musl 3.13: NOTHING (wheels for glibc only, no source)" in out
    assert "build-failed: 2 of 5 cells: alpine-3.12-app, alpine-3.13-app\n" in out
    assert "not looked at: odd (Python 3.12, linux/" in out
    assert "unknown: 1 of 5 cells: odd-3.12-app\n" in out


def test_nobodys_code_runs_to_find_out(project: Project) -> None:
    """A package with a source archive only is judged by reading it; its setup.py would leave a mark."""
    mark = project.folder / "mark"
    project.index.offer("legacy", "legacy-2.tar.gz", make_sdist("legacy", "2", {"setup.py": f"open({str(mark)!r}, 'w')"}))
    project.require("legacy", "both")
    assert project.verdicts() == {"both==1": {"glibc": "wheel", "musl": "wheel"}, "legacy==2": {"glibc": "build", "musl": "build"}}
    assert not mark.exists()
    said = project.matrix("preflight")[1]
    assert "app.txt: versions from the file alone; uv says: Because " in said
    assert "legacy" in said.partition("uv says: ")[2]


def test_a_package_that_nobody_has_is_foretold_to_fail(project: Project) -> None:
    """As pip will find out, after minutes."""
    project.require("absent==3", "both")
    assert project.verdicts()["absent==3"] == {"glibc": "nothing", "musl": "nothing"}


def test_credentials_of_an_index_are_used_and_never_shown(project: Project) -> None:
    """In uv's address or pip's: what is asked carries them, what is printed or kept does not."""
    project.index.password = "s3cr3t-w0rd"  # noqa: S105  # the one that must not be seen
    address = project.index.url.replace("://", "://user:s3cr3t-w0rd@")
    project.require("app")
    for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        project.env = {name: address}
        code, out, err = project.matrix("preflight", "--format", "json")
        assert code == 0, err
        assert "s3cr3t" not in out + err
    kept = [file for file in (project.folder / "cache").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if b"s3cr3t" in file.read_bytes()]
    project.env = {"UV_DEFAULT_INDEX": address.replace("s3cr3t", "wr0ng"), "UV_HTTP_RETRIES": "0"}
    code, _, err = project.matrix("preflight", "--format", "json")
    assert code == 4
    assert "refuses these credentials; give them in the index's address, in ~/.netrc, or in pip.conf" in err
    assert "wr0ng" not in err


@pytest.mark.parametrize("name", ["uv.toml", "pyproject.toml"])
def test_a_file_that_uv_would_write_to_is_left_alone(project: Project, name: str) -> None:
    """Nor are versions taken from it: it belongs to another command of uv's."""
    project.index.wheel("both", "2", "py3-none-any")
    head = "[pip]" if name == "uv.toml" else "[tool.uv.pip]"
    (project.folder / name).write_text(f'{head}\noutput-file = "mine.lock"\n')
    (project.folder / "mine.lock").write_text("both==1\n# my notes\n")
    project.require("both")
    assert "both==2" in project.verdicts()
    assert (project.folder / "mine.lock").read_text() == "both==1\n# my notes\n"


def test_uv_looks_where_we_look(project: Project) -> None:
    """Whoever names the index, in whatever words, with whatever credentials: what one finds the other finds, too."""
    project.index.password = "s3cr3t"  # noqa: S105  # the test's own
    wheels = project.folder / "wheels"
    wheels.mkdir()
    (wheels / "app-9-py3-none-any.whl").write_bytes(make_wheel("app", "9", "py3-none-any"))
    project.env = {
        "UV_INDEX_CORP_USERNAME": "user",
        "UV_INDEX_CORP_PASSWORD": "s3cr3t",
        "UV_FIND_LINKS": str(wheels),
    }
    index = f'name = "corp"\nurl = "{project.index.url}"\ndefault = true\n'
    (project.folder / "pyproject.toml").write_text(f"[[tool.uv.index]]\n{index}")
    project.require("app")
    assert project.verdicts()["app==1"] == {"glibc": "pure wheel", "musl": "pure wheel"}
    address = project.index.url.replace("://", "://user:${PW}@")
    project.env = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "PW": "s3cr3t"}
    project.require(f"--index-url {address}", "app")
    assert project.verdicts()["app==1"] == {"glibc": "pure wheel", "musl": "pure wheel"}
    project.require("--find-links ./wheels", f"--index-url {address}", "app")
    assert project.verdicts() == {"app==9": {"glibc": "pure wheel", "musl": "pure wheel"}}


def test_a_marker_of_one_file_is_nothing_to_another(project: Project) -> None:
    """Each cell is foretold by its own requirements, though both name the same version."""
    (project.folder / "matrix.yaml").write_text(MATRIX.replace("deps: [app]", "deps: [app, other]"))
    project.require("glibcy==1")
    (project.folder / "other.txt").write_text('both==1\nglibcy==1; platform_machine == "aarch64"\n')
    code, out, err = project.matrix("preflight", "--format", "json", "--only", "python=3.12", "--skip", "base=odd")
    assert code == 0, err
    assert {cell["cell"]: cell["outlook"] for cell in json.loads(out)["cells"]} == {
        "alpine-3.12-app": "build-failed",
        "alpine-3.12-other": "wheels only",
        "slim-3.12-app": "wheels only",
        "slim-3.12-other": "wheels only",
    }


def test_an_index_of_one_file_is_nothing_to_another(project: Project) -> None:
    """What it has for musl helps only the cells whose requirements name it."""
    (project.folder / "matrix.yaml").write_text(MATRIX.replace("deps: [app]", "deps: [app, other]"))
    project.require("glibcy==1")
    more = Index()
    more.wheel("glibcy", "1", MUSL.format(python="cp312"))
    with serve(more):
        (project.folder / "other.txt").write_text(f"--extra-index-url {more.url}\nglibcy==1\n")
        code, out, err = project.matrix("preflight", "--format", "json", "--only", "alpine-3.12-*")
    assert code == 0, err
    outlooks = {cell["cell"]: cell["outlook"] for cell in json.loads(out)["cells"]}
    assert outlooks == {"alpine-3.12-app": "build-failed", "alpine-3.12-other": "wheels only"}


def test_what_lies_at_an_address_of_its_own_is_not_foretold(project: Project) -> None:
    """No index is asked for its name, which may be nobody's business; the other dependencies are looked up."""
    project.index.offer("elsewhere", "mylib-1-py3-none-any.whl", make_wheel("mylib", "1", "py3-none-any"))
    host = project.index.url.removesuffix("/simple")
    for path in ("mylib-1-py3-none-any.whl", "gone-1-py3-none-any.whl"):
        project.require("both", f"mylib @ {host}/files/{path}?sig=s3cr3t")
        assert project.verdicts() == {
            "both==1": {"glibc": "wheel", "musl": "wheel"},
            "mylib==at an address of its own": {"glibc": "unknown", "musl": "unknown"},
        }
        out = project.matrix("preflight")[1]
        assert "mylib at an address of its own (app): on musl 3.12, " in out
        assert "s3cr3t" not in out
    assert not [path for path in project.index.asked if path.startswith("/simple/mylib")]


@pytest.mark.parametrize("way", ["pip", "uv", "file"])
def test_an_index_may_refuse_what_it_does_not_have(project: Project, way: str) -> None:
    """Some answer 403 for that; pip passes over it, and uv does where it is told to."""
    more = Index()
    more.missing = 403
    more.wheel("extra", "2", "py3-none-any")
    with serve(more):
        project.require("both", "extra")
        if way == "pip":
            project.env = {"PIP_INDEX_URL": project.index.url, "PIP_EXTRA_INDEX_URL": more.url}
        elif way == "uv":
            codes = f'[[index]]\nurl = "{more.url}"\nignore-error-codes = [403]\n'
            (project.folder / "uv.toml").write_text(codes)
        else:
            project.require(f"--extra-index-url {more.url}", "both", "extra")
        assert set(project.verdicts()) == {"both==1", "extra==2"}


def test_the_only_index_may_refuse_what_it_does_not_have(project: Project) -> None:
    """As long as it answers for anything else, its word is that there is no such package."""
    project.index.missing = 403
    project.require("absent==3", "both")
    assert project.verdicts() == {
        "absent==3": {"glibc": "nothing", "musl": "nothing"},
        "both==1": {"glibc": "wheel", "musl": "wheel"},
    }


def test_constraints_count_where_nothing_can_be_resolved(project: Project) -> None:
    """As for pip, which sees no version that is for another Python either."""
    project.index.offer("legacy", "legacy-1.tar.gz", make_sdist("legacy", "1", {"setup.py": ""}))
    project.index.wheel("both", "2", "py3-none-any")
    project.index.wheel("both", "3", "cp314-cp314-musllinux_1_2_x86_64")
    project.require("legacy==1", "both")
    assert set(project.verdicts()) == {"both==2", "legacy==1"}
    (project.folder / "c.txt").write_text("both<2\n")
    project.require("-c c.txt", "legacy==1", "both")
    assert set(project.verdicts()) == {"both==1", "legacy==1"}


def test_a_package_may_be_called_certificate(project: Project) -> None:
    """No index has it: that is no trouble with anybody's certificate."""
    project.require("certificate==9")
    assert project.verdicts() == {"certificate==9": {"glibc": "nothing", "musl": "nothing"}}


def test_without_a_network_the_cache_still_speaks(project: Project) -> None:
    """--offline asks nobody; an index that is gone is named, and what it said before is shown."""
    project.require("app")
    code, out, err = project.matrix("preflight", "--offline", "--format", "json")
    assert (code, err) == (4, "matrix: offline: not all was in the cache; `matrix preflight` without --offline asks the index\n")
    assert project.index.asked == []
    before = project.verdicts()
    asked = len(project.index.asked)
    assert project.verdicts("--offline") == before
    assert len(project.index.asked) == asked
    for page in (project.folder / "cache" / "index").glob("*"):
        data = json.loads(page.read_text())
        page.write_text(json.dumps(data | {"at": 0}))  # too old to be taken for what the index says now
    project.env = {"UV_DEFAULT_INDEX": project.index.url, "UV_HTTP_RETRIES": "0"}
    project.index.status = 503
    code, out, err = project.matrix("preflight", "--format", "json")
    assert code == 4
    assert err.startswith(f"matrix: the package index {project.index.url}")
    assert "it is out of order; try again later (HTTP status server error (503 " in err
    assert {row["name"] for row in json.loads(out)["dependencies"]} == {"app", "both", "glibcy", "never", "sourced"}


def test_an_index_that_nobody_listens_at_is_named(project: Project) -> None:
    """With what to look at, and the exit code for what is broken outside."""
    project.require("both")
    project.env = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    code, _, err = project.matrix("preflight")
    assert code == 4
    assert "the package index http://127.0.0.1:9/simple" in err
    assert "is this machine on the network, and is a proxy needed (HTTPS_PROXY)?" in err


def test_what_is_no_package_is_an_error_of_usage(project: Project) -> None:
    """Nothing selected is 3, a format that is not there 2."""
    project.require("both")
    assert project.matrix("preflight", "--only", "base=debian")[0] == 3
    assert project.matrix("preflight", "--format", "xml")[0] == 2


@pytest.mark.index
def test_the_real_index_has_what_the_docs_say(tmp_path: Path) -> None:
    """Packages that have wheels for musl, that lack them, and that never had one."""
    project = Project(tmp_path, Index())
    project.env = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))}
    project.require("grpcio==1.85.1", "psutil==7.0.0", "pyroscope-io==0.8.7", "onnxruntime==1.31.1", "confluent-kafka==2.16.1")
    found = {name: verdict for name, verdict in project.verdicts("--only", "python=3.12").items() if "musl" in verdict}
    assert {
        name.partition("==")[0]: (on["glibc"], on["musl"]) for name, on in found.items() if "pure" not in on["musl"]
    }.items() >= {
        "confluent-kafka": ("wheel", "compile"),
        "grpcio": ("wheel", "wheel"),
        "onnxruntime": ("wheel", "nothing"),
        "psutil": ("wheel", "compile"),
        "pyroscope-io": ("wheel", "nothing"),
    }.items()
