"""Each known problem of musl bases: an image with it and one without, and a probe that tells them apart."""

from __future__ import annotations

import pytest

from tests.probes.containers import Build, build, run_probe

pytestmark = [pytest.mark.engine, pytest.mark.lab]

ROWS = "tests/probes/rows.Dockerfile"
MUSL, GLIBC = "python:3.13-alpine", "python:3.13-slim"


def make(target: str) -> Build:
    """Build one of the small images."""
    return build(target, ROWS, target=target)


def test_row_1_without_a_compiler_a_package_without_a_musl_wheel_cannot_be_installed() -> None:
    """The old psutil has a wheel for glibc; on musl its compilation ends for want of gcc."""
    failed = make("no-compiler")
    assert failed.image is None
    assert "Failed building wheel for psutil" in failed.log or "Failed to build psutil" in failed.log
    assert "gcc" in failed.log
    answer = run_probe(make("wheel").built(), "native")
    assert (answer.outcome, answer.detail["packages"]) == ("passed", ["psutil"])


def test_row_1_with_compilers_in_the_builder_the_same_package_works_on_musl() -> None:
    """The multi-stage Dockerfile compiles it and leaves the compilers behind."""
    image = build("psutil", "dockerfiles/alpine.Dockerfile", REQUIREMENTS="dockerfiles/deps/psutil-7.0.txt").built()
    answer = run_probe(image, "native")
    assert answer.outcome == "passed"
    assert "psutil" in answer.detail["packages"]


def test_row_2_a_file_that_needs_the_glibc_loader_is_found_on_musl() -> None:
    """The same addon loads where glibc is."""
    answer = run_probe(make("musl-addon").built(), "native")
    assert answer.outcome == "failed"
    assert answer.reason == "shared objects that the base lacks: application needs /lib64/ld-linux-x86-64.so.2"
    assert run_probe(make("glibc-addon").built(), "native").outcome == "passed"


def test_row_3_an_empty_trust_store_is_found() -> None:
    """Where the bundle is, public roots are trusted and a company's CA can be added."""
    answer = run_probe(make("no-roots").built(), "tls")
    assert answer.outcome == "failed"
    assert answer.reason.startswith("the trust store is empty")
    assert answer.detail["stranger"] == "unable to get local issuer certificate"
    for base in (MUSL, GLIBC):
        whole = run_probe(base, "tls")
        assert (whole.outcome, whole.detail["stranger"]) == ("passed", "unable to get local issuer certificate")
        assert whole.detail["public_roots"] > 50


def test_row_4_a_short_name_with_a_dot_resolves_with_glibc_and_not_with_musl() -> None:
    """A qualified name and one without a dot resolve with both."""
    glibc, musl = (run_probe(base, "dns") for base in (GLIBC, MUSL))
    assert (glibc.outcome, glibc.detail["libc"]) == ("passed", "glibc")
    assert musl.outcome == "failed"
    assert musl.detail["libc"] == "musl"
    assert "short name with a dot, ndots:1" in musl.reason
    differ = {case for case, good in musl.detail["resolved"].items() if not good}
    assert differ == {"short name with a dot, ndots:1", "short name, first search domain broken"}
    assert musl.detail["large_answer_addresses"] == glibc.detail["large_answer_addresses"] == 40


def test_row_5_the_extension_that_crashes_is_named_with_its_signal() -> None:
    """A sound extension is imported without a complaint."""
    answer = run_probe(make("crashing").built(), "native")
    assert answer.outcome == "failed"
    assert answer.reason == "crashes when imported: crashing (SIGSEGV)"
    assert run_probe(make("sound").built(), "native").outcome == "passed"


def test_row_6_missing_time_zone_data_is_found() -> None:
    """The package with the data mends it, for Python and for the C library."""
    answer = run_probe(MUSL, "timezone")
    assert answer.outcome == "failed"
    assert "ZoneInfoNotFoundError" in answer.reason
    assert run_probe(make("zones").built(), "timezone").outcome == "passed"


def test_row_7_the_shared_object_that_the_base_lacks_is_named_with_the_package_that_needs_it() -> None:
    """With the library there, the same package loads."""
    answer = run_probe(make("needy").built(), "native")
    assert answer.outcome == "failed"
    assert answer.reason == "shared objects that the base lacks: needy needs libabsent.so.1"
    assert run_probe(make("supplied").built(), "native").outcome == "passed"
