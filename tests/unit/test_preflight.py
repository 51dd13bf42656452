"""A forecast from what an index offers: wheels that fit, what a compile needs, what that means for a cell."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from threading import Event
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.dockerfile import Image
from orchestrator.index.fetch import Fetched
from orchestrator.index.sdist import parse_sdist, read_sdist
from orchestrator.model import Cell, Settings
from orchestrator.packages import Offer, Pinned, SourceFacts
from orchestrator.preflight.choose import choose_versions, is_pips, unread_of
from orchestrator.preflight.forecast import make_forecast
from orchestrator.preflight.formats import Formats, find_formats
from orchestrator.preflight.judge import architecture, is_wanted, judge
from orchestrator.preflight.needs import find_needs
from orchestrator.preflight.nouns import CellForecast, Judged, Outlook, Preflight, RequirementSet, Row, Target, Verdict
from orchestrator.preflight.render import FORMATS, render_preflight
from orchestrator.preflight.targets import find_python, has_compiler
from orchestrator.preflighting import is_certain, look_ahead
from orchestrator.requirements import load_requirements
from tests.package_index import make_sdist
from tests.unit.folders import plan_of
from tests.unit.golden import assert_golden

if TYPE_CHECKING:
    from pathlib import Path

MUSL = Target("musl", "linux/amd64", "3.12")
GLIBC = Target("glibc", "linux/amd64", "3.12")
ARM = Target("musl", "linux/arm64", "3.12")
C_SOURCES = SourceFacts(
    ("setuptools", "Cython>=3"), ("C",), ("Python.h", "linux/futex.h", "openssl/ssl.h"), declares_extension=True
)


def verdict_of(*files: str, target: Target = MUSL, facts: SourceFacts | None = None, version: str = "1.0") -> Judged:
    """Judge version 1.0 of a package of which these files are offered."""
    return judge(Pinned("p", version), [Offer(file) for file in files], target, lambda _: facts)


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("p-1.0-py3-none-any.whl", (MUSL, GLIBC, ARM)),
        ("p-1.0-py2.py3-none-any.whl", (MUSL, GLIBC, ARM)),
        ("p-1-cp312-cp312-musllinux_1_2_x86_64.whl", (MUSL,)),
        ("p-1.0-cp39-abi3-musllinux_1_1_aarch64.whl", (ARM,)),
        ("p-1.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", (GLIBC,)),
        ("p-1.0-cp312-cp312-manylinux_2_39_x86_64.whl", ()),
        ("p-1.0-cp313-cp313-musllinux_1_2_x86_64.whl", ()),
        ("p-1.0-cp312-cp312t-musllinux_1_2_x86_64.whl", ()),
        ("p-1.0-cp313-abi3-musllinux_1_2_x86_64.whl", ()),
        ("p-1.0-pp310-pypy310_pp73-manylinux_2_17_x86_64.whl", ()),
        ("p-1.1-py3-none-any.whl", ()),
        ("no-wheel.whl", ()),
    ],
)
def test_a_wheel_fits_by_its_tags(file: str, fits: tuple[Target, ...]) -> None:
    """The C library, the architecture, the Python and the version decide, as for pip."""
    found = {target for target in (MUSL, GLIBC, ARM) if verdict_of(file, target=target).verdict in (Verdict.WHEEL, Verdict.PURE)}
    assert found == set(fits)


def test_what_has_no_wheel_is_compiled_built_or_not_there() -> None:
    """A source archive is compiled when wheels elsewhere, or what is in it, say so."""
    mac = "p-1.0-cp312-cp312-macosx_11_0_arm64.whl"
    assert verdict_of(mac) == Judged(Verdict.NOTHING, how="wheels for macOS only, no source")
    assert verdict_of() == Judged(Verdict.NOTHING, how="no file of this version")
    compiled = verdict_of(mac, "p-1.0.tar.gz", facts=C_SOURCES)
    assert compiled.verdict is Verdict.COMPILE
    assert compiled.needs == (
        "C compiler",
        "OpenSSL headers (openssl-dev, libssl-dev)",
        "kernel headers (linux-headers, linux-libc-dev)",
    )
    assert compiled.how == "it has wheels for macOS; built with cython; its build names extension modules; C sources"
    assert verdict_of(mac, "p-1.0.tar.gz").needs == ("a compiler",)
    assert verdict_of("p-1.0.tar.gz", facts=SourceFacts(("setuptools",), ("C",))).verdict is Verdict.BUILD
    assert verdict_of("p-1.0.tar.gz").how == "its source archive could not be read"
    assert verdict_of("p-1.0.tar.gz", target=Target(None, "linux/amd64", "3.12")).verdict is Verdict.UNKNOWN


def test_a_file_for_another_python_does_not_count() -> None:
    """Requires-Python is obeyed; one that nobody understands is not."""
    for wanted, verdict in ((">=3.13", Verdict.NOTHING), (">=3.8,<4", Verdict.PURE), ("a lot", Verdict.PURE)):
        offers = [Offer("p-1.0-py3-none-any.whl", requires_python=wanted)]
        assert judge(Pinned("p", "1.0"), offers, MUSL, lambda _: None).verdict is verdict


def test_wheels_for_old_pythons_fit() -> None:
    """Before 3.8 their tags carried an m."""
    old = Target("glibc", "linux/amd64", "3.7")
    assert verdict_of("p-1.0-cp37-cp37m-manylinux1_x86_64.whl", target=old).verdict is Verdict.WHEEL
    assert verdict_of("p-1.0-cp36-abi3-manylinux1_x86_64.whl", target=old).verdict is Verdict.WHEEL
    assert verdict_of("p-1.0-cp312-cp312m-manylinux1_x86_64.whl", target=GLIBC).verdict is Verdict.NOTHING


def test_a_source_archive_packed_with_bzip2_counts() -> None:
    """Old projects have no other."""
    assert verdict_of("p-1.0.tar.bz2", facts=SourceFacts()).verdict is Verdict.BUILD


@pytest.mark.parametrize(
    ("platform", "machine"),
    [
        ("linux/amd64", "x86_64"),
        ("linux/amd64/v3", "x86_64"),
        ("linux/x86_64", "x86_64"),
        ("aarch64", "aarch64"),
        ("linux/arm64/v8", "aarch64"),
        ("linux/arm", "armv7l"),
        ("linux/arm/v6", "armv6l"),
        ("linux/riscv64", "riscv64"),
        ("linux/mips64le", "mips64le"),
    ],
)
def test_a_platform_has_the_wheels_of_its_machine_however_it_is_written(platform: str, machine: str) -> None:
    """Docker takes all of these; wheels know one name for each machine."""
    assert architecture(platform) == machine


def test_markers_are_evaluated_for_the_target() -> None:
    """Not for the machine that asks."""
    assert is_wanted("platform_machine == 'aarch64' and sys_platform == 'linux'", ARM)
    assert not is_wanted("platform_machine == 'aarch64'", MUSL)
    assert is_wanted("python_full_version >= '3.12.4' and python_version < '3.13'", MUSL)
    assert is_wanted("nonsense", MUSL)
    assert is_wanted("platform_machine ~= 'x86'", MUSL)
    assert is_wanted("python_version ~= '3'", MUSL)
    assert is_wanted(None, MUSL)


@pytest.mark.parametrize(
    ("facts", "needs"),
    [
        (SourceFacts(("maturin>=1",), ("Rust",)), ("Rust",)),
        (SourceFacts(("setuptools", "setuptools_rust"), ("C", "Rust")), ("Rust",)),
        (SourceFacts(("scikit-build-core[pyproject]",), ("C", "C++")), ("C++ compiler",)),
        (SourceFacts((), (), declares_extension=True), ("a compiler",)),
        (SourceFacts(("hatchling",), ("C",)), ()),
    ],
)
def test_needs_are_read_off_the_build(facts: SourceFacts, needs: tuple[str, ...]) -> None:
    """By the tools that it is built with, and the languages of its sources."""
    assert find_needs(facts)[0] == needs


def test_a_source_archive_is_read_and_not_run() -> None:
    """Build requirements, languages, and headers that the archive does not bring along; tests and docs do not count."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools", "cffi"]\n',
        "setup.py": "setup(ext_modules=[Extension('x', [])])",
        "src/x.c": '#include <own.h>\n # include "sub/deep.h"\n#include <openssl/ssl.h>\n',
        "include/own.h": "",
        "include/sub/deep.h": "",
        "tests/t.rs": "",
    }
    assert parse_sdist(make_sdist("p", "1", files)) == SourceFacts(
        ("setuptools", "cffi"), ("C",), ("openssl/ssl.h",), declares_extension=True
    )
    assert parse_sdist(make_sdist("p", "1", {"pyproject.toml": "["})) == SourceFacts()


