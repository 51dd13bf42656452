"""The house's rules, read from its imports: doors are not bypassed, arrows point down, modules stay small."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import orchestrator
from tests.forked import INSIDE_IMAGES

ROOT = Path(orchestrator.__file__).parent
MAX_LINES = 310


@dataclass(frozen=True)
class Import:
    """One module that another imports."""

    name: str
    at_start: bool  # when the importing module is imported itself, not later and not for types only


@dataclass(frozen=True)
class Module:
    """One module of the package."""

    name: str
    nodes: tuple[ast.AST, ...]
    docstring: str
    lines: int
    imports: tuple[Import, ...]

    @property
    def part(self) -> str:
        """Give the part of the house that the module belongs to."""
        return self.name.split(".")[1] if "." in self.name else ""


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _imports_of(node: ast.AST, known: frozenset[str], *, at_start: bool = True) -> list[Import]:
    """Find imports however deep they stand, and tell those that run at once."""
    found: list[Import] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found += [Import(alias.name, at_start) for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            module = child.module or ""
            full = [f"{module}.{alias.name}" for alias in child.names]
            found += [Import(name if name in known else module, at_start) for name in full]
        else:
            later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _is_for_types(child)
            found += _imports_of(child, known, at_start=at_start and not later)
    return found


def _make_module(name: str, text: str, known: frozenset[str]) -> Module:
    tree = ast.parse(text)
    wanted = (ast.Attribute, ast.Call, ast.ClassDef, ast.ImportFrom)
    nodes = tuple(node for node in ast.walk(tree) if isinstance(node, wanted))
    return Module(name, nodes, ast.get_docstring(tree) or "", len(text.splitlines()), tuple(_imports_of(tree, known)))


@cache
def modules() -> dict[str, Module]:
    """Read every module of the package."""
    paths = {".".join(["orchestrator", *path.relative_to(ROOT).with_suffix("").parts]): path for path in ROOT.rglob("*.py")}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items() if "starter.files" not in name}
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    known = frozenset(paths)
    return {name: _make_module(name, texts[name], known) for name in texts}


def ours() -> list[Module]:
    """Give the modules that run in matrix's own process."""
    return [module for module in modules().values() if not module.name.startswith(INSIDE_IMAGES)]


def is_of(name: str, package: str) -> bool:
    """Tell whether a module is a package or inside it."""
    return name == package or name.startswith(f"{package}.")


def importers(*packages: str) -> set[str]:
    """Give the modules that import any of these packages, at any time and for any reason."""
    return {module.name for module in ours() for one in module.imports if any(is_of(one.name, package) for package in packages)}


def test_the_package_is_read_at_all() -> None:
    """The rules below are about modules that were found."""
    assert {"orchestrator.cli", "orchestrator.model", "orchestrator.docker.process"} <= set(modules())
    assert importers("orchestrator.store")


def test_only_the_door_to_docker_starts_processes() -> None:
    """Whoever needs Docker, or any process, goes through orchestrator.docker."""
    bypassing = {
        name
        for name in importers("subprocess", "python_on_whales", "multiprocessing", "pty", "asyncio")
        if not is_of(name, "orchestrator.docker")
    }
    assert bypassing == set()
    starters = ("system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp")
    calls = {
        f"{module.name}: os.{node.attr}"
        for module in ours()
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and (node.attr in starters or node.attr.startswith(("exec", "spawn")))
    }
    assert calls == set()


def test_only_the_door_to_the_index_knows_uv_and_the_web() -> None:
    """Resolving, and whatever else is asked of a package index, is behind one package."""
    bypassing = {name for name in importers("uv", "urllib.request") if not is_of(name, "orchestrator.index")}
    assert bypassing == set()
    found = {
        f"{module.name} imports {one.name}"
        for module in ours()
        if module.part == "index"
        for one in module.imports
        if is_of(one.name, "orchestrator")
        and not is_of(one.name, "orchestrator.index")
        and one.name not in ("orchestrator.docker", "orchestrator.docker.process", "orchestrator.smoke.words")
        and one.name not in ("orchestrator.errors", "orchestrator.packages", "orchestrator.paths", "orchestrator.redact")
        and one.name not in ("orchestrator.asking", "orchestrator.cuts", "orchestrator.strict")
    }
    assert found == set()


def test_only_tracing_knows_opentelemetry() -> None:
    """OpenTelemetry, and what its exporters send with, is behind one package; a builder's own API is gRPC, too."""
    assert {name for name in importers("opentelemetry", "requests") if not is_of(name, "orchestrator.tracing")} == set()
    assert {name for name in importers("grpc") if not is_of(name, "orchestrator.tracing")} == {"orchestrator.docker.dial"}


def test_only_the_command_line_prints_results() -> None:
    """Standard output is for results, and results are printed in one place."""
    printing = {
        module.name
        for module in ours()
        for node in module.nodes
        if (isinstance(node, ast.Attribute) and node.attr in ("stdout", "__stdout__") and ast.unparse(node.value) == "sys")
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print")
    }
    assert {name for name in printing if not is_of(name, "orchestrator.commands")} <= {"orchestrator.cli"}


