"""What the tests of a container-structure-test file ask for, against what was found."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from orchestrator.smoke.patterns import Expectation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.config.structure import CommandTest, FileContentTest, FileExistenceTest, MetadataTest, Variable
    from orchestrator.docker.contents import Entry, ImageConfig
    from orchestrator.smoke.patterns import Problem

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_EXECUTE = {"owner": 0o100, "group": 0o010, "other": 0o001, "any": 0o111}
_GO_KINDS = {
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "L",
    stat.S_IFBLK: "D",
    stat.S_IFCHR: "Dc",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "S",
}


def expand(text: str, env: Mapping[str, str]) -> str:
    """Fill variables in; one that is not known stays, so that a shell of the image can have it."""
    return _VARIABLE.sub(lambda found: env.get(found[1] or found[2], found[0]), text)


def expand_variables(variables: Sequence[Variable], env: Mapping[str, str]) -> dict[str, str]:
    """Give variables with those that are there already filled in."""
    return {variable.key: expand(variable.value, env) for variable in variables}


def summarize_problems(problems: Sequence[Problem]) -> tuple[str, str | None]:
    """Give a test's outcome, the worst that was found, and all reasons."""
    outcomes = {outcome for outcome, _ in problems}
    worst = next((outcome for outcome in ("failed", "timeout", "error") if outcome in outcomes), "passed")
    return worst, "; ".join(words for _, words in problems) or None


def expect_output(test: CommandTest, stdout: str, stderr: str, limit: int, clipped: Collection[str] = ()) -> list[Expectation]:
    """Give the patterns of a command test, with the output that each is for: what was kept of it, up to a limit."""
    has_all = {
        "stdout": len(stdout.encode()) < limit and "stdout" not in clipped,
        "stderr": len(stderr.encode()) < limit and "stderr" not in clipped,
    }
    parts = [
        ("its output", stdout, test.expected_output, True, has_all["stdout"]),
        ("its output", stdout, test.excluded_output, False, has_all["stdout"]),
        ("its error output", stderr, test.expected_error, True, has_all["stderr"]),
        ("its error output", stderr, test.excluded_error, False, has_all["stderr"]),
    ]
    return [
        Expectation(where, text, pattern, wanted, whole) for where, text, patterns, wanted, whole in parts for pattern in patterns
    ]


def expect_content(test: FileContentTest, entry: Entry) -> list[Expectation]:
    """Give the patterns of a file content test, with what the file holds."""
    content = entry.content or b""
    text = content.decode("utf-8", "replace")
    parts = [(test.expected_contents, True), (test.excluded_contents, False)]
    whole = len(content) == entry.size_bytes
    return [Expectation(test.path, text, pattern, wanted, whole) for patterns, wanted in parts for pattern in patterns]


def judge_existence(test: FileExistenceTest, entry: Entry | None, target: Entry | None) -> Iterator[Problem]:
    """Compare what lies at a path, and what a link there leads to, with what a test asks for."""
    if entry is None:
        if test.should_exist:
            yield "failed", f"{test.path} does not exist"
        return
    if not test.should_exist:
        yield "failed", f"{test.path} exists"
        return
    shown = stat.filemode(entry.mode)
    if test.permissions not in ("", shown, _go_permissions(entry.mode)):
        yield "failed", f"{test.path} is {shown}, not {test.permissions}"
    for what, wanted, found in (("user", test.uid, entry.uid), ("group", test.gid, entry.gid)):
        if wanted not in (-1, found):
            yield "failed", f"{test.path} belongs to {what} {found}, not {wanted}"
    if test.is_executable_by and target is None:
        yield "failed", f"{test.path} is a link that leads nowhere, so nobody can execute it"
    elif target and test.is_executable_by and not target.mode & _EXECUTE[test.is_executable_by]:
        yield "failed", f"{test.path} ({stat.filemode(target.mode)}) is not executable by {test.is_executable_by}"


def _go_permissions(mode: int) -> str:
    """Write permissions as Go does: special bits stand in front, not among the rest."""
    special = "".join(letter for bit, letter in ((stat.S_ISUID, "u"), (stat.S_ISGID, "g")) if mode & bit)
    kind = _GO_KINDS.get(stat.S_IFMT(mode), "")
    sticky = "t" if mode & stat.S_ISVTX else ""
    # Go's own order of letters has the character device between setgid and sticky
    front = kind[:1] + special + kind[1:] + sticky
    return (front or "-") + stat.filemode(stat.S_IFREG | mode & 0o777)[1:]


def judge_metadata(test: MetadataTest, config: ImageConfig) -> Iterator[Problem]:
    """Compare an image's configuration with what a test asks for, except for patterns."""
    yield from _judge_pairs("variable", [*test.env, *test.env_vars], config.env)
    yield from _judge_pairs("label", test.labels, config.labels)
    for variable in test.unbound_env_vars:
        if variable.key in config.env:
            yield "failed", f"variable {variable.key} is set"
    ports = {*config.ports, *(port.partition("/")[0] for port in config.ports)}
    yield from _judge_members("port {} is not exposed", "port {} is exposed", test.exposed_ports, test.unexposed_ports, ports)
    yield from _judge_members("{} is no volume", "{} is a volume", test.volumes, test.unmounted_volumes, config.volumes)
    lists = (("entrypoint", test.entrypoint, config.entrypoint), ("cmd", test.cmd, config.cmd))
    for what, argv, given in lists:
        if argv is not None and tuple(argv) != given:
            yield "failed", f"{what} is {list(given)}, not {argv}"
    if test.workdir and test.workdir.rstrip("/") != config.workdir.rstrip("/"):
        yield "failed", f"workdir is '{config.workdir}', not '{test.workdir}'"
    if test.user and test.user != config.user:
        yield "failed", f"user is '{config.user}', not '{test.user}'"


def expect_metadata(test: MetadataTest, config: ImageConfig) -> list[Expectation]:
    """Give the patterns of a metadata test, with the values that are there."""
    parts = [("variable", [*test.env, *test.env_vars], config.env), ("label", test.labels, config.labels)]
    return [
        Expectation(f"{what} {wanted.key}", found[wanted.key], wanted.value)
        for what, variables, found in parts
        for wanted in variables
        if wanted.is_regex and wanted.key in found
    ]


def _judge_pairs(what: str, wanted: Sequence[Variable], found: Mapping[str, str]) -> Iterator[Problem]:
    for one in wanted:
        if one.key not in found:
            yield "failed", f"{what} {one.key} is not set"
        elif not one.is_regex and found[one.key] != one.value:
            yield "failed", f"{what} {one.key} is '{found[one.key]}', not '{one.value}'"


def _judge_members(
    missing: str, present: str, wanted: Sequence[str], unwanted: Sequence[str], found: Sequence[str] | set[str]
) -> Iterator[Problem]:
    yield from (("failed", missing.format(one)) for one in wanted if one not in found)
    yield from (("failed", present.format(one)) for one in unwanted if one in found)