def packed(files: dict[str, bytes], kind: str) -> bytes:
    """Pack files as a source archive of this kind."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]  # a kind is a mode
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "zip"])
def test_a_source_archive_of_any_kind_is_read(kind: str) -> None:
    """Each that an index offers, files of a whole number of blocks and large ones in it, too."""
    files = {
        "p-1/large.txt": b"x" * 3_000_000,
        "p-1/whole.c": b"#include <a.h>\n".ljust(512),
        "p-1/empty.c": b"",
        "p-1/setup.py": b"ext_modules",
    }
    assert parse_sdist(packed(files, kind)) == SourceFacts((), ("C",), ("a.h",), declares_extension=True)


def test_a_damaged_archive_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with it, it could not be read; nothing else comes to grief."""
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(tmp_path))
    whole = packed({"p-1/setup.py": b"print(1)\n" * 500}, "zip")
    broken = whole[:45] + bytes(byte ^ 0xFF for byte in whole[45:60]) + whole[60:]

    class Door:
        def get(self, url: str, _accept: str, _limit: int) -> Fetched:
            return Fetched(url, "", broken)

    assert read_sdist(Offer("p-1.zip", "https://h/p-1.zip"), Door()) is None  # type: ignore[arg-type]  # all that is called


def test_an_archive_takes_no_memory_by_its_headers() -> None:
    """A header of hundreds of megabytes packs to a few bytes, and a path may have any number of parts."""
    header = tarfile.TarInfo("p-1/x")
    header.type, header.size = tarfile.XHDTYPE, 64 * 1024**2
    record = b"%d comment=" % header.size
    body = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(header.size, b"a"), 1)
    deep = packed({f"p-1/{'a/' * 30_000}x.c": b"", "p-1/setup.py": b"ext_modules"}, "gz")
    tracemalloc.start()
    with pytest.raises(tarfile.ReadError, match="larger than any archive of sources"):
        parse_sdist(body)
    assert parse_sdist(deep) == SourceFacts(declares_extension=True)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 * 1024**2


