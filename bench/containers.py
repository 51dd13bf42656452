"""A container for each image that runs a program, made, started, waited for and removed as matrix does it, and nothing else."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from orchestrator.docker.containers import Confinement, ended_container
from orchestrator.docker.engine import connect
from orchestrator.execute import usual_jobs
from orchestrator.model import Limits


def main(program: str, images: list[str]) -> None:
    """Run one container after another, as many at once as matrix does."""
    engine = connect(is_needed=True)
    argv, how = program.split(), Confinement("bench", "bench", Limits())

    def run(image: str) -> int | None:
        with ended_container(engine, image, argv, how, timeout_s=60.0, cancel=Event()) as (_, ended):
            return ended.code

    with ThreadPoolExecutor(usual_jobs(engine.cpus)) as pool:
        sys.exit(any(code != 0 for code in pool.map(run, images)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
