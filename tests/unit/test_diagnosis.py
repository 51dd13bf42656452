"""Why a cell failed: each rule meets a log that has its problem, and one that looks like it and has not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from orchestrator.failures import classify_failure
from orchestrator.judge.diagnosis.nouns import Evidence
from orchestrator.judge.diagnosis.rules import RULES, diagnose
from orchestrator.measure.progress import Vertex
from orchestrator.model import Status
from orchestrator.record import Build, CellRecord, Image, Step
from tests.unit.logs import FOLDER, failed_build, failed_check, failed_checks, load_case, read_golden


@dataclass(frozen=True)
class Log:
    """A real log, the cell that left it, what is found, and words of the title, the evidence or the remedy."""

    codes: tuple[str, ...]
    words: str = ""
    system: str = "debian"
    code: int = 1
    packages: tuple[str, ...] = ()
    user: str = ""


LOGS = {
    "no-compiler": Log(("no-compiler",), "`apk add --no-cache gcc musl-dev`", "alpine"),
    "compile-error": Log(("compile-error",), "syntax.c:2:27: error: 'undeclared' undeclared", "alpine"),
    "openssl-header": Log(("missing-header",), "`apk add --no-cache openssl-dev`", "alpine"),
    "kernel-header": Log(("missing-header",), "`apk add --no-cache linux-headers`", "alpine"),
    "own-header": Log(("compile-error",), "broken_private.h: No such file", "alpine"),
    "pg-config": Log(("missing-tool",), "libpq-dev"),
    "rust": Log(("missing-tool", "name-not-resolved"), "cargo"),
    "no-distribution": Log(("no-distribution",), "0.8.5, 0.8.6, 1.0.3", "alpine"),
    "no-such-version": Log(("no-such-version",), "psutil==77.0.0", "alpine"),
    "other-python": Log(("other-python",), "numba==0.53.0 is not for this version of Python"),
    "company-ca": Log(("company-ca-missing",), "RUN --mount=type=secret,id=ca"),
    "bundle-missing": Log(("ca-bundle-missing",), "ca-certificates"),
    "bundle-empty": Log(("company-ca-missing",)),  # it is empty, and the server's authority is a company's: the log says the latter
    "no-network": Log(("name-not-resolved",), "network: host"),
    "no-network-apt": Log(("name-not-resolved",), "Temporary failure resolving"),
    "proxy-refuses": Log(("index-refuses",), "Tunnel connection failed: 403"),
    "apt-refused": Log(("index-refuses",), "403  Forbidden".replace("  ", " ")),
    "index-is-silent": Log(("nothing-offered",), "pip -v"),
    "crash-in-build": Log(("segmentation-fault",), "ctypes/__init__.py", code=139),
    "says-segmentation-fault": Log((), code=3),
    "killed-in-build": Log(("killed",), "dmesg", code=137),
    "memory-error": Log(("out-of-memory",), "MemoryError"),
    "disk-full": Log(("disk-full",), "docker buildx prune"),
    "not-root": Log(("permission-denied",), "permission denied for /srv/data"),
    "not-root-apt": Log(("permission-denied",), "/var/lib/apt/lists/lock", code=100),
    "no-apk-package": Log(("no-system-package",), "apk knows no package postgresql-dev", "alpine"),
    "no-apt-package": Log(("no-system-package",), "`apt-get update` in the same RUN", code=100),
    "no-command": Log(("missing-tool",), "`apt-get install -y --no-install-recommends curl`", code=127),
    "distutils": Log(("missing-build-module",), "no distutils since 3.12"),
    "locale": Log(("no-locale",), "LANG=C.UTF-8"),
    "no-zones": Log(("dns-search", "no-time-zone-data"), "`apk add --no-cache tzdata`", "alpine"),
    "zones": Log(("unknown-time-zone",), "Europe/Berlinn is no time zone", "alpine", packages=("tzdata",)),
    "slim": Log(("name-not-resolved",), "network: bridge"),
    "no-roots": Log(("ca-bundle-missing",), "`apk add --no-cache ca-certificates`", "alpine", packages=("ca-certificates",)),
    "glibc-wheel": Log(("missing-library",), "`apk add --no-cache libstdc++`", "alpine"),
    "glibc-extension": Log(("other-libc",), "was made for glibc, and this base has musl", "alpine"),
    "glibc-program-on-musl": Log(("no-loader", "missing-command"), "/true does not start", "alpine"),
    "crashing": Log(("segmentation-fault", "segmentation-fault"), "segmentation fault in crashing", "alpine"),
    "needy": Log(("missing-library",), "`apk add --no-cache libpq`", "alpine"),
    "slim-needy": Log(("missing-library", "missing-library", "no-healthcheck"), "libzbar0"),
    "app": Log(("segmentation-fault", "killed", "permission-denied", "read-only"), "the image's user is 65532", user="65532"),
    "memory": Log(("out-of-memory",), "limit 512 MiB"),
    "exporters": Log(
        ("network-unreachable", "wrong-otlp-port", "wrong-otlp-port"), "OTLP over HTTP is sent to a port that speaks gRPC"
    ),
}


UNREADABLE = "the Dockerfile cannot be read: "


def words_of(cell: CellRecord, evidence: Evidence) -> tuple[tuple[str, ...], str]:
    """Diagnose a cell; give the codes, and all words that people read."""
    found = diagnose(cell, evidence)
    return tuple(one.code for one in found), "\n".join(" ".join((one.title, *one.evidence, one.remedy)) for one in found)


@pytest.mark.parametrize("name", LOGS)
def test_a_real_log_is_explained_by_its_cause_and_by_nothing_else(name: str) -> None:
    """Each log is also what looks like it for all other rules: none of them may fire."""
    log = LOGS[name]
    codes, words = words_of(*load_case(name, log.system, code=log.code, packages=log.packages, user=log.user))
    assert codes == log.codes
    assert log.words in words


def test_every_log_that_is_kept_is_tested() -> None:
    """A golden log that no test reads is dead weight."""
    assert {path.stem for path in FOLDER.glob("*.log")} == set(LOGS)


# What could not be had here is in the words that the tool itself prints: real apk, npm, uv, git, curl, other platforms.
_SECTION = re.compile(r"^== (?P<code>\S+) (?P<system>\w+): (?P<what>.*)\n(?P<said>(?:(?!== ).*\n)+)", re.MULTILINE)
SAID = {one["what"]: (one["code"], one["said"], one["system"]) for one in _SECTION.finditer(read_golden("said-by-tools.txt"))}


@pytest.mark.parametrize("what", SAID)
def test_the_words_of_tools_that_are_not_here_are_known(what: str) -> None:
    """In the form in which the tool prints them, after what else a step says."""
    code, printed, system = SAID[what]
    codes, _ = words_of(*failed_build(f"#1 hello\n{printed}bye\n", system))
    assert codes == (code,)


LOOK_ALIKES = {
    "a compiler that is looked for and not needed": "checking for gcc... no\ngcc was not found, the pure version is taken",
    "a header that configure looks for": "checking for openssl/ssl.h... no\nchecking whether linux/futex.h is there... no",
    "a tool in a sentence": "If pg_config executable not found, see the docs. cargo is nice.",
    "pip about its cache": "WARNING: The directory '/root/.cache/pip' or its parent directory is not owned or is not writable",
    "a library that was found": "Looking for libstdc++.so.6 => /usr/lib/libstdc++.so.6",
    "a count of 403": "collected 403 items\nport 4317 is open, 401 of 407 passed",
    "a shell's own name": "echo: found",
    "words about memory": "this needs a lot of memory; OutOfMemoryError is not raised",
    "words about a disk": "Checking the space left on the device: 10 GB",
    "words about certificates": "Certificates are verified; a self-signed certificate would be refused",
    "words about permissions": "drwxr-xr-x, permission granted",
    "words about locales": "Generating locales... done",
    "words about a module": "import distutils as a last resort",
    "words about a version": "GLIBC_2.38 is what we build with",
    "words about node": "installed @grpc/grpc-js, grpc_node.node is not needed",
    "words about a killed process": "The old worker was killed and restarted (exit 137 is normal here)",
}


@pytest.mark.parametrize("what", LOOK_ALIKES)
def test_words_that_only_look_like_a_cause_are_none(what: str) -> None:
    """A log is full of words; a rule takes the line in which a tool says that it failed."""
    assert words_of(*failed_build(LOOK_ALIKES[what], "alpine"))[0] == ()


def test_a_build_that_went_through_has_no_causes_whatever_it_printed() -> None:
    """What a step says on the way to success is no failure."""
    cell, evidence = failed_build("error: [Errno 2] No such file or directory: 'gcc'")
    assert diagnose(replace(cell, status=Status.PASSED, as_expected=True), evidence) == ()


def test_what_another_step_printed_is_not_taken_for_the_one_that_failed() -> None:
    """Steps run side by side and build.log has them all; progress tells them apart."""
    cell, _ = failed_build("make: *** [all] Error 2")
    evidence = Evidence(
        "[a 2/2] RUN make", "make: *** [all] Error 2", "error: [Errno 2] No such file or directory: 'gcc'\nmake: *** [all] Error 2"
    )
    assert diagnose(cell, evidence) == ()


def test_the_lines_of_the_dockerfile_at_a_logs_end_are_no_output() -> None:
    """Buildx quotes the Dockerfile where the build failed, comments and all."""
    cell, _ = failed_build("")
    rule = "-" * 20
    quoted = f"Dockerfile:2\n{rule}\n   2 | >>> RUN x # fatal error: ffi.h: No such file or directory\n{rule}\n"
    assert diagnose(cell, Evidence(build_log=f"nothing\n{quoted}")) == ()
    assert [
        one.code for one in diagnose(cell, Evidence(build_log=f"x.c:1:2: fatal error: ffi.h: No such file or directory\n{quoted}"))
    ] == ["missing-header"]


def test_a_remedy_is_for_the_base_of_the_stage_that_failed() -> None:
    """Packages are called otherwise on each; where the base is not known both are named."""
    printed = "x.c:1:10: fatal error: openssl/ssl.h: No such file or directory"
    remedies = {system: diagnose(*failed_build(printed, system))[0].remedy for system in ("alpine", "debian", "wolfi", None)}
    assert "`apk add --no-cache openssl-dev`" in remedies["alpine"]
    assert "`apt-get install -y --no-install-recommends libssl-dev`" in remedies["debian"]
    assert "`apk add --no-cache openssl-dev`" in remedies["wolfi"]
    assert "openssl-dev` on Alpine, `apt-get install -y --no-install-recommends libssl-dev` on Debian" in remedies[None]


def test_sources_that_were_ruled_out_are_not_said_to_be_missing() -> None:
    """With --only-binary nobody looked for sources."""
    printed = "ERROR: Could not find a version that satisfies the requirement a==1.5 (from versions: 1.4, 1.6)"
    titles = [
        diagnose(*failed_build(printed, step=f"[2/2] RUN pip install {words}a==1.5"))[0].title
        for words in ("", "--only-binary=:all: ")
    ]
    assert [title.partition(": ")[2] for title in titles] == [
        "neither a wheel for this platform and Python nor sources",
        "no wheel for this platform and Python, and sources are ruled out",
    ]


def test_a_long_list_of_versions_is_read_to_its_end() -> None:
    """Some projects have thousands; the newest is the last, and half a version is none."""
    versions = [f"1.{minor}.{patch}" for minor in range(30, 45) for patch in range(160)]
    printed = "ERROR: Could not find a version that satisfies the requirement boto3=={} (from versions: {})"
    within, beyond = (
        diagnose(*failed_build(printed.format(version, ", ".join(versions))))[0] for version in ("1.40.999", "1.44.160")
    )
    assert (within.code, beyond.code) == ("no-distribution", "no-such-version")
    assert "are offered is 1.44.159." in beyond.remedy


def test_a_library_that_no_table_has_is_asked_for_by_its_own_name() -> None:
    """Shared objects are known to apk by name, and to apt-file."""
    check = failed_check("ImportError: Error loading shared library libnever.so.7: No such file or directory (needed by /x.so)")
    assert "`apk add --no-cache so:libnever.so.7`" in words_of(*failed_checks(check, system="alpine"))[1]
    check = failed_check("OSError: libnever.so.7: cannot open shared object file: No such file or directory")
    assert "`apt-file search libnever.so.7`" in words_of(*failed_checks(check))[1]


def test_an_unknown_issuer_is_the_bundles_want_or_the_companys_by_what_the_image_holds() -> None:
    """The same words mean two things; the packages of the image tell which, and without them nobody says so."""
    check = failed_check("exit 1: curl: (60) SSL certificate problem: unable to get local issuer certificate")
    assert words_of(*failed_checks(check, packages=("busybox",)))[0] == ("ca-bundle-missing",)
    assert words_of(*failed_checks(check, packages=("busybox", "ca-certificates")))[0] == ("company-ca-missing",)
    assert words_of(*failed_checks(check))[0] == ("unknown-issuer",)
    built = failed_build("SSLCertVerificationError: unable to get local issuer certificate")
    assert words_of(*built)[0] == ("unknown-issuer",)


def test_what_the_probes_found_is_read_from_their_answers() -> None:
    """A crash with its module, libraries by package, workers that send nothing, a protocol on the wrong port."""
    crashed = failed_check("crashes when imported: a.b (SIGSEGV)", '{"crashed": [{"name": "a.b"}]}', name="probe native")
    lacking = failed_check(
        "shared objects that the base lacks",
        '{"unresolved": {"needy": ["libpq.so.5", "ld-linux-x86-64.so.2"]}}',
        name="probe native",
    )
    forked = failed_check("did not arrive", '{"gunicorn": {"metrics_of_every_worker_go_on": false}}', name="probe telemetry")
    strangers = failed_check("did not arrive", '{"own_command": {"wrong_protocol": ["HTTP/2"]}}', name="probe telemetry")
    misled = failed_check(
        "grpc is sent to the wrong port: http://c:4318 is where the other OTLP protocol is listened for", name="probe otlp-grpc"
    )
    found = [words_of(*failed_checks(check, system="alpine"))[0] for check in (crashed, lacking, forked, strangers, misled)]
    assert found == [
        ("segmentation-fault",),
        ("missing-library", "other-libc"),
        ("telemetry-after-fork",),
        ("wrong-otlp-port",),
        ("wrong-otlp-port",),
    ]


@pytest.mark.parametrize(
    "detail", ["{", "[]", '{"resolved": 1, "crashed": 1, "unresolved": [], "gunicorn": 0, "libc": "musl", "zoneinfo": 3}', "{}" * 9]
)
def test_an_answer_that_is_none_has_no_fields(detail: str) -> None:
    """A probe's answer comes from an image, and an old or a hostile one may hold anything."""
    for name in ("dns", "native", "telemetry", "timezone"):
        assert diagnose(*failed_checks(failed_check("odd", detail, name=f"probe {name}"))) == ()


