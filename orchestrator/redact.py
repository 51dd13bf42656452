"""What must be shown nowhere: values of secrets, and credentials in addresses, wherever they turn up."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from typing import TYPE_CHECKING, Any

from orchestrator.places import secret_source
from orchestrator.secret_texts import find_secrets
from orchestrator.spellings import HIDDEN, Cuts, one_of, spell_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.model import Cell

_CREDENTIALS = re.compile(r"://(?<=[A-Za-z0-9+.-]://)[^\s/\"'<>\\]+@")  # what it begins with is quick to find; to the last @
_SIGNED = re.compile(  # what gives access behind the question mark of an address
    r"((?:[?&]|\\u0026)(?i:[\w-]*(?:signature|token|credential|secret|password|api_?key)|sig)=)[^&\s\"'<>\\#)]+"
)
_SIGNING = ("signature=", "token=", "credential=", "secret=", "password=", "apikey=", "api_key=", "sig=")
_ADDRESS = re.compile(r"://[^\s\"'<>]+")
_MOST_READ = 1024**2
_LONGEST_LINE = 64 * 1024  # that is waited for: progress bars may never end theirs
_MOMENT = r'(?:\w+_)?at":\s*"\d{4}-\d\d-\d\dT[\d:.+Z-]+"'
_NUMBER = r'(?:intValue|\w*[uU]nixNano)":\s*"-?\d+"'  # as OTLP writes it
_ID = r'(?:\w*[sS]panI|traceI)d":\s*"[\da-f]*"'
_KEY = r'\w+":'
_IN_JSON = re.compile(rf'"(?:{_MOMENT}|{_NUMBER}|{_ID}|{_KEY}|(?P<text>(?:[^"\\]++|\\.)*+)")')


def hide_credentials(text: str) -> str:
    """Hide what gives access in addresses: users, and what stands behind the question mark, since some are signed there."""
    return _ADDRESS.sub(_without_query, Redactor().text(text))


def _without_query(found: re.Match[str]) -> str:
    place, mark, query = found[0].partition("?")
    return f"{place}?{HIDDEN}{')' if query.endswith(')') else ''}" if mark else place


def _hide_signed(text: str) -> str:
    """Hide what addresses are signed with; a word of it is found quicker than an address."""
    lowered = text.lower()
    return _SIGNED.sub(rf"\1{HIDDEN}", text) if any(word in lowered for word in _SIGNING) else text


class Redactor:
    """Takes out what is secret; knows the values so that it need not guess."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Take the values, in every spelling."""
        wanted = spell_all(values)
        self._known = (re.compile(one_of(wanted)), Cuts(wanted)) if wanted else None

    def text(self, text: str) -> str:
        """Hide what is secret in a text."""
        if self._known is not None:
            values, cuts = self._known
            text = cuts.hide(values.sub(HIDDEN, text))
        return _hide_signed(_CREDENTIALS.sub(f"://{HIDDEN}@", text))

    def json(self, text: str) -> str:
        """Hide what is secret in the texts of JSON; a figure, a moment or a key that has the same letters is no secret."""
        if self.text(text) == text:
            return text
        return _IN_JSON.sub(self._text_in_json, text)

    def _text_in_json(self, found: re.Match[str]) -> str:
        return found[0] if found["text"] is None else f'"{self.text(found["text"])}"'

    def data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Hide what is secret in the words of an event."""
        return {key: self.text(value) if isinstance(value, str) else value for key, value in data.items()}

    def bytes(self, data: bytes) -> bytes:
        """Hide what is secret in what need not be text."""
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")


class ProgressRedactor:
    """Takes out what is secret of raw progress, where what a step prints stands in base64, and in pieces.

    A piece ends where a program happened to stop, which may be within a
    secret: the begin of a line is kept back until the line has ended.
    """

    def __init__(self, redactor: Redactor) -> None:
        """Begin before the first line of progress."""
        self._redactor = redactor
        self._begun: dict[tuple[str, int], dict[str, Any]] = {}

    def line(self, line: bytes) -> bytes:
        """Take a line of progress; give what may be shown."""
        if b'"logs"' not in line:
            return self._redactor.bytes(line)
        try:
            data = json.loads(line)
            logs = [{**log, "data": base64.b64decode(log["data"], validate=True)} for log in data["logs"]]
            data["logs"] = [self._show(log) for log in map(self._take, logs) if log["data"]]
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):  # no progress: hidden as text all the same
            return self._redactor.bytes(line)
        return self._redactor.bytes(json.dumps(data).encode())

    def end(self) -> bytes:
        """Give a line of progress with what no line's end came after, where there is any."""
        logs = [self._show(log) for log in self._begun.values()]
        self._begun.clear()
        return json.dumps({"logs": logs}).encode() if logs else b""

    def _take(self, log: dict[str, Any]) -> dict[str, Any]:
        """Keep back the begin of a line; give the log with the lines that have ended."""
        key = log["vertex"], log["stream"]
        said = (self._begun.pop(key)["data"] if key in self._begun else b"") + log["data"]
        whole = said.rfind(b"\n") + 1 if len(said) <= _LONGEST_LINE else len(said)
        if said[whole:]:
            self._begun[key] = {**log, "data": said[whole:]}
        return {**log, "data": said[:whole]}

    def _show(self, log: dict[str, Any]) -> dict[str, Any]:
        return {**log, "data": base64.b64encode(self._redactor.bytes(log["data"])).decode()}


def make_redactor(cells: Iterable[Cell], folder: Path) -> Redactor:
    """Read the values of all secrets that these cells are built with: to hide them, and for nothing else."""
    values: set[str] = set()
    for cell in cells:
        variables = {variable for _, variable in cell.settings.secret_args}
        for secret in cell.settings.secrets:
            if secret.env:
                variables.add(secret.env)
            elif source := secret_source(secret, folder):
                values |= find_secrets(_read(source.removeprefix("src=")))
        for value in (os.environ.get(variable, "") for variable in variables):
            values |= {value, *find_secrets(os.fsencode(value))}
    return Redactor(values)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # a path as buildx takes it
            return file.read(_MOST_READ)
    except OSError:
        return b""  # buildx will say so
