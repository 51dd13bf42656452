"""The command line without an engine: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from orchestrator import __version__, cli, pipeline
from orchestrator.cli import COMMANDS, make_app
from orchestrator.config import load
from orchestrator.record import Shard
from orchestrator.store import RunFolder
from tests.command_line import assert_refused, end_of
from tests.unit.folders import make_files
from tests.unit.pages import Page
from tests.unit.pairs import make_run
from tests.unit.records import make_record, run_json

TEXT = "version: 1\nname: m\naxes: {base: [alpine, slim], python: ['3.12', '3.13']}\nexclude: [{base: alpine, python: '3.13'}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a working folder with a matrix.yaml, and a stored run."""
    make_files(tmp_path, "Dockerfile")
    (tmp_path / "matrix.yaml").write_text(TEXT)
    run = RunFolder(tmp_path / "reports" / "runs" / make_record().id)
    run.create()
    run.save_text("run.json", run_json())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_plan_is_printed_on_standard_output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Results go to standard output and nothing else does."""
    assert end_of(monkeypatch, "plan", "--format", "ids", "--only", "python=3.12") == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("alpine-3.12\nslim-3.12\n", "")


@pytest.mark.parametrize(
    ("words", "jobs"),
    [(["--only", "a=x", "--shards", "300"], 256), ([], 512), (["--shards", "300"], 300), (["--shards", "256"], 256)],
)
def test_a_job_matrix_that_github_would_refuse_is_told(
    words: list[str], jobs: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes 256 jobs of one matrix; the parts of a plan are what helps."""
    values = ", ".join(f"v{number}" for number in range(256))
    (folder / "matrix.yaml").write_text(f"version: 1\nname: m\naxes: {{a: [x, y], b: [{values}]}}\n")
    assert end_of(monkeypatch, "plan", "--format", "github", *words) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["include"]) == jobs
    told = f"matrix: GitHub takes at most 256 jobs of one matrix, and these are {jobs}; --shards 256 makes fewer of them\n"
    assert err == (told if jobs > 256 else "")


