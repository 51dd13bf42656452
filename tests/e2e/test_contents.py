"""What a run tells of the inside of images: where bytes are wasted, and which packages were compiled there."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import MATRIX, cells_of

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

ROOT = Path(__file__).parents[2]


@pytest.mark.engine
@pytest.mark.lab
def test_the_step_that_installed_the_compilers_is_named_with_the_bytes_that_deleting_them_did_not_save(tmp_path: Path) -> None:
    """The naive Alpine image is larger by what lies below its deletion; in two stages nothing of it is there."""
    words = ["run", "--only", "base=alpine*,deps=psutil-7.0,python=3.13", "--reports", str(tmp_path), "--no-smoke", "--no-trace"]
    subprocess.run([MATRIX, *words, "--progress", "none"], cwd=ROOT, check=True, capture_output=True)
    cells = cells_of(json.loads((tmp_path / "latest/run.json").read_text()))
    naive: dict[str, Any] = cells["alpine-single-stage-3.13-psutil-7.0"]["image"]
    staged: dict[str, Any] = cells["alpine-3.13-psutil-7.0"]["image"]
    largest = naive["wasted_by"][0]
    stored, deleted = (naive["layers"][largest[key]] for key in ("layer", "by_layer"))
    assert "apk add" in stored["instruction"]
    assert "gcc" in stored["instruction"]
    assert "apk del" in deleted["instruction"]
    assert largest["bytes"] == pytest.approx(naive["wasted_bytes"], rel=0.01)
    assert stored["wasted_bytes"] >= largest["bytes"] > 50_000_000
    assert "/gcc/" in naive["wasted_paths"][0]["path"]
    assert staged["wasted_bytes"] < 1_000_000
    assert naive["uncompressed_bytes"] - staged["uncompressed_bytes"] == pytest.approx(naive["wasted_bytes"], rel=0.05)
    for image in (naive, staged):
        built = {package["name"]: (package["built_from"], package["native"]) for package in image["packages"]["python"]}
        assert built["psutil"] == ("sdist", True)
        assert built["wrapt"] == ("wheel", True)
        assert "libgcc" in {package["name"] for package in image["packages"]["os"]}
    documents = [
        json.loads((tmp_path / "latest/cells" / cell / "sbom.cdx.json").read_text()) for cell in cells if cells[cell]["image"]
    ]
    assert [document["bomFormat"] for document in documents] == ["CycloneDX", "CycloneDX"]
    assert all("psutil" in {component["name"] for component in document["components"]} for document in documents)


def test_an_unchanged_image_is_not_moved_again_and_a_changed_one_is_read(placed: Project) -> None:
    """The second run knows the image by its digest; the third expects it in vain, and tells what is there now."""
    placed.write(defaults={"args": {"DO": f"echo {time.time_ns()} > /text"}, "smoke": [{"run": ["cat", "/text"]}]})
    first, again = (placed.run()["cells"][0] for _ in range(2))
    assert again["image"] == first["image"]
    assert again["smoke"]["outcome"] == "passed"
    sbom = [path.read_text() for path in sorted(placed.folder.glob("reports/runs/*/cells/one/sbom.cdx.json"))]
    assert sbom[0] == sbom[1]
    placed.write(defaults={"args": {"DO": f"echo {time.time_ns()} > /text; echo 12345678 > /more"}})
    changed = placed.run("--no-smoke")["cells"][0]["image"]
    assert changed["digest"] != first["image"]["digest"]
    assert changed["inventory"]["files"] == first["image"]["inventory"]["files"] + 1
    assert changed["inventory"]["file_bytes"] == first["image"]["inventory"]["file_bytes"] + 9
    assert placed.run("--no-smoke")["cells"][0]["image"] == changed
