"""Bytes from an address, within limits of time and size, with the credentials that belong to its host and no other."""

from __future__ import annotations

import base64
import netrc
import ssl
import time
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from msgspec import Struct

from orchestrator.index.sources import local_path
from orchestrator.index.troubles import explain_silence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage
    from typing import IO

    from orchestrator.index.sources import Sources

_SILENCE_S = 20.0
_TOTAL_S = 120.0
_CHUNK = 1024**2
_NOT_THERE = (404, 410)


class Fetched(Struct, frozen=True):
    """What an address gave, and the address that it was in the end."""

    url: str
    kind: str
    body: bytes


class _KeepToHost(HTTPRedirectHandler):
    """Follows redirects, but hands the credentials of one host to no other."""

    def redirect_request(  # as urllib calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            found.remove_header("Authorization")
        return found


class Fetcher:
    """Gets files from an index; whatever goes wrong becomes a PackageIndexError that names the index."""

    def __init__(self, sources: Sources) -> None:
        """Take the certificates; proxies come from the environment."""
        context = ssl.create_default_context(cafile=sources.certificates)
        self._opener: OpenerDirector = build_opener(HTTPSHandler(context=context), _KeepToHost())
        self._known = [urlsplit(place) for place in (*sources.indices, *sources.find_links) if "@" in place]

    def get(self, url: str, accept: str, limit: int) -> Fetched | None:
        """Get an address; None when there is nothing at it."""
        if (path := local_path(url)) is not None:
            path = path / "index.html" if path.is_dir() else path
            return Fetched(url, "text/html", path.read_bytes()[:limit]) if path.is_file() else None
        address, headers = self._address_of(url)
        try:
            request = Request(address, headers={"Accept": accept, "User-Agent": "matrix", **headers})  # noqa: S310  # checked above
            with self._opener.open(request, timeout=_SILENCE_S) as answer:
                return Fetched(answer.url, answer.headers.get_content_type(), _read(answer, limit))
        except HTTPError as error:
            with error:
                if error.code in _NOT_THERE:
                    return None
            raise explain_silence(url, f"HTTP status {error.code}") from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise explain_silence(url, str(getattr(error, "reason", error)) or type(error).__name__) from None

    def _address_of(self, url: str) -> tuple[str, Mapping[str, str]]:
        """Take the credentials out of an address, or find those of its host, and make a header of them."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise explain_silence(url, f"an address of the kind '{parts.scheme}' is not supported")
        host = parts.netloc.rpartition("@")[2]
        owner = next((one for one in (parts, *self._known) if one.username and one.netloc.rpartition("@")[2] == host), None)
        name, password = (
            (unquote(owner.username or ""), unquote(owner.password or "")) if owner else _from_netrc(parts.hostname or "")
        )
        if not name:
            return url, {}
        word = base64.b64encode(f"{name}:{password}".encode()).decode()
        return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {word}"}


def _read(answer: IO[bytes], limit: int) -> bytes:
    """Read up to the limit, in no more than the time that a whole file may take."""
    until, body = time.monotonic() + _TOTAL_S, bytearray()
    while chunk := answer.read(_CHUNK):
        body += chunk
        if len(body) > limit:
            message = f"larger than {limit // 1024**2} MiB"
            raise ValueError(message)
        if time.monotonic() > until:
            message = f"timed out after {_TOTAL_S:.0f} s"
            raise TimeoutError(message)
    return bytes(body)


def _from_netrc(host: str) -> tuple[str, str]:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return "", ""
    return (found[0] or "", found[2] or "") if found else ("", "")
