"""Rules about the running image: a command that ends by itself, a port at which nobody listens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.nouns import Case, Rule, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.verdicts import Finding

_ENDED = re.compile(r"the container ended: (?P<how>(?:exit |[a-z ]{1,40}\(SIG)[^:\n]{1,60})")
_SILENT = re.compile(r"after \d+ s: nothing listens on port (?P<port>\d{1,5})$", re.MULTILINE)
_MOST_LINES = 3


def find_ended(case: Case) -> Iterator[Finding]:
    """Say that the image's command ended although something was to be asked of it."""
    for said in case.checks:
        reason, _, printed = said.text.partition("\n")
        if found := _ENDED.search(reason):
            last = [line for line in map(str.strip, printed.splitlines()) if line and line not in reason and reason not in line]
            remedy = (
                "Keep the server in the foreground: a command that starts it and ends takes its container with it."
                if found["how"] == "exit 0"
                else "Read its last words: a variable that it needs is given by `env` of the cell; what is not there when it is "
                "tested, such as a database, it has to wait for or do without."
            )
            title = f"the image's command ends by itself ({found['how']})"
            yield make_finding("service-ended", title, said.where, [reason, *last[-_MOST_LINES:]], remedy)


def find_silent(case: Case) -> Iterator[Finding]:
    """Say that the service runs and does not listen where it is asked."""
    inside = case.cell.image.inventory if case.cell.image else None
    for said in case.checks:
        if found := _SILENT.search(said.text):
            exposed = [f"the image exposes {', '.join(inside.ports)}"] if inside and inside.ports else []
            remedy = (
                "Let the service listen at that port on all addresses and not on the loopback alone, or correct the "
                "check's `port`; where it only starts slowly, raise `within`."
            )
            title = f"nothing listens on port {found['port']}"
            yield make_finding("nothing-listens", title, said.where, [found[0], *exposed], remedy)


RULES = (
    Rule(
        "service-ended",
        "The image's command ends although it is to be asked something.",
        "The engine's word that the container ended, in `http` or `healthy`, where no other rule knows why.",
        "What it says last: a variable, a file, another command.",
        find_ended,
        says_least=True,
    ),
    Rule(
        "nothing-listens",
        "The service runs and does not listen at the port of the check.",
        "Connections that are refused until the check's time is up.",
        "The port, or the address at which it listens.",
        find_silent,
        says_least=True,
    ),
)