def test_dns_is_charged_to_musl_only_by_the_probe() -> None:
    """A name that does not resolve in a container without a network says nothing about search domains."""
    detail = '{"libc": "%s", "resolved": {"short name": false, "qualified name with final dot": %s}}'
    assert words_of(*failed_checks(failed_check("x", detail % ("musl", "true"), name="probe dns")))[0] == ("dns-search",)
    for libc, qualified in (("glibc", "true"), ("musl", "false")):
        assert words_of(*failed_checks(failed_check("x", detail % (libc, qualified), name="probe dns")))[0] == ()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("failed to resolve source metadata for docker.io/library/x:1: docker.io/library/x:1: not found", "base-missing"),
        ("failed to resolve source metadata for docker.io/library/x:1: dial tcp: lookup r: no such host", "registry-unreachable"),
        (
            "failed to resolve source metadata for docker.io/library/x:1: error getting credentials - err: exit 1",
            "registry-unreachable",
        ),
        ("dockerfile parse error on line 1: unknown instruction: FORM", "inputs-unreadable"),
        ("error from sender: open /x: permission denied", "inputs-unreadable"),
        ('target stage "finl" could not be found', "inputs-unreadable"),
        (
            'failed to resolve source metadata for r/x:1: could not resolve image due to policy: source "x" not allowed by policy',
            "policy-denied",
        ),
        ('failed to compute cache key: failed to calculate checksum of ref x::y: "/app.py": not found', "source-missing"),
        ('>>> COPY --from=b /venv\nERROR: failed to compute cache key: "/venv" not found', "source-missing"),
        ("secret npmrc: not found", "secret-missing"),
        ('failed to load cache key: Get "https://x.example/f": dial tcp: lookup x.example: no such host', "address-unreachable"),
        ("failed to load cache key: invalid response status 404", "address-unreachable"),
        ("unset ssh forward key default", "secret-missing"),
        ("base name (${X}) should not be blank", "inputs-unreadable"),
        ("write /var/lib/x: no space left on device", "disk-full"),
        ("write /cache/images/x: no space left on device", "disk-full"),
    ],
)
def test_a_build_that_ended_before_its_steps_is_explained_by_the_builders_last_error(words: str, code: str) -> None:
    """In the words in which failures.py gives the reason."""
    failure = classify_failure(None, [f"ERROR: failed to solve: {words}"], (), cache="/cache")
    status = Status.BUILD_FAILED if failure.is_ours else Status.ERROR
    cell = CellRecord("c", {}, status, Status.PASSED, as_expected=False, reason=failure.reason)
    found = diagnose(cell, Evidence(build_log=f"ERROR: failed to solve: {words}"))
    assert [one.code for one in found][:1] == [code]
    assert failure.reason in found[0].evidence
    assert ("MATRIX_CACHE_DIR" in found[0].remedy) == ("/cache/" in words)