def test_the_nouns_know_nothing_but_each_other() -> None:
    """The modules of nouns import nothing of the house but each other."""
    nouns = {f"orchestrator.{name}" for name in ("model", "inside", "record", "rules", "verdicts")}
    for name in nouns:
        imported = {one.name for one in modules()[name].imports if is_of(one.name, "orchestrator")}
        assert imported <= nouns


@pytest.mark.parametrize("part", ["plan", "measure", "layers", "report", "config", "judge", "progress", "preflight", "lock"])
def test_pure_stages_know_nothing_of_docker(part: str) -> None:
    """Planning, measuring, judging and rendering need no engine, and no pipeline."""
    forbidden = tuple(f"orchestrator.{name}" for name in ("docker", "index", "pipeline", "cell", "cli", "commands"))
    reached = {
        f"{module.name} imports {one.name}"
        for module in ours()
        if module.part == part
        for one in module.imports
        if any(is_of(one.name, package) for package in forbidden)
    }
    assert reached == set()


def test_a_report_reaches_no_engine_however_far_it_reaches() -> None:
    """`matrix report` and `matrix trace` work where no Docker is: not even what they import imports the door."""
    reached = reachable("orchestrator.report.files") | reachable("orchestrator.store") | reachable("orchestrator.tracing.view")
    reached |= reachable("orchestrator.explaining")
    assert not [name for name in reached if is_of(name, "orchestrator.docker") or name == "orchestrator.pipeline"]
    assert not [name for name in reached if is_of(name, "opentelemetry")]


def test_the_door_to_docker_knows_nothing_of_what_is_behind_it() -> None:
    """Arrows point down: the door imports nouns and helpers, never a stage that uses it."""
    allowed = (
        "docker",
        "model",
        "record",
        "rules",
        "verdicts",
        "errors",
        "asking",
        "cached",
        "cuts",
        "digests",
        "disk",
        "paths",
        "places",
        "platforms",
        "baking",
        "events",
        "measure",
        "layers",
        "strict",
        "",
    )
    found = {
        f"{module.name} imports {one.name}"
        for module in ours()
        if module.part == "docker"
        for one in module.imports
        if is_of(one.name, "orchestrator") and ([*one.name.split("."), ""])[1] not in allowed
    }
    assert found == set()


@cache
def reachable(start: str) -> set[str]:
    """Give all that importing a module imports at once, through modules of the house; others are named and not followed."""
    found: set[str] = set()
    left = [start]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        if name in modules():
            left += [one.name for one in modules()[name].imports if one.at_start]
            left += [".".join(name.split(".")[:at]) for at in range(1, name.count(".") + 1)]
    return found


def test_help_does_not_wait_for_heavy_libraries() -> None:
    """Neither the command line nor a command imports Docker's client, OpenTelemetry, pydantic, rich or yaml at its start."""
    heavy = (
        "python_on_whales",
        "opentelemetry",
        "grpc",
        "requests",
        "pydantic",
        "rich",
        "yaml",
        "tabulate",
        "jinja2",
        "packaging",
        "subprocess",
        "isal",
        "backports",
        "cyclonedx",
    )
    starts = ["orchestrator.cli", *(name for name in modules() if is_of(name, "orchestrator.commands"))]
    reached = set().union(*map(reachable, starts))
    assert "typer" in reached
    assert [name for name in sorted(reached) if any(is_of(name, package) for package in heavy)] == []


def test_planning_does_not_wait_for_docker_or_reports() -> None:
    """`matrix plan` imports the plan and nothing that runs it."""
    reached = reachable("orchestrator.config.load") | reachable("orchestrator.plan.render") | reachable("orchestrator.plan.select")
    assert not [
        name for name in reached if is_of(name, "orchestrator.docker") or is_of(name, "python_on_whales") or is_of(name, "rich")
    ]


def test_no_module_is_called_by_a_word_that_says_nothing() -> None:
    """A module is named after its one job."""
    words = {"utils", "util", "manager", "managers", "helper", "helpers", "base", "common", "misc"}
    assert [name for name in modules() if words & set(name.split("."))] == []


def test_every_module_says_its_one_job_and_stays_small() -> None:
    """A module's first line says what it is for, and the module can be read in one sitting."""
    assert [module.name for module in modules().values() if not module.docstring.strip()] == []
    assert {module.name: module.lines for module in modules().values() if module.lines > MAX_LINES} == {}


def test_imports_are_absolute() -> None:
    """An import says where a thing lives."""
    relative = [module.name for module in ours() for node in module.nodes if isinstance(node, ast.ImportFrom) and node.level > 0]
    assert relative == []


def test_no_two_modules_wait_for_each_other() -> None:
    """No import at the start of a module leads back to it."""
    circles = []
    for name in modules():
        direct = {one.name for one in modules()[name].imports if one.at_start and one.name != name and one.name in modules()}
        if any(name in reachable(other) - {other} for other in direct if not is_of(name, other)):
            circles.append(name)
    assert circles == []


def test_a_noun_is_changed_in_what_some_noun_has() -> None:
    """No type checker looks at the keywords of `replace`: each is at least the name of some noun's field."""
    nodes = [node for module in ours() for node in module.nodes]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    parts = [part for node in classes for part in node.body if isinstance(part, ast.AnnAssign)]
    names = {part.target.id for part in parts if isinstance(part.target, ast.Name)}
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "replace"]
    asked = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    assert len(asked) > len(calls) / 2
    assert asked - names == set()
