"""The door to the index on the loopback: credentials stay with their host, answers within bounds."""

from __future__ import annotations

from http.client import HTTPMessage
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.request import Request

import pytest

from orchestrator.index import fetch
from orchestrator.index.fetch import Fetcher, KeepToHost
from orchestrator.index.sdist import read_sdist
from orchestrator.index.simple import PackageIndex
from orchestrator.index.sources import Sources
from orchestrator.index.troubles import PackageIndexError, RefusedError
from orchestrator.packages import Offer, SourceFacts
from tests.package_index import Index, make_sdist, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Redirecting(Index):
    """Sends whoever asks for a file to another host, and remembers with what they came."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere = ""
        self.credentials: list[str] = []
        self.busy = 0  # so many answers are that it is

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Redirect files; answer the rest."""
        self.credentials.append(authorization)
        if self.busy:
            self.busy -= 1
            return 503, "text/plain", b"busy"
        if self.elsewhere and path.startswith("/files/"):
            return 302, f"{self.elsewhere}{path}", b""
        return super().answer(path, authorization)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache and a home of its own."""
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def hosts() -> Iterator[tuple[Redirecting, Redirecting]]:
    """Give an index that wants a password, and the host that its files lie on."""
    index, files = Redirecting(), Redirecting()
    for one in (index, files):
        one.offer("p", "p-1.tar.gz", make_sdist("p", "1", {"setup.py": "setup(ext_modules=[])"}))
    with serve(index), serve(files) as elsewhere:
        index.elsewhere = elsewhere.removesuffix("/simple")
        yield index, files


def test_credentials_go_to_their_own_host_only(hosts: tuple[Redirecting, Redirecting], tmp_path: Path) -> None:
    """Neither a redirect nor a link takes them along; ~/.netrc has them as well as the address."""
    index, files = hosts
    index.password = "pw"  # noqa: S105  # the test's own
    (offer,) = PackageIndex(Sources(index.url.replace("://", "://user:pw@"))).offers_of("p")
    assert "pw" not in str(offer)
    door = PackageIndex(Sources(index.url.replace("://", "://user:pw@"))).fetcher
    assert read_sdist(offer, door) == SourceFacts(declares_extension=True)
    assert [bool(word) for word in index.credentials] == [True, True]
    assert files.credentials == [""]
    assert read_sdist(offer, door) == SourceFacts(declares_extension=True)
    assert len(files.credentials) == 1
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password pw\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert Fetcher(Sources()).get(f"{index.url}/p/", "*/*", 10_000) is not None


def test_credentials_do_not_leave_https() -> None:
    """The same host may answer at http, where anybody on the way reads along; the other way is no harm."""
    headers = {"Authorization": "Basic x"}
    for asked, redirected, is_kept in (
        ("https://h/a", "https://h/b", True),
        ("http://h/a", "https://h/b", True),
        ("https://h/a", "http://h/b", False),
        ("https://h/a", "https://other/b", False),
    ):
        found = KeepToHost().redirect_request(Request(asked, headers=headers), BytesIO(), 302, "", HTTPMessage(), redirected)  # noqa: S310  # opened by nobody
        assert found is not None
        assert found.has_header("Authorization") is is_kept
    door = Fetcher(Sources("https://u:pw@h/simple"))
    assert door.address_of("http://h/f.whl") == ("http://h/f.whl", {})
    assert door.address_of("https://h/f.whl")[1]


@pytest.mark.parametrize("as_json", [True, False])
def test_pages_may_come_packed(hosts: tuple[Redirecting, Redirecting], *, as_json: bool) -> None:
    """Some send gzip to everybody; what it unpacks to has the same bounds."""
    _, files = hosts
    files.packs, files.as_json = True, as_json
    assert [offer.filename for offer in PackageIndex(Sources(files.url)).offers_of("p")] == ["p-1.tar.gz"]
    files.offer("p", "p-2.tar.gz", b"a" * 1_000_000)
    door = Fetcher(Sources())
    with pytest.raises(PackageIndexError, match="larger than 0 MiB"):
        door.get(f"{files.url.removesuffix('/simple')}/files/p-2.tar.gz", "*/*", 100_000)


def test_a_busy_index_is_asked_again(hosts: tuple[Redirecting, Redirecting], monkeypatch: pytest.MonkeyPatch) -> None:
    """One such answer is no reason to ask nobody any more; three are."""
    _, files = hosts
    monkeypatch.setattr(fetch, "_WAITS_S", (0.0, 0.0))
    files.busy = 2
    assert PackageIndex(Sources(files.url)).offers_of("p")
    files.busy = 3
    with pytest.raises(PackageIndexError, match="it is out of order; try again later"):
        PackageIndex(Sources(files.url)).offers_of("q")


def test_a_refusal_counts_for_what_an_index_is(hosts: tuple[Redirecting, Redirecting]) -> None:
    """One that has answered, or of which it is known, has no such package; another one does not let us in."""
    _, files = hosts
    files.missing = 403
    with pytest.raises(RefusedError, match="it refuses these credentials"):
        PackageIndex(Sources(files.url)).offers_of("absent")
    assert PackageIndex(Sources(files.url, passed_over=((files.url, 403),))).offers_of("absent") == ()
    index = PackageIndex(Sources(files.url))
    assert index.offers_of("p")
    assert index.offers_of("absent") == ()


def test_an_answer_without_end_is_not_taken(hosts: tuple[Redirecting, Redirecting]) -> None:
    """Nor one that is no list, nor an address that is none of the web."""
    _, files = hosts
    with pytest.raises(PackageIndexError, match="larger than 0 MiB"):
        Fetcher(Sources()).get(f"{files.url}/p/", "*/*", 10)
    with pytest.raises(PackageIndexError, match="an address of the kind 'gopher' is not supported"):
        Fetcher(Sources()).get("gopher://h/x", "*/*", 10)
    files.offer("p", "p-2.tar.gz", b"no archive")
    assert read_sdist(Offer("p-2.tar.gz", f"{files.url.removesuffix('/simple')}/files/p-2.tar.gz"), Fetcher(Sources())) is None
    assert read_sdist(Offer("p-3.tar.gz", f"{files.url}/gone.tar.gz"), Fetcher(Sources())) is None
    assert read_sdist(Offer("p-3.tar.gz"), Fetcher(Sources())) is None


def test_several_indices_are_asked_and_flat_lists_too(hosts: tuple[Redirecting, Redirecting]) -> None:
    """The same file twice is one offer; an index that does not have the package is none the worse."""
    index, files = hosts
    index.wheel("p", "2", "py3-none-any")
    files.as_json = False
    found = PackageIndex(Sources(index.url, (files.url, f"{files.url}/none"), (f"{files.url}/p/",))).offers_of("P")
    assert sorted(offer.filename for offer in found) == ["p-1.tar.gz", "p-2-py3-none-any.whl"]
    assert PackageIndex(Sources(index.url)).offers_of("absent") == ()