@pytest.mark.parametrize(
    ("what", "title", "evidence"),
    [
        (
            "pip about versions that exclude one another",
            "versions that exclude one another are asked for: requests==2.31.0 and urllib3==1.20",
            "requests 2.31.0 depends on urllib3<3 and >=1.21.1",
        ),
        (
            "uv about versions that exclude one another",
            "versions that exclude one another are asked for",
            "And because you require urllib3==1.20, we can conclude that your requirements are unsatisfiable.",
        ),
        (
            "pip about another hash",
            "the hash of six==1.16.0 is not one of those that are pinned",
            "Got 8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254",
        ),
        (
            "uv about another hash",
            "the hash of six==1.16.0 is not one of those that are pinned",
            "Computed: sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254",
        ),
        (
            "pip about a requirement without a hash",
            "idna==3.7 has no hash, and other requirements have hashes",
            "Hashes are required in --require-hashes mode",
        ),
        ("uv about a lock", "uv.lock does not fit what it locks", "needs to be updated"),
        ("uv about a version that the index lacks", "the index offers no six==99.0 here", "there is no version of six==99.0"),
        ("uv about a range in which the index has nothing", "the index offers no six>=99 here", "only six<=1.17.0 is available"),
        ("uv about a name that the index lacks", "the index has no nobodys-package", "was not found in the package registry"),
        (
            "sources older than what builds them",
            "the sources of PyYAML do not become a wheel here",
            "AttributeError: 'build_ext' object has no attribute 'cython_sources'",
        ),
    ],
)
def test_what_installers_say_of_pins_is_the_evidence(what: str, title: str, evidence: str) -> None:
    """With the names that people have to look at, and not the line alone that it failed."""
    _, said, system = SAID[what]
    (found,) = diagnose(*failed_build(said, system))
    assert found.title == title
    assert not re.search(r"\| [0-9a-f]+ \|", " | ".join(found.evidence))  # a piece of an address
    assert evidence in " | ".join(found.evidence)


