"""Raw progress may hold any JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.measure.progress import Progress, make_steps

MOMENT = "2026-01-01T12:00:00Z"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", MOMENT, "sha256:x", "[1/2] RUN x", "extracting"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["vertexes", "statuses", "logs", "digest", "vertex", "id", "name", "started", "completed", "inputs", "data"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(lines=st.lists(JSON, max_size=4))
def test_any_json_is_taken(lines: list[Any]) -> None:
    """Whatever JSON a line holds, it is progress or it is ignored."""
    progress = Progress()
    for line in lines:
        progress.feed(json.dumps(line).encode())
    assert all(step.duration_s is None or step.duration_s >= 0 for step in make_steps(progress))
