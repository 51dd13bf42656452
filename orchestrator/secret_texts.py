"""What is secret in a file or a variable: all of it, each of its lines, and what it sets something to."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from orchestrator.strict import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED = re.compile(r"(?i)(?:password|passwd|token|secret|api_?key)\"?\s*[=:\s]\s*\"?([^\s\"]{1,4096})")
_MOST_LINES = 500  # of a file; of a longer one, what is set to something
_CERTIFICATE = re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.*?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)
_SET = re.compile(r"""["']?[\w.\-/@ ]{1,200}?["']?\s*[=:]\s*["']?(?P<value>[^"'\s].*?)["']?[,;]?""")
_SET_WITHIN = re.compile(r"[\w.-]{1,200}=(?P<value>\S+)")  # as in `//registry/:_authToken=…`
_HARMLESS = re.compile(r"\w+://[^@?\s]*|[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\d.:]+|(?i:true|false|always|never|none)")
_HEADING = re.compile(r"\[[^\]]*\]|[#;].*|[\[\]{}(),]*")
_LOGIN = re.compile(r"://([^\s/\"'<>\\]{1,4096})@")
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def find_secrets(data: bytes) -> set[str]:
    """Give what is secret in bytes, as text; certificates are for everybody."""
    values = _find_in(_decode(data).replace("\0", "\n").strip())
    return values | {login for value in values for login in _find_login(value)}


def _decode(data: bytes) -> str:
    """Read bytes as the text that they are, without the mark with which some editors begin it."""
    encoding = _WIDE.get(data[:2])
    return data.decode(encoding, "replace") if encoding else data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _find_in(text: str) -> set[str]:
    lines = [line.strip() for line in _CERTIFICATE.sub("", text).splitlines()]
    telling = [line for line in lines if not _HEADING.fullmatch(line)]
    values = {text} if "\n" not in text else {*telling} if len(telling) <= _MOST_LINES else set()
    values |= {value for line in lines for value in _find_set(line)}
    values |= {*_NAMED.findall(text)}
    for leaf in _leaves_of(text):
        values |= _find_in(leaf) if "\n" in leaf else {leaf}
    return values


def _find_set(line: str) -> Iterator[str]:
    """Give what a line sets something to, and that to what else within."""
    found = _SET.fullmatch(line)
    if found and not _HARMLESS.fullmatch(found["value"]):
        yield found["value"]
        if within := _SET_WITHIN.fullmatch(found["value"]):
            yield within["value"]


def _leaves_of(text: str) -> Iterator[str]:
    """Give the texts that JSON holds; of what is none, nothing."""
    if not text.startswith(("{", "[")):
        return
    try:
        left = [parse_json(text.encode("utf-8", "surrogateescape"))]
    except ValueError:
        return
    while left:
        match left.pop():
            case dict() as found:
                left += found.values()
            case list() as found:
                left += found
            case str() as found if not _HARMLESS.fullmatch(found):
                yield found


def _find_login(text: str) -> Iterator[str]:
    """Give the passwords of the addresses in a text, and that of a login in base64, as Docker and npm keep it."""
    for user, _, password in (found.partition(":") for found in _LOGIN.findall(text)):
        yield password or user
        yield unquote(password or user)
    try:
        login = base64.b64decode(text.encode("ascii"), validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if login.isprintable():
        yield login.partition(":")[2]
