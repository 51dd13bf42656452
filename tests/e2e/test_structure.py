"""container-structure-test files run as they are, each of their tests a check of the cell."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.e2e.conftest import DOCKERFILE, Project
from tests.e2e.test_run import leftovers

SHELL_LESS = """\
FROM scratch
COPY busybox /app/busybox
COPY --chmod=640 --chown=7:8 notes.txt /app/notes.txt
ENV MODE=fast VERSION=1.2.3
LABEL team=payments built="2024-05-01"
EXPOSE 8080 9000/udp
VOLUME /data
USER 7
WORKDIR /app
ENTRYPOINT ["/app/busybox"]
CMD ["sleep", "100"]
"""
FILES = """\
mkdir -p /etc /tmp /a/b && echo "colour = blue" > /etc/app.conf && chmod 4755 /etc/app.conf
ln -s /etc /config && ln -s ../../etc/app.conf /a/b/conf && ln -s /nowhere /dangling && ln -s circle /circle
chmod 1777 /tmp && echo kept > /tmp/kept"""
LINKS = DOCKERFILE.replace("CMD", f"RUN {' && '.join(FILES.splitlines())}\nCMD")


def structure(
    project: Project, *, exit_code: int = 0, check: dict[str, Any] | None = None, **tests: Any
) -> dict[str, dict[str, Any]]:
    """Run a matrix of one cell with one structure file; give what became of each of its tests, by name."""
    project.folder.joinpath("cst.yaml").write_text(yaml.safe_dump({"schemaVersion": "2.0.0", **tests}, sort_keys=False))
    project.write(defaults={"smoke": [{"structure": "cst.yaml", **(check or {})}], "retries": 0})
    record = project.run(exit_code=exit_code)
    assert leftovers(project) == []
    checks = record["cells"][0]["smoke"]["checks"]
    assert all(check["name"].startswith("structure cst.yaml") for check in checks)
    return {check["name"].removeprefix("structure cst.yaml: "): check for check in checks}


def reasons(checks: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Give the reasons of tests, and make sure that those with one did not pass."""
    assert {name for name, check in checks.items() if check["reason"]} == {n for n, c in checks.items() if c["outcome"] != "passed"}
    return {name: check["reason"] for name, check in checks.items()}


def test_commands_are_judged_by_output_error_output_and_exit_code(project: Project) -> None:
    """Whatever a file asks of a command is compared, and all that is wrong is said."""
    say = {"command": "sh", "args": ["-c", "echo one; echo two >&2; exit 3"]}
    good = {"expectedOutput": ["^one$"], "excludedOutput": ["two"], "expectedError": ["^tw[[:alpha:]]$"], "excludedError": ["one"]}
    checks = structure(
        project,
        exit_code=1,
        commandTests=[
            {"name": "good", **say, **good, "exitCode": 3},
            {"name": "bad", **say, "expectedOutput": ["three"], "excludedError": ["two"]},
            {"name": "not there", "command": "python3"},
            {"name": "no pattern", **say, "exitCode": 3, "expectedOutput": ["(unclosed"]},
            {"name": "floods", "command": "seq", "args": ["100000"], "excludedOutput": ["x"]},
        ],
    )
    assert reasons(checks) == {
        "command good": None,
        "command bad": "exit 3: two; its output does not match 'three': one; its error output matches 'two', which it must not",
        "command not there": "'python3' is not in the image",
        "command no pattern": (
            "'(unclosed' is not a pattern that Python can read: missing ), unterminated subpattern at position 0"
        ),
        "command floods": "its output is too long; 'x' does not match the part that was kept",
    }
    assert [check["outcome"] for check in checks.values()] == ["passed", "failed", "failed", "error", "error"]


