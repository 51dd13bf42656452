"""Why a builder does not answer: buildx waits for it and then says neither where nor why, so its address is tried once more."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.docker.process import last_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.docker.process import Output

CERTIFICATES = ("cacert", "cert", "key")  # options of a remote node that name files
_ANSWER_S = 3.0


def explain_silence(answer: Output, nodes: Iterable[tuple[str | None, Mapping[str, str]]]) -> str:
    """Say why a builder does not answer, with the addresses that were waited for in vain, each with its options."""
    if answer.exit.cancelled:
        return "cancelled"
    reason = last_line(answer.stderr).removeprefix("ERROR: ") or "no reason given"
    tried = [(endpoint, options) for endpoint, options in nodes if endpoint]
    if not tried or "deadline exceeded" not in reason:
        return reason
    for endpoint, options in tried:
        if trouble := find_tls_trouble(endpoint, options):
            return trouble
    return f"nothing that speaks BuildKit's protocol answers at {', '.join(endpoint for endpoint, _ in tried)} ({reason})"


def find_tls_trouble(endpoint: str, options: Mapping[str, str]) -> str | None:
    """Say what is wrong with the certificates, of an address or of those who ask there; None where it is not that."""
    given = {name: options[name] for name in CERTIFICATES if options.get(name)}
    try:
        context = ssl.create_default_context(cafile=given.get("cacert"))
        context.set_alpn_protocols(["h2"])
        if "cert" in given:
            context.load_cert_chain(given["cert"], given.get("key"), lambda: "")  # or a locked key would ask at the terminal
    except OSError as error:  # an SSLError is one
        return f"the files of builder.options {', '.join(given)} are no certificates and keys that fit: {_words(error)}"
    try:
        speaks = _greet(endpoint, options.get("servername"), context)
    except ssl.SSLCertVerificationError as error:
        if given:
            return f"the certificate of {endpoint} is not accepted: {error.verify_message.rstrip('.')}"
        speaks = True
    except ssl.SSLError as error:
        return _explain_refusal(endpoint, given, error) if given else None
    except (OSError, ValueError):  # nobody is there, or says nothing; or it is no address
        return None
    return f"{endpoint} speaks TLS; give builder.options {', '.join(CERTIFICATES)}" if speaks and not given else None


def _greet(endpoint: str, name: str | None, context: ssl.SSLContext) -> bool:
    """Begin to speak TLS; tell whether that is possible where it is known."""
    address = urlsplit(endpoint)
    if address.scheme != "tcp" or not address.hostname or not address.port:
        return False
    with (
        socket.create_connection((address.hostname, address.port), timeout=_ANSWER_S) as line,
        context.wrap_socket(line, server_hostname=name or address.hostname) as secured,
    ):
        secured.recv(1)  # the first word is the server's; not before is it known that it refuses our certificate
    return True


def _explain_refusal(endpoint: str, given: Iterable[str], error: ssl.SSLError) -> str:
    names = ", ".join(given)
    if error.reason == "WRONG_VERSION_NUMBER":
        return f"{endpoint} speaks no TLS; leave out builder.options {names}"
    return f"{endpoint} and builder.options {names} do not go together: {_words(error)}"


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return (reason or str(error)).replace("_", " ").lower()
