"""Rules about what a service finds around it: time zones, locales, modules, the port of its collector."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.nouns import Case, Rule, Said, first, lines_of, make_finding, make_finding_from, search
from orchestrator.providers import DEBIAN, TOOLS, WOLFI, Provider, render_install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.verdicts import Finding

_ZONE = re.compile(r"No time zone found with key (?P<zone>[\w+/-]{1,100})")
_OWN_TZ = re.compile(r"the image's own TZ=(?P<zone>\S{1,100}) is no zone that it knows")
_NO_DATA = re.compile(r"gives local times of another zone: the base has no time zone data")
_LOCALE = re.compile(
    r"locale\.Error: unsupported locale setting|setlocale: \w{1,20}: cannot change locale \((?P<name>[^)\n]{1,60})\)"
    r"|the image's own locale does not work: .{1,200}|text is not UTF-8: .{1,200}|'ascii' codec can't (?:en|de)code .{1,200}"
)
_HTTP_TO_GRPC = re.compile(
    r"BadStatusLine\('(?:\\x00|[^'\\]){2,8}(?:\\x\w\w)?\\x04(?:\\x00){5}"
)  # HTTP/2's first frame for an answer
_GRPC_TO_HTTP = re.compile(r"Failed parsing HTTP/2 \(Expected SETTINGS frame|\"PRI \* HTTP/2\.0\"")
_MISDIRECTED = re.compile(r"is sent to the wrong port: \S{1,300} is where the other OTLP protocol is listened for")
_MODULE = re.compile(r"^(?:exit 1: )?ModuleNotFoundError: No module named '(?P<module>[\w.]{1,200})'")
_ZONE_DATA = Provider("time zone data", "tzdata", "tzdata")


def find_time_zone(case: Case) -> Iterator[Finding]:
    """Say that a zone is not known: because there is no data, or because there is no such zone."""
    hits = first(search(case.said, _ZONE)) or first(search(case.checks, _NO_DATA))
    if hits and not _has_zone_data(case, hits[0].said):
        remedy = (
            f"Install the data: {render_install(_ZONE_DATA, case.system)}; for Python alone the package tzdata from the "
            "index does, too."
        )
        yield make_finding_from("no-time-zone-data", "there is no time zone data in the image", hits, remedy)


def find_unknown_zone(case: Case) -> Iterator[Finding]:
    """Say that the data is there, and the zone's name is wrong."""
    hits = first(search(case.checks, _OWN_TZ)) or [hit for hit in first(search(case.said, _ZONE)) if _has_zone_data(case, hit.said)]
    if hits and _has_zone_data(case, hits[0].said):
        zone = hits[0].found["zone"]
        remedy = "Correct the name (`TZ`, or what the service asks for); names are as in the IANA database, such as Europe/Berlin."
        title = f"{zone} is no time zone, and the image has time zone data"
        yield make_finding_from("unknown-time-zone", title, hits, remedy)


def _has_zone_data(case: Case, said: Said) -> bool:
    """Tell whether an image has time zone data: by the probe, by its packages, or by what another check found."""
    if "zoneinfo" in said.detail:
        return said.detail["zoneinfo"] == "right" and not _NO_DATA.search(said.text)
    probed = [one.detail["zoneinfo"] == "right" for one in case.checks if "zoneinfo" in one.detail]
    packages = case.cell.image.packages if case.cell.image else None
    named = packages and any(one.name == "tzdata" for one in (*packages.os, *packages.python))
    return bool(named) or any(probed)


def find_locale(case: Case) -> Iterator[Finding]:
    """Say that a locale is asked for that the image has not, or text is not UTF-8."""
    hits = first(search(case.said, _LOCALE))
    if hits:
        how = {
            DEBIAN: "`apt-get install -y --no-install-recommends locales` and `localedef -i de_DE -f UTF-8 de_DE.UTF-8`",
            WOLFI: "`apk add --no-cache glibc-locale-de` (with your language)",
        }.get(case.system or "", "the system's package with locales (Alpine: `apk add --no-cache musl-locales`, which has few)")
        remedy = f"Set `LANG=C.UTF-8`, which every base has, where only UTF-8 is wanted; a language's own formats need {how}."
        yield make_finding_from("no-locale", "the locale that is asked for is not in the image", hits, remedy)


def find_wrong_port(case: Case) -> Iterator[Finding]:
    """Say that one OTLP protocol is sent to the port of the other."""
    for pattern, title in (
        (_MISDIRECTED, "OTLP is sent to the port of the other protocol"),
        (_HTTP_TO_GRPC, "OTLP over HTTP is sent to a port that speaks gRPC"),
        (_GRPC_TO_HTTP, "OTLP over gRPC is sent to a port that speaks HTTP"),
    ):
        if hits := first(search(case.said, pattern)):
            yield _wrong_port(title, hits[0].said, lines_of(hits))
    for said in case.checks:
        for name, found in said.detail.items():
            strangers = found.get("wrong_protocol") if isinstance(found, dict) else None
            if isinstance(strangers, list) and strangers:
                title = "the service's exporter speaks another protocol than the port that it sends to"
                yield _wrong_port(title, said, [f"{name}: arrived in another protocol: {', '.join(map(str, strangers))}"])
                return


