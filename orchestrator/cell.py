"""One cell from its build to its result, with every failure of its own as data."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.building import build_cell
from orchestrator.disk import disk_errors
from orchestrator.docker.build import AS_IT_IS, WITHOUT_CACHE
from orchestrator.docker.images import load_image, remove_image
from orchestrator.ending import ended_as_expected
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.inputs import read_inputs
from orchestrator.measuring import choose_runners, image_name, look_into, make_caller, make_target, measure_image, open_graph
from orchestrator.model import STAND_IN_LABEL, Cell, Status
from orchestrator.record import CellRecord, Smoke
from orchestrator.smoke.choose import CONTAINER, GRAPH
from orchestrator.smoke.run import Subject, run_checks, say_not_run
from orchestrator.smoke.runners import ContainerRunner, GraphRunner
from orchestrator.tracing.attributes import describe_cell, describe_result
from orchestrator.tracing.names import Part
from orchestrator.workshop import CancelledError, Seat, Workshop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.building import Built
    from orchestrator.docker.build import Target, Variation
    from orchestrator.docker.graph import Graph
    from orchestrator.known import KnownImage
    from orchestrator.model import Check
    from orchestrator.together import Group
    from orchestrator.tracing.collect import CellTrace

_BACKOFF_S = 1.0


def run_cell(shop: Workshop, cell: Cell, group: Group | None = None) -> CellRecord:
    """Build, measure and test one cell; whatever happens to it becomes its record."""
    with ExitStack() as stack:
        seat = Seat(shop)
        stack.callback(seat.leave)
        if group is None:
            seat.sit_down()
        else:
            stack.callback(group.leave, cell)
        if shop.cancel.is_set():
            raise CancelledError
        shop.emit(Event("cell-started", cell.id))
        with shop.traces.cell(cell.id, describe_cell(shop.run.id, cell)) as (trace, span):
            record = _run_cell(shop, cell, trace, seat, group)
            describe_result(span, record)
    return record


def _run_cell(shop: Workshop, cell: Cell, trace: CellTrace, seat: Seat, group: Group | None) -> CellRecord:
    with trace.span("read inputs", Part.DEFINITION):
        inputs = read_inputs(cell.settings, shop.folder, shop.contexts)
    record = CellRecord(
        cell.id,
        dict(cell.axes),
        Status.ERROR,
        cell.expected,
        as_expected=False,
        inputs=inputs,
        trace_id=trace.trace_id,
        expected_reason=cell.expected_reason,
    )
    attempts, variation = 0, AS_IT_IS
    if problem := shop.healer.given_up:
        return replace(record, reason=problem)
    while True:
        attempts += 1
        try:
            record, again = _try_cell(shop, cell, record, trace, seat, group if attempts == 1 else None, variation)
        except EngineError as error:
            record, again = replace(record, status=Status.ERROR, reason=str(error)), AS_IT_IS
        if shop.cancel.is_set():
            raise CancelledError
        if again is None or attempts > cell.settings.retries:
            break
        variation = again
        wait_s = _BACKOFF_S * 2 ** (attempts - 1)
        shop.emit(Event("cell-retried", cell.id, {"attempt": attempts, "reason": record.reason, "wait_s": wait_s}))
        with trace.span("wait", Part.TIDY):
            seat.get_up()
            if shop.cancel.wait(wait_s):
                raise CancelledError
            seat.sit_down()
            if shop.cancel.is_set():
                raise CancelledError
            problem = shop.healer.heal()
        if problem:
            record = replace(record, status=Status.ERROR, reason=problem)
            break
    return replace(record, attempts=attempts, as_expected=ended_as_expected(record, cell))


def _try_cell(  # noqa: PLR0913  # a cell, what is known of it, where it is, and how it is built
    shop: Workshop, cell: Cell, record: CellRecord, trace: CellTrace, seat: Seat, group: Group | None, variation: Variation
) -> tuple[CellRecord, Variation | None]:
    """Try once; give besides how it is to be tried again, where that may end otherwise."""
    asked = choose_runners(shop, cell)
    wants_engine, wants_graph = CONTAINER in asked.values(), GRAPH in asked.values()
    with ExitStack() as stack:
        target = make_target(shop, cell, record.inputs, wants_engine=wants_engine)
        built = _build_in_group(group, cell, target, trace, seat) if group else None
        built = built or _build_alone(shop, cell, target, trace, seat, variation)
        inputs = replace(record.inputs, base=built.metadata.bases or ())
        record = replace(record, inputs=inputs, build=built.build, image=None, smoke=None)
        if failure := built.failure:
            again = (WITHOUT_CACHE if failure.spoilt else AS_IT_IS) if failure.passing else None
            return replace(record, status=built.status or Status.ERROR, reason=failure.reason), again
        shop.healer.note_success()
        if target.image and not shop.keep:
            stack.callback(_forget_image, shop, target.image, trace)
        shop.emit(Event("cell-measuring", cell.id))
        with trace.span("analyse", Part.ANALYSE):
            known = look_into(shop, cell, target, built, inputs)
            inputs = replace(inputs, stand_in=known.labels.get(STAND_IN_LABEL))
            record = replace(record, inputs=inputs, image=measure_image(shop, cell, known, built))
        seat.get_up()
        image = target.image or image_name(shop, cell)
        if target.oci and not target.image and (wants_engine or shop.keep):
            shop.emit(Event("cell-loading", cell.id))
            with trace.span("load", Part.LOAD):
                is_there = load_image(shop.engine, shop.store, target.oci, image, shop.cancel)
            if not is_there:
                raise CancelledError
            if not shop.keep:
                stack.callback(_forget_image, shop, image, trace)
        foreign = f"the base image {built.build.foreign_base}" if built.build.foreign_base else None
        if not asked:
            untried = "no check was run" if cell.settings.smoke and cell.expected is not Status.PASSED else None
            reason = "; ".join(filter(None, (untried, foreign))) or None
            return replace(record, status=Status.PASSED, reason=reason, smoke=Smoke("skipped")), None
        graph = group.take_graph(cell) if group else None
        if graph:
            stack.callback(graph.close)
        elif wants_graph:
            graph = open_graph(shop, cell, target, known)
        with trace.span("smoke", Part.SMOKE) as span:
            record = _smoke(_Tested(shop, cell, image, known, graph, asked), record, trace)
            if record.status is not Status.PASSED:
                span.fail(record.reason or "", record.status.value)
        record = replace(record, reason="; ".join(filter(None, (record.reason, foreign))) or None)
        return record, None


def _build_in_group(group: Group, cell: Cell, target: Target, trace: CellTrace, seat: Seat) -> Built | None:
    """Build a cell with others, of which nothing has changed either; None when that did not come to its end."""
    with trace.build({}, is_told=False) as traced, trace.span("build with others", Part.BUILDX):
        built = group.build(cell, target, traced)
    with trace.span("wait", Part.TIDY):
        group.wait_for_turn(cell)
        seat.enter()
    return built


def _build_alone(  # a cell, where its image goes, where it is, and how it is built
    shop: Workshop, cell: Cell, target: Target, trace: CellTrace, seat: Seat, variation: Variation
) -> Built:
    seat.sit_down()
    with trace.build({"matrix.build.attempt": sum(build.is_told for build in trace.builds) + 1}) as traced:
        built = build_cell(shop, cell, target, traced, variation)
        if built.failure is not None:
            traced.span.fail(built.failure.reason, (built.status or Status.ERROR).value)
    return built


class _Tested(Struct, frozen=True):
    """A cell's image, and the ways in which its checks are run."""

    shop: Workshop
    cell: Cell
    image: str
    known: KnownImage
    graph: Graph | None
    asked: Mapping[Check, str]


