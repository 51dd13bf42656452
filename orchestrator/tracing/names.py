"""The names that matrix gives in a trace: span names, attributes, and the parts that a cell's time is made of."""

from __future__ import annotations

from enum import StrEnum

SERVICE = "matrix"

CELL = "cell"  # the root of a cell's trace, and in the run's trace its summary, each with a link to the other

CELL_ID = "matrix.cell.id"
AXIS = "matrix.axis."  # followed by the axis's name
OUTCOME = "matrix.cell.outcome"  # a model.Status
AS_EXPECTED = "matrix.cell.as_expected"
TIMING = "matrix.timing.mode"  # shared | isolated
COMPRESSED = "matrix.image.compressed_bytes"
UNCOMPRESSED = "matrix.image.uncompressed_bytes"
CACHED_STEPS = "matrix.build.cached_steps"
TOTAL_STEPS = "matrix.build.total_steps"

PART = "matrix.part"  # a Part; spans without one are detail below one that has it
SOURCE = "matrix.span.source"  # buildkit | progress; on spans that matrix did not take itself
STEP_OUTCOME = "matrix.step.outcome"  # executed | cached | joined
STEP_STAGE = "matrix.step.stage"
STEP_INSTRUCTION = "matrix.step.instruction"
RAN_IN = "matrix.step.ran_in"  # the cell whose build ran a joined step
CHECK_OUTCOME = "matrix.check.outcome"


class Part(StrEnum):
    """What a stretch of a cell's time was spent on."""

    BUILDX = "buildx"  # buildx and BuildKit themselves: starting, connecting, asking, recording
    DEFINITION = "definition"  # Dockerfile, context, metadata of bases
    PULL = "pull"
    STEP = "step"
    EXPORT = "export"
    LOAD = "load"
    ANALYSE = "analyse"
    SMOKE = "smoke"
    TIDY = "tidy"  # containers and images are removed