def test_versions_are_chosen_where_nothing_can_be_resolved() -> None:
    """The newest that fits and is neither yanked nor a pre-release; an exact one as it is."""
    offers = [Offer(f"p-{version}.tar.gz", yanked=version == "3.0") for version in ("1.0", "2.0", "3.0", "4.0rc1")]
    lines = ["p>=1 ; python_version > '3'", "p==9", "q<1", "-e ."]
    found = choose_versions(lines, (), lambda name: offers if name == "p" else (), MUSL)
    assert [(pin.label, pin.marker) for pin in found] == [("p==2.0", 'python_version > "3"'), ("p==9", None), ("q==<1", None)]


def test_only_what_pip_would_take_is_chosen() -> None:
    """A version for another Python, without a file for the target, or outside of constraints is none that pip sees."""
    offers = [
        Offer("p-5-py3-none-any.whl", requires_python=">=3.13"),
        Offer("p-4-cp312-cp312-macosx_11_0_arm64.whl"),
        Offer("p-3.tar.gz"),
        Offer("p-2-cp312-cp312-manylinux_2_17_x86_64.whl"),
        Offer("p-2-cp312-cp312-musllinux_1_2_x86_64.whl"),
        Offer("p-1.tar.gz"),
        Offer("p-6a1.tar.gz"),
    ]

    def chosen(formats: Formats, *constraints: str, target: Target = GLIBC) -> str:
        (found,) = choose_versions(["p"], constraints, lambda _: offers, target, formats)
        return found.version

    assert chosen(Formats()) == "3"
    assert chosen(Formats(), target=Target("glibc", "linux/amd64", "3.13")) == "5"
    assert chosen(Formats(), "P<2") == "1"
    assert chosen(Formats(), "p<2; python_version < '3.12'", "q<1") == "3"
    assert chosen(Formats(), "p==2.5") == "2.5"
    assert chosen(Formats(), "p>3,<5") == "4"
    assert chosen(find_formats([("only-binary", ":all:")])) == "2"
    assert chosen(find_formats([("prefer-binary", "")])) == "2"
    assert chosen(find_formats([("pre", "")])) == "6a1"


