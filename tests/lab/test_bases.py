"""The stand-in bases behave where it matters like the images whose names they carry."""

import json
import subprocess
from typing import Any

import pytest

from tests.lab.bases import STAND_INS, save_description

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.long]

SLIM = ("python:3.11-slim", "python:3.13-slim")
ALPINE = "python:3.13-alpine"
WOLFI = "cgr.dev/chainguard/wolfi-base"

SYSTEM = """
import json, os, platform, sysconfig
from pip._vendor.packaging import tags
print(json.dumps({
    "libc": platform.libc_ver()[0],
    "tags": [tag.platform for tag in tags.sys_tags()],
    "cc": sysconfig.get_config_var("CC").split()[0],
    "glibc_loader": os.path.exists("/lib64/ld-linux-x86-64.so.2"),
    "musl_loader": os.path.exists("/lib/ld-musl-x86_64.so.1"),
}))
"""
EXTENSION = """
cat >/tmp/answer.c <<'END'
#include <Python.h>
#include <linux/futex.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42 + FUTEX_WAIT); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "answer", "", -1, methods};
PyMODINIT_FUNC PyInit_answer(void) { return PyModule_Create(&module); }
END
cd /tmp
gcc -shared -fPIC -I"$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')" -o answer.so answer.c
python3 -c 'import answer; print(answer.answer())'
"""


def run(image: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a container that has no network."""
    command = ["docker", "run", "--rm", "--network=none", image, "sh", "-ec", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def output(image: str, script: str) -> str:
    """Run a script that has to succeed, and return what it printed."""
    done = run(image, script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def system(image: str) -> dict[str, Any]:
    """Ask the image's Python what it is."""
    command = ["docker", "run", "--rm", "--network=none", image, "python", "-c", SYSTEM]
    answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return answer


@pytest.mark.parametrize("image", [*SLIM, ALPINE])
def test_a_python_base_starts_the_python_of_its_name_and_a_pip_that_may_install(image: str) -> None:
    """As in the official images, pip works outside a virtual environment."""
    series = image.partition(":")[2].partition("-")[0]
    text = output(image, "python -V; python3 -V; pip --version; find / -xdev -name EXTERNALLY-MANAGED; echo $PYTHON_VERSION")
    assert text.count(f"Python {series}.") == 2
    assert f"(python {series})" in text
    assert "EXTERNALLY-MANAGED" not in text
    assert text.splitlines()[-1].startswith(f"{series}.")


def test_every_stand_in_says_so_in_its_label_and_in_the_description() -> None:
    """Reports take from there that the bases are stand-ins."""
    described = {base["ref"]: base for base in json.loads(save_description().read_text())["bases"]}
    for stand_in in STAND_INS:
        for ref in stand_in.refs:
            command = ["docker", "image", "inspect", "--format={{json .Config.Labels}}", ref]
            labels = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            assert labels["io.matrix.stand-in"] == described[ref]["made_from"]
            assert labels["io.matrix.stand-in"].startswith("Debian 1")


def test_the_slim_bases_are_glibc() -> None:
    """So manylinux wheels fit."""
    for image in SLIM:
        found = system(image)
        assert found["libc"] == "glibc"
        assert any(tag.startswith("manylinux") for tag in found["tags"])


def test_the_alpine_base_is_musl_and_asks_for_musllinux_wheels() -> None:
    """No loader of glibc is where a wheel would find it."""
    found = system(ALPINE)
    assert found["libc"] != "glibc"
    assert "musllinux_1_2_x86_64" in found["tags"]
    assert not any(tag.startswith("manylinux") for tag in found["tags"])
    assert found["musl_loader"]
    assert not found["glibc_loader"]


@pytest.mark.parametrize("image", [ALPINE, WOLFI])
def test_an_apk_base_names_itself_a_stand_in(image: str) -> None:
    """The ID is what scripts look at, the pretty name what people read."""
    text = output(image, ". /etc/os-release; echo $ID; echo $PRETTY_NAME")
    assert text.startswith("alpine" if image == ALPINE else "wolfi")
    assert "stand-in" in text


def test_time_zones_are_missing_on_the_alpine_base_until_tzdata_is_added() -> None:
    """The problem and its remedy."""
    lookup = "python -c 'import zoneinfo; print(zoneinfo.ZoneInfo(\"Europe/Berlin\"))'"
    assert "ZoneInfoNotFoundError" in run(ALPINE, lookup).stderr
    assert "Europe/Berlin" in output(ALPINE, f"apk add --no-cache tzdata; {lookup}")


@pytest.mark.parametrize(("image", "package"), [(ALPINE, "libc6-compat"), (WOLFI, "python-3.12")])
def test_apk_refuses_what_it_does_not_have_by_name(image: str, package: str) -> None:
    """In apk's own words, and with its exit code."""
    done = run(image, f"apk add --no-cache {package} gcc")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "ERROR: unable to select packages:",
        f"  {package} (no such package):",
        f"    required by: world[{package}]",
    ]


def test_the_alpine_base_has_no_compiler_and_its_python_asks_for_gcc() -> None:
    """So what has no wheel fails as it does on Alpine."""
    assert system(ALPINE)["cc"] == "gcc"
    assert run(ALPINE, "gcc --version").returncode == 127


@pytest.mark.parametrize("image", [ALPINE, WOLFI])
def test_an_extension_compiles_and_imports_once_the_compiler_is_added(image: str) -> None:
    """Headers of the C library, of the kernel and of Python are all needed."""
    packages = "gcc musl-dev linux-headers" if image == ALPINE else "gcc python-3.13-dev"
    assert output(image, f"apk add -q {packages}; {EXTENSION}").strip() == "42"


def test_apk_del_removes_the_files_of_a_virtual_package_and_what_only_it_needed() -> None:
    """The naive Dockerfile relies on it."""
    text = output(
        ALPINE,
        "before=$(apk info | sort); apk add -q --no-cache --virtual .build gcc musl-dev; apk info -e gcc;"
        'apk del -q --no-network .build; test "$before" = "$(apk info | sort)";'
        "find / -xdev -name 'cc1' -o -xdev -name stdio.h; apk info -e gcc || echo gone",
    )
    assert text.splitlines() == ["gcc", "gone"]


def test_the_wolfi_base_has_no_python_until_it_is_added_and_then_makes_environments() -> None:
    """The base itself is small."""
    assert run(WOLFI, "python3 -V").returncode == 127
    text = output(
        WOLFI,
        "apk add -q --no-cache python-3.13 py3.13-pip; python3.13 -V; pip --version;"
        "python -m venv /tmp/venv; /tmp/venv/bin/python -c 'import ssl, sqlite3; print(ssl.OPENSSL_VERSION)';"
        "/tmp/venv/bin/pip --version",
    )
    assert "Python 3.13." in text
    assert "/tmp/venv/lib/python3.13/site-packages" in text  # noqa: S108 - a path in the container
