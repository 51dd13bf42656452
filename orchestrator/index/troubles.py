"""Why a package index does not answer, and what to do about it."""

from __future__ import annotations

import re

from orchestrator.cuts import cut_begin
from orchestrator.errors import ExitCode, MatrixError
from orchestrator.redact import hide_credentials
from orchestrator.smoke.words import one_line

_CAUSES = (
    (
        r"certificate|UnknownIssuer|SSL|TLS|handshake",
        "its certificate is not trusted here; SSL_CERT_FILE names a bundle that holds your own CA",
    ),
    (
        r"proxy|\b407\b|tunnel",
        "the proxy refuses; HTTPS_PROXY and NO_PROXY say which one is used and where it is not",
    ),
    (
        r"\b40[13]\b|Unauthorized|Forbidden",
        "it refuses these credentials; give them in the index's address, in ~/.netrc, or in pip.conf",
    ),
    (
        r"dns|resolve|Name or service|getaddrinfo|nodename",
        "its name is not known here; is this machine on the network?",
    ),
    (
        r"tim(?:ed|e) ?out|deadline",
        "it does not answer in time; try again, or name a mirror with UV_DEFAULT_INDEX or PIP_INDEX_URL",
    ),
    (
        r"refused|unreachable|reset|tcp connect|connect error|closed|EOF|sending request|aborted",
        "there is no connection to it; is this machine on the network, and is a proxy needed (HTTPS_PROXY)?",
    ),
    (r"\b5\d\d\b", "it is out of order; try again later"),
)
_ADDRESS = re.compile(r"https?://[^\s)]+")
_OFFLINE = re.compile(r"Network connectivity is disabled|--offline|not (?:found )?in the cache", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"Failed to fetch|error sending request|Request failed|Failed to download|client error|dns error|tcp connect|timed out|"
    r"certificate|HTTP status (?:server|client) error|Connection (?:refused|reset)",
    re.IGNORECASE,
)


class PackageIndexError(MatrixError):
    """The package index cannot be reached, or does not let us in."""

    exit_code = ExitCode.ENGINE


class OfflineError(PackageIndexError):
    """Without a network the cache does not hold what is asked for."""


class RefusedError(PackageIndexError):
    """The index does not give this page to us: it may not have it, or not let us in."""

    def __init__(self, words: str, status: int) -> None:
        """Keep the status that it answered with."""
        super().__init__(words)
        self.status = status


def explain_silence(index: str, words: str) -> PackageIndexError:
    """Say why an index gave nothing; its address is shown without credentials."""
    plain = _ADDRESS.sub("", words)  # a port or a path may look like a status
    cause = next((cause for pattern, cause in _CAUSES if re.search(pattern, plain, re.IGNORECASE)), "it gave no answer")
    said = cut_begin(one_line(hide_credentials(words)), 300)
    return PackageIndexError(f"the package index {hide_credentials(index)} cannot be used: {cause} ({said or 'no reason given'})")


def is_offline(words: str) -> bool:
    """Tell whether uv says that it was told not to use the network."""
    return bool(_OFFLINE.search(words))


def is_unreachable(words: str) -> bool:
    """Tell whether uv says that the index did not answer, rather than what it answered."""
    return bool(_UNREACHABLE.search(words))
