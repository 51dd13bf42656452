"""What is read of a package index and of requirements: pages, pins, the user's own indices, and why an index is silent."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.index import sources
from orchestrator.index.simple import parse_page
from orchestrator.index.sources import Sources, load_sources, with_options_of
from orchestrator.index.troubles import explain_silence
from orchestrator.index.uv import parse_pins
from orchestrator.packages import Offer, Pinned, normal_name
from orchestrator.redact import Redactor
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
    assert tomllib.loads(found.uv_config()) == {
        "index-strategy": "unsafe-best-match",
        "index": [
            {"name": "i0", "url": "https://more/simple", "ignore-error-codes": [403]},
            {"name": "i1", "url": "https://pip/simple", "default": True},
        ],
    }
    assert load_sources({**named, "PIP_INDEX_URL": "https://env/simple"}, tmp_path).default == "https://env/simple"
    (tmp_path / "uv.toml").write_text(
        '[[index]]\nurl = "https://one/simple"\n[[index]]\nurl = "https://two/simple"\ndefault = true\n'
    )
    assert load_sources(named, tmp_path / "sub").indices == ("https://one/simple", "https://two/simple")
    by_variable = load_sources({**named, "UV_INDEX": "corp=https://corp/simple"}, tmp_path)
    assert by_variable.indices == ("https://corp/simple", "https://one/simple", "https://two/simple")
    assert not by_variable.from_pip
    assert load_sources({"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}, Path("/")).indices == ("https://default/simple",)


def test_requirements_may_name_indices_themselves() -> None:
    """As pip and uv both read them."""
    options = (("index-url", "https://a/simple"), ("find-links", "https://flat/"), ("extra-index-url", "https://b/simple"))
    found = with_options_of(Sources("https://mine/simple"), options)
    assert (found.indices, found.find_links) == (("https://b/simple", "https://a/simple"), ("https://flat/",))
    alone = with_options_of(found, [("no-index", ""), ("index-url", "https://c/simple"), ("find-links", "https://more/")])
    assert (alone.indices, alone.find_links) == ((), ("https://flat/", "https://more/"))


def test_uv_is_told_where_to_look_by_nobody_else() -> None:
    """Its own variables and files may name other indices, or a file to write to; credentials are in no file."""
    sources = Sources("https://me:p%40ss@one/simple", ("https://two/simple",), settings=(("native-tls", "true"),))
    theirs = {
        "UV_DEFAULT_INDEX": "x",
        "UV_EXTRA_INDEX_URL": "x",
        "UV_INDEX_CORP_PASSWORD": "x",
        "UV_CONFIG_FILE": "x",
        "UV_INDEX": "x",
    }
    kept = {"UV_HTTP_RETRIES": "0", "UV_INDEX_STRATEGY": "first-index", "HOME": "/h"}
    assert sources.uv_environment({**theirs, **kept}, Path("/c.toml")) == {
        **kept,
        "UV_CONFIG_FILE": "/c.toml",
        "UV_INDEX_I1_USERNAME": "me",
        "UV_INDEX_I1_PASSWORD": "p@ss",
    }
    assert tomllib.loads(sources.uv_config()) == {
        "native-tls": True,
        "index": [{"name": "i0", "url": "https://two/simple"}, {"name": "i1", "url": "https://one/simple", "default": True}],
    }
    assert tomllib.loads(Sources().uv_config()) == {"no-index": True}


@pytest.mark.parametrize(
    ("environ", "files", "indices"),
    [
        ({}, {"pyproject.toml": '[[tool.uv.index]]\nurl = "https://a/s"\ndefault = true\n'}, ("https://a/s",)),
        ({"UV_DEFAULT_INDEX": "corp=https://a/s"}, {}, ("https://a/s",)),
        ({}, {"uv.toml": 'index-url = "https://a/s"\n[pip]\nindex-url = "https://b/s"\n'}, ("https://b/s",)),
        (
            {"UV_INDEX": "https://a/s", "UV_EXTRA_INDEX_URL": "https://b/s", "UV_INDEX_URL": "https://d/s"},
            {"uv.toml": '[[index]]\nurl = "https://c/s"\n'},
            ("https://a/s", "https://b/s", "https://c/s", "https://d/s"),
        ),
        (
            {"UV_INDEX_CORP_IO_USERNAME": "me", "UV_INDEX_CORP_IO_PASSWORD": "p@ss"},
            {"uv.toml": '[[index]]\nname = "corp-io"\nurl = "https://a/s"\ndefault = true\n'},
            ("https://me:p%40ss@a/s",),
        ),
        ({}, {"uv.toml": '[[index]]\nurl = "https://a/s"\nexplicit = true\n'}, ("https://default/simple",)),
        ({}, {"uv.toml": "", "pyproject.toml": '[tool.uv]\nindex-url = "https://a/s"\n'}, ("https://default/simple",)),
        (
            {"UV_CONFIG_FILE": "FOLDER/x"},
            {"x": 'index-url = "https://x/s"', "uv.toml": 'index-url = "https://a/s"'},
            ("https://x/s",),
        ),
        ({"UV_NO_CONFIG": "1"}, {"uv.toml": 'index-url = "https://a/s"'}, ("https://default/simple",)),
        ({"UV_DEFAULT_INDEX": "https://a/s"}, {"uv.toml": "no-index = true"}, ()),
        ({"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "https://a/s"}, {}, ()),
    ],
)
def test_uvs_own_words_are_read_as_uv_reads_them(
    environ: dict[str, str],
    files: dict[str, str],
    indices: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An index that one of both does not know has nothing of what the other finds there."""
    monkeypatch.setattr(sources, "default_index", lambda: "https://default/simple")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    named = {name: value.replace("FOLDER", str(tmp_path)) for name, value in environ.items()}
    found = load_sources({"HOME": str(tmp_path / "home"), "PIP_CONFIG_FILE": "/dev/null", **named}, tmp_path)
    assert found.indices == indices


