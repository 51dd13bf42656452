"""A relation between two figures, or two ends, holds beyond chance or not at all."""

from __future__ import annotations

import pytest

from orchestrator.judge.relations import outcome_holds, relation_holds


@pytest.mark.parametrize(
    ("relation", "left", "right", "by", "floor", "holds"),
    [
        ("smaller", 90, 100, 0.1, 0, True),
        ("smaller", 91, 100, 0.1, 0, False),
        ("smaller", 100, 100, None, 0, False),
        ("smaller", 0, 0, 0.1, 0, False),
        ("larger", 110, 100, 0.1, 0, True),
        ("larger", 109, 100, 0.1, 0, False),
        ("larger", 1, 0, 0.5, 0, True),
        ("larger", 0, 0, None, 0, False),
        ("equal", 100, 100, None, 0, True),
        ("equal", 100, 101, None, 0, False),
        ("equal", 100, 102, None, 0.03, True),
        ("equal", 90, 100, 0.1, 0, True),
        ("equal", 89, 100, 0.1, 0, False),
        ("equal", 90, 100, 0.1, 0.03, None),
        ("equal", 80, 100, 0.1, 0.03, False),
        ("equal", 99, 100, 0.1, 0.03, True),
        ("slower", 104, 100, None, 0.03, True),
        ("slower", 96, 100, None, 0.03, False),
        ("slower", 102, 100, None, 0.03, None),
    ],
)
def test_a_relation_holds_beyond_chance_or_not_at_all(
    relation: str, left: float, right: float, by: float | None, floor: float, *, holds: bool | None
) -> None:
    """A share counts from the right figure; what chance may turn is unknown."""
    assert relation_holds(relation, left, right, by, floor) is holds


@pytest.mark.parametrize(
    ("relation", "left", "right", "holds"),
    [
        ("fails", 0, 2, True),
        ("fails", 0, 1, True),
        ("fails", 0, 0, None),
        ("fails", 2, 0, False),
        ("fails", 1, 2, None),
        ("fails", 1, 0, False),
        ("passes", 2, 0, True),
        ("passes", 2, 2, False),
        ("passes", 0, 0, None),
        ("equal", 2, 2, True),
        ("equal", 2, 0, False),
        ("equal", 1, 2, None),
        ("fails", 1, None, None),
    ],
)
def test_ends_are_compared_as_ends(relation: str, left: float, right: float | None, *, holds: bool | None) -> None:
    """0 failed, 1 was built and not tested, 2 passed."""
    assert outcome_holds(relation, left, right) is holds