def test_a_library_that_its_wheel_brings_is_in_no_package_of_the_system() -> None:
    """Its name holds a digest: no package manager knows it, and the folder beside the package was not copied."""
    line = "ImportError: libpq-a17e3caa.so.5.17: cannot open shared object file: No such file or directory"
    (found,) = diagnose(*failed_checks(failed_check(line)))
    assert "copy the whole of site-packages" in found.remedy
    assert "apt-file" not in found.remedy


def test_a_command_that_ends_and_one_that_listens_elsewhere_are_told_apart() -> None:
    """Both are services that did not answer; a cause that another rule knows is worth more than that it ended."""
    words = "the container ended: exit 1: DATABASE_URL is not set"
    ended = failed_check(words, "reading settings\nDATABASE_URL is not set", name="http :8080/")
    (found,) = diagnose(*failed_checks(ended, failed_check(f"not healthy within 5 s: {words}", name="healthy")))
    assert (found.code, found.title) == ("service-ended", "the image's command ends by itself (exit 1)")
    assert found.evidence == ("check http :8080/", words, "reading settings")
    (found,) = diagnose(*failed_checks(failed_check("the container ended: exit 0", name="http :80/")))
    assert "foreground" in found.remedy
    library = "the container ended: exit 1: ImportError: libpq.so.5: cannot open shared object file: No such file or directory"
    assert [one.code for one in diagnose(*failed_checks(failed_check(library, name="http :80/")))] == ["missing-library"]
    cell, evidence = failed_checks(failed_check("after 5 s: nothing listens on port 8080", name="http :8080/"))
    assert cell.image is not None
    assert cell.image.inventory is not None
    image = replace(cell.image, inventory=replace(cell.image.inventory, ports=("9999/tcp",)))
    (found,) = diagnose(replace(cell, image=image), evidence)
    assert (found.code, found.evidence[-1]) == ("nothing-listens", "the image exposes 9999/tcp")


