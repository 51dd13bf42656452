"""Real files of every kind to begin with, and the words that mean something in them."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import zlib
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from orchestrator.config.source import parse_source
from orchestrator.lock.nouns import SCHEMA, Lock, LockedBase, LockedRequirements
from orchestrator.lock.text import render_lock
from orchestrator.tracing.otlp import dump_lines
from tests.rendering import render_record
from tests.unit.folders import CONTRACT, STRUCTURE
from tests.unit.records import make_hostile_record, make_record, run_json
from tests.unit.tars import Item, make_tar
from tests.unit.traces import make_alpine, make_slim

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
_HUGE = (b"9" * 400, b"-1e999", b"1e309", b"NaN", b"Infinity", b"-Infinity", b"18446744073709551616", b"-1", b"0", b"0.1")
_JUNK = (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\xe2\x80\xae", b"\r\n")
_TIMES = (b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-23:59"', b'"2026-11-21T05:06:07.123456789Z"', b"1e18")
JSON_WORDS = (
    *_HUGE, *_JUNK, *_TIMES, b"null", b"true", b"[", b"]", b"{", b"}", b'"', b",", b":", b'""', b"[[[[", b'{"":', b'"cells"',
    b'"id"', b'"status"', b'"passed"', b'"schema"', b'"axes"', b'"at"', b'"samples_s"', b'"layers"', b'"compressed_bytes"',
    b'"finished_at"', b'"../../x"',
)  # fmt: skip
YAML_WORDS = (
    *_HUGE, *_JUNK, b"&a ", b"*a", b"<<: *a", b"<<: [*a, *a]", b"- ", b"? ", b": ", b"[", b"]", b"{", b"}", b"!!binary ", b"!x ",
    b"|\n", b">\n", b"---\n", b"...\n", b"%YAML 1.1\n", b"'", b'"', b"#", b"\n  ", b"\t", b"axes", b"settings", b"smoke", b"args",
    b"{base}", b"include", b"exclude", b"claims", b"expect", b"defaults", b"budgets", b"timeout", b"commandTests", b"metadataTest",
)  # fmt: skip
TOML_WORDS = (
    *_HUGE, *_JUNK, b"[[base]]\n", b"[hashes]\n", b"[[requirements]]\n", b"a.b.c.d = 1\n", b"= ", b"'''", b'"""', b"inf", b"nan",
    b"1979-05-27T07:32:00Z", b"0x", b"{", b"}", b"[", b"]", b'"', b"#", b"schema", b"packages", b"sha256:", b"==", b" ; ",
)  # fmt: skip
PROGRESS_WORDS = (
    *JSON_WORDS, b'{"vertexes":[', b'{"statuses":[', b'{"logs":[', b'{"warnings":[', b'"digest"', b'"started"', b'"completed"',
    b'"name"', b'"[a 1/2] RUN x"', b'"exporting to image"', b'"inputs"', b'"error"', b'"vertex"', b'"data"', b'"pulling"',
)  # fmt: skip
TRACE_WORDS = (
    *JSON_WORDS, b'{"resourceSpans":[', b'"scopeSpans"', b'"spans"', b'"traceId"', b'"spanId"', b'"parentSpanId"', b'"attributes"',
    b'"startTimeUnixNano"', b'"arrayValue"', b'"values"', b'"intValue"', b'"doubleValue"', b'"kind"', b'"code"', b'"SpanContext"',
    b'"TraceID"', b'"Parent"', b'"Links"', b'"Events"', b'"Attributes"', b'"StartTime"', b'"Key"', b'"Value"', b'"matrix.part"',
)  # fmt: skip
DOCKER_WORDS = (
    *_JUNK, b"FROM ", b" AS ", b"ARG ", b"RUN ", b"COPY --from=", b"RUN --mount=type=bind,from=", b"${", b"${A:-", b"${A:+", b"}",
    b"$A", b"\\\n", b"`\n", b"# escape=`\n", b"<<EOF\n", b"EOF\n", b"--platform=", b"scratch", b"\n", b"\\", b'"', b"'", b"build",
)  # fmt: skip
IGNORE_WORDS = (
    *_JUNK, b"*", b"**", b"**/", b"?", b"[a-z]", b"[^a]", b"[", b"]", b"[]", b"\\", b"!", b"#", b"/", b"..", b"{1,9}", b"(?:", b"|",
    b"*a*a*a*b", b"[z-a]", b"\n",
)  # fmt: skip
LAYER_WORDS = (
    b"../", b"/", b".wh.", b".wh..wh..opq", b"ustar\x0000", b"ustar  \x00", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x00" * 512,
    b"17 GNU.sparse.map=", b"30 path=", b"GNU.sparse.realsize", b"SCHILY.xattr.", b"77777777777", b"\x80" + b"\xff" * 11, b"x",
    b"g", b"L", b"K", b"S", b"1", b"2", b"3", b"5",
)  # fmt: skip


