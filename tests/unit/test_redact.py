"""What is secret is taken out, however it is spelt where it turns up."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from orchestrator.cuts import cut, cut_begin
from orchestrator.model import Cell, Secret, Settings
from orchestrator.redact import ProgressRedactor, Redactor, make_redactor
from orchestrator.smoke.words import inert, one_line

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = ("plain-secret", 'with"quote', "with\\backslash", "Pa&ss<word>", 'pä"sswört', "line\nbreak\ttab", "bell\x07\u2028sep")


def as_go_does(value: str) -> str:
    """Write a value as Go's JSON has it."""
    text = json.dumps(value, ensure_ascii=False)[1:-1]
    return text.translate({ord(mark): f"\\u{ord(mark):04x}" for mark in "&<>\u2028\u2029"})


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_in_every_spelling(secret: str) -> None:
    """As it is; in JSON of Python's, with and without ASCII alone, and of Go's; in an error that quotes a command."""
    quoted = f'process "/bin/sh -c echo {json.dumps(secret, ensure_ascii=False)[1:-1]}" did not complete'
    for text in (f"echo {secret} done", quoted):
        for written in (text, json.dumps(text), json.dumps(text, ensure_ascii=False), f'"{as_go_does(text)}"'):
            shown = Redactor([secret]).text(written)
            assert "***" in shown
            assert secret not in shown
            if written.startswith('"'):
                assert json.loads(shown) == text.replace(secret, "***").replace(json.dumps(secret, ensure_ascii=False)[1:-1], "***")


@pytest.mark.parametrize(
    "secret", ["hunter22/?=", "pässwörter", "a\x01b\x1b[31mcdefg", "two  spaces  here", "\udce4\udcf6-latin-1"]
)
@pytest.mark.parametrize("before", ["", "me:", "you:", "them:"])
def test_a_secret_is_hidden_as_programs_write_it(secret: str, before: str) -> None:
    """In base64 beside a name of any length, percent-encoded, and as logs and reasons have it."""
    data, redactor = secret.encode("utf-8", "surrogateescape"), Redactor([secret])
    letters = base64.b64encode(before.encode() + data).decode()
    for written in (letters, letters.translate(str.maketrans("+/", "-_"))):
        shown = redactor.text(f"Basic {written} sent").removeprefix("Basic ").removesuffix(" sent")
        assert "***" in shown
        assert len(shown) <= len("***") + len(letters) - len(base64.b64encode(data)) + 5, (
            "the name, and what shares a letter with it"
        )
    for written in (quote(data, safe=""), inert(secret), one_line(secret), data.decode("utf-8", "replace")):
        assert redactor.text(f"it is {before}{written} now") == f"it is {before}*** now"
    raw = redactor.bytes(b"it is " + data)
    assert raw == b"it is ***"


def test_what_an_address_is_signed_with_is_hidden() -> None:
    """By the parameter's name, in JSON of Go's, too; what is no such parameter stays."""
    address = "https://host/x.tar?a=1&X-Amz-Signature=5af1&sig=%2Bx&access_token=y&tokens=3#main"
    hidden = "https://host/x.tar?a=1&X-Amz-Signature=***&sig=***&access_token=***&tokens=3#main"
    redactor = Redactor()
    assert redactor.text(f"ADD {address} /") == f"ADD {hidden} /"
    assert redactor.json(f'{{"url": "{as_go_does(address)}"}}') == f'{{"url": "{as_go_does(hidden)}"}}'
    assert redactor.text("realm?service=registry&scope=pull, token=x") == "realm?service=registry&scope=pull, token=x"


def test_a_secret_of_any_length_is_hidden() -> None:
    """Of what is longer than is looked for at once, each piece."""
    secret = "".join(f"{number:06d}" for number in range(5000))
    assert set(Redactor([secret]).text(f"it is {secret} now")) == set("it is *** now")


@pytest.mark.parametrize("secret", ["canary-0123456789", 'canary-"\\-0123456789'])
def test_what_is_left_of_a_secret_where_a_text_was_cut_is_hidden(secret: str) -> None:
    """Its begin or its end, of six characters or more, as text and in JSON."""
    redactor = Redactor([secret])
    for length in range(6, len(secret)):
        begun, ended = cut(f"said {secret} twice", 5 + length + 1), cut_begin(f"twice {secret} said", 5 + length + 1)
        assert (begun, ended) == (f"said {secret[:length]}…", f"…{secret[-length:]} said")
        for text, hidden in ((begun, "said ***…"), (ended, "…*** said")):
            assert redactor.text(text) == hidden
            assert json.loads(redactor.json(json.dumps({"reason": text, "more": "…"}, ensure_ascii=False)))["reason"] == hidden
    assert redactor.text("canary… and canary-0") == "***… and canary-0"
    assert redactor.text("canaries…") == "canaries…"


