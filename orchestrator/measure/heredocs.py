"""What a heredoc of a Dockerfile runs: BuildKit's name of the step has its first line at most, the provenance all of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.measure.provenance import defined_steps, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.record import Build, Step

_HEREDOC = re.compile(r"""((?:ONBUILD )?RUN (?:--\S+ )*+)(?:.*\s)?\d*<<-?["']?[\w.]+["']?(?:\s|$)""")
_FILE = "/dev/pipes/"  # where a heredoc that begins with #! lies, which the provenance does not show


def is_cut(step: Step) -> bool:
    """Tell whether a step runs more than is known of it."""
    return _HEREDOC.match(step.instruction) is not None and " ".join(step.name.split()).endswith(step.instruction)


def parse_commands(provenance: Any) -> dict[str, str]:  # noqa: ANN401  # JSON is anything
    """Read what the shell of each step is given, by the step's digest."""
    found: dict[str, str] = {}
    for digest, one in defined_steps(provenance):
        argv = within(one, "op", "Op", "exec", "meta", "args")
        if isinstance(argv, list) and len(argv) > 1 and isinstance(argv[-1], str) and not argv[-1].startswith(_FILE):
            found[digest] = argv[-1]
    return found


def with_heredocs(build: Build, commands: Mapping[str, str]) -> Build:
    """Give a build whose steps say all that they run; one of which nothing is known stays as it is."""

    def whole(step: Step) -> Step:
        named, command = _HEREDOC.match(step.instruction), commands.get(step.digest or "")
        return replace(step, instruction=named[1] + " ".join(command.split())) if named and command else step

    return replace(build, steps=tuple(map(whole, build.steps)))
