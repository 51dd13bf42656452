"""The nouns of the bench: what is built, by whom, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

IN_ENGINE, IN_CONTAINER = DRIVERS = ("docker", "docker-container")  # the engine's own BuildKit; a builder in a container
STATES = ("cold", "own step changed", "unchanged", "one fails early")
MATRIX = "matrix run"
CARRIED = "matrix run --skip-unchanged"
ALONE = "matrix run --jobs 1"
WITHOUT_SMOKE = "matrix run --no-smoke"
WITHOUT_TRACE = "matrix run --no-trace"
IN_GRAPH = "matrix run, smoke: graph"
BAKE = "bake --load"
NOTHING_KEPT = "bake, nothing kept"
PARALLEL = "build --load, 4 at once"
SERIAL = "build --load, one by one"
BARE = "a container each, nothing else"
HELP, PLAN, LARGE_PLAN = "`matrix --help`", "`matrix plan` of 12 cells", "`matrix plan` of 100,000 cells"
REPORT, PAGE = "`matrix report` of 10,000 cells", "`matrix report --format html` of 10,000 cells"
RECORD, EVIDENCE, IMAGES, UNIQUE = "record", "logs and traces", "images", "layers of no other cell"
FULL, FULL_PAGE = f"{REPORT} with 170 packages", f"{PAGE} with 170 packages"
FULL_RECORD = "`matrix report --format json` of 10,000 cells with 170 packages"
BEFORE, AFTER = "before the cells", "after the cells"  # what a run takes besides its cells, beside a cell's parts


class Case(Struct, frozen=True):
    """What is built: which project, how many cells, with what driver, in which state."""

    project: str
    cells: int
    driver: str
    state: str


class Cost(Struct, frozen=True):
    """What one run of a command took; None is unknown."""

    wall_s: float
    cpu_s: float  # its own and that of all its children
    own_cpu_s: float  # its own alone
    machine_cpu_s: float | None = None  # that of all that ran on the machine meanwhile, the engine with it
    peak_bytes: int | None = None
    processes: int | None = None
    results: int | None = None  # cells that ended with an image that can be inspected and tested
    parts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # seconds waited for each part, cell by cell
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes of all cells together


class Row(Struct, frozen=True):
    """All samples of one contender in one case."""

    case: Case
    contender: str
    samples: tuple[Cost, ...]


class Timed(Struct, frozen=True):
    """A command of ours that needs no engine, timed again and again."""

    name: str
    samples: tuple[Cost, ...]


class Measured(Struct, frozen=True):
    """All that the bench has measured on one machine."""

    machine: Mapping[str, str]
    rows: tuple[Row, ...] = ()
    commands: tuple[Timed, ...] = ()