def pick(data: bytes, choices: tuple[T, ...]) -> T:
    """Choose one of several ways for a file: always the same for the same file."""
    return choices[zlib.crc32(data) % len(choices)]


def compact(data: object) -> bytes:
    """Write JSON in as few bytes as it takes."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _lines(documents: Iterable[object]) -> bytes:
    return b"".join(compact(one) + b"\n" for one in documents)


def matrices() -> tuple[bytes, ...]:
    """Give the contract's own matrix.yaml, and small ones that use what it does not."""
    aliases = (
        "version: 1\nname: m\naxes: {a: [x, y]}\ndefaults: &d {target: t}\n"
        "settings:\n  a:\n    x: {<<: *d}\n    y: {<<: [*d, {libc: musl}]}\n"
    )
    checks = (
        "version: 1\nname: m\naxes:\n  base: [x]\n  python: [3.10, '3.9']\n"
        "defaults:\n  retries: 2\n  timeout: {build: 30s}\n  smoke:\n"
        "  - run: [a, '{base}']\n    stdout: '^x$'\n    timeout: 1m\n  - {http: {port: 80, path: /, status: 200, header: {a: b}}}\n"
        "  - {healthy: {within: 5s}}\nexpect: [{base: x, python: '3.*', outcome: smoke-failed, reason: no}]\n"
    )
    texts = (CONTRACT, aliases, checks)
    return (*(text.encode() for text in texts), *(compact(parse_source(text, "seed").data) for text in texts))


def locks() -> tuple[bytes, ...]:
    """Give a lock with all that one can hold."""
    digests = [f"sha256:{mark * 64}" for mark in "abc"]
    base = LockedBase("python:3.13-slim", "linux/amd64", digests[0], digests[1])
    packages = ("a==1", "b==2 ; sys_platform == 'linux'")
    requirements = (
        LockedRequirements("deps/x.txt", digests[2], "3.12", packages, "glibc"),
        LockedRequirements("y", digests[0], "3.9", ()),
    )
    return (render_lock(Lock(SCHEMA, "m", (base,), requirements, {"a==1": tuple(digests[:2]), "b==2": (digests[2],)})).encode(),)


def runs() -> tuple[bytes, ...]:
    """Give records: whole ones of few cells, one that was killed, one whose texts are hostile, one of the oldest kind."""
    record = make_record()
    parts = [replace(record, cells=record.cells[at : at + 2]) for at in (0, 4)]
    killed = replace(record, cells=(), finished_at=None, complete=False, claims=(), gates=(), decision=None, rules=None)
    records = [*parts, killed, make_hostile_record()]
    oldest = {"schema": 1, "id": "x", "name": "m", "started_at": "2026-01-01T00:00:00Z", "axes": ["a"], "compare": "a", "cells": []}
    return (*(compact(json.loads(render_record(one))) for one in records), compact(oldest))


def results() -> tuple[bytes, ...]:
    """Give cells, each with something else in it."""
    cells = json.loads(run_json())["cells"]
    return tuple(compact(cell) for cell in (cells[0], cells[5], cells[6]))


def journals() -> tuple[bytes, ...]:
    """Give the journal of a cell."""
    at = "2026-11-21T05:06:0{}+00:00"
    kinds = ("run-started", "cell-started", "cell-step", "cell-finished")
    events = [
        {"at": at.format(number), "kind": kind, "cell": "alpine-3.12", "step": "[1/2] RUN x"} for number, kind in enumerate(kinds)
    ]
    return (_lines(events),)


def progresses() -> tuple[bytes, ...]:
    """Give a build's raw progress: steps, a pull, what was printed, a failure."""
    begin, end = "2026-11-21T05:06:07.123456789Z", "2026-11-21T05:06:09.5Z"
    step = {"digest": "sha256:a", "name": "[build 1/2] FROM x", "inputs": ["sha256:0"]}
    failed = {"digest": "sha256:b", "name": "[build 2/2] RUN pip install x", "started": begin, "completed": end, "error": "exit 1"}
    printed = base64.b64encode(b"error: command 'gcc' failed\n").decode()
    documents = [
        {"vertexes": [step, {**failed, "completed": None, "error": ""}]},
        {"vertexes": [{**step, "started": begin, "completed": end, "cached": True}]},
        {"statuses": [{"id": "pulling x", "vertex": "sha256:a", "timestamp": begin, "started": begin, "completed": end}]},
        {"logs": [{"vertex": "sha256:b", "stream": 2, "data": printed, "timestamp": end}], "warnings": [{"short": printed}]},
        {"vertexes": [failed, {"digest": "sha256:c", "name": "exporting to image", "started": begin, "completed": end}]},
    ]
    return (_lines(documents) + b"ERROR: failed to solve: exit code: 1\n",)