@pytest.mark.parametrize(
    "said", ["/bin/sh: 1: curl: not found", 'OCI runtime exec failed: exec: "curl": executable file not found in $PATH: unknown']
)
def test_what_a_healthcheck_calls_and_is_not_there_is_named(said: str) -> None:
    """Curl is what slim images lack, and what health checks call."""
    (found,) = diagnose(*failed_checks(failed_check(f"not healthy within 5 s: HEALTHCHECK says: {said}", name="healthy")))
    assert (found.code, found.title) == ("missing-tool", "curl is not in the image")


def test_a_service_whose_command_is_not_there_is_not_told_to_correct_its_check() -> None:
    """The command is the image's own; a check by `run` has one of its own."""
    reason = "'gunicorn' is not in the image"
    (found,) = diagnose(*failed_checks(failed_check(reason, name="http :80/")))
    assert found.remedy.startswith("Correct the image's ENTRYPOINT or CMD")
    (found,) = diagnose(*failed_checks(failed_check(reason, name="run gunicorn")))
    assert found.remedy.startswith("Correct the check's command")


def test_a_part_that_is_missing_from_a_package_is_told_from_a_package_that_is_missing() -> None:
    """What was compiled for glibc lies there on musl, and Python does not look at it: requirements are not what is wrong."""
    (found,) = diagnose(*failed_checks(failed_check("ModuleNotFoundError: No module named 'orjson.orjson'", name="import orjson")))
    assert found.title == "orjson is in the image, and its part orjson is not, or is for another Python or C library"
    assert found.remedy.startswith("Install orjson on this base and with this Python")


