"""Why a backend did not take what was sent: from what the exporters noticed to the likely cause and its remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.smoke.words import shorten
from orchestrator.tracing.destination import Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.tracing.destination import Destination

_SWITCH = {
    Protocol.GRPC: (
        "gRPC was spoken to a port that answers HTTP/1.1: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, usually port 4318"
    ),
    Protocol.HTTP: "HTTP/1.1 was spoken to a port that answers gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, usually port 4317",
}
_CLOSED = {
    Protocol.GRPC: "the connection was closed without an answer: the port may want TLS (https://) or HTTP (usually port 4318)",
    Protocol.HTTP: "the connection was closed without an answer: the port may want TLS (https://) or gRPC (usually port 4317)",
}
_CLOSED_TLS = (
    "the connection was closed without an answer: it may ask for a client certificate "
    "(OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY)"
)
_SILENCE = "it accepts connections and does not answer in time, or packets to it are dropped"
_CAUSES: tuple[tuple[str, str], ...] = (  # the first that fits; what is certain stands before what is likely
    (
        r"CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN",
        "it asks for a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY",
    ),
    (r"Hostname mismatch|IP address mismatch|doesn't match|Hostname Verification", "its certificate is for another host"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted: name its CA in OTEL_EXPORTER_OTLP_CERTIFICATE"),
    (r"WRONG_VERSION_NUMBER|record layer failure", "TLS was spoken to a port that answers without it: use http://"),
    (r"HTTP request to an HTTPS server", "its port wants TLS: use https://"),
    (r"UNAUTHENTICATED|code: 401\b", "unauthenticated: set its credentials in OTEL_EXPORTER_OTLP_HEADERS"),
    (r"PERMISSION_DENIED|code: 403\b", "permission denied: its credentials in OTEL_EXPORTER_OTLP_HEADERS do not allow this"),
    (r"UNIMPLEMENTED", "it speaks gRPC, but does not know this service: OTLP is usually at port 4317"),
    (r"code: (404|405)\b", "it answers HTTP, but not at this path: OTLP is usually at port 4318"),
    (r"Connection refused", "nothing listens there (connection refused)"),
    (r"Failed to resolve|errors resolving|DNS resolution failed|lookup failed", "its host name is not known"),
    (r"Network is unreachable|No route to host", "there is no route to it"),
    (r"code: (429|502|503|504)\b|RESOURCE_EXHAUSTED", "it is overloaded or not ready"),
    (r"code: 413\b|larger than max|exceeds max_request_size", "a request was too large for it"),
)
_OTHER_PROTOCOL = {
    Protocol.GRPC: r"Failed parsing HTTP/2|http1|missing selected ALPN|unexpected HTTP status|content-type",
    Protocol.HTTP: r"BadStatusLine\('(\\x00|\x00)",
}
_HUNG_UP = r"Socket closed|Connection reset|Connection aborted|RemoteDisconnected|Broken pipe"
_OWN_WORDS = r"reason: (it .*)"  # what wires.py has seen itself
_LATE = r"DEADLINE_EXCEEDED|timed out|CANCELLED"
_SAYS_NOTHING = r"Shutdown in progress|due to timeout, max retries or shutdown"


def explain(destination: Destination, evidence: Sequence[str]) -> str:
    """Give the likely cause; what the backend said itself only where nothing better is known, and without credentials."""
    words = [line for line in evidence if not re.search(_SAYS_NOTHING, line)]
    said = "\n".join(words)
    if seen := re.search(_OWN_WORDS, said):
        return shorten(hide(seen[1], destination.secrets))
    for pattern, cause in _CAUSES:
        if re.search(pattern, said):
            return cause
    if re.search(_OTHER_PROTOCOL[destination.protocol], said):
        return _SWITCH[destination.protocol]
    if re.search(_HUNG_UP, said):
        return _CLOSED_TLS if destination.address.startswith("https:") else _CLOSED[destination.protocol]
    if not said or re.search(_LATE, said):
        return _SILENCE
    return shorten(hide(words[-1], destination.secrets))


def hide(text: str, secrets: Sequence[str]) -> str:
    """Take out all that must be seen by nobody."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