def _smoke(tested: _Tested, record: CellRecord, trace: CellTrace) -> CellRecord:
    shop, cell = tested.shop, tested.cell
    shop.emit(Event("cell-smoke", cell.id))
    folder = shop.run.cell(cell.id)
    with disk_errors(folder):
        log = (folder / "smoke.log").open("wb", buffering=0)  # nothing is left to write when it is closed
    with log:

        def write(text: str) -> None:
            with disk_errors(folder):
                log.write(f"{shop.run.redactor.text(text)}\n".encode(errors="replace"))

        in_container = ContainerRunner(shop.engine, tested.image, shop.cancel)
        in_graph = GraphRunner(tested.graph) if tested.graph else in_container
        subject = Subject(
            caller=make_caller(shop, cell, tested.known),
            engine=shop.engine,
            image=tested.image,
            folder=shop.folder,
            cancel=shop.cancel,
            log=write,
            trace=trace,
            runner=in_container,
            graph=tested.graph,
        )
        runners = {check: in_graph if name == GRAPH else in_container for check, name in tested.asked.items()}
        smoke = run_checks(subject, cell.settings.smoke, runners, cell.settings.timeout.smoke_s)
    bad = [check for check in smoke.checks if check.outcome in ("failed", "error", "timeout")]
    worst = min(bad, key=lambda check: ("failed", "error", "timeout").index(check.outcome), default=None)
    status = {"failed": Status.SMOKE_FAILED, "timeout": Status.TIMEOUT}.get(smoke.outcome, Status.PASSED)
    reason = f"{worst.name}: {worst.reason}" if worst else say_not_run(smoke.checks)
    return replace(record, smoke=smoke, status=status, reason=reason)


def _forget_image(shop: Workshop, image: str, trace: CellTrace) -> None:
    """Remove the cell's image; an engine that is gone has been reported already."""
    try:
        with trace.span("remove image", Part.TIDY):
            remove_image(shop.engine, image)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))
