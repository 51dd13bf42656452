"""A probe is one script for any Python from 3.9 on, and needs the standard library only."""

import ast
import sys
from pathlib import Path

import pytest

import orchestrator
from orchestrator.probes import PROBE_NAMES, PROBE_NEEDS, load_probe


def modules_of(script: str) -> dict[str, str]:
    """Take a loaded script apart again: its modules by name, the probe itself as `__main__`."""
    literals = [node for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Dict) and len(node.keys) > 1]
    modules: dict[str, str] = ast.literal_eval(literals[0])
    last = ast.parse(script).body[-1]
    assert isinstance(last, ast.Expr)
    probe = next(node.value for node in ast.walk(last) if isinstance(node, ast.Constant))
    assert isinstance(probe, str)
    return {**modules, "__main__": probe}


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_probe_brings_along_every_module_of_ours_that_it_imports(name: str) -> None:
    """A probe brings along every module of ours that it imports."""
    modules = modules_of(load_probe(name))
    imported = {
        node.module
        for source in modules.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("orchestrator")
    }
    assert imported
    assert imported <= set(modules)


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_probe_imports_nothing_but_the_standard_library_by_itself(name: str) -> None:
    """A probe imports nothing but the standard library by itself."""
    imported: set[str] = set()
    for source in modules_of(load_probe(name)).values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
    roots = {one.partition(".")[0] for one in imported} - {"orchestrator"}
    assert roots <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_probe_has_the_grammar_of_python_3_9(name: str) -> None:
    """A probe has the grammar of python 3 9."""
    for source in modules_of(load_probe(name)).values():
        ast.parse(source, feature_version=(3, 9))


@pytest.mark.parametrize("name", ["import_modules", "service_inside"])
def test_what_else_runs_in_an_image_has_the_grammar_of_python_3_7(name: str) -> None:
    """As both say of themselves."""
    ast.parse(Path(orchestrator.__file__).parent.joinpath(f"smoke/{name}.py").read_text(), feature_version=(3, 7))


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_probe_reports_under_its_own_name(name: str) -> None:
    """A probe reports under its own name."""
    assert f'run_probe("{name}"' in modules_of(load_probe(name))["__main__"]


def test_shared_modules_come_after_those_that_they_import_themselves() -> None:
    """Shared modules come after those that they import themselves."""
    order = [one.rpartition(".")[2] for one in modules_of(load_probe("telemetry"))]
    assert order.index("_prelude") < order.index("_service")


def test_an_unknown_probe_is_answered_with_the_known_ones() -> None:
    """An unknown probe is answered with the known ones."""
    with pytest.raises(ValueError, match=r"no probe 'otlp'; there are otlp-grpc, otlp-http"):
        load_probe("otlp")


def test_only_probes_that_change_the_container_ask_for_more_than_a_plain_one() -> None:
    """Only probes that change the container ask for more than a plain one."""
    assert set(PROBE_NEEDS) == set(PROBE_NAMES)
    assert {name for name, needs in PROBE_NEEDS.items() if needs.user or needs.writable_root} == {"tls", "dns"}
    assert not any(needs.capabilities for needs in PROBE_NEEDS.values())
