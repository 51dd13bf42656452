"""Run cells side by side; one that fails stops no other."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from orchestrator.workshop import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event as Signal

    from orchestrator.model import Cell
    from orchestrator.record import CellRecord

_USUAL = (2, 8)


def usual_jobs(cpus: int) -> int:
    """Say how many cells are built at once where nobody did: a processor for each, as far as disk and network can follow."""
    least, most = _USUAL
    return min(max(cpus, least), most)


def cells_at_once(jobs: int) -> int:
    """Say how many cells may be under way, where `jobs` of them are built.

    Much of a test is waiting, for a container to start or a service to answer,
    and meanwhile another cell is built. With one job nothing goes on beside a
    build, whose time is then its own.
    """
    return jobs if jobs == 1 else 2 * jobs


def run_cells(cells: Sequence[Cell], work: Callable[[Cell], CellRecord], *, at_once: int, cancel: Signal) -> Iterator[CellRecord]:
    """Give each cell's record as it finishes, so many at once at most, until cancelled.

    Cells are handed out one by one, so that nothing waits in a queue that a
    cancellation would have to empty. What is wrong with the program itself,
    or with the disk, ends the run after the cells under way.
    """
    left = iter(cells)
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="cell") as pool:
        running: set[Future[CellRecord]] = set()
        broken: BaseException | None = None
        try:
            while True:
                while len(running) < at_once and not cancel.is_set() and (cell := next(left, None)) is not None:
                    running.add(pool.submit(work, cell))
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    error = future.exception()
                    if error is None:
                        yield future.result()
                    elif not isinstance(error, CancelledError):
                        broken = broken or error
                        cancel.set()
        except BaseException:
            cancel.set()  # the pool waits for its threads, and they for this
            raise
    if broken is not None:
        raise broken