def test_what_a_bake_file_has_no_place_for_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build by bake would lack it without a word; what it can be given is in the file."""
    secrets = "{ca: {file_env: SSL_CERT_FILE}, token: {env: TOKEN}}"
    (folder / "matrix.yaml").write_text(f"{TEXT}defaults: {{secret_args: {{KEY: MY_KEY}}, secrets: {secrets}}}\n")
    assert end_of(monkeypatch, "plan", "--format", "bake") == 0
    out, err = capsys.readouterr()
    assert [target["secret"] for target in json.loads(out)["target"].values()] == [["id=token,env=TOKEN"]] * 3
    assert err.splitlines() == [
        "matrix: the bake file is without the build argument KEY, whose value is in MY_KEY; give it to bake by --set",
        "matrix: the bake file is without the secret ca, whose path is in SSL_CERT_FILE; give it to bake by --set",
    ]


def test_a_result_is_written_to_a_file_when_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -o the result is in the file, and standard output stays empty."""
    assert end_of(monkeypatch, "plan", "--format", "json", "-o", "plan.json") == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "wrote plan.json\n")
    assert len(json.loads((folder / "plan.json").read_text())["cells"]) == 3
    assert end_of(monkeypatch, "plan", "-o", "no/such/folder/plan") == 2
    assert capsys.readouterr().err == "matrix: no/such/folder/plan cannot be written: No such file or directory\n"


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "json", "prometheus", "html"])
@pytest.mark.usefixtures("folder")
def test_a_stored_run_is_reported_without_docker(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any report of any stored run needs no engine."""
    assert end_of(monkeypatch, "report", "latest", "--format", kind, "--only", "base=slim") == 0
    out = capsys.readouterr().out
    assert "slim" in out
    assert "wolfi-3.11" not in out


@pytest.mark.parametrize("out", ["page.html", "docs/page.html"])
def test_a_page_leads_to_the_logs_from_where_it_is_written(folder: Path, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With -o a page can lie anywhere: its links go from there to the run's folder."""
    log = folder / "reports/runs" / make_record().id / "cells/alpine-3.12/build.log"
    log.parent.mkdir(parents=True)
    log.write_text("a log")
    (folder / "docs").mkdir()
    assert end_of(monkeypatch, "report", "--format", "html", "-o", out) == 0
    (link,) = [one for one in Page((folder / out).read_text(encoding="utf-8")).all("a") if one.text == "build.log"]
    assert (folder / out).parent.joinpath(link.attributes["href"]).resolve() == log


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["plan", "-f", "gone.yaml"], 2, "gone.yaml: no such file; `matrix init` writes one"),
        (
            ["plan", "--only", "base=debian"],
            3,
            "matrix: 'debian' in --only 'base=debian' is not a value of axis 'base'; `matrix plan` lists them",
        ),
        (["plan", "--only", "bas=slim"], 2, "matrix: 'bas' in 'bas=slim' is not an axis; did you mean 'base'?"),
        (
            ["plan", "--format", "jsn"],
            2,
            "matrix: --format 'jsn' is not one of table, json, ids, github, bake; did you mean 'json'?",
        ),
        (["report", "2025"], 2, "matrix: there is no run '2025' in "),
        (
            ["report", "--format", "xml"],
            2,
            "matrix: --format 'xml' is not one of table, markdown, comment, csv, json, junit, prometheus",
        ),
        (["compare", "latest"], 2, "Missing argument 'NEW'"),
        (["compare", "latest", "2025"], 2, "matrix: there is no run '2025' in "),
        (["compare", "latest", "latest", "--format", "csv"], 2, "matrix: --format 'csv' is not one of table, markdown, json"),
        (
            ["compare", "latest", "latest", "--only", "base=debian"],
            3,
            "matrix: no cell is left by --only base=debian; `matrix report RUN` lists those of a run",
        ),
        (["report", "--skip", "*"], 3, "matrix: no cell is left by --skip *; `matrix report latest` lists those of the run"),
        (["history", "--only", "x"], 3, "matrix: no cell is left by --only x; `matrix history` lists them"),
        (["report", "/etc"], 2, "matrix: '/etc' is not the folder of a run: there is no /etc/run.json"),
        (["history", "--name", "otel-pyton"], 2, "is of the matrix 'otel-pyton'; did you mean 'otel-python'?"),
        (["history", "--last", "0"], 2, "Invalid value for '--last'"),
        (["baseline", "2025"], 2, "matrix: there is no run '2025' in "),
        (["baseline", "--show", "--clear"], 2, "matrix: --show and --clear are two things; give one of them"),
        (["run", "--baseline", "2025"], 2, "matrix: there is no run '2025' in "),
        (["run", "--baseline", "latest"], 2, "is of the matrix 'otel-python', not of 'm'; name another with --baseline"),
        (["run", "--progress", "fancy"], 2, "matrix: --progress 'fancy' is not one of auto, plain, json, none"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_the_user_can_mend_is_a_sentence_with_an_exit_code(
    argv: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors are words on standard error, never a traceback, and results stay empty."""
    assert_refused(monkeypatch, capsys, argv, code, words)


def test_all_errors_of_a_matrix_are_printed_one_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Editors can jump to file and line."""
    (folder / "matrix.yaml").write_text(TEXT + "typo: 1\nexpect: [{os: x, outcome: timeout}]\n")
    assert end_of(monkeypatch, "plan") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("matrix.yaml:5: typo: unknown key")
    assert lines[1] == "matrix.yaml:6: expect[0].os: 'os' is not an axis; the axes are base, python"


@pytest.mark.usefixtures("folder")
def test_a_bug_of_ours_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody has foreseen ends with 70, a traceback to paste, and the version."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(load, "load_matrix", fail)
    assert end_of(monkeypatch, "plan") == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert err.endswith(f"matrix {__version__}: this is a bug in matrix; please report the lines above\n")


@pytest.mark.parametrize("kind", ["table", "markdown", "json"])
def test_stored_runs_are_compared_without_docker(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference is no error: exit 0, and the result on standard output or in a file."""
    later = RunFolder(folder / "reports" / "runs" / "20261122T050607Z-abc123")
    later.create()
    later.save_record(replace(make_run(day=1), id=later.id))
    assert end_of(monkeypatch, "compare", make_record().id, "latest", "--format", kind, "--skip", "base=wolfi") == 0
    out = capsys.readouterr().out
    assert "slim-3.13" in out
    assert "wolfi" not in out
    assert end_of(monkeypatch, "compare", "20261121", "20261122", "--force", "-o", "out") == 0
    assert "of the matrix" not in (folder / "out").read_text()
    assert end_of(monkeypatch, "history", "--format", kind, "--last", "1", "--only", "base=slim") == 0
    assert "slim-3.13" in capsys.readouterr().out


def test_a_baseline_is_chosen_shown_and_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command takes today's figures; what it did is said."""
    run = RunFolder(folder / "reports" / "runs" / make_run(day=1).id)
    run.create()
    run.save_record(make_run(day=1))
    for argv, words in (
        (["baseline", "--show"], "none is chosen: the last good run of each matrix is its baseline\n"),
        (["baseline"], f"run {run.id} is the baseline of otel-python\n"),
        (["baseline", "--show"], f"otel-python: {run.id}\n"),
        (["baseline", "--clear"], "the last good run of each matrix is its baseline\n"),
    ):
        assert end_of(monkeypatch, *argv) == 0
        assert capsys.readouterr().out == words


def test_every_command_explains_itself() -> None:
    """--help is there for the tool and for each of its commands, in words."""
    assert {
        "init",
        "doctor",
        "plan",
        "bootstrap",
        "run",
        "report",
        "trace",
        "compare",
        "history",
        "baseline",
        "schema",
        "clean",
    } <= set(COMMANDS)
    app = make_app()
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == list(COMMANDS)
    for argv in ([], *([command] for command in COMMANDS)):
        answer = CliRunner().invoke(app, [*argv, "--help"])
        assert answer.exit_code == 0
        assert "Usage: matrix" in answer.output


def test_the_list_of_commands_is_read_whole_on_any_terminal() -> None:
    """A summary that is cut off at the usual width says nothing."""
    app = make_app()
    answer = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"})
    summaries = answer.output.partition("Commands:\n")[2].splitlines()
    assert len(summaries) == len(COMMANDS)
    assert [line for line in summaries if not line.endswith(".") or line.endswith("...")] == []


def test_usage_is_written_as_people_write_it() -> None:
    """What must be given stands plain, what may be given in brackets, with dots where there may be several; no type is named."""
    app = make_app()
    helps = {command: CliRunner().invoke(app, [command, "--help"]).output for command in COMMANDS}
    usages = {command: text.partition("\n")[0].partition(" [OPTIONS]")[2].strip() for command, text in helps.items()}
    assert {command: usage for command, usage in usages.items() if usage} == {
        "init": "[FOLDER]",
        "report": "[RUN]",
        "trace": "[RUN] [CELL...]",
        "explain": "[RUN] [CELL]",
        "merge": "RUN...",
        "compare": "OLD NEW",
        "baseline": "[RUN]",
        "jaeger": "ACTION [RUN]",
    }
    assert [command for command, text in helps.items() if re.search("<(?:path|str|int)", text)] == []


def test_only_of_an_axis_given_twice_is_either_value(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What --help and README say of --only."""
    monkeypatch.chdir(Path(__file__).parents[2])
    for words in (["base=alpine,slim,python=3.13"], ["base=alpine,base=slim,python=3.13"]):
        assert end_of(monkeypatch, "plan", "--format", "ids", "--only", *words, "--only", "wolfi-3.12-stdlib") == 0
        ids = capsys.readouterr().out.split()
        assert {"alpine-3.13-stdlib", "slim-3.13-stdlib", "wolfi-3.12-stdlib"} <= set(ids)
        assert not [cell for cell in ids if cell.startswith(("alpine-3.12", "slim-3.12", "wolfi-3.13"))]


def test_a_word_that_is_no_command_gets_the_nearest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A command line is made of the command that was typed; of all of them where that is none."""
    assert end_of(monkeypatch, "explian") == 2
    assert "Did you mean 'explain'" in capsys.readouterr().err


def test_a_home_that_takes_no_completion_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container, or for a user of a service, there may be none; that is no bug."""
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert end_of(monkeypatch, "--install-completion", "bash") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"matrix: {tmp_path}/home")
    assert err.endswith("; --show-completion prints what belongs there\n")
    assert err.count("\n") == 1


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`matrix --version` says which one this is."""
    assert end_of(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"matrix {__version__}\n"
    assert cli.__doc__


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["report", "site", "trace", "explain", "history", "baseline", "compare latest latest"])
def test_a_run_that_is_missed_is_made_where_it_was_looked_for(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that is named to make one has the options that this one had."""
    assert end_of(monkeypatch, *command.split(), "-f", "s.yaml", "--reports", "else where") == 2
    assert "`matrix run -f s.yaml --reports 'else where'` makes one" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_mistyped_file_does_not_clean_up_after_all_matrices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where none is named, and none is here, all are meant; where one is named, that one is."""
    words = "matrix: matrx.yaml: no such file, and without one the images of all matrices would go; leave --file out for that\n"
    assert end_of(monkeypatch, "clean", "-f", "matrx.yaml") == 2
    assert capsys.readouterr() == ("", words)


def test_how_a_run_goes_on_is_said_with_the_options_that_it_had(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that is copied from there finds the same matrix and the same runs."""
    (folder / "matrix.yaml").rename(folder / "s.yaml")
    interrupted = replace(make_record(), interrupted=True, complete=False)

    monkeypatch.setattr(pipeline, "run_matrix", lambda *_: interrupted)
    assert end_of(monkeypatch, "run", "-f", "s.yaml") == 130
    words = f"interrupted; `matrix run -f s.yaml --resume {interrupted.id}` goes on with the rest\n"
    assert capsys.readouterr().err.endswith(words)


MARKS = "<!-- matrix:begin table -->\n<!-- matrix:end table -->\n"


def test_a_readme_is_refreshed_and_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check exits 1 and writes nothing, --update writes, and --check is content."""
    (folder / "README.md").write_text(MARKS)
    assert end_of(monkeypatch, "report", "--update", "README.md", "--check") == 1
    assert capsys.readouterr() == ("", "matrix: README.md:1: table is out of date\n")
    assert (folder / "README.md").read_text() == MARKS
    assert end_of(monkeypatch, "report", "--update", "README.md", make_record().id) == 0
    assert capsys.readouterr() == ("", "matrix: README.md:1: table updated\n")
    assert end_of(monkeypatch, "report", "--update", "README.md", "--check") == 0
    assert capsys.readouterr() == ("", "matrix: README.md is up to date\n")
    assert "| alpine | 3.12 | passed | 20.0 |" in (folder / "README.md").read_text(encoding="utf-8")


def test_marks_that_cannot_be_meant_are_exit_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With file and line; options that cannot go together are named."""
    (folder / "README.md").write_text("<!-- matrix:begin -->\n")
    assert end_of(monkeypatch, "report", "--update", "README.md") == 2
    words = "README.md:1: <!-- matrix:begin --> has no end; write <!-- matrix:end --> below it\n"
    assert capsys.readouterr().err == words
    assert end_of(monkeypatch, "report", "--check") == 2
    assert capsys.readouterr().err == "matrix: --check asks about the blocks of a file: name it with --update FILE\n"
    assert end_of(monkeypatch, "report", "--update", "README.md", "--format", "csv") == 2
    assert "leave --format and --out away" in capsys.readouterr().err


def test_what_comes_after_init_is_said_for_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands that are printed can be typed where one is."""
    assert end_of(monkeypatch, "init", "my app") == 0
    words = "next: matrix plan -f 'my app/matrix.yaml', then matrix run -f 'my app/matrix.yaml'\n"
    assert capsys.readouterr().err.endswith(words)
    monkeypatch.chdir(folder / "my app")
    assert end_of(monkeypatch, "init", "--force") == 0
    assert capsys.readouterr().err.endswith("next: matrix plan, then matrix run\n")


def test_a_site_is_made_beside_the_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its front page is printed; a damaged run is named on standard error and takes nothing with it."""
    damaged = RunFolder(folder / "reports" / "runs" / "20261122T000000Z-abcdef")
    damaged.create()
    damaged.save_text("run.json", "{")
    assert end_of(monkeypatch, "site") == 0
    out, err = capsys.readouterr()
    assert out == "reports/site/index.html\n"
    assert err.startswith("matrix: left out 20261122T000000Z-abcdef: runs/20261122T000000Z-abcdef/run.json is damaged")
    assert err.endswith("matrix: 1 run written, 0 unchanged, 0 removed\n")
    assert (folder / out.strip()).is_file()
    assert end_of(monkeypatch, "site", "-o", "pages") == 0
    assert (folder / "pages" / "runs" / make_record().id / "index.html").is_file()


def test_of_a_merged_run_some_cells_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--only and --skip choose what is printed, as with `matrix report`; the run has all, and so has its exit code."""
    whole = tuple(cell.id for cell in make_record().cells)
    run = RunFolder(folder / "parts" / "one")
    run.create()
    run.save_record(replace(make_record(), planned=whole, shard=Shard(1, 2, whole)))
    code = end_of(monkeypatch, "merge", str(run.path), "--format", "csv")
    assert "wolfi-3.11" in capsys.readouterr().out
    assert end_of(monkeypatch, "merge", str(run.path), "--format", "csv", "--only", "base=slim", "--skip", "slim-3.12") == code
    out, err = capsys.readouterr()
    assert "slim-3.13" in out
    assert "wolfi" not in out
    assert "slim-3.12" not in out
    assert "shard 2/2 is not here" in err
    assert end_of(monkeypatch, "merge", str(run.path), "--only", "base=debian") == 3
    assert "no cell is left by --only base=debian; `matrix report " in capsys.readouterr().err
