"""What lies in an engine of the lab: put there once, and cleared away before it makes the engine slow."""

from __future__ import annotations

import os

from tests.lab.cache import output_of, run_step
from tests.lab.engine import MAIN

BUILDER_ARCHIVE = "MATRIX_TESTS_BUILDER_TAR"  # a file that has the image of a builder in a container
_MOST_RECORDS = 1500  # of the build cache
_OF_TESTS = ("127.0.0.1:*/*", "127.0.0.1:*/*/*", "matrix-tests-*", "matrix.local/*")


def load_builder_image(variables: dict[str, str]) -> bool:
    """Put the image of a builder in a container into an engine, where a file has it; tell whether one has."""
    archive = os.environ.get(BUILDER_ARCHIVE)
    if archive:
        run_step("docker load", ["docker", "load", "--input", archive], log="builder-image.log", environment=variables)
    return bool(archive)


def forget_unused() -> None:
    """Remove images that tests have left, and a build cache that has grown too large: an engine gets slow with what lies in it.

    The build cache goes whole or not at all. An engine loses its way to every
    cached step when anything of the cache is removed, be it 65 kB of old contexts,
    and each run of the tests would build all bases' images anew.
    """
    run_step("docker image prune", ["docker", "image", "prune", "--force"], log="prune.log", environment=MAIN.environment)
    words = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]
    words += [f"--filter=reference={pattern}" for pattern in _OF_TESTS]  # of all images it would ask for their sizes, for a second
    if left := output_of("docker images", words, MAIN.environment).split():
        run_step("docker rmi", ["docker", "rmi", "--force", *left], log="prune.log", environment=MAIN.environment)
    usage = output_of("docker buildx du", ["docker", "buildx", "du", "--builder", "default"], MAIN.environment)
    if usage.count("\n") > _MOST_RECORDS:
        words = ["docker", "buildx", "prune", "--builder", "default", "--force", "--all"]
        run_step("docker buildx prune", words, log="prune.log", environment=MAIN.environment)
