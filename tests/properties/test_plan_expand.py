"""From axes to cells: order, rules, settings and placeholders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import (
    HealthyCheck,
    HttpCheck,
    ImportCheck,
    Limits,
    ProbeCheck,
    RunCheck,
    Secret,
    Status,
    StructureCheck,
    Timeouts,
)
from orchestrator.plan.expand import matches, merge_settings
from orchestrator.plan.settings import MERGED_LISTS, MERGED_MAPPINGS
from tests.unit.folders import make_files, plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import Check


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the files that the plans name, for tests that only read."""
    return make_files(tmp_path_factory.mktemp("plans"), "Dockerfile", "a.Dockerfile", "b.Dockerfile", "cst.yaml", "r.txt")


def ids(text: str, folder: Path) -> list[str]:
    """Give the ids of a plan's cells."""
    return [cell.id for cell in plan_of(text, folder).cells]


def test_cells_are_the_product_in_axis_order(folder: Path) -> None:
    """The last axis turns fastest, and ids are the values joined in axis order."""
    assert ids("axes: {base: [alpine, slim], python: ['3.12', '3.13']}\n", folder) == [
        "alpine-3.12",
        "alpine-3.13",
        "slim-3.12",
        "slim-3.13",
    ]


def test_a_cell_knows_its_value_on_each_axis(folder: Path) -> None:
    """A cell is asked by axis name."""
    cell = plan_of("axes: {base: [alpine], python: ['3.12']}\n", folder).cells[0]
    assert (cell.axis("base"), cell.axis("python")) == ("alpine", "3.12")


def test_planning_twice_gives_the_same_plan(folder: Path) -> None:
    """The plan is a value: the same text gives the same plan."""
    text = "axes: {a: [x, y], b: ['1', '2']}\nsettings: {a: {x: {args: {A: '{b}'}}}}\nexclude: [{a: y, b: '2'}]\n"
    assert plan_of(text, folder) == plan_of(text, folder)


def test_included_cells_come_last_and_known_combinations_only_once(folder: Path) -> None:
    """An included cell adds a combination; one that the product has already is not there twice."""
    text = "axes: {base: [alpine, slim], python: ['3.12']}\n"
    text += "include: [{python: '3.14', base: slim}, {base: alpine, python: '3.12'}, {base: wolfi, python: '3.12'}]\n"
    assert ids(text, folder) == ["alpine-3.12", "slim-3.12", "slim-3.14", "wolfi-3.12"]


def test_included_values_have_settings_and_can_be_excluded(folder: Path) -> None:
    """A value that only an included cell has is a value like any other."""
    text = "axes: {a: [x]}\ninclude: [{a: y}, {a: z}]\nsettings: {a: {y: {target: t}}}\nexclude: [{a: z, reason: later}]\n"
    plan = plan_of(text, folder)
    assert [(cell.id, cell.settings.target) for cell in plan.cells] == [("x", None), ("y", "t")]
    assert [(cell.id, cell.reason) for cell in plan.excluded] == [("z", "later")]


def test_excluded_cells_keep_their_reason(folder: Path) -> None:
    """What is left out stays in the plan with the first reason that fits it, or with none."""
    text = "axes: {base: [alpine, slim, wolfi], python: ['3.12', '3.13']}\n"
    text += "exclude: [{base: wolfi, python: '3.12', reason: not yet}, {base: wolfi}]\n"
    plan = plan_of(text, folder)
    assert [cell.id for cell in plan.cells] == ["alpine-3.12", "alpine-3.13", "slim-3.12", "slim-3.13"]
    assert [(cell.id, cell.reason) for cell in plan.excluded] == [("wolfi-3.12", "not yet"), ("wolfi-3.13", None)]


def test_an_expected_outcome_is_set_by_the_last_rule_that_fits(folder: Path) -> None:
    """A general expectation can be taken back for some cells further down."""
    text = "axes: {base: [alpine, slim], deps: [new, old]}\n"
    text += "expect: [{base: alpine, outcome: build-failed, reason: no wheel}, {deps: new, outcome: passed}]\n"
    found = {cell.id: (cell.expected, cell.expected_reason) for cell in plan_of(text, folder).cells}
    assert found["alpine-old"] == (Status.BUILD_FAILED, "no wheel")
    assert found["alpine-new"] == (Status.PASSED, None)
    assert found["slim-old"] == (Status.PASSED, None)


