"""Bytes from an address, within limits of time and size, with the credentials that belong to its host and no other."""

from __future__ import annotations

import base64
import netrc
import ssl
import time
import zlib
from functools import partial
from http.client import HTTPException
from threading import Event as Signal
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from msgspec import Struct

from orchestrator.asking import answer_of, beside
from orchestrator.index.sources import local_path
from orchestrator.index.troubles import RefusedError, explain_silence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage
    from typing import IO, Any
    from urllib.parse import SplitResult

    from orchestrator.index.sources import Sources

_SILENCE_S = 20.0
_TOTAL_S = 120.0
_CHUNK = 1024**2
_NOT_THERE = (404, 410)
_REFUSED = (401, 403)
_BUSY = (429, 502, 503, 504)
_WAITS_S = (0.5, 1.5)  # before an index that is busy is asked again
_PACKED = ("gzip", "x-gzip")  # sent by some whether or not they are asked for it


class Fetched(Struct, frozen=True):
    """What an address gave, and the address that it was in the end."""

    url: str
    kind: str
    body: bytes


class KeepToHost(HTTPRedirectHandler):
    """Follows redirects, but hands the credentials of one host to no other."""

    def redirect_request(  # as urllib calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Make the request that follows."""
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and not _may_know(urlsplit(req.full_url), urlsplit(newurl)):
            found.remove_header("Authorization")
        return found


class Fetcher:
    """Gets files from an index; whatever goes wrong becomes a PackageIndexError that names the index."""

    def __init__(self, sources: Sources, cancel: Signal | None = None) -> None:
        """Take the certificates, and what ends the waiting; proxies come from the environment."""
        self._cancel = cancel or Signal()
        context = ssl.create_default_context(cafile=sources.certificates)
        self._opener: OpenerDirector = build_opener(HTTPSHandler(context=context), KeepToHost())
        self._known = [urlsplit(place) for place in (*sources.indices, *sources.find_links) if "@" in place]

    def get(self, url: str, accept: str, limit: int) -> Fetched | None:
        """Get an address; None when there is nothing at it."""
        if (path := local_path(url)) is not None:
            path = path / "index.html" if path.is_dir() else path
            return Fetched(url, "text/html", path.read_bytes()[:limit]) if path.is_file() else None
        return answer_of(beside(partial(self._ask, url, accept, limit)), self._cancel)

    def _ask(self, url: str, accept: str, limit: int) -> Fetched | None:
        """Ask whoever is at an address."""
        address, headers = self.address_of(url)
        try:
            request = Request(address, headers={"Accept": accept, "User-Agent": "matrix", **headers})  # noqa: S310  # checked above
            with self._open(request) as answer:
                body = _read(answer, limit, answer.headers.get("Content-Encoding", "").strip().lower())
                return Fetched(answer.url, answer.headers.get_content_type(), body)
        except HTTPError as error:
            with error:
                if error.code in _NOT_THERE:
                    return None
            silence = explain_silence(url, f"HTTP status {error.code}")
            raise (RefusedError(str(silence), error.code) if error.code in _REFUSED else silence) from None
        except (URLError, HTTPException, OSError, ValueError, zlib.error) as error:
            raise explain_silence(url, str(getattr(error, "reason", error)) or type(error).__name__) from None

    def _open(self, request: Request) -> Any:  # noqa: ANN401  # as urllib has it
        """Open an address; where it is busy, again after a while, and once more after a longer one."""
        for wait in _WAITS_S:
            try:
                return self._opener.open(request, timeout=_SILENCE_S)
            except HTTPError as error:
                if error.code not in _BUSY:
                    raise
                error.close()
            time.sleep(wait)
        return self._opener.open(request, timeout=_SILENCE_S)

    def address_of(self, url: str) -> tuple[str, Mapping[str, str]]:
        """Take the credentials out of an address, or find those of its host, and make a header of them."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise explain_silence(url, f"an address of the kind '{parts.scheme}' is not supported")
        host = parts.netloc.rpartition("@")[2]
        owner = next((one for one in (parts, *self._known) if one.username and _may_know(one, parts)), None)
        name, password = (
            (unquote(owner.username or ""), unquote(owner.password or "")) if owner else _from_netrc(parts.hostname or "")
        )
        if not name:
            return url, {}
        word = base64.b64encode(f"{name}:{password}".encode()).decode()
        return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {word}"}


def _may_know(owner: SplitResult, other: SplitResult) -> bool:
    """Tell whether credentials for one address may go to another: the same host, and never from https to http."""
    is_same_host = owner.netloc.rpartition("@")[2] == other.netloc.rpartition("@")[2]
    return is_same_host and other.scheme in (owner.scheme, "https")


def _read(answer: IO[bytes], limit: int, encoding: str) -> bytes:
    """Read and unpack up to the limit, in no more than the time that a whole file may take."""
    until, body = time.monotonic() + _TOTAL_S, bytearray()
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress if encoding in _PACKED else None
    while chunk := answer.read(_CHUNK):
        body += chunk if unpack is None else unpack(chunk, limit + 1 - len(body))
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
