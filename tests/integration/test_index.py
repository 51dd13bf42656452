"""The door to the index on the loopback: credentials stay with their host, answers within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.index.fetch import Fetcher
from orchestrator.index.sdist import read_sdist
from orchestrator.index.simple import PackageIndex
from orchestrator.index.sources import Sources
from orchestrator.index.troubles import PackageIndexError
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

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Redirect files; answer the rest."""
        self.credentials.append(authorization)
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