def test_an_address_of_its_own_is_asked_of_no_index() -> None:
    """The name of a private package is nobody's business; nothing is known of what lies there."""
    (pin,) = choose_versions(
        ["p @ https://h/p-1-py3-none-any.whl ; python_version > '3'"], (), lambda _: pytest.fail("asked"), MUSL
    )
    assert (pin.label, pin.is_direct, pin.marker) == ("p==at an address of its own", True, 'python_version > "3"')
    assert judge(pin, (), MUSL, lambda _: None).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("options", "wheels", "sources"),
    [
        ([("only-binary", ":all:")], True, False),
        ([("no-binary", "P_q")], False, True),
        ([("only-binary", ":all:"), ("no-binary", "p-q")], False, True),
        ([("no-binary", ":all:"), ("only-binary", "other,P.q")], True, False),
        ([("no-binary", ":all:"), ("only-binary", ":all:")], True, False),
        ([("no-binary", "p-q"), ("no-binary", ":none:")], True, True),
    ],
)
def test_a_file_may_rule_out_wheels_or_sources(options: list[tuple[str, str]], *, wheels: bool, sources: bool) -> None:
    """For all packages or for some, the later word counting, as for pip."""
    found = find_formats(options)
    assert (found.wheels("p-q"), found.sources("p-q")) == (wheels, sources)


def test_what_a_file_rules_out_is_not_taken() -> None:
    """A source archive that may not be taken is as good as none, and this is said."""
    offers = [Offer("p-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"), Offer("p-1.0.tar.gz")]
    for options, target, verdict, how in (
        ([("only-binary", "p")], MUSL, Verdict.NOTHING, "wheels for glibc only, and the file rules out sources"),
        ([("no-binary", "p")], GLIBC, Verdict.COMPILE, "it has wheels for glibc"),
    ):
        found = judge(Pinned("p", "1.0"), offers, target, lambda _: None, find_formats(options))
        assert (found.verdict, found.how) == (verdict, how)


@pytest.mark.parametrize(
    ("axes", "args", "refs", "found"),
    [
        ({"python": "3.13"}, {"PYTHON_VERSION": "3.12"}, ["python:3.11"], ("3.13", "axis python")),
        ({"python": "system"}, {"PYTHON_VERSION": "3.12.4"}, [], ("3.12", "argument PYTHON_VERSION")),
        (
            {},
            {},
            ["busybox", "registry.example/python:3.11.9-slim@sha256:a"],
            ("3.11", "base registry.example/python:3.11.9-slim@sha256:a"),
        ),
        ({}, {"PYTHON_VERSION": "latest"}, ["python:3", "mypython:3.12"], (None, None)),
    ],
)
def test_a_cells_python_is_known_by_its_axis_its_arguments_or_its_base(
    axes: dict[str, str], args: dict[str, str], refs: list[str], found: tuple[str | None, str | None]
) -> None:
    """In this order, and otherwise not at all."""
    cell = Cell("c", tuple(axes.items()), Settings(args=tuple(args.items())))
    assert find_python(cell, [Image(ref, None, 1) for ref in refs]) == found


def test_a_full_python_image_has_a_compiler() -> None:
    """And a slim one has not, unless its Dockerfile installs one."""
    full, slim, alpine = (Image(f"python:3.12{end}", None, 1) for end in ("", "-slim", "-alpine"))
    assert has_compiler([full], ())
    assert not has_compiler([slim, alpine], ())
    assert has_compiler([slim], ("gcc",))