@pytest.mark.parametrize("secret", ["123456", "digest", "abcdef12"])
def test_figures_moments_ids_and_keys_are_no_secrets(secret: str) -> None:
    """A number may have the digits of one by chance, and with one of them hidden nobody could read the rest."""
    whole = {
        "digest": 1234567.25,
        "started_at": "2026-11-30T17:59:30.123456Z",
        "at": "2026-11-30T17:59:30.123456+00:00",
        "spans": [{"traceId": "00abcdef12", "startTimeUnixNano": "1796061570123456789", "value": {"intValue": "-123456"}}],
        "reason": f'echo {secret} "digest": {secret}',
    }
    for written in (json.dumps(whole), json.dumps(whole, indent=2), json.dumps(whole, separators=(",", ":"))):
        shown = json.loads(Redactor([secret]).json(written))
        assert shown.pop("reason") == f'echo {secret} "digest": {secret}'.replace(secret, "***")
        assert shown == {key: value for key, value in whole.items() if key != "reason"}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_line_of_progress_has_no_secret_in_names_or_output(secret: str) -> None:
    """A step's name holds build arguments, and what it prints stands in base64."""
    name = f"[1/1] RUN echo {secret}"
    vertex = f'{{"vertexes":[{{"digest":"sha256:a","name":"{as_go_does(name)}"}}]}}'
    progress = ProgressRedactor(Redactor([secret]))
    shown = json.loads(progress.line(vertex.encode()))
    assert shown["vertexes"][0]["name"] == "[1/1] RUN echo ***"
    assert said(progress.line(pieces(("a", f"said {secret}\n")))) == [("a", "said ***\n")]
    assert progress.end() == b""


def pieces(*printed: tuple[str, str]) -> bytes:
    """Write a line of progress with what steps print."""
    data = [(step, base64.b64encode(text.encode()).decode()) for step, text in printed]
    return json.dumps({"logs": [{"vertex": step, "stream": 1, "data": text} for step, text in data]}).encode()


def said(line: bytes) -> list[tuple[str, str]]:
    """Read what steps print in a line of progress."""
    return [(log["vertex"], base64.b64decode(log["data"]).decode()) for log in json.loads(line)["logs"]]


def test_a_secret_that_is_printed_in_two_pieces_is_hidden_in_progress() -> None:
    """The begin of a line waits for the rest of it, each step's and each stream's for its own; nothing that is printed is lost."""
    progress = ProgressRedactor(Redactor(["hunter22"]))
    lines = [progress.line(pieces(*found)) for found in ([("a", "one\nit is hun"), ("b", "ter")], [("a", "ter22, yes\nhun")])]
    assert [said(line) for line in lines] == [[("a", "one\n")], [("a", "it is ***, yes\n")]]
    assert said(progress.end()) == [("b", "ter"), ("a", "hun")]
    assert progress.end() == b""


def test_a_line_that_does_not_end_is_not_waited_for_without_end() -> None:
    """Progress bars may never end theirs."""
    progress = ProgressRedactor(Redactor(["hunter22"]))
    assert said(progress.line(pieces(("a", "#" * 65_536)))) == []
    assert said(progress.line(pieces(("a", "#")))) == [("a", "#" * 65_537)]
    assert progress.end() == b""