def _wrong_port(title: str, said: Said, lines: list[str]) -> Finding:
    remedy = (
        "Let protocol and port fit: OTEL_EXPORTER_OTLP_PROTOCOL=grpc with port 4317, http/protobuf with 4318. Nothing else "
        "says so: the service goes on and its telemetry is lost."
    )
    return make_finding("wrong-otlp-port", title, said.where, lines, remedy)


def find_after_fork(case: Case) -> Iterator[Finding]:
    """Say that workers send nothing, because what sends was started before they were forked."""
    for said in case.checks:
        workers = said.detail.get("gunicorn")
        if isinstance(workers, dict) and (missing := [str(name) for name, good in workers.items() if good is False]):
            remedy = (
                "Let gunicorn use `uvicorn.workers.UvicornWorker` and start the SDK in its post_fork hook: threads do "
                "not survive a fork."
            )
            title = "not every gunicorn worker sends telemetry"
            yield make_finding("telemetry-after-fork", title, said.where, [f"gunicorn: {name}: no" for name in missing], remedy)


def find_missing_module(case: Case) -> Iterator[Finding]:
    """Say that a Python module is not in the image."""
    for said in case.checks:
        if found := _MODULE.match(said.text):
            module = found["module"]
            remedy = (
                f"Add what has {module} to the requirements, or see that the stage that runs gets the environment of the one that "
                "installs, with the same version of Python and on PATH or PYTHONPATH."
            )
            title = f"the Python module {module} is not in the image"
            parent, _, part = module.rpartition(".")
            if parent:  # else that one would be named
                title = f"{parent} is in the image, and its part {part} is not, or is for another Python or C library"
                remedy = (
                    f"Install {parent.partition('.')[0]} on this base and with this Python: an extension that was compiled for "
                    "glibc is not looked at on musl, nor is one of another Python; do not copy site-packages from another base."
                )
            yield make_finding("missing-module", title, said.where, [found[0]], remedy)


def find_missing_command(case: Case) -> Iterator[Finding]:
    """Say that a check's command, or Python, is not in the image."""
    for said in case.checks:
        reason = (said.check.reason if said.check else None) or ""
        if found := re.match(r"'(?P<command>[^'\n]{1,200})' is not in the image$", reason):
            provider = TOOLS.get(found["command"].rpartition("/")[2])
            own = said.check is not None and said.check.name.startswith(("run ", "structure "))
            remedy = (
                f"Install {provider.what}: {render_install(provider, case.system)}."
                if provider
                else "Correct the check's command, or install what has it."
                if own
                else "Correct the image's ENTRYPOINT or CMD, install what has it, or put its folder on PATH (a venv's `bin`)."
            )
            yield make_finding("missing-command", f"{found['command']} is not in the image", said.where, [reason], remedy)
        elif reason.startswith("there is no Python in the image"):
            remedy = (
                f"Install it: {render_install(TOOLS['python3'], case.system)}; or test an image without Python by `run` and `http`."
            )
            yield make_finding("missing-command", "there is no Python in the image", said.where, [reason], remedy)


def find_no_healthcheck(case: Case) -> Iterator[Finding]:
    """Say that the check `healthy` has nothing to wait for."""
    for said in case.checks:
        if said.check and said.check.reason == "the image has no HEALTHCHECK":
            remedy = "Add a HEALTHCHECK to the Dockerfile's last stage, or take the check `http`."
            yield make_finding("no-healthcheck", "the image has no HEALTHCHECK", said.where, [said.check.reason], remedy)


RULES = (
    Rule(
        "no-time-zone-data",
        "There is no time zone data in the image.",
        "`No time zone found` in an image that has no package tzdata, or the probe timezone.",
        "tzdata, of the system or from the index.",
        find_time_zone,
    ),
    Rule(
        "unknown-time-zone",
        "A time zone's name is wrong: data is there.",
        "`No time zone found`, or the probe timezone about the image's own TZ, where tzdata is in the image or other "
        "zones are right.",
        "The right name.",
        find_unknown_zone,
    ),
    Rule(
        "no-locale",
        "A locale is asked for that the image has not, or its text is not UTF-8.",
        "`unsupported locale setting`, the shell's warning, an ASCII codec's error, or the probe locale.",
        "`LANG=C.UTF-8`, or the system's package with locales.",
        find_locale,
    ),
    Rule(
        "wrong-otlp-port",
        "One OTLP protocol is sent to the port of the other.",
        "The probes otlp-grpc, otlp-http and telemetry, or an exporter's error that holds the other protocol's first words.",
        "The protocol or the port.",
        find_wrong_port,
        hides=("network-unreachable",),
    ),
    Rule(
        "telemetry-after-fork",
        "Some of gunicorn's workers send no telemetry.",
        "The probe telemetry's round with gunicorn.",
        "UvicornWorker, and the SDK started after the fork.",
        find_after_fork,
    ),
    Rule(
        "missing-module",
        "A Python module is not in the image.",
        "`ModuleNotFoundError` as the last line of a check that failed.",
        "The requirements, or the way from stage to stage.",
        find_missing_module,
    ),
    Rule(
        "missing-command",
        "What a check starts is not in the image.",
        "The engine's word that the command, or Python, is not there.",
        "The package that has it, or the right command.",
        find_missing_command,
    ),
    Rule(
        "no-healthcheck",
        "The check `healthy` meets an image without HEALTHCHECK.",
        "The check's own reason.",
        "A HEALTHCHECK, or the check `http`.",
        find_no_healthcheck,
    ),
)