def test_extensions_that_no_import_looks_at_are_named_by_package() -> None:
    """What the probe native found by their names."""
    detail = json.dumps({"probe": "native", "foreign": {"orjson": ["orjson.cpython-313-x86_64-linux-gnu.so"]}})
    (found,) = diagnose(*failed_checks(failed_check("made for another Python", detail, name="probe native"), system="alpine"))
    assert (found.code, found.title) == ("other-libc", "orjson was made for another Python or C library than this base has")
    assert found.evidence[-1] == "orjson.cpython-313-x86_64-linux-gnu.so"


def test_a_program_that_was_copied_and_does_not_start_is_not_said_to_be_missing() -> None:
    """Busybox says `not found` of a glibc program on musl; where only another stage copies it, it is missing."""
    cell, evidence = failed_build("/bin/sh: uv: not found\n", "alpine", code=127, step="[stage-1 3/3] RUN uv --version")
    copied = Step("[stage-1 2/3] COPY --from=uv /uv /bin/uv", "stage-1", "COPY --from=uv /uv /bin/uv", None, 0.1, "executed")
    assert cell.build is not None
    (found,) = diagnose(replace(cell, build=replace(cell.build, steps=(*cell.build.steps, copied))), evidence)
    assert (found.code, found.title.partition(":")[0]) == ("no-loader", "uv is copied into the image and does not start")
    elsewhere = replace(copied, stage="builder")
    (found,) = diagnose(replace(cell, build=replace(cell.build, steps=(*cell.build.steps, elsewhere))), evidence)
    assert (found.code, found.title) == ("missing-tool", "uv is not in the image")


