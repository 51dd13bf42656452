"""matrix.yaml to a checked MatrixFile; all that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.config import schema
from orchestrator.config.repair import Repair
from orchestrator.config.source import parse_source
from orchestrator.config.wording import describe, path_in_file, render_path
from orchestrator.errors import ConfigError
from orchestrator.plan.claimed import find_judging_problems
from orchestrator.plan.expand import make_plan
from orchestrator.plan.files import find_file_problems
from orchestrator.plan.problems import find_name_problems, find_plan_problems

if TYPE_CHECKING:
    from orchestrator.model import Plan

_MAX_REPAIRS = 4  # each leaves out what the schema refused


def parse_matrix(text: str, name: str, folder: Path) -> tuple[schema.MatrixFile, Plan]:
    """Check the text of a matrix.yaml and the files that it names."""
    source = parse_source(text, name)
    if not isinstance(source.data, dict):
        raise ConfigError([f"{name}:1: matrix.yaml must be a mapping with version, name and axes; `matrix init` writes one"])
    problems = list(source.problems)
    refused, covering = [], []
    file, plan = None, None
    repair = Repair(source.data)
    for _ in range(_MAX_REPAIRS):
        try:
            file = schema.MatrixFile.model_validate(repair.data)
            break
        except ValidationError as error:
            if repair.data is source.data:
                refused = [(path_in_file(source.data, detail["loc"]), describe(source, detail)) for detail in error.errors()]
            repair.leave_out([path_in_file(repair.data, detail["loc"]) for detail in error.errors()])
    if file is not None:
        plan = make_plan(file)
        found = [*find_name_problems(file), *find_plan_problems(file, plan), *find_judging_problems(file, plan)]
        found += find_file_problems(file, plan.cells, folder / Path(name).name)
        found = [one for one in found if not repair.explains(one)]
        covering = [repair.original_path(one.where) for one in found if one.covers]
        places = [(repair.original_path(one.where), one.words) for one in found]
        problems += [(source.line_of(place), f"{render_path(place)}: {words}") for place, words in places]
    problems += [said for path, said in refused if not any(path[: len(place)] == place for place in covering)]
    if problems or file is None or plan is None:
        raise ConfigError(f"{name}:{line}: {words}" for line, words in sorted(set(problems)))
    return file, plan
