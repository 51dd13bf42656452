"""The run that growth is held against: named, chosen with `matrix baseline`, or the last good one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.disk import write_whole
from orchestrator.errors import StoreError, UsageError, unreadable
from orchestrator.figures import load_figures
from orchestrator.paths import held, try_to_remove
from orchestrator.store import BASELINES, RunFolder
from orchestrator.strict import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.record import RunRecord
    from orchestrator.rules import Rules
    from orchestrator.store import Reports

Selection = tuple[tuple[str, ...], tuple[str, ...]]  # --only and --skip
_SCHEMA = 1
_LOCK = "baselines"


def wants_baseline(rules: Rules | None) -> bool:
    """Tell whether any limit is one of growth."""
    limits = rules.limits if rules else ()
    return any(limit.size_growth_share is not None or limit.build_time_growth_share is not None for limit in limits)


def pick_baseline(
    reports: Reports, name: str, rules: Rules, asked: str | None, selection: Selection, earlier: RunRecord | None
) -> RunRecord | None:
    """Find what a run that is about to begin is held against; one that is resumed keeps what it began with, while that is here."""
    if asked is None and earlier is not None and earlier.baseline in reports.run_ids():
        asked = earlier.baseline
    if asked is None and not wants_baseline(rules):
        return None
    return find_baseline(reports, name, asked, selection=selection, before=earlier.id if earlier else None)


def find_baseline(
    reports: Reports, name: str, asked: str | None, *, selection: Selection, before: str | None = None
) -> RunRecord | None:
    """Give the run that a run of this matrix is held against; None where no earlier one is good.

    `selection` is the --only and --skip of the run to be judged: one that left
    out other cells is no measure for it. `before` is that run's own id.
    """
    if asked is not None:
        record = reports.find(asked).load()
        if record.name != name:
            message = f"run {record.id} is of the matrix '{record.name}', not of '{name}'; name another with --baseline"
            raise UsageError(message)
        if record.id == before:
            message = f"run {record.id} cannot be held against itself; name another with --baseline"
            raise UsageError(message)
        return record
    chosen = load_choices(reports).get(name)
    if chosen not in (None, before):  # a run is no measure for itself
        return _load_chosen(reports, name, chosen)
    for run_id in reversed(reports.run_ids()):
        if before is not None and run_id >= before:
            continue
        run = reports.run(run_id)
        try:
            figures = load_figures(run)
            if figures.name == name and figures.is_good and (figures.only, figures.skip) in (((), ()), selection):
                return run.load()
        except StoreError:
            continue  # damaged, or of a newer matrix: not what a limit can be held against
    return None


def _load_chosen(reports: Reports, name: str, run_id: str) -> RunRecord:
    if run_id not in reports.run_ids():
        again = f"matrix baseline{reports.options}"
        message = (
            f"the baseline of '{name}' is run {run_id}, which is not in {reports.path}; `{again} RUN` chooses another, "
            f"`{again} --clear` goes back to the last good run"
        )
        raise UsageError(message)
    return reports.run(run_id).load()


def load_choices(reports: Reports) -> Mapping[str, str]:
    """Read which run was chosen for which matrix."""
    path, mend = reports.path / BASELINES, f"`matrix baseline{reports.options} --clear` removes it"
    if path.is_symlink():
        message = f"{path} is a link, and is not followed; {mend}"
        raise StoreError(message)
    try:
        found = parse_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        message = f"{path} is damaged: {error}; {mend}"
        raise StoreError(message) from error
    chosen = found.get("baselines") if isinstance(found, dict) and found.get("schema") == _SCHEMA else None
    if not isinstance(chosen, dict) or not all(isinstance(run_id, str) for run_id in chosen.values()):
        message = f"{path} is damaged, or of a newer matrix; {mend}"
        raise StoreError(message)
    return chosen


def choose_baseline(reports: Reports, run: RunFolder) -> RunRecord:
    """Take a stored run's figures as those that growth is held against from now on."""
    if run.path.resolve().parent != reports.runs.resolve():
        again = f"matrix run{reports.options} --baseline"
        message = f"run {run.id} lies outside of {reports.runs}; copy it there, or name it with `{again}`"
        raise UsageError(message)
    record = run.load()
    if record.finished_at is None or not record.complete:
        again = f"matrix run{reports.options} --resume {run.id}"
        message = f"run {run.id} is incomplete, so cells that it lacks could grow unseen; `{again}` ends it"
        raise UsageError(message)
    if record.shard is not None:
        message = f"run {run.id} is a part of a plan, so cells that it lacks could grow unseen; merge it with the others first"
        raise UsageError(message)
    with held(_LOCK):
        _save_choices(reports, {**load_choices(reports), record.name: run.id})
    return record


def forget_baselines(reports: Reports) -> None:
    """Go back to the last good run, for every matrix that has runs here."""
    with held(_LOCK):
        if why := try_to_remove(reports.path / BASELINES, Path.unlink):
            raise StoreError(why)


def _save_choices(reports: Reports, chosen: Mapping[str, str]) -> None:
    text = json.dumps({"schema": _SCHEMA, "baselines": dict(sorted(chosen.items()))}, indent=2) + "\n"
    write_whole(reports.path / BASELINES, text.encode())
