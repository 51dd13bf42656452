"""Where traces and metrics go, as OpenTelemetry's variables say it: pure, and complete before anything is opened."""

from __future__ import annotations

import base64
import re
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Warn = Callable[[str], None]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # what HTTP allows in the name of a header
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_TIMEOUT_S = 10.0
_GRPC_PORT = 4317
_SOCKETS = ("unix:", "unix-abstract:")  # of a target in gRPC's own words, which needs no //


class Signal(StrEnum):
    """What is sent, in the word that stands in the variables' names and at the end of the address."""

    TRACES = "traces"
    METRICS = "metrics"


class Protocol(StrEnum):
    """How OTLP is spoken."""

    GRPC = "grpc"
    HTTP = "http/protobuf"


class NotADestinationError(ValueError):
    """Nothing can be sent to what was named; the message holds no credentials."""


class Destination(Struct, frozen=True):
    """A backend and all that is needed to talk to it; only `address` may be shown."""

    signal: Signal
    protocol: Protocol
    address: str  # scheme, host and port
    endpoint: str  # as the exporter takes it, without credentials
    insecure: bool = False
    headers: Mapping[str, str] = {}
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    compression: str = "none"
    timeout_s: float = _TIMEOUT_S
    secrets: tuple[str, ...] = ()  # what must be in no message

    def __repr__(self) -> str:
        """Show no more than may be shown."""
        return f"Destination({self.signal}, {self.protocol}, {self.address})"


def read_destination(environment: Mapping[str, str], signal: Signal, warn: Warn) -> Destination | None:
    """Read the variables for a signal; without an endpoint there is none, and one that cannot be used is said."""
    endpoint = _value(environment, signal, "ENDPOINT")
    if endpoint is None:
        if environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip():
            warn(f"OTEL_{signal.upper()}_EXPORTER is set, and no OTEL_EXPORTER_OTLP_ENDPOINT to send to: no {signal} are exported")
        return None
    own = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    protocol = _read_choice(environment, signal, "PROTOCOL", tuple(Protocol), warn)
    try:
        return _make(_Asked(endpoint, Protocol(protocol or Protocol.HTTP), signal, is_whole=bool(own)), environment, warn)
    except NotADestinationError as error:
        warn(f"OTEL_EXPORTER_OTLP_{f'{signal.upper()}_' if own else ''}ENDPOINT: {error}; no {signal} are exported")
        return None


def parse_destination(endpoint: str, environment: Mapping[str, str], warn: Warn) -> Destination:
    """Read where a stored run is to go; the scheme, the variables or the port say how it is spoken to."""
    signal = Signal.TRACES
    scheme, parts = endpoint.partition("://")[0].lower(), _split(endpoint)
    asked = _read_choice(environment, signal, "PROTOCOL", tuple(Protocol), warn)
    if scheme in ("grpc", "grpcs"):
        endpoint = f"http{'s' if scheme == 'grpcs' else ''}{endpoint[len(scheme) :]}"
        asked = Protocol.GRPC
    elif scheme not in ("http", "https") or not parts.hostname:
        message = f"'{_address(parts)}' is no address; write http://host:4318, http://host:4317 or grpc://host:4317"
        raise NotADestinationError(message)
    protocol = Protocol(asked or (Protocol.GRPC if parts.port == _GRPC_PORT else Protocol.HTTP))
    is_whole = parts.path.rstrip("/").endswith(f"/v1/{signal}")
    return _make(_Asked(endpoint, protocol, signal, is_whole), environment, warn)


class _Asked(Struct, frozen=True):
    endpoint: str
    protocol: Protocol
    signal: Signal
    is_whole: bool  # names the signal's own path


