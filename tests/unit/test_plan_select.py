"""--only and --skip: which of the planned cells a command is about."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExitCode, NothingSelectedError, UsageError
from orchestrator.model import Cell, ExcludedCell, Plan, Settings
from orchestrator.plan.select import choose_cells, select_cells

BASES, PYTHONS = ("alpine", "slim", "wolfi"), ("3.9", "3.12", "3.13")
PLAN = Plan(
    "m",
    ("base", "python"),
    tuple(Cell(f"{base}-{python}", (("base", base), ("python", python)), Settings()) for base in BASES[:2] for python in PYTHONS),
    tuple(ExcludedCell(f"wolfi-{python}", (("base", "wolfi"), ("python", python)), "why") for python in PYTHONS),
)


def chosen(*only: str, skip: tuple[str, ...] = ()) -> list[str]:
    """Give the ids of the cells that are left."""
    return [cell.id for cell in select_cells(PLAN, only, skip).cells]


def test_without_words_all_cells_are_left() -> None:
    """A command without --only and --skip is about the whole plan."""
    assert select_cells(PLAN, (), ()) == PLAN


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (["base=alpine"], ["alpine-3.9", "alpine-3.12", "alpine-3.13"]),
        (["base=alpine,python=3.1*"], ["alpine-3.12", "alpine-3.13"]),
        (["base=alpine,slim,python=3.9"], ["alpine-3.9", "slim-3.9"]),
        (["python=3.9,python=3.13,base=slim"], ["slim-3.9", "slim-3.13"]),
        (["base=alpine, python = 3.9"], ["alpine-3.9"]),
        (["slim-3.12"], ["slim-3.12"]),
        (["*-3.12"], ["alpine-3.12", "slim-3.12"]),
        (["slim-3.9", "base=alpine,python=3.13"], ["alpine-3.13", "slim-3.9"]),
        (["s*-3.?"], ["slim-3.9"]),
    ],
)
def test_only_keeps_what_any_of_its_words_names(only: list[str], found: list[str]) -> None:
    """All axes of one --only must fit, values of one axis are alternatives, and so is each further --only."""
    assert chosen(*only) == found


def test_skip_wins_over_only() -> None:
    """A cell that a --skip names is left out, whatever --only says."""
    assert chosen("base=slim", skip=("python=3.9", "*-3.12")) == ["slim-3.13"]


def test_the_order_of_the_plan_is_kept() -> None:
    """Selection leaves out and never moves."""
    assert chosen("slim-3.9", "alpine-3.9") == ["alpine-3.9", "slim-3.9"]


def test_excluded_cells_are_selected_by_the_same_words() -> None:
    """A selected plan shows the exclusions among what was asked for, and no others."""
    assert [cell.id for cell in select_cells(PLAN, ("python=3.12",), ()).excluded] == ["wolfi-3.12"]


def test_when_no_cell_is_left_the_words_are_repeated() -> None:
    """Nothing selected is an error of its own, with the words that left nothing."""
    with pytest.raises(NothingSelectedError) as caught:
        chosen("base=slim", "base=alpine,python=3.9", skip=("slim*", "alpine-3.9"))
    words = "--only base=slim --only base=alpine,python=3.9 --skip slim* --skip alpine-3.9"
    assert str(caught.value) == f"no cell is left by {words}; `matrix plan` lists them"
    assert caught.value.exit_code is ExitCode.NOTHING_SELECTED


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("base=alpin", "'alpin' in --only 'base=alpin' is not a value of axis 'base'; did you mean 'alpine'?"),
        ("slim-3.l2", "--only 'slim-3.l2' names no cell; did you mean 'slim-3.12'?"),
        ("", "--only '' names no cell; `matrix plan` lists them"),
    ],
)
def test_when_a_mistake_leaves_no_cell_the_mistake_is_named(only: str, words: str) -> None:
    """It is nothing selected all the same, but the word that was meant says more than the one that was typed."""
    with pytest.raises(NothingSelectedError) as caught:
        chosen(only)
    assert str(caught.value) == words


def test_a_matrix_that_excludes_all_says_so() -> None:
    """A plan without a cell is nothing selected, too."""
    with pytest.raises(NothingSelectedError, match=r"^every cell of the matrix is excluded$"):
        select_cells(Plan("m", PLAN.axes, (), PLAN.excluded), (), ())


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("bas=slim", "'bas' in 'bas=slim' is not an axis; did you mean 'base'?"),
        ("base=slim,os=x", "'os' in 'base=slim,os=x' is not an axis; the axes are base, python"),
        ("=slim", "'' in '=slim' is not an axis; the axes are base, python"),
    ],
)
def test_an_unknown_axis_is_named_with_the_nearest(word: str, words: str) -> None:
    """A mistyped axis is an error, not an empty selection."""
    with pytest.raises(UsageError) as caught:
        chosen(word)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("only", "skip", "words"),
    [
        ((), ("base=slm",), "'slm' in --skip 'base=slm' is not a value of axis 'base'; did you mean 'slim'?"),
        (("base=slim,prd",), (), "'prd' in --only 'base=slim,prd' is not a value of axis 'base'; `matrix plan` lists them"),
        ((), ("python=4.*",), "'4.*' in --skip 'python=4.*' fits no value of axis 'python'; `matrix plan` lists them"),
        (("slim-3.9", "slim-3.l2"), (), "--only 'slim-3.l2' names no cell; did you mean 'slim-3.12'?"),
        ((), ("zz*",), "--skip 'zz*' names no cell; `matrix plan` lists them"),
    ],
)
def test_a_word_that_names_nothing_is_a_mistake(only: tuple[str, ...], skip: tuple[str, ...], words: str) -> None:
    """A mistyped value would run all cells, or drop what was asked for, without a word."""
    with pytest.raises(UsageError) as caught:
        chosen(*only, skip=skip)
    assert str(caught.value) == words


def test_what_the_whole_plan_has_may_be_named_whatever_is_left() -> None:
    """Excluded cells, and those that another word leaves out, are there to be named: one command line may serve several."""
    assert chosen("base=slim", "base=wolfi", skip=("base=wolfi", "wolfi-3.9", "alpine-*")) == ["slim-3.9", "slim-3.12", "slim-3.13"]
    assert [cell.id for cell in choose_cells(PLAN, (), ("base=debian", "x")).cells] == [cell.id for cell in PLAN.cells]


def test_a_value_before_the_first_axis_is_an_error() -> None:
    """`slim,python=3.9` names no axis for its first value, so it is not read as something that fits nothing."""
    with pytest.raises(UsageError, match=r"slim,python=3\.9"):
        chosen("slim,python=3.9")