def test_another_systems_package_manager_is_not_to_be_installed() -> None:
    """The step is what has to be another one."""
    (found,) = diagnose(*failed_build("/bin/sh: apt-get: not found\n", "alpine", code=127))
    assert found.remedy.startswith("apt-get is another system's")
    (found,) = diagnose(*failed_build("/bin/sh: 1: apk: not found\n", "debian", code=127))
    assert found.remedy.startswith("apk is another system's")
    (found,) = diagnose(*failed_build("/bin/sh: groupadd: not found\n", "alpine", code=127))
    assert "`addgroup -S GROUP && adduser -S -G GROUP USER`, or: install shadow's useradd" in found.remedy
    assert "builder stage" not in found.remedy


def test_a_base_for_another_platform_is_said_though_the_cell_passed() -> None:
    """The builder takes an image that has one platform only whatever is asked for, and writes the other name on what comes out."""
    build = Build("shared", 1, 9.0, foreign_base="corp/base:1 is for linux/amd64, and linux/arm64 was asked for")
    cell = CellRecord("c", {}, Status.PASSED, Status.PASSED, as_expected=True, image=Image("sha256:0"), build=build)
    (found,) = diagnose(cell, Evidence())
    assert found.code == "base-of-another-platform"
    assert found.evidence == ("the build", "the base image corp/base:1 is for linux/amd64, and linux/arm64 was asked for")


def test_an_image_that_reads_the_dockerfile_is_no_base() -> None:
    """Nobody finds it in a FROM; the builder can do without it."""
    asked = "resolve image config for docker-image://docker.io/docker/dockerfile:1.7"
    words = "failed to resolve source metadata for docker.io/docker/dockerfile:1.7"
    for cause in ("dial tcp: lookup r: no such host", "docker.io/docker/dockerfile:1.7: not found"):
        failure = classify_failure(Vertex("sha256:f", asked, 1, error="x"), [f"ERROR: failed to solve: {words}: {cause}"], ())
        status = Status.BUILD_FAILED if failure.is_ours else Status.ERROR
        cell = CellRecord("c", {}, status, Status.PASSED, as_expected=False, reason=failure.reason)
        (found,) = diagnose(cell, Evidence(asked))
        assert "the frontend docker.io/docker/dockerfile:1.7, which the line `# syntax=` names," in failure.reason
        assert found.code == "frontend-missing"
        assert found.remedy.startswith("Take the line `# syntax=…` out of the Dockerfile")


def test_of_an_installers_retries_the_first_is_evidence() -> None:
    """They say the same five times over, and leave no room for anything else."""
    line = "WARNING: Retrying (Retry(total={}, connect=None)) after 'SSLError(PermissionError(13, 'Permission denied'))'"
    (found,) = diagnose(*failed_build("\n".join(line.format(left) for left in (4, 3, 2, 1, 0)) + "\n"))
    assert found.evidence == ("step [2/2] RUN make", line.format(4))


def test_a_step_that_asks_no_index_is_not_told_of_one() -> None:
    """There is no name to correct and no answer to look at."""
    printed = "ERROR: Could not find a version that satisfies the requirement six (from versions: none)\n"
    (found,) = diagnose(*failed_build(printed, step="[2/2] RUN pip install --no-index --find-links /wheels six"))
    assert found.remedy.startswith("The step asks no index")


def test_an_argument_without_a_value_is_given_one() -> None:
    """The line that names the base is right."""
    cell = CellRecord(
        "c", {}, Status.BUILD_FAILED, Status.PASSED, as_expected=False, reason=f"{UNREADABLE}base name (${{X}}) should not be blank"
    )
    (found,) = diagnose(cell, Evidence())
    assert found.remedy.startswith("Give the argument a default")


def test_a_script_that_does_not_start_is_not_said_to_be_missing() -> None:
    """A shell says `not found` of a script that is there and whose first line ends in a carriage return."""
    (found,) = diagnose(*failed_build("/bin/sh: 1: /entrypoint.sh: not found\n", code=127))
    assert found.title == "/entrypoint.sh does not start: it is not in the image, or its loader or interpreter is not"
    assert "carriage return" in found.remedy
    passed_over = "/bin/sh: 1: /usr/bin/file: not found\n"
    both = diagnose(*failed_build(f"{passed_over}/bin/sh: 1: /entrypoint.sh: not found\n/bin/sh: 1: git: not found\n", code=127))
    assert [one.title.partition(" ")[0] for one in both] == ["/entrypoint.sh", "git"]
    (found,) = diagnose(*failed_build("/bin/sh: 1: poetry: not found\n", code=127))
    assert (found.code, found.title) == ("missing-tool", "poetry is not in the image")
    (found,) = diagnose(*failed_build("/bin/sh: 1: /ok.sh: Permission denied\n", code=126))
    assert "--chmod=755" in found.remedy