def test_folders_of_wheels_and_settings_of_uv_are_kept_apart(tmp_path: Path) -> None:
    """No container sees the folders; how uv chooses and how it gets at an index stays as the user has it."""
    (tmp_path / "uv.toml").write_text(
        'prerelease = "allow"\n[pip]\noutput-file = "x.lock"\nindex-strategy = "unsafe-first-match"\n'
    )
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "UV_DEFAULT_INDEX": "https://a/s"}
    found = load_sources({**environ, "UV_FIND_LINKS": f"{tmp_path},https://flat/x"}, tmp_path)
    assert found.find_links == ("https://flat/x",)
    assert dict(found.settings) == {"index-strategy": '"unsafe-first-match"', "prerelease": '"allow"'}


def test_a_flat_index_is_a_list_of_files(tmp_path: Path) -> None:
    """As uv has it; it is asked for no package's page."""
    flat = '[[index]]\nurl = "https://flat/y"\nformat = "flat"\n'
    (tmp_path / "uv.toml").write_text(f'{flat}[[index]]\nurl = "https://b/s"\n')
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "UV_DEFAULT_INDEX": "https://a/s"}
    found = load_sources(environ, tmp_path)
    assert (found.indices, found.find_links) == (("https://b/s", "https://a/s"), ("https://flat/y",))


def test_an_address_that_is_none_is_the_users_to_mend(tmp_path: Path) -> None:
    """Without its password, and whoever names it."""
    address = "https://user:p[ss@host/simple"
    words = r"https://\*\*\*@host/simple is no address: .*; brackets in a password are written as %5B and %5D"
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        with pytest.raises(UsageError, match=words):
            load_sources({"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", name: address}, tmp_path)
    with pytest.raises(UsageError, match=words):
        with_options_of(Sources(), [("index-url", address)])


def test_the_query_of_an_address_is_shown_nowhere() -> None:
    """It may be the signature that lets anybody in."""
    said = str(explain_silence("https://index/simple?key=s3", "no answer (https://host/a.whl?sig=s3) or https://h/b?t=s3, sorry"))
    assert "s3" not in said
    assert "(no answer (https://host/a.whl?***) or https://h/b?*** sorry)" in said
    with pytest.raises(UsageError, match=r"'a @ https://host/a\.whl\?\*\*\*' is no version of an index"):
        parse_pins("a @ https://host/a.whl?sig=s3\n", Path("r.txt"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"https://aws:{'T' * 20_000}@host/simple", "https://***@host/simple"),
        ("http://u:p@sSecret@host/", "http://***@host/"),
        ("see http://host/a@b and u@host", "see http://host/a@b and u@host"),
    ],
)
def test_credentials_of_any_length_are_hidden(address: str, shown: str) -> None:
    """Tokens of some clouds have more than a thousand characters, and a password may hold an @."""
    assert Redactor().text(address) == shown


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
    (tmp_path / "a.txt").write_text("-r a\0b\n")
    with pytest.raises(UsageError, match=r"a\\x00b' cannot be read: .*embedded null (byte|character)"):
        load_requirements(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"\xef\xbb\xbf-r base.txt\r\n", ("base",)),
        (b'-r "base.txt"\n', ("base",)),
        (b"-r ${PLACE}/base.txt\n", ("base",)),
        (b"-rbase.txt\n--requirement=base.txt\n", ("base",)),
        (
            b"app==1 \\\r\n    --hash=sha256:aa\r\nb\r\n",
            (
                "app==1",
                "b",
            ),
        ),
        (b"# note \\\napp\n", ("app",)),
        (b"app \\\n# note\nb\n", ("app", "b")),
        (b"-c base.txt\n-r base.txt\n", ("base",)),
        (b"app \\", ("app",)),
    ],
)
def test_a_requirements_file_is_read_as_pip_reads_it(
    text: bytes, lines: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever editor wrote it; an included file that is not followed would let a stale lock pass."""
    monkeypatch.setenv("PLACE", str(tmp_path))
    (tmp_path / "base.txt").write_text("base\n")
    (tmp_path / "a.txt").write_bytes(text)
    assert load_requirements(tmp_path / "a.txt").lines == lines


def test_options_of_a_requirements_file_are_read_with_their_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip has them: several in a line, credentials from the environment, wheels beside the file that names them."""
    monkeypatch.setenv("PW", "s3cr3t")
    (tmp_path / "sub/wheels").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("--index-url https://u:${PW}@h/s --no-index\n-r sub/b.txt\n-f wheels\n--only-binary :all:\n")
    (tmp_path / "sub/b.txt").write_text("-f ./wheels\n-c c.txt\n--pre\n--extra-index-url 'unclosed\n")
    (tmp_path / "sub/c.txt").write_text("x<2\n")
    found = load_requirements(tmp_path / "a.txt")
    assert found.constraints == ("x<2",)
    assert [(name, value) for name, value in found.options if name not in ("requirement", "constraint")] == [
        ("index-url", "https://u:s3cr3t@h/s"),
        ("no-index", ""),
        ("find-links", "wheels"),
        ("only-binary", ":all:"),
        ("find-links", str(tmp_path / "sub/wheels")),
        ("pre", ""),
        ("extra-index-url", "'unclosed"),
    ]
