"""What is asked of `--measure`, checked before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import UsageError
from orchestrator.sampling import Asked, check_asked
from tests.unit.folders import plan_of

if TYPE_CHECKING:
    from pathlib import Path

PLAN = "axes: {kind: [a]}\ndefaults: {context: %s, dockerfile: Dockerfile, source: %s, requirements: requirements.txt}\n"


@pytest.mark.parametrize(
    ("context", "source", "said"),
    [
        (".", "src/main.py", "'src/main.py', the source of a, lies behind a link that leads out of the context"),
        ("lib", "main.py", "'main.py', the source of a, lies outside the context"),
    ],
)
def test_a_file_that_no_copy_of_the_context_has_is_refused(context: str, source: str, said: str, tmp_path: Path) -> None:
    """Else the user's own file would be changed, or the run would end when all its cells have passed."""
    for folder in (tmp_path, tmp_path / "lib"):
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text("print(1)\n")
    (tmp_path / "src").symlink_to(tmp_path / "lib")
    plan = plan_of(PLAN % (context, source), tmp_path, "requirements.txt")
    with pytest.raises(UsageError) as caught:
        check_asked(Asked(3, ("cold", "code")), plan, tmp_path)
    assert said in str(caught.value)
    check_asked(Asked(3, ("cold",)), plan, tmp_path)
    assert (tmp_path / "lib" / "main.py").read_text() == "print(1)\n"


def test_a_file_of_the_context_can_be_measured(tmp_path: Path) -> None:
    """Whatever stands in its way is none of a usual project."""
    plan = plan_of(PLAN % (".", "app/main.py"), tmp_path, "requirements.txt", "app/main.py")
    check_asked(Asked(3, ("code", "deps")), plan, tmp_path)