def test_setup_leaves_its_files_to_the_command_and_to_no_other_test(placed: Project) -> None:
    """Setup and teardown run around their own test, /tmp included; a setup that fails makes no verdict on the command."""
    checks = structure(
        placed,
        exit_code=1,
        globalEnvVars=[{"key": "WHERE", "value": "/new"}, {"key": "PATH", "value": "/extra:$PATH"}],
        commandTests=[
            {
                "name": "set up",
                "setup": [["mkdir", "-p", "/new", "/tmp"], ["touch", "$WHERE/a"], ["touch", "/tmp/b"]],  # noqa: S108  # inside
                "command": "ls",
                "args": ["${WHERE}", "/tmp"],  # noqa: S108  # inside the container
                "expectedOutput": ["a", "b"],
                "teardown": [["rm", "/new/a"], ["ls", "/new/a"]],
            },
            {"name": "untouched", "command": "ls", "args": ["/new"], "exitCode": 1},
            {"name": "broken", "setup": [["sh", "-c", "echo no disk >&2; exit 4"]], "command": "true"},
            {
                "name": "variables",
                "command": "sh",
                "args": ["-c", "for i in 1; do echo $i $MINE $PATH; done"],
                "envVars": [{"key": "MINE", "value": "$WHERE/mine"}],
                "expectedOutput": ["^1 /new/mine /extra:/"],
            },
        ],
    )
    assert reasons(checks) == {
        "command set up": None,
        "command untouched": None,
        "command broken": "setup 'sh -c echo no disk >&2; exit 4': exit 4: no disk",
        "command variables": None,
    }
    assert checks["command broken"]["outcome"] == "failed"
    assert checks["command set up"]["detail"].startswith("teardown 'ls /new/a': exit 1")


def test_files_are_judged_by_what_the_image_holds(placed: Project) -> None:
    """Permissions as `ls` and as Go write them, owners, who may execute, links within the image."""
    placed.folder.joinpath("Dockerfile").write_text(LINKS)
    conf = {"path": "/etc/app.conf"}
    checks = structure(
        placed,
        exit_code=1,
        fileExistenceTests=[
            {"name": "root", "path": "/", "shouldExist": True, "uid": 0, "gid": 0},
            {"name": "as ls", **conf, "permissions": "-rwsr-xr-x", "isExecutableBy": "other"},
            {"name": "as go", **conf, "permissions": "urwxr-xr-x"},
            {"name": "sticky", "path": "/tmp", "permissions": "dtrwxrwxrwx"},  # noqa: S108  # inside the image
            {"name": "kept", "path": "/tmp/kept"},  # noqa: S108  # as above
            {"name": "through a link", "path": "/config/app.conf"},
            {"name": "a link and a slash", "path": "/config/", "permissions": "drwxr-xr-x"},
            {"name": "a file and a slash", "path": "/etc/app.conf/", "shouldExist": False},
            {"name": "absent", "path": "/etc/app.conf/x", "shouldExist": False},
            {"name": "in a circle", "path": "/circle/x", "shouldExist": False},
            {"name": "missing", "path": "/none"},
            {"name": "present", **conf, "shouldExist": False},
            {"name": "owner", **conf, "uid": 5, "gid": 6, "permissions": "-rw-r--r--"},
            {"name": "not executable", "path": "/tmp/kept", "isExecutableBy": "any"},  # noqa: S108  # as above
            {"name": "dangling", "path": "/dangling", "isExecutableBy": "any"},
        ],
        fileContentTests=[
            {"name": "good", **conf, "expectedContents": [r"^colour\s=\s\w+$"], "excludedContents": ["red"]},
            {"name": "linked", "path": "/a/b/conf", "expectedContents": ["blue"]},
            {"name": "wrong", **conf, "expectedContents": ["red"], "excludedContents": ["blue"]},
            {"name": "missing", "path": "/none"},
            {"name": "folder", "path": "/config", "expectedContents": ["x"]},
            {"name": "circle", "path": "/circle", "expectedContents": ["x"]},
        ],
    )
    assert {name: reason for name, reason in reasons(checks).items() if reason} == {
        "file missing": "/none does not exist",
        "file present": "/etc/app.conf exists",
        "file owner": (
            "/etc/app.conf is -rwsr-xr-x, not -rw-r--r--; /etc/app.conf belongs to user 0, not 5; "
            "/etc/app.conf belongs to group 0, not 6"
        ),
        "file not executable": "/tmp/kept (-rw-r--r--) is not executable by any",  # noqa: S108  # as above
        "file dangling": "/dangling is a link that leads nowhere, so nobody can execute it",
        "content wrong": "/etc/app.conf does not match 'red': colour = blue; /etc/app.conf matches 'blue', which it must not",
        "content missing": "/none does not exist",
        "content folder": "/config is not a file",
        "content circle": "/circle does not exist",
    }