def test_a_file_that_a_shell_is_to_read_is_no_program() -> None:
    """A shell has the same words for both; only of a command does it end with 127."""
    printed = "/bin/bash: line 1: /etc/app.conf: No such file or directory\n"
    assert diagnose(*failed_build(printed, code=1)) == ()
    (found,) = diagnose(*failed_build(printed.replace("app.conf", "run.sh"), code=127))
    assert (found.code, found.title.partition(":")[0]) == ("no-loader", "/etc/run.sh does not start")


def test_who_rules_wheels_out_is_told_to_let_them_in() -> None:
    """There is a wheel, and the step itself does not want it: another version would not help."""
    printed = "error: [Errno 2] No such file or directory: 'gcc'\nERROR: Failed building wheel for psutil\n"
    (found,) = diagnose(*failed_build(printed, step="[2/2] RUN pip install --no-binary psutil psutil==7.0.0"))
    assert found.remedy.startswith("Leave out `--no-binary`, so that a wheel is taken where there is one, or install a compiler")


def test_time_that_was_up_names_the_step_or_the_check() -> None:
    """The limit is part of the evidence."""
    reason = "build: still running after 60 s in [2/2] RUN make"
    cell = CellRecord("c", {}, Status.TIMEOUT, Status.PASSED, as_expected=False, reason=reason)
    (found,) = diagnose(cell, Evidence("[2/2] RUN make", None, "compiling\nstill compiling\n"))
    assert (found.code, found.evidence) == ("timed-out", ("step [2/2] RUN make", reason, "still compiling"))
    (found,) = diagnose(*failed_checks(failed_check("still running after 5 s", outcome="timeout")))
    assert found.evidence == ("check run x", "still running after 5 s")


def test_a_pass_that_was_not_expected_is_said_to_be_one() -> None:
    """An expectation that no longer holds is news; one that holds is none."""
    cell = CellRecord("c", {}, Status.PASSED, Status.BUILD_FAILED, as_expected=False)
    assert [one.code for one in diagnose(cell, Evidence())] == ["unexpected-pass"]
    assert diagnose(replace(cell, expected=Status.PASSED, as_expected=True), Evidence()) == ()


@pytest.mark.parametrize("status", [Status.EXCLUDED, Status.SKIPPED])
def test_what_was_never_built_is_not_diagnosed(status: Status) -> None:
    """There is no evidence to have."""
    cell, evidence = failed_build("error: [Errno 2] No such file or directory: 'gcc'")
    assert diagnose(replace(cell, status=status), evidence) == ()


def test_a_missing_module_and_a_missing_python_are_said_plainly() -> None:
    """A check's own reason is enough; the module that zoneinfo tries is none."""
    missing = failed_check("ModuleNotFoundError: No module named 'grpc'", name="import grpc")
    none = failed_check("there is no Python in the image ('python3' and 'python' are not on its PATH)", name="import json")
    assert words_of(*failed_checks(missing, none))[0] == ("missing-module", "missing-command")


def test_every_rule_is_shown_to_fire() -> None:
    """A code that no test here or in test_diagnosis_figures.py has seen would be a promise that nobody keeps."""
    seen = {code for log in LOGS.values() for code in log.codes} | {code for code, *_ in SAID.values()}
    seen |= {
        "base-missing",
        "registry-unreachable",
        "policy-denied",
        "inputs-unreadable",
        "source-missing",
        "secret-missing",
        "address-unreachable",
        "frontend-missing",
        "base-of-another-platform",
        "timed-out",
        "unexpected-pass",
        "missing-module",
        "telemetry-after-fork",
        "service-ended",
        "nothing-listens",
    }
    seen |= {
        "hidden-bytes",
        "compilers-left",
        "cache-left",
        "compiled-packages",
        "slow-step",
        "cache-broken-by-context",
        "cache-broken-by-argument",
    }
    assert {rule.code for rule in RULES} == seen