WHEEL = (GLIBC, Judged(Verdict.WHEEL))
ROWS = (
    Row("nat==1", "nat", "1", ("a.txt",), ((MUSL, Judged(Verdict.COMPILE, "nat-1.tar.gz", ("C compiler",), "C sources")), WHEEL)),
    Row("none==2", "none", "2", ("b.txt",), ((MUSL, Judged(Verdict.NOTHING, how="wheels for glibc only, no source")), WHEEL)),
    Row("pure==3", "pure", "3", ("a.txt", "b.txt"), ((MUSL, Judged(Verdict.PURE)), (GLIBC, Judged(Verdict.PURE)))),
    Row("old==4", "old", "4", ("c.txt",), ((MUSL, Judged(Verdict.BUILD)), (GLIBC, Judged(Verdict.NOT_WANTED)))),
)


def foretold(name: str, target: Target, path: str | None, tools: tuple[str, ...] | None = ()) -> CellForecast:
    """Foretell a cell that has these requirements."""
    found = RequirementSet(path, "sha256:a", "uv") if path else None
    return make_forecast(Cell(name, (), Settings(requirements=path)), target, "axis python", ROWS, found, tools)


@pytest.mark.parametrize(
    ("path", "target", "tools", "outlook", "why"),
    [
        ("a.txt", MUSL, ("gcc",), Outlook.LONG, "nat==1 is compiled: needs C compiler"),
        ("a.txt", MUSL, (), Outlook.LIKELY, "the Dockerfile installs no compiler"),
        ("a.txt", MUSL, None, Outlook.LONG, "nat==1 is compiled: needs C compiler"),
        ("a.txt", GLIBC, (), Outlook.WHEELS, None),
        ("b.txt", MUSL, ("gcc",), Outlook.FAILED, "none==2: wheels for glibc only, no source"),
        ("c.txt", MUSL, (), Outlook.BUILDS, "old==4 is built from source, nothing is compiled"),
        ("c.txt", GLIBC, (), Outlook.WHEELS, None),
        (None, MUSL, (), Outlook.UNKNOWN, "it names no requirements file"),
        ("a.txt", Target(None, "linux/amd64", "3.12"), (), Outlook.UNKNOWN, "its C library is not known; set `libc: musl`"),
        ("a.txt", Target("musl", "linux/amd64", None), (), Outlook.UNKNOWN, "its Python is not known; give an axis `python`"),
    ],
)
def test_the_worst_dependency_decides_what_is_foretold(
    path: str | None, target: Target, tools: tuple[str, ...] | None, outlook: Outlook, why: str | None
) -> None:
    """Nothing at all fails; a compile takes long, or fails where no compiler is installed."""
    found = foretold("c", target, path, tools)
    assert found.outlook is outlook
    assert (found.why[-1] if found.why else None) == why or (why is not None and found.why[-1].startswith(why))


@pytest.mark.parametrize(("path", "outlook"), [("a.txt", Outlook.UNKNOWN), ("b.txt", Outlook.FAILED)])
def test_what_nobody_can_read_is_no_wheel(path: str, outlook: Outlook) -> None:
    """A folder, a repository or a line that is none may be anything; what cannot be had fails all the same."""
    unread = unread_of(["requests>=2", "foo bar ===", "./x.tar.gz", "git+https://host/a"])
    assert unread == ["foo bar ===", "./x.tar.gz", "git+https://host/a"]
    found = RequirementSet(path, "sha256:a", "the file alone", "no", tuple(unread))
    cell = Cell("c", (), Settings(requirements=path))
    forecast = make_forecast(cell, MUSL, "axis python", ROWS, found, ())
    assert forecast.outlook is outlook
    assert (forecast.why[0] == "nothing is known of 'foo bar ==='") == (outlook is Outlook.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ('[[package]]\nname = "a"\nfiles = [\n    {file = "a.whl", hash = "sha256:1"},\n]\n', False),
        ('[project]\nname = "a"\ndependencies = [\n  "b>=1",\n]\n', False),
        ('{\n  "packages": {\n    "node_modules/a": {"resolved": "https://host/a.tgz"}\n  }\n}\n', False),
        ("module example.com/m\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/text v0.3.0\n)\n", False),
        ("name: x\ndependencies:\n  - numpy\n", False),
        ("", True),
        ("--pre\n-e .\n", True),
        ("./a.whl\n/b/c.tar.gz ; python_version < '3'\nd/e\ngit+https://host/f@v1\nfile:g.whl\nh.whl\n", True),
        ("requests>>2\nflask\n", True),
    ],
)
def test_pips_format_is_told_from_others(tmp_path: Path, text: str, is_it: bool) -> None:  # noqa: FBT001  # a case of many
    """By what most lines are, whatever the file is called: a mistake in one line is still a mistake in a requirements file."""
    (tmp_path / "requirements.lock").write_text(text)
    assert is_pips(load_requirements(tmp_path / "requirements.lock").lines) is is_it


