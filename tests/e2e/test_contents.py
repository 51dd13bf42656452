"""What a run tells of the inside of images: where bytes are wasted, and which packages were compiled there."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from orchestrator.standins import VARIABLE
from tests.e2e.conftest import DOCKERFILE, MATRIX, cells_of
from tests.lab.bases import save_description
from tests.lab.registry import serve_registry

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

ROOT = Path(__file__).parents[2]
ADDED = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")  # by docker, to every container


@pytest.mark.engine
@pytest.mark.lab
def test_the_step_that_installed_the_compilers_is_named_with_the_bytes_that_deleting_them_did_not_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The naive Alpine image is larger by what lies below its deletion; in two stages nothing of it is there."""
    monkeypatch.setenv(VARIABLE, str(save_description()))
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


def test_sizes_are_those_of_the_registrys_manifest_and_of_the_unpacked_tree(placed: Project) -> None:
    """Byte for byte: what a pull moves, what that unpacks to, and what then lies in the image."""
    if placed.place not in ("containerd", "classic"):
        pytest.skip("the image is compared where it is built: in an engine")
    unpack = "mkdir /d; echo 12345 > /d/a; ln /d/a /d/b; ln -s a /d/c; echo gone > /gone; cp /bin/busybox /d/copy"
    do = f"{unpack}; echo {time.time_ns()} > /d/now"
    placed.folder.joinpath("Dockerfile").write_text(
        DOCKERFILE + 'RUN rm /gone; echo more >> /d/now; rm /d/copy\nENTRYPOINT ["sleep"]\n'
    )
    with serve_registry([], beside=placed.beside) as address:
        placed.write(defaults={"args": {"DO": do}, "push": f"{address}/sizes:1"})
        image = placed.run("--no-smoke", "--keep")["cells"][0]["image"]
        manifest = fetch(f"http://{address}/v2/sizes/manifests/1")
        packed = [fetch_bytes(f"http://{address}/v2/sizes/blobs/{layer['digest']}") for layer in manifest["layers"]]
    assert [len(blob) for blob in packed] == [layer["size"] for layer in manifest["layers"]]
    tars = [gzip.decompress(blob) for blob in packed]
    assert [layer["uncompressed_bytes"] for layer in image["layers"]] == [len(tar) for tar in tars]
    assert [layer["digest"] for layer in image["layers"]] == [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    assert image["compressed_estimated"] == (placed.place == "classic")
    if not image["compressed_estimated"]:
        assert [layer["compressed_bytes"] for layer in image["layers"]] == [len(blob) for blob in packed]
        assert image["compressed_bytes"] == sum(len(blob) for blob in packed)
    assert image["compressed_bytes"] == pytest.approx(sum(len(blob) for blob in packed), rel=0.1)
    (name,) = placed.docker(
        "image",
        "ls",
        "--filter",
        f"reference=matrix.local/tiny:{placed.latest.name.lower()}*",
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ).split()
    container = placed.docker("create", name, "1").strip()
    try:
        words = ["docker", "export", container]
        done = subprocess.run(words, env={**os.environ, **placed.environment}, capture_output=True, check=True)
    finally:
        placed.docker("rm", container)
        placed.docker("image", "rm", "--force", name)  # asked for again it may be gone already
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tree:
        files = [entry for entry in tree if entry.isreg() and entry.name not in ADDED]
    assert sum(entry.size for entry in files) == image["inventory"]["file_bytes"]
    hidden = len("gone\n") + placed.folder.joinpath("busybox").stat().st_size + len(f"{time.time_ns()}\n")
    assert image["wasted_bytes"] == hidden  # deleted, deleted, and stored again longer


def test_what_a_base_has_put_off_lies_over_it_and_a_heredoc_says_all_that_it_runs(placed: Project) -> None:
    """ONBUILD makes layers in a build of the base alone, too; the name of a heredoc's step has its first line only."""
    if placed.place not in ("containerd", "classic"):
        pytest.skip("the base is made in an engine")
    now = time.time_ns()  # of a base that is known nothing is read again
    name = f"matrix-tests-onbuild-{now}"
    base = placed.folder / "base.Dockerfile"
    base.write_text(DOCKERFILE + f"ONBUILD RUN echo {now} > /later\n")
    placed.docker(
        "buildx", "build", "--quiet", "--load", "--provenance=false", "--tag", name, "--file", str(base), str(placed.folder)
    )
    try:
        placed.folder.joinpath("Dockerfile").write_text(f"FROM {name}\nRUN <<EOT\necho one\necho two > /own\nEOT\n")
        placed.write()
        cell = placed.run("--no-smoke")["cells"][0]
    finally:
        placed.docker("image", "rm", "--force", name)
    *_, later, own = cell["image"]["layers"]
    assert (later["instruction"], own["instruction"]) == (f"RUN echo {now} > /later", "RUN echo one echo two > /own")
    assert cell["image"]["over_base_bytes"] == later["uncompressed_bytes"] + own["uncompressed_bytes"]
    assert cell["build"]["steps"][-1]["instruction"] == own["instruction"]


def fetch_bytes(url: str) -> bytes:
    """Fetch something from the registry on the loopback."""
    accepts = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    answer = requests.get(url, headers={"Accept": accepts}, timeout=30)
    answer.raise_for_status()
    return answer.content


def fetch(url: str) -> dict[str, Any]:
    """Fetch a document from the registry on the loopback."""
    found: dict[str, Any] = json.loads(fetch_bytes(url))
    return found