def _make(asked: _Asked, environment: Mapping[str, str], warn: Warn) -> Destination:
    signal, parts = asked.signal, _split(asked.endpoint)
    headers = _read_headers(environment, signal, warn)
    secrets = [word for value in headers.values() for word in (value, *value.split())]
    if parts.username is not None or parts.password is not None:
        pair = [unquote(parts.username or ""), unquote(parts.password or "")]
        token = base64.b64encode(":".join(pair).encode()).decode()
        headers.setdefault("authorization", f"Basic {token}")
        secrets += [*pair, parts.username or "", parts.password or "", token]
    secrets += [parts.query, parts.path.strip("/")] if asked.protocol is Protocol.HTTP else []
    return Destination(
        signal=signal,
        protocol=asked.protocol,
        address=_address(parts),
        endpoint=_grpc_target(asked.endpoint, parts) if asked.protocol is Protocol.GRPC else _http_url(asked, parts),
        insecure=_is_insecure(parts, environment, signal),
        headers=headers,
        certificate=_value(environment, signal, "CERTIFICATE"),
        client_certificate=_value(environment, signal, "CLIENT_CERTIFICATE"),
        client_key=_value(environment, signal, "CLIENT_KEY"),
        compression=_read_choice(environment, signal, "COMPRESSION", ("none", "gzip"), warn) or "none",
        timeout_s=_read_timeout(environment, signal, warn),
        secrets=tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True)),
    )


def _split(endpoint: str) -> SplitResult:
    try:
        parts = urlsplit(endpoint if "://" in endpoint or endpoint.startswith(_SOCKETS) else f"//{endpoint}")
        _ = parts.port  # read here, because it is only checked when it is read
    except ValueError as error:
        message = "it is not an address (its host or port cannot be read)"
        raise NotADestinationError(message) from error
    return parts


def _address(parts: SplitResult) -> str:
    """Give what may be shown of an address: no user, no password, no path, no query."""
    if f"{parts.scheme}:" in _SOCKETS:
        return f"{parts.scheme}:{parts.path}"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme else host


def _http_url(asked: _Asked, parts: SplitResult) -> str:
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        message = f"'{_address(parts)}' is not an http:// or https:// address, as {Protocol.HTTP} needs"
        raise NotADestinationError(message)
    path = parts.path if asked.is_whole else f"{parts.path.rstrip('/')}/v1/{asked.signal}"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path or "/", fragment="").geturl()


def _grpc_target(endpoint: str, parts: SplitResult) -> str:
    """Take host and port from an address; a target in gRPC's own words (unix:/path) stays as it is."""
    if parts.scheme.lower() in ("http", "https", ""):
        if not parts.hostname:
            message = f"'{_address(parts)}' names no host"
            raise NotADestinationError(message)
        return parts.netloc.rpartition("@")[2]
    return endpoint


def _is_insecure(parts: SplitResult, environment: Mapping[str, str], signal: Signal) -> bool:
    """Tell whether gRPC goes without TLS: the scheme decides, and where there is none the variable."""
    if parts.scheme.lower() in ("http", "https"):
        return parts.scheme.lower() == "http"
    return (_value(environment, signal, "INSECURE") or "").lower() == "true"


def _value(environment: Mapping[str, str], signal: Signal, name: str) -> str | None:
    """Give the signal's own variable, or else the one for all signals; empty is as good as unset."""
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", f"OTEL_EXPORTER_OTLP_{name}")
    return next((value for one in names if (value := environment.get(one, "").strip())), None)


def _read_choice(environment: Mapping[str, str], signal: Signal, name: str, known: tuple[str, ...], warn: Warn) -> str | None:
    value = (_value(environment, signal, name) or "").lower()
    if not value or value in known:
        return value or None
    warn(f"OTEL_EXPORTER_OTLP_{name}: '{value}' is none of {', '.join(known)}; it is ignored")
    return None


def _read_timeout(environment: Mapping[str, str], signal: Signal, warn: Warn) -> float:
    value = _value(environment, signal, "TIMEOUT")
    if value is None:
        return _TIMEOUT_S
    if value.isascii() and value.isdecimal() and 0 < int(value) < 2**31:
        return int(value) / 1000
    warn(f"OTEL_EXPORTER_OTLP_TIMEOUT: '{value}' is no number of milliseconds; it is ignored")
    return _TIMEOUT_S


def _read_headers(environment: Mapping[str, str], signal: Signal, warn: Warn) -> dict[str, str]:
    headers: dict[str, str] = {}
    for place, pair in enumerate((_value(environment, signal, "HEADERS") or "").split(","), 1):
        name, found, value = (part.strip() for part in pair.partition("="))
        name, value = unquote(name).strip().lower(), unquote(value).strip()
        if found and _NAME.fullmatch(name) and _PRINTABLE.fullmatch(value):
            headers[name] = value
        elif pair.strip():
            warn(f"OTEL_EXPORTER_OTLP_HEADERS: entry {place} is not name=value in printable characters; it is left out")
    return headers