FILES = {
    "[default]\naws_access_key_id = AKIAIOSFODNN7\naws_secret_access_key = wJalrXUtnFEMI/K7\nregion = eu-west-1\n": [
        "wJalrXUtnFEMI/K7",
        "AKIAIOSFODNN7",
    ],
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END PRIVATE KEY-----\n": [
        "MIIEvQIBADANBgkqhkiG9w0BAQEF",
        "AASCBKcwggSjAgEAAoIBAQC7VJTU",
    ],
    '{\n  "auths": {\n    "registry": {"x": 1},\n    "auth": "dXNlcjpwYXNz"\n  }\n}\n': ["dXNlcjpwYXNz"],
    "machine host\nlogin me\npassword hunter22\n": ["hunter22"],
    "first-secret-line\nsecond-secret-line\n": ["first-secret-line", "second-secret-line"],
    "[global]\nindex-url = https://me:hunter22%40@index.example/simple\n": ["hunter22%40"],
}
LINES = {
    b'{"auths":{"registry":{"auth":"bWU6aHVudGVyMjI="}}}': ["bWU6aHVudGVyMjI=", "hunter22"],
    b"machine host login me password hunter22\n": ["hunter22"],
    b"//registry.example/:_authToken=npm_hunter22\n": ["npm_hunter22"],
    b"//registry.example/:_auth=bWU6aHVudGVyMjI=\n": ["bWU6aHVudGVyMjI=", "hunter22"],
    b"https://me:hunter22%40@index.example/simple": ["hunter22%40", "hunter22@"],
    b"https://ghp_hunter22@git.example/x.git": ["ghp_hunter22"],
    b"\xef\xbb\xbfhunter22\r\n": ["hunter22"],
    "hunter22".encode("utf-16"): ["hunter22"],
    b"hunter22\0hunter33\0": ["hunter22", "hunter33"],
    b'{"key": "first-of-it\\nsecond-of-it\\n"}': ["first-of-it", "second-of-it"],
}


@pytest.mark.parametrize("text", LINES)
def test_what_a_file_of_one_line_holds_is_secret(text: bytes, tmp_path: Path) -> None:
    """Logins, tokens and leaves of JSON, by themselves."""
    tmp_path.joinpath("secret").write_bytes(text)
    redactor = make_redactor([Cell("x", (), Settings(secrets=(Secret("s", file="secret"),)))], tmp_path)
    for value in LINES[text]:
        assert redactor.text(f"using {value} now") == "using *** now"


@pytest.mark.parametrize("text", FILES)
def test_what_a_file_of_several_lines_holds_is_secret(text: str, tmp_path: Path) -> None:
    """Each line of it, and what it sets something to, with or without its name."""
    tmp_path.joinpath("secret").write_text(text)
    redactor = make_redactor([Cell("x", (), Settings(secrets=(Secret("s", file="secret"),)))], tmp_path)
    shown = redactor.text(f"cat\n{text}")
    for value in FILES[text]:
        assert value in text
        assert value not in shown
        assert redactor.text(f"using {value} now") == "using *** now"


@pytest.mark.parametrize("text", FILES)
def test_so_is_what_a_variable_of_several_lines_holds(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build prints it line by line, and each line is looked at by itself."""
    monkeypatch.setenv("KEY", text)
    settings = [Settings(secrets=(Secret("s", env="KEY"),)), Settings(secret_args=(("ARG", "KEY"),))]
    for redactor in (make_redactor([Cell("x", (), one)], tmp_path) for one in settings):
        for value in FILES[text]:
            assert redactor.text(f"using {value} now") == "using *** now"
        assert redactor.text(text) == "***"


def test_what_everybody_may_know_stays_to_be_read(tmp_path: Path) -> None:
    """The index and hosts of a pip.conf, and certificates, of which there are thousands in a bundle."""
    certificate = "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0B\n-----END CERTIFICATE-----\n"
    tmp_path.joinpath("ca").write_text(certificate * 200)
    tmp_path.joinpath("pip").write_text(
        "[global]\nindex-url = https://index.example/simple\ntrusted-host = index.example\ntimeout = 600000\n"
    )
    secrets = (Secret("ca", file="ca"), Secret("pip", file="pip"))
    redactor = make_redactor([Cell("x", (), Settings(secrets=secrets))], tmp_path)
    said = f"[global] Looking in indexes: https://index.example/simple, host index.example for 600000 ms\n{certificate}"
    assert redactor.text(said) == said


def test_of_a_very_long_file_only_what_it_sets_is_looked_for(tmp_path: Path) -> None:
    """Thousands of lines would be looked for in every log."""
    lines = [f"words that are line {number}" for number in range(1000)]
    tmp_path.joinpath("secret").write_text("\n".join([*lines, "token: abcdef123"]))
    redactor = make_redactor([Cell("x", (), Settings(secrets=(Secret("s", file="secret"),)))], tmp_path)
    assert redactor.text("words that are line 7, abcdef123") == "words that are line 7, ***"
