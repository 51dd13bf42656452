"""A run of two thousand cells: what it takes of memory, handles and disk does not grow with what it has done."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.engine.laboratory import DRILLS, while_running
from tests.faults.engine.tally import Tally
from tests.faults.engine.whole import check_ended, check_files

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.e2e.conftest import Project

WHOLE, QUICK = 2_000, 24
MOST_MORE = 1.2
BUILDKITS_OWN_KIB = 200  # a build: its trace of 100 to 160 kB, its log, its provenance, which BuildKit keeps for two days
DOCKERFILE = "FROM scratch\nARG NUMBER\nCOPY Dockerfile /Dockerfile\nLABEL number=$NUMBER\n"


@dataclass
class Sample:
    """What a run takes when so many cells have ended."""

    cells: int
    memory_kib: int
    handles: int
    threads: int
    engine_kib: int


def take_sample(project: Project, process: subprocess.Popen[str]) -> Sample:
    """Look at a run from outside, and read its journal to the last line."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    figures = {line.partition(":")[0]: line.split()[1] for line in status.splitlines() if ":" in line and line.split()[1:]}
    journal = project.latest.joinpath("events.jsonl").read_bytes()
    ended = [json.loads(line)["kind"] for line in journal[: journal.rfind(b"\n") + 1].splitlines()].count("cell-finished")
    about = os.statvfs(DRILLS.folder / "data")
    return Sample(
        ended,
        int(figures["VmRSS"]),
        len(list(Path(f"/proc/{process.pid}/fd").iterdir())),
        int(figures["Threads"]),
        (about.f_blocks - about.f_bfree) * about.f_frsize // 1024,
    )


@pytest.mark.whole
def test_a_long_run_takes_no_more_at_its_end_than_at_its_start(fresh: Callable[[str], Project]) -> None:
    """Cells that have ended leave nothing in the process or in the engine, and the journal can be read all the time."""
    count = int(os.environ.get("DRILL_CELLS", WHOLE)) if os.environ.get("DRILLS") else QUICK
    project = fresh("long")
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE)
    project.write(
        axes={"number": [f"n{number:04}" for number in range(count)]},
        defaults={"args": {"NUMBER": "{number}"}, "labels": {"cell": "{number}"}},
    )
    process = project.start("run", "--progress", "none", "--jobs", "3", "--format", "json", "--out", "result.json")
    samples: list[Sample] = []
    step = max(1, count // 20)
    for _ in while_running(process, 0.1 if count == QUICK else 2, 3600):
        if project.latest.joinpath("events.jsonl").is_file():
            try:
                sample = take_sample(project, process)
            except (OSError, KeyError):  # it has just ended
                break
            if not samples or sample.cells >= samples[-1].cells + step:
                samples.append(sample)
                print(sample, flush=True)  # noqa: T201  # who waits wants to see it
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    record = json.loads(project.folder.joinpath("result.json").read_bytes())
    tally = Tally()
    with tally.one():
        assert len(record["cells"]) == count
        assert {cell["status"] for cell in record["cells"]} == {"passed"}
        check_files(project)
        check_ended(project)
        begun = [sample for sample in samples if count // 20 <= sample.cells < count]  # then come the reports
        first, last = begun[0], begun[-1]
        kept_kib = (last.engine_kib - first.engine_kib) / (last.cells - first.cells)
        assert last.threads <= first.threads + 1, samples
        assert last.handles <= first.handles + 12, samples
        if count > QUICK:
            assert last.memory_kib <= first.memory_kib * MOST_MORE, samples
            assert kept_kib <= BUILDKITS_OWN_KIB, samples
    seen = (
        f"memory {first.memory_kib / 1024:.0f} MiB at cell {first.cells:,}, {last.memory_kib / 1024:.0f} MiB at {last.cells:,}; "
        f"handles {first.handles} and {last.handles}, threads {first.threads} and {last.threads}; "
        f"the engine's disk {first.engine_kib / 1024:.0f} and {last.engine_kib / 1024:.0f} MiB, {kept_kib:.0f} KiB a build"
    )
    tally.save("long runs", f"{count:,} cells of tiny images", seen)
