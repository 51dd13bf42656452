"""The dependency sets: readable requirements, and one pinned list for every base and Python."""

import re
from pathlib import Path

import pytest

DEPS = Path(__file__).parents[2] / "dockerfiles" / "deps"
OLD_PINS = {"psutil==7.0.0", "pyroscope-io==0.8.7", "grpcio==1.40.0"}


def pins(path: Path) -> set[str]:
    """Read the lines that are neither comments nor empty, without their conditions."""
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}


def test_every_set_has_its_requirements_and_its_pins() -> None:
    """Every set has its requirements and its pins."""
    assert {path.stem for path in DEPS.glob("*.in")} == {path.stem for path in DEPS.glob("*.txt")}


@pytest.mark.parametrize("path", sorted(DEPS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_line_is_an_exact_version(path: Path) -> None:
    """Every line is an exact version."""
    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.]+", pin) for pin in pins(path))


@pytest.mark.parametrize("path", sorted(DEPS.glob("*.txt")), ids=lambda path: path.stem)
def test_what_is_required_is_pinned(path: Path) -> None:
    """What is required is pinned."""
    pinned = {pin.partition("==")[0] for pin in pins(path)}
    required = {re.split(r"[\[=]", line)[0] for line in pins(path.with_suffix(".in")) if not line.startswith("-r")}
    assert required <= pinned


def test_sets_differ_in_their_packages_and_not_in_their_versions() -> None:
    """Sets differ in their packages and not in their versions."""
    every = {pin for path in DEPS.glob("*.txt") for pin in pins(path)} - OLD_PINS
    names = [pin.partition("==")[0] for pin in every]
    assert sorted(names) == sorted(set(names))


def test_what_bootstrap_adds_comes_on_top_of_the_hand_picked_set() -> None:
    """What bootstrap adds comes on top of the hand picked set."""
    assert pins(DEPS / "fastapi.txt") < pins(DEPS / "fastapi-bootstrap.txt")