def test_rules_take_globs_and_lists(folder: Path) -> None:
    """A rule names values one by one, as a list, or by a glob, on every axis that matters."""
    text = "axes: {python: ['3.9', '3.12', '3.13'], base: [alpine, slim, wolfi]}\n"
    text += "exclude: [{python: 3.1*, base: [alpine, w*]}, {python: '3.[89]'}]\n"
    assert ids(text, folder) == ["3.12-slim", "3.13-slim"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, True),
        ({"base": ["slim"]}, True),
        ({"base": ["alpine"]}, False),
        ({"base": ["alpine", "sl?m"]}, True),
        ({"base": ["SLIM"]}, False),
        ({"base": ["slim"], "python": ["3.13"]}, False),
        ({"base": ["slim"], "python": ["3.*"]}, True),
        ({"os": ["*"]}, False),
    ],
)
def test_a_rule_fits_when_every_axis_it_names_fits(where: dict[str, list[str]], *, found: bool) -> None:
    """All axes named must fit, by one of their values or globs, in the same case."""
    assert matches(where, (("base", "slim"), ("python", "3.12"))) is found


def test_a_later_axis_wins_over_an_earlier_one(folder: Path) -> None:
    """Settings are replaced in axis order, whatever the order in which the file has them."""
    text = """\
axes: {base: [x], python: [y], deps: [z]}
defaults: {dockerfile: a.Dockerfile, target: d, platform: linux/amd64, retries: 0}
settings:
  deps: {z: {target: late, cache: {from: ["type=gha"]}}}
  base: {x: {target: early, dockerfile: b.Dockerfile, retries: 5, cache: {to: [inline]}}}
"""
    settings = plan_of(text, folder).cells[0].settings
    assert (settings.target, settings.dockerfile, settings.platform, settings.retries) == ("late", "b.Dockerfile", "linux/amd64", 5)
    assert (settings.cache_from, settings.cache_to) == (("type=gha",), ())


def test_mappings_merge_key_by_key_and_checks_add_up(folder: Path) -> None:
    """A later axis adds to args, env, labels, contexts, secrets and timeout, and to the list of checks."""
    text = """\
axes: {a: [x], b: [y]}
defaults:
  args: {A: "0", B: "0"}
  env: {E: "0"}
  labels: {l: "0"}
  contexts: {c: .}
  secrets: {s: {env: S}}
  timeout: {build: 10m}
  smoke: [{run: [one]}]
settings:
  a: {x: {args: {B: "1", C: "1"}, env: {E: "1"}, smoke: [{run: [two]}], timeout: {smoke: 1m30s}}}
  b: {y: {args: {C: "2"}, labels: {k: "2"}, contexts: {d: "docker-image://d"},
      secrets: {t: {file: f, optional: true}}, smoke: [{run: [three]}]}}
"""
    settings = plan_of(text, folder).cells[0].settings
    assert settings.args == (("A", "0"), ("B", "1"), ("C", "2"))
    assert settings.env == (("E", "1"),)
    assert settings.labels == (("l", "0"), ("k", "2"))
    assert settings.contexts == (("c", "."), ("d", "docker-image://d"))
    assert settings.secrets == (Secret("s", env="S"), Secret("t", file="f", optional=True))
    assert settings.timeout == Timeouts(600.0, 90.0)
    assert [check.argv for check in settings.smoke if isinstance(check, RunCheck)] == [("one",), ("two",), ("three",)]


PIECES = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.sampled_from("abc") for key in ("dockerfile", "target", "retries", "cache")},
        **{key: st.dictionaries(st.sampled_from("ABC"), st.sampled_from("123"), max_size=3) for key in sorted(MERGED_MAPPINGS)},
        **{key: st.lists(st.sampled_from("xyz"), max_size=3) for key in sorted(MERGED_LISTS)},
    },
)


@given(pieces=st.lists(PIECES, min_size=1, max_size=4))
def test_merging_follows_its_three_rules_for_any_settings(pieces: list[dict[str, Any]]) -> None:
    """Lists of checks add up, mappings merge key by key, everything else is the last one's; nothing is lost or changed."""
    merged: dict[str, Any] = {}
    before = [dict(piece) for piece in pieces]
    for piece in pieces:
        merged = merge_settings(merged, piece)
    assert pieces == before
    assert set(merged) == {key for piece in pieces for key in piece}
    for key, value in merged.items():
        given_values = [piece[key] for piece in pieces if key in piece]
        if key in MERGED_LISTS:
            assert value == [item for items in given_values for item in items]
        elif key in MERGED_MAPPINGS:
            assert value == {name: items[name] for items in given_values for name in items}
        else:
            assert value == given_values[-1]