def traces() -> tuple[bytes, ...]:
    """Give the traces of two cells, and a document that has every kind of value."""
    values = [{"boolValue": True}, {"intValue": "1"}, {"doubleValue": 1.5}, {"arrayValue": {"values": [{"stringValue": "x"}]}}]
    span = {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "name": "cell",
        "kind": 1,
        "startTimeUnixNano": "1",
        "endTimeUnixNano": 5,
        "attributes": [{"key": f"k{at}", "value": value} for at, value in enumerate(values)],
        "events": [{"name": "e", "timeUnixNano": "2"}],
        "links": [{"traceId": "a", "spanId": "b"}],
        "status": {"code": 2, "message": "m"},
    }
    other = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "s"}, "spans": [span]}]}]}
    return dump_lines(make_alpine()[:9]).encode(), dump_lines(make_slim()[:7]).encode(), compact(other)


def stubs() -> tuple[bytes, ...]:
    """Give a span as BuildKit exports it, twice."""
    context = {"TraceID": "0" * 31 + "1", "SpanID": "0" * 15 + "1"}
    pair = {"Key": "k", "Value": {"Type": "STRINGSLICE", "Value": ["a", 1]}}
    stub = {
        "Name": "[1/2] RUN x",
        "SpanContext": context,
        "Parent": {"SpanID": "0" * 15 + "2"},
        "SpanKind": 1,
        "StartTime": "2026-11-21T05:06:07.123456789Z",
        "EndTime": "2026-11-21T06:06:08+01:00",
        "Attributes": [pair],
        "Events": [{"Name": "e", "Time": "2026-11-21T05:06:07Z", "Attributes": None}],
        "Links": [{"SpanContext": context}],
        "Status": {"Code": 1, "Description": "d"},
        "Resource": [pair],
        "InstrumentationLibrary": {"Name": "n", "Version": ""},
    }
    return _lines([{**stub, "Status": {"Code": 2}}, {**stub, "SpanContext": {**context, "SpanID": "2"}, "Status": None}]), compact(
        stub
    )


def structures() -> tuple[bytes, ...]:
    """Give container-structure-test files, as YAML and as JSON."""
    data = {
        "schemaVersion": "2.0.0",
        "globalEnvVars": [{"key": "A", "value": "b", "isRegex": True}],
        "commandTests": [{"name": "c", "command": "x", "args": ["-v"], "setup": [["a"]], "expectedOutput": ["^3"], "exitCode": 1}],
        "fileContentTests": [{"name": "f", "path": "/x", "expectedContents": ["a.*"], "excludedContents": ["b"]}],
        "metadataTest": {"labels": [{"key": "k", "value": "v"}], "exposedPorts": ["80"], "cmd": ["a"], "workdir": "/"},
        "containerRunOptions": {"user": "x", "capabilities": ["NET_BIND_SERVICE"], "privileged": False},
    }
    return STRUCTURE.encode(), compact(data), json.dumps(data, indent=1).encode()


def dockerfiles() -> tuple[bytes, ...]:
    """Give Dockerfiles with stages, arguments, here-documents and both escapes."""
    stages = (
        "# syntax=docker/dockerfile:1\nARG BASE_IMAGE=python:3\nARG OTHER=${BASE_IMAGE:-x}\n"
        "FROM --platform=$BUILDPLATFORM ${BASE_IMAGE} AS build\n"
        "RUN apk add gcc \\\n  # why\n  musl-dev\nCOPY --from=alpine:3 /a /b\nRUN --mount=type=bind,from=build,target=/x true\n"
        "RUN <<EOF\nFROM no\nEOF\nFROM build\nCOPY --from=0 /x /y\n"
    )
    return stages.encode(), b"# escape=`\nFROM base AS a\nFROM $A`\n AS b\nADD <<'X' /f\n$B\nX\n", b"FROM scratch\n"


def ignores() -> tuple[bytes, ...]:
    """Give .dockerignore files."""
    return b"# none\n*\n!app/**/*.py\n**/.git\nb/?/d.[tx]*\n", b"*.md\n!README*\n/x/../y\n[a-c]*\\*\n"


def layers() -> tuple[bytes, ...]:
    """Give a layer, packed in every way, with entries of every kind."""
    packed = make_tar(
        Item("a" * 120, b"x" * 30),
        Item("b", kind="link", target="a" * 120),
        Item("../up", b"1"),
        Item("s", kind="symlink", target="/etc"),
        Item("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        Item("d", kind="dir"),
        Item("d/.wh.x"),
        Item("dev", kind="device"),
        Item("p", kind="fifo"),
    )
    entries = packed.rstrip(b"\0")
    tar = entries + bytes(-len(entries) % 512 + 1024)
    return tar, gzip.compress(tar, mtime=0), zstd.compress(tar), zlib.compress(tar)
