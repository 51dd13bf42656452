"""What is read of a package index and of requirements: pages, pins, the user's own indices, and why an index is silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.index import sources
from orchestrator.index.simple import normal_name, parse_page
from orchestrator.index.sources import Sources, load_sources, with_options_of
from orchestrator.index.troubles import explain_silence
from orchestrator.index.uv import parse_pins
from orchestrator.packages import Offer, Pinned
from orchestrator.requirements import load_requirements


def test_a_page_of_either_form_lists_the_same_files() -> None:
    """As PEP 503 and PEP 691 have them."""
    html = b"""<base href="https://h/x/"><a href="../p-1.tar.gz#sha256=a" data-requires-python="&gt;=3.8">p-1.tar.gz</a>
      <a href="p-1-py3-none-any.whl" data-yanked="">w</a><a href="p.exe">no</a>"""
    files = [
        {"filename": "p-1.tar.gz", "url": "https://h/p-1.tar.gz", "requires-python": ">=3.8"},
        {"filename": "p-1-py3-none-any.whl", "url": "/x/p-1-py3-none-any.whl", "yanked": "bad"},
        {"filename": "p.exe", "url": "x"},
    ]
    found = parse_page(html, "text/html", "https://h/simple/p/")
    assert found == parse_page(json.dumps({"files": files}).encode(), "application/vnd.pypi.simple.v1+json", "https://h/simple/p/")
    assert found == (
        Offer("p-1.tar.gz", "https://h/p-1.tar.gz", ">=3.8"),
        Offer("p-1-py3-none-any.whl", "https://h/x/p-1-py3-none-any.whl", yanked=True),
    )
    assert normal_name("Zope.Interface__x") == "zope-interface-x"


def test_uvs_pins_are_read_with_markers_and_hashes() -> None:
    """And what is no pin of an index is refused, as it has neither wheel nor hash."""
    text = "a==1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:aa\n# no\n"
    text += "b[x]==2 ; python_full_version < '3.13' \\\n    --hash=sha256:cc\n"
    assert parse_pins(text, Path("r.txt")) == (
        Pinned("a", "1", None, ("sha256:aa", "sha256:bb")),
        Pinned("b", "2", "python_full_version < '3.13'", ("sha256:cc",)),
    )
    with pytest.raises(UsageError) as caught:
        parse_pins("a @ git+https://me:pw@h/a\n", Path("r.txt"))
    assert str(caught.value).startswith("r.txt: 'a @ git+https://***@h/a' is no version of an index")


def test_the_users_own_indices_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uv's variables, then its files, then pip's variables, then its files; folders of this machine are left out."""
    monkeypatch.setattr(sources, "default_index", lambda: "https://default/simple")
    pip = tmp_path / "pip.conf"
    pip.write_text(
        "[global]\nindex-url = https://pip/simple\nextra-index-url = https://more/simple file:///opt/x\nfind-links = /opt/w\n"
    )
    named = {"PIP_CONFIG_FILE": str(pip), "HOME": str(tmp_path)}
    found = load_sources(named, tmp_path)
    assert (found.default, found.extra, found.find_links, found.from_pip) == (
        "https://pip/simple",
        ("https://more/simple",),
        (),
        True,
    )
    assert {name: value for name, value in found.uv_environment().items() if name.startswith("UV_")} == {
        "UV_DEFAULT_INDEX": "https://pip/simple",
        "UV_INDEX": "https://more/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert load_sources({**named, "PIP_INDEX_URL": "https://env/simple"}, tmp_path).default == "https://env/simple"
    (tmp_path / "uv.toml").write_text(
        '[[index]]\nurl = "https://one/simple"\n[[index]]\nurl = "https://two/simple"\ndefault = true\n'
    )
    assert load_sources(named, tmp_path / "sub").indices == ("https://one/simple", "https://two/simple")
    by_variable = load_sources({**named, "UV_INDEX": "corp=https://corp/simple"}, tmp_path)
    assert by_variable.indices == ("https://corp/simple", "https://two/simple")
    assert not by_variable.from_pip
    assert load_sources({"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}, Path("/")).indices == ("https://default/simple",)


def test_requirements_may_name_indices_themselves() -> None:
    """As pip and uv both read them."""
    text = "--index-url=https://a/simple\n-f https://flat/\n--extra-index-url https://b/simple\nx==1\n"
    assert with_options_of(Sources(), [text]) == Sources("https://a/simple", ("https://b/simple",), ("https://flat/",))


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer", "its certificate is not trusted here; SSL_CERT_FILE names"),
        ("Tunnel connection failed: 407 Proxy Authentication Required", "the proxy refuses; HTTPS_PROXY and NO_PROXY say"),
        ("HTTP status client error (403 Forbidden)", "it refuses these credentials; give them in"),
        ("[Errno -2] Name or service not known", "its name is not known here; is this machine on the network?"),
        ("operation timed out", "it does not answer in time; try again, or name a mirror"),
        ("[Errno 111] Connection refused", "there is no connection to it; is this machine on the network"),
        ("HTTP status 502", "it is out of order; try again later"),
        ("HTTP status server error (503) for url (http://127.0.0.1:40741/proxy/407/)", "it is out of order; try again later"),
        ("odd", "it gave no answer (odd)"),
    ],
)
def test_why_an_index_is_silent_is_said(words: str, cause: str) -> None:
    """With what to do about it, and without its credentials."""
    said = str(explain_silence("https://me:pw@index/simple", words))
    assert said.startswith(f"the package index https://***@index/simple cannot be used: {cause}")


def test_a_requirements_file_is_read_with_what_it_includes(tmp_path: Path) -> None:
    """Its digest changes with any of them; constraints ask for nothing."""
    (tmp_path / "a.txt").write_text("-r sub/b.txt\n-c c.txt # here\na==1 --hash=sha256:x\n-e .\n-r a.txt\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.txt").write_text("b>=2 # for a reason\n")
    (tmp_path / "c.txt").write_text("d==4\n")
    found = load_requirements(tmp_path / "a.txt")
    assert found.lines == ("a==1", "b>=2")
    (tmp_path / "c.txt").write_text("d==5\n")
    assert load_requirements(tmp_path / "a.txt").digest != found.digest
    with pytest.raises(UsageError, match=r"gone\.txt cannot be read: No such file or directory"):
        load_requirements(tmp_path / "gone.txt")
