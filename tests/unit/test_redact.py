"""What is secret is taken out, however it is spelt where it turns up."""

from __future__ import annotations

import base64
import json

import pytest

from orchestrator.redact import Redactor

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


@pytest.mark.parametrize("secret", SECRETS)
def test_a_line_of_progress_has_no_secret_in_names_or_output(secret: str) -> None:
    """A step's name holds build arguments, and what it prints stands in base64."""
    name = f"[1/1] RUN echo {secret}"
    vertex = f'{{"vertexes":[{{"digest":"sha256:a","name":"{as_go_does(name)}"}}]}}'
    shown = json.loads(Redactor([secret]).progress(vertex.encode()))
    assert shown["vertexes"][0]["name"] == "[1/1] RUN echo ***"
    printed = base64.b64encode(f"said {secret}\n".encode()).decode()
    shown = json.loads(Redactor([secret]).progress(json.dumps({"logs": [{"vertex": "sha256:a", "data": printed}]}).encode()))
    assert base64.b64decode(shown["logs"][0]["data"]) == b"said ***\n"