def test_an_image_without_a_shell_is_tested_too(project: Project) -> None:
    """Files, configuration, and commands with setup need nothing but what the file names."""
    project.folder.joinpath("notes.txt").write_text("nothing to see\n")
    project.folder.joinpath("Dockerfile").write_text(SHELL_LESS)
    checks = structure(
        project,
        exit_code=1,
        commandTests=[
            {
                "name": "busybox",
                "setup": [["/app/busybox", "cp", "/app/notes.txt", "/app/copy"]],
                "command": "/app/busybox",
                "args": ["cat", "copy"],
                "expectedOutput": ["nothing to see"],
            }
        ],
        containerRunOptions={"user": "0", "capabilities": ["dac_override"], "privileged": False},
        fileExistenceTests=[
            {"name": "notes", "path": "/app/notes.txt", "permissions": "-rw-r-----", "uid": 7, "gid": 8},
            {"name": "no shell", "path": "/bin/sh", "shouldExist": False},
        ],
        fileContentTests=[{"name": "notes", "path": "app/notes.txt", "expectedContents": ["nothing"]}],
        metadataTest={
            "envVars": [{"key": "MODE", "value": "fast"}, {"key": "VERSION", "value": r"^\d+\.\d+", "isRegex": True}],
            "unboundEnvVars": [{"key": "DEBUG"}, {"key": "MODE"}],
            "labels": [{"key": "team", "value": "payments"}, {"key": "built", "value": "^19", "isRegex": True}],
            "exposedPorts": [8080, "9000", "9000/udp", "1"],
            "unexposedPorts": ["22", "8080"],
            "volumes": ["/data"],
            "unmountedVolumes": ["/root", "/data"],
            "entrypoint": ["/app/busybox"],
            "cmd": ["sleep"],
            "workdir": "/app/",
            "user": "8",
        },
    )
    metadata = checks.pop("metadata")
    assert {check["outcome"] for check in checks.values()} == {"passed"}
    assert metadata["outcome"] == "failed"
    assert metadata["reason"].split("; ") == [
        "variable MODE is set",
        "port 1 is not exposed",
        "port 8080 is exposed",
        "/data is a volume",
        "cmd is ['sleep', '100'], not ['sleep']",
        "user is '7', not '8'",
        "label built does not match '^19': 2024-05-01",
    ]


