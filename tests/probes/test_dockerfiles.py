"""The Dockerfiles of the service: the same image on every base, and nothing in it of what a build is given in secret."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.archives import unpacked_files
from tests.conftest import buildx
from tests.probes.containers import PREFIX, ROOT, build

pytestmark = [pytest.mark.engine, pytest.mark.lab, pytest.mark.long]

NAMES = sorted(path.name.removesuffix(".Dockerfile") for path in (ROOT / "dockerfiles").glob("*.Dockerfile"))
CANARY = "canary-of-a-company"


@pytest.mark.parametrize("name", NAMES)
def test_a_dockerfile_passes_its_lint(name: str) -> None:
    """BuildKit's own checks have nothing to say."""
    words = [*buildx(), "build", "--builder", "default", "--check", "--file", f"dockerfiles/{name}.Dockerfile", "."]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Check complete, no warnings found." in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_service_is_started_in_the_same_way_on_every_base(name: str) -> None:
    """Whoever compares two bases compares nothing else."""
    image = build(f"{name}-stdlib", f"dockerfiles/{name}.Dockerfile", REQUIREMENTS="dockerfiles/deps/stdlib.txt").built()
    shown = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=True).stdout
    config = json.loads(shown)[0]["Config"]
    assert config["User"] == "65532:65532"
    assert config["Cmd"] == ["python", "-m", "app.start"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "app.healthcheck"]
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert {"TZ=Etc/UTC", "PYTHONUNBUFFERED=1"} <= set(config["Env"])
    assert config["Labels"]["org.opencontainers.image.title"] == "matrix-app"
    assert {f"org.opencontainers.image.{name}" for name in ("description", "base.name", "revision")} <= set(config["Labels"])


@pytest.mark.parametrize("name", NAMES)
def test_a_companys_settings_are_used_and_stay_in_no_layer(name: str, tmp_path: Path) -> None:
    """Its CA and its configuration of pip are given as build secrets; one that pip cannot read ends the build."""
    pip, bundle, archive = (tmp_path / name for name in ("pip.conf", "ca.pem", "image.tar"))
    roots = ssl.get_default_verify_paths().cafile
    bundle.write_text(f"# {CANARY}\n{Path(roots).read_text() if roots else ''}")
    pip.write_text(f"[global]\nextra-index-url = https://{CANARY}.example/simple\n")
    image = f"{PREFIX}{name}-secrets"
    done = build_with(name, image, pip=pip, ca=bundle)
    assert done.returncode == 0, done.stderr
    subprocess.run(["docker", "image", "save", "--output", str(archive), image], check=True)
    files = list(unpacked_files(archive))
    assert any(b"srv/app/start.py" in file for file in files), "what is in the layers can be read"
    assert not any(CANARY.encode() in file for file in files)
    pip.write_text(f"{CANARY}\n")
    done = build_with(name, image, pip=pip)
    assert done.returncode != 0
    assert "Configuration file could not be loaded" in done.stderr


def test_a_companys_ca_is_what_pip_trusts(tmp_path: Path) -> None:
    """With a bundle of no certificates nothing can be fetched over TLS."""
    pip, bundle = tmp_path / "pip.conf", tmp_path / "ca.pem"
    pip.write_text("[global]\nretries = 0\n")
    bundle.write_text(f"# {CANARY}\n")
    done = build_with("slim", f"{PREFIX}slim-no-ca", "otel-http", pip=pip, ca=bundle)
    assert done.returncode != 0
    assert "NO_CERTIFICATE_OR_CRL_FOUND" in done.stderr or "CERTIFICATE_VERIFY_FAILED" in done.stderr, done.stderr[-2000:]


def build_with(name: str, image: str, requirements: str = "stdlib", **secrets: Path) -> subprocess.CompletedProcess[str]:
    """Build an image, its pip step anew each time: what secrets hold is no part of a step's key.

    Where all layers stay in the image, and the CA is given, no step comes from the cache.
    """
    words = [*buildx(), "build", "--load", "--progress", "plain", "--tag", image, "--network", "host"]
    words += ["--no-cache"] if name == "alpine-single-stage" and "ca" in secrets else []
    words += ["--file", f"dockerfiles/{name}.Dockerfile"]
    words += ["--build-arg", f"REQUIREMENTS=dockerfiles/{time.time_ns()}/../deps/{requirements}.txt"]
    words += [word for secret, path in secrets.items() for word in ("--secret", f"id={secret},src={path}")]
    return subprocess.run([*words, "."], cwd=ROOT, capture_output=True, text=True, check=False)
