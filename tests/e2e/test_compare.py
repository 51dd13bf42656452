"""Real runs in which exactly one thing was changed, each charged to it by `matrix compare`."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from typing import Any

import pytest

from tests.e2e.conftest import TOOLS, Project

INSTALL = """\
set -e
place=/usr/lib/python3.13/site-packages
while IFS== read -r name _ version; do
  mkdir -p $place/$name $place/$name-$version.dist-info
  yes "$name" | head -c ${version%.*}00000 > $place/$name/code.py
  printf 'Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n' $name $version > $place/$name-$version.dist-info/METADATA
  printf '%s/code.py,,\\n' $name > $place/$name-$version.dist-info/RECORD
done < /requirements.txt
"""
DOCKERFILE = """\
FROM {base}
{tools}
ARG REQUIREMENTS
COPY install $REQUIREMENTS /
RUN sh /install
COPY app.py /
"""


def make_base(project: Project, name: str, size: int) -> None:
    """Give the engine a base of a size; made anew, its digest moves."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(project.folder / "busybox", "bin/busybox")
        noise = tarfile.TarInfo("noise")
        noise.size = size
        archive.addfile(noise, io.BytesIO(os.urandom(size)))
    project.take_image(tar.getvalue(), name)


def causes_of(compared: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    """Give what the one cell's difference was charged to."""
    return [(cause["kind"], cause["title"], cause["bytes"]) for cause in compared["cells"][0]["causes"]]


@pytest.mark.long
def test_one_change_is_charged_to_what_changed(project: Project) -> None:
    """A moved base, a package of another version, a line of the Dockerfile, nothing, and what makes no difference."""
    base = f"matrix-tests-moving:{time.time_ns()}"
    make_base(project, base, 300_000)
    files = {"install": INSTALL, "requirements.txt": "alpha==1.0\nbeta==2.0\n", "app.py": "1\n"}
    files["Dockerfile"] = DOCKERFILE.format(base=base, tools=TOOLS)

    def write(**changed: str) -> None:
        for name, text in (files | changed).items():
            project.folder.joinpath(name).write_text(text)

    write()
    project.write(defaults={"requirements": "requirements.txt"})
    runs = [project.run("--no-smoke")["id"]]

    def after(**changed: str) -> dict[str, Any]:
        files.update(changed)
        write()
        runs.append(project.run("--no-smoke")["id"])
        found: dict[str, Any] = json.loads(project.matrix("compare", *runs[-2:], "--format", "json").stdout)
        return found

    nothing = after()
    assert (causes_of(nothing), nothing["cells"][0]["unfelt"]) == ([], [])

    package = after(**{"requirements.txt": "alpha==3.0\nbeta==2.0\n"})
    (charged, requirements) = causes_of(package)
    assert charged[:2] == ("packages", "the package alpha 1.0 → 3.0")
    assert 190_000 < (charged[2] or 0) < 215_000
    assert requirements == ("requirements", "the requirements file changed", None)

    line = after(Dockerfile=files["Dockerfile"].replace("COPY app.py", "RUN yes | head -c 500000 > /added\nCOPY app.py"))
    ((kind, title, size),) = causes_of(line)
    assert (kind, title) == ("dockerfile", "the Dockerfile changed")
    assert 500_000 < (size or 0) < 510_000

    unfelt = after(**{"app.py": "2\n"})
    assert (causes_of(unfelt), unfelt["cells"][0]["unfelt"]) == ([], ["the build context changed"])

    make_base(project, base, 400_000)
    ((kind, title, size),) = causes_of(after())
    assert (kind, title) == ("base", f"the base moved: {base}")
    assert 90_000 < (size or 0) < 105_000  # an archive is padded to 10 kB
    shown = " ".join(project.matrix("history").stdout.split())
    assert f"the base moved: {base} (+0." in shown
    project.docker("image", "rm", base)
