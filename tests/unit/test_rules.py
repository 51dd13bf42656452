"""What matrix.yaml says of judging reaches a run's record as it was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.parse import parse_matrix
from orchestrator.config.rules import make_rules
from orchestrator.rules import Choice, Claim, Limit, Preference, Rules

if TYPE_CHECKING:
    from pathlib import Path

SLIM = {"base": ("slim",)}
TEXT = """
version: 1
name: rules
axes: {base: [alpine, slim]}
claims:
  - {say: "Alpine is smaller", metric: size, left: {base: alpine}, right: {base: slim}, is: smaller, by: 12.5%, must: true}
  - {say: "slim passes", left: {base: slim}, is: passes}
  - {say: "about 50 MB", left: {base: slim}, is: equal, value: 50MB, by: 10%}
  - {say: "in a minute and a half", metric: build_time, left: {base: slim}, is: faster, value: 1m30s}
  - {say: "mostly one step", metric: longest_step, left: {base: slim}, is: larger, value: 50%}
  - {say: "few packages", metric: packages, left: {base: slim}, is: smaller, value: 30}
decide: {between: base, require: [smoke], prefer: [{metric: size, weight: 2}, {metric: build_time}]}
budgets:
  - {where: {base: [slim, alp*]}, size: 250MB, build_time: 3m}
  - {growth: {size: 5%, build_time: 20%}}
  - {step: "*pip install*", max: 60s, compiled: 0}
"""


def test_every_rule_is_stored_as_it_was_written(tmp_path: Path) -> None:
    """Shares are numbers, durations seconds, sizes bytes; what is not said stays unknown."""
    tmp_path.joinpath("Dockerfile").write_text("FROM scratch\n")
    file, _ = parse_matrix(TEXT, "matrix.yaml", tmp_path)
    assert make_rules(file) == Rules(
        claims=(
            Claim("Alpine is smaller", "size", {"base": ("alpine",)}, {"base": ("slim",)}, "smaller", by_share=0.125, must=True),
            Claim("slim passes", "outcome", SLIM, None, "passes"),
            Claim("about 50 MB", "size", SLIM, None, "equal", by_share=0.1, value=50_000_000.0),
            Claim("in a minute and a half", "build_time", SLIM, None, "faster", value=90.0),
            Claim("mostly one step", "longest_step", SLIM, None, "larger", value=0.5),
            Claim("few packages", "packages", SLIM, None, "smaller", value=30.0),
        ),
        choice=Choice("base", ("smoke",), (Preference("size", 2.0), Preference("build_time", 1.0))),
        limits=(
            Limit({"base": ("slim", "alp*")}, size_bytes=250_000_000, build_time_s=180.0),
            Limit({}, size_growth_share=0.05, build_time_growth_share=0.2),
            Limit({}, step="*pip install*", step_max_s=60.0, compiled=0),
        ),
    )
