"""Which files an index offers for a package: the Simple API, as JSON or as HTML, and flat lists of files."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from orchestrator.index.fetch import Fetcher
from orchestrator.index.sources import local_path
from orchestrator.index.troubles import OfflineError, RefusedError, explain_silence
from orchestrator.packages import Offer, normal_name
from orchestrator.paths import cache_folder
from orchestrator.strict import parse_json

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event as Signal

    from orchestrator.index.sources import Sources

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_LARGEST = 128 * 1024**2  # of a page; tensorflow's nightly builds are some tens of MB
_FRESH_S = 600.0
_FORMAT = 1
_DISTRIBUTION = (".whl", ".tar.gz", ".zip", ".tar.bz2")


class PackageIndex:
    """The files of packages, asked of every configured index and remembered for a while."""

    def __init__(self, sources: Sources, cancel: Signal | None = None, *, offline: bool = False) -> None:
        """Take the indices, and what ends the waiting for them; offline, only what is remembered is known."""
        self._sources, self.offline = sources, offline
        self._fetcher = Fetcher(sources, cancel)
        self._answering: set[str] = set()  # indices that have answered for some package

    @property
    def fetcher(self) -> Fetcher:
        """Give what gets files from these indices."""
        return self._fetcher

    def offers_of(self, name: str) -> tuple[Offer, ...]:
        """Give all files that any index has for a package; none is an answer, too."""
        plain = normal_name(name)
        found = [offer for index in self._sources.indices for offer in self._project(index, plain)]
        flat = [offer for place in self._sources.find_links for offer in self._flat(place)]
        found += [offer for offer in flat if normal_name(re.split(r"-\d", offer.filename)[0]) == plain]
        return tuple({offer.filename: offer for offer in reversed(found)}.values())[::-1]

    def _project(self, index: str, plain: str) -> tuple[Offer, ...]:
        """Ask an index for a package; some refuse what they do not have."""
        try:
            found = self._page(urljoin(f"{index.rstrip('/')}/", f"{plain}/"))
        except RefusedError as error:
            if index in self._answering or (index, error.status) in self._sources.passed_over:
                return ()
            raise
        self._answering.add(index)
        return found

    def _flat(self, place: str) -> tuple[Offer, ...]:
        path = local_path(place)
        if path is not None and path.is_dir():
            return tuple(Offer(file.name, file.as_uri()) for file in sorted(path.absolute().iterdir()) if _is_file(file.name))
        return self._page(place)

    def _page(self, url: str) -> tuple[Offer, ...]:
        entry = cache_folder("index") / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"
        known = _load(entry, None if self.offline else _FRESH_S)
        if known is not None:
            return known
        if self.offline and local_path(url) is None:
            message = "not in the cache"
            raise OfflineError(message)
        fetched = self._fetcher.get(url, _ACCEPT, _LARGEST)
        offers: tuple[Offer, ...] = ()
        if fetched is not None:
            try:
                offers = parse_page(fetched.body, fetched.kind, fetched.url)
            except (ValueError, RecursionError) as error:
                raise explain_silence(url, f"its answer is not a list of files: {error}") from error
        if local_path(url) is None:
            _save(entry, offers)
        return offers


def parse_page(body: bytes, kind: str, url: str) -> tuple[Offer, ...]:
    """Read a project's page in either of its forms."""
    if kind.endswith("json"):
        data = parse_json(body)
        files = data.get("files") if isinstance(data, dict) else None
        if not isinstance(files, list):
            message = "no 'files' in it"
            raise ValueError(message)
        return tuple(_make_offer(file, url) for file in files if isinstance(file, dict) and _is_file(str(file.get("filename"))))
    reader = _Anchors(url)
    reader.feed(body.decode("utf-8", "replace"))
    return tuple(reader.offers)


def _make_offer(file: dict[str, object], url: str) -> Offer:
    wanted = file.get("requires-python")
    address = urljoin(url, str(file.get("url", "")))
    return Offer(str(file["filename"]), address, str(wanted) if wanted else None, bool(file.get("yanked")))


class _Anchors(HTMLParser):
    """Takes the links out of a page; what else is on it does not matter."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url = url
        self.offers: list[Offer] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        href = found.get("href")
        if tag == "base" and href:
            self._url = urljoin(self._url, href)
        if tag != "a" or not href:
            return
        address = urljoin(self._url, href.partition("#")[0])
        name = unquote(urlsplit(address).path.rpartition("/")[2])
        if _is_file(name):
            self.offers.append(Offer(name, address, found.get("data-requires-python") or None, "data-yanked" in found))


def _is_file(name: str) -> bool:
    return name.endswith(_DISTRIBUTION)


def _may_be_kept(url: str | None) -> bool:
    """Tell whether an address is free of credentials: some indices sign those of their files."""
    parts = urlsplit(url or "")
    return not parts.query and "@" not in parts.netloc


def _load(entry: Path, fresh_s: float | None) -> tuple[Offer, ...] | None:
    try:
        data = json.loads(entry.read_bytes())
        if data["format"] != _FORMAT or (fresh_s is not None and not 0 <= time.time() - data["at"] <= fresh_s):
            return None
        return tuple(Offer(*row) for row in data["offers"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, damaged, or of another version: asked again


def _save(entry: Path, offers: tuple[Offer, ...]) -> None:
    rows = [
        [offer.filename, offer.url if _may_be_kept(offer.url) else None, offer.requires_python, offer.yanked] for offer in offers
    ]
    draft = entry.with_suffix(f".{secrets.token_hex(4)}")
    draft.write_text(json.dumps({"format": _FORMAT, "at": time.time(), "offers": rows}), encoding="utf-8")
    draft.replace(entry)