def look_alone(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Preflight:
    """Look ahead for a matrix.yaml of which an index, which would not answer here, need not be asked."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    return look_ahead(plan_of(text, folder), folder, Event())


def test_a_file_of_another_installer_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of its lines is shown; nobody was asked, so nobody failed to answer."""
    (tmp_path / "Dockerfile").write_text("FROM node:18-slim\n")
    (tmp_path / "package-lock.json").write_text('{\n  "lockfileVersion": 3,\n  "packages": {\n  }\n}\n')
    found = look_alone("axes: {base: [a, b]}\ndefaults: {requirements: package-lock.json}\n", tmp_path, monkeypatch)
    text = render_preflight(found, "table", 200)
    assert text == "package-lock.json: not looked at: it is not in pip's format\n\nunknown: 2 of 2 cells: a, b\n"
    assert {cell.why for cell in found.cells} == {("package-lock.json: it is not in pip's format",)}
    assert is_certain(found)


def test_a_base_of_which_nothing_is_known_leaves_nothing_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said in words, and is no index that does not answer."""
    (tmp_path / "Dockerfile").write_text("FROM debian:12\n")
    (tmp_path / "app.txt").write_text("flask\n")
    found = look_alone("axes: {base: [a]}\ndefaults: {requirements: app.txt, platform: linux/amd64}\n", tmp_path, monkeypatch)
    text = render_preflight(found, "table", 200)
    assert text.startswith("not looked at: a (linux/amd64): its C library is not known; set `libc: musl` or")
    assert "app.txt: not looked at: no base with it is known well enough\n" in text
    assert is_certain(found)


def make_preflight(problem: str | None = None) -> Preflight:
    """Make a forecast with a bit of everything."""
    cells = [foretold(f"{on.libc}-{path}", on, path) for on in (MUSL, GLIBC) for path in ("a.txt", "b.txt", "c.txt")]
    odd = Target(None, "linux/amd64", None)
    cells.append(foretold("odd", odd, None))
    sets = (RequirementSet("a.txt", "sha256:a", "uv"), RequirementSet("c.txt", "sha256:c", "the file alone", "old has no wheel"))
    targets = ((MUSL, ("alpine", "single")), (GLIBC, ("slim",)), (odd, ("odd",)))
    return Preflight("m", "2026-11-21T05:06:07+00:00", "https://index.example/simple", targets, sets, ROWS, tuple(cells), problem)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_forecast_reads_as_it_always_did(kind: str) -> None:
    """Each format, word for word."""
    assert_golden(f"preflight-{kind}.txt", render_preflight(make_preflight(), kind, 80))


def test_a_dependency_of_which_two_things_are_to_be_said_has_two_rows() -> None:
    """Each names its files: what one file's marker or index does is nothing to the cells of another."""
    rows = (
        Row("nat==1", "nat", "1", ("a.txt",), ((MUSL, Judged(Verdict.NOTHING)),)),
        Row("nat==1", "nat", "1", ("b.txt", "c.txt"), ((MUSL, Judged(Verdict.BUILD)),)),
    )
    text = render_preflight(replace(make_preflight(), rows=rows), "table", 80)
    assert ["nat==1", "(a)", "NOTHING"] in [line.split() for line in text.splitlines()]
    assert ["nat==1", "(b,", "c)", "source"] in [line.split() for line in text.splitlines()]


def test_a_narrow_terminal_gets_a_line_for_each_dependency() -> None:
    """Nothing is cut, and no line is longer than the terminal; a silent index is said."""
    text = render_preflight(make_preflight("no index"), "table", 28)
    assert max(map(len, text.splitlines())) <= 28
    assert "nat==1: COMPILE on musl 3.12 amd64; wheel on glibc 3.12 amd64" in " ".join(text.split())
    assert "The package index could not be asked" in " ".join(text.split())