def test_what_is_not_supported_is_named_and_never_passes(project: Project) -> None:
    """A key that is passed over would be a test that nobody ran."""
    checks = structure(
        project,
        exit_code=1,
        licenseTests=[{"debian": True}],
        containerRunOptions={"privileged": True, "bindMounts": ["/a:/b"], "hostname": "x"},
        commandTests=[{"name": "true", "command": "true"}],
        fileExistenceTests=[{"name": "typo", "path": "/bin", "permision": "drwx------"}, {"name": "fine", "path": "/bin"}],
        metadatatest={"user": "x"},
    )
    assert {name: (check["outcome"], check["reason"]) for name, check in checks.items()} == {
        "licenseTests": (
            "error",
            "matrix does not support licenseTests: matrix judges no licences; remove it, or test them elsewhere",
        ),
        "metadatatest": ("error", "the format has no key 'metadatatest' here; did you mean 'metadataTest'?"),
        "containerRunOptions.privileged": (
            "error",
            "matrix does not support privileged: a check's container is shut in; name the `capabilities` that it needs",
        ),
        "containerRunOptions.bindMounts": (
            "error",
            (
                "matrix does not support bindMounts: the engine may be on another machine; "
                "bring the files in with `setup`, or in the image"
            ),
        ),
        "containerRunOptions.hostname": ("error", "the format has no key 'hostname' here"),
        "command true": (
            "skipped",
            (
                "not run, as the file asks for "
                "containerRunOptions.privileged, containerRunOptions.bindMounts, containerRunOptions.hostname"
            ),
        ),
        "file typo": ("error", "the format has no key 'permision' here; did you mean 'permissions'?"),
        "file fine": ("passed", None),
    }


def test_each_test_of_a_file_is_a_check_with_a_time_limit_of_its_own(project: Project) -> None:
    """One that hangs leaves the others theirs."""
    tests = [{"name": str(at), "command": "echo", "args": [str(at)], "expectedOutput": [f"^{at}$"]} for at in range(4)]
    tests.insert(1, {"name": "hangs", "command": "sleep", "args": ["100"]})
    files = [{"name": str(at), "path": "/bin/sh"} for at in range(7)]
    checks = structure(project, exit_code=1, check={"timeout": "2s"}, commandTests=tests, fileExistenceTests=files)
    assert len(checks) == 12
    assert checks.pop("command hangs")["reason"] == "still running after 2 s"
    assert {check["outcome"] for check in checks.values()} == {"passed"}


def test_an_image_cannot_make_patterns_work_for_ever(project: Project) -> None:
    """Text that makes a pattern go back and forth for hours costs no more than a limit."""
    dockerfile = project.folder / "Dockerfile"
    dockerfile.write_text(DOCKERFILE.replace("CMD", "RUN yes a | head -n 60 | tr -d '\\n' > /trap && echo b >> /trap\nCMD"))
    tests = [{"name": "trap", "path": "/trap", "expectedContents": ["^(a+)+$"]}]
    checks = structure(project, exit_code=1, check={"timeout": "3s"}, fileContentTests=tests)
    assert checks["content trap"]["outcome"] == "timeout"
    assert "its patterns are still at work after" in checks["content trap"]["reason"]


def test_a_file_that_is_not_valid_stops_matrix_before_anything_runs(project: Project) -> None:
    """With every problem, its line, and the place in matrix.yaml that names the file."""
    text = "schemaVersion: 1.0.0\ncommandTests:\n- name: x\nfileExistenceTests:\n- {name: y, path: /, uid: root}\n"
    project.folder.joinpath("cst.yaml").write_text(text)
    project.write(defaults={"smoke": [{"structure": "cst.yaml"}]})
    said = project.matrix("plan", exit_code=2).stderr
    assert "matrix.yaml:" in said
    assert "defaults.smoke[0].structure: cst.yaml:1: schemaVersion: '1.0.0' is not supported; matrix reads 2.0.0 (cell one)" in said
    assert "cst.yaml:3: commandTests[0].command: is missing (cell one)" in said
    assert "cst.yaml:5: fileExistenceTests[0].uid: 'root' is not a whole number (cell one)" in said


def test_json_is_read_as_well(project: Project) -> None:
    """The format has two spellings."""
    tests = {"schemaVersion": "2.0.0", "fileExistenceTests": [{"name": "sh", "path": "/bin/sh"}]}
    project.folder.joinpath("cst.json").write_text(json.dumps(tests, indent="\t"))
    project.write(defaults={"smoke": [{"structure": "cst.json"}]})
    (check,) = project.run()["cells"][0]["smoke"]["checks"]
    assert (check["name"], check["outcome"]) == ("structure cst.json: file sh", "passed")