def test_placeholders_are_filled_from_the_cell(folder: Path) -> None:
    """`{axis}` becomes the cell's value wherever a setting holds text; keys and other braces stay."""
    text = """\
axes: {base: [alpine, slim], python: ["3.12"]}
defaults:
  args: {BASE_IMAGE: "python:{python}-{base}", "{base}": "x{1}{}{"}
  push: "registry/app:{base}"
  smoke: [{run: [python, --version], stdout: "^Python {python}\\\\.[0-9]{1,3}"}]
"""
    first, second = (cell.settings for cell in plan_of(text, folder).cells)
    assert first.args == (("BASE_IMAGE", "python:3.12-alpine"), ("{base}", "x{1}{}{"))
    assert (first.push, second.push) == ("registry/app:alpine", "registry/app:slim")
    assert isinstance(first.smoke[0], RunCheck)
    assert first.smoke[0].stdout == "^Python 3.12\\.[0-9]{1,3}"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{print}}", "{print}"),
        ("{{base}} {base}", "{base} alpine"),
        ("{{{base}}}", "{alpine}"),
        ("{{{{end}}}}", "{{end}}"),
        ("${base} ${{base}} ${print}", "${base} ${{base}} ${print}"),
        ("{{.State}} {{json .}} {1}{}", "{{.State}} {{json .}} {1}{}"),
        ('{"a":{"b":{base}}}', '{"a":{"b":alpine}}'),
        ("{{base}", "{alpine"),
        ("{" * 50_000 + "base}", "{" * 49_999 + "alpine"),
    ],
)
def test_two_braces_stand_for_one(text: str, filled: str, folder: Path) -> None:
    """A word in braces can be written, whether an axis has its name or not; a shell's variables are left alone."""
    (cell,) = plan_of(f"axes: {{base: [alpine]}}\ndefaults: {{args: {{A: '{text}'}}}}\n", folder).cells
    assert cell.settings.args == (("A", filled),)


CHECKS: dict[str, Check] = {
    "{import: [json, grpc]}": ImportCheck(("json", "grpc")),
    "{run: [sleep, 1], exit: 3, stdout: ok, timeout: 90s}": RunCheck(("sleep", "1"), 3, "ok", Limits(90.0)),
    "{http: {port: 80}}": HttpCheck(80),
    "{http: {port: 80, path: /h, status: 204, header: {Server: x}, body: b, within: 5s}}": HttpCheck(
        80, "/h", 204, (("Server", "x"),), "b", 5.0
    ),
    "{healthy: {within: 1m}}": HealthyCheck(60.0),
    "{healthy: }": HealthyCheck(),
    "{probe: tls, memory: 64MiB, pids: 9, capabilities: [NET_RAW], network: internal, writable: true}": ProbeCheck(
        "tls", Limits(None, 64 * 1024**2, 9, ("NET_RAW",), "internal", writable=True)
    ),
    "{structure: cst.yaml}": StructureCheck("cst.yaml"),
}


@pytest.mark.parametrize(("text", "check"), CHECKS.items(), ids=CHECKS)
def test_each_kind_of_check_is_read_with_its_limits(text: str, check: Check, folder: Path) -> None:
    """Checks mean what they say, and what they do not say is as strict as it can be."""
    plan = plan_of(f"axes: {{a: [x]}}\ndefaults: {{smoke: [{text}]}}\n", folder)
    assert plan.cells[0].settings.smoke == (check,)


def test_settings_that_nothing_names_have_their_defaults(folder: Path) -> None:
    """A matrix of one line is enough: a Dockerfile beside it, built as it is."""
    settings = plan_of("axes: {a: [x]}\n", folder).cells[0].settings
    assert (settings.dockerfile, settings.context, settings.retries) == ("Dockerfile", ".", 2)
    assert settings.timeout == Timeouts(1800.0, 300.0)


def test_a_setting_given_as_nothing_is_not_given(folder: Path) -> None:
    """An empty line after a setting's name leaves what an earlier axis has said."""
    text = "axes: {a: [x]}\ndefaults: {target: t}\nsettings: {a: {x: {target: , timeout: {build: }}}}\n"
    settings = plan_of(text, folder).cells[0].settings
    assert (settings.target, settings.timeout) == ("t", Timeouts())


def test_a_dockerfile_may_lie_in_its_context(folder: Path) -> None:
    """A Dockerfile is looked for beside matrix.yaml and then inside the context; a remote context has its own."""
    make_files(folder, "app/inner.Dockerfile")
    text = "axes: {a: [x, y]}\nsettings:\n  a:\n    x: {context: app, dockerfile: inner.Dockerfile}\n"
    text += "    y: {context: 'https://example.org/repo.git', dockerfile: theirs.Dockerfile}\n"
    assert ids(text, folder) == ["x", "y"]
