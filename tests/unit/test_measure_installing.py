"""A step installs packages when its words say so: three parts of the tool ask, and get one answer."""

from __future__ import annotations

import time

import pytest

from orchestrator.measure.installing import find_install
from tests.pace import slowness


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "python -m pip install .",
        "/venv/bin/pip3.13 --no-cache-dir wheel -r r.txt",
        "uv pip sync r.txt",
        "uv sync --frozen",
        "apt-get update && apt-get -y install gcc",
        "apk --no-cache add gcc",
        "npm ci",
        "yarn",
        "yarn && echo done",
        "yarn add left-pad",
        "--mount=type=cache,target=/root/.cache/pip pip install x",
        "go mod download",
    ],
)
def test_installations_are_found(command: str) -> None:
    """Whatever stands between the installer's name and its word."""
    assert find_install(f"RUN {command}")


def test_an_installation_that_a_base_has_put_off_is_one() -> None:
    """BuildKit tells of it with ONBUILD before it."""
    assert find_install("ONBUILD RUN pip install -r requirements.txt")
    assert find_install("ONBUILD COPY pip install /") is None


@pytest.mark.parametrize(
    "instruction",
    [
        "RUN yarn build",
        "RUN npm run install-check",
        "RUN echo pip; install -m 755 a /usr/bin",
        "RUN pip --version",
        "COPY pip install /",
        "RUN apk-tools-install",
        "RUN uv run app",
    ],
)
def test_what_only_looks_like_one_is_none(instruction: str) -> None:
    """A word of an installer is not enough."""
    assert find_install(instruction) is None


def test_a_hostile_instruction_takes_no_time() -> None:
    """An image chooses the words of its history."""
    began = time.process_time()
    assert find_install("RUN " + "pip " * 500_000) is None
    assert time.process_time() - began < 1 * slowness()
