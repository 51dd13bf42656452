"""Which of a build's own steps another build's stands for."""

from __future__ import annotations

from orchestrator.measure.twins import Node, find_twins


def test_a_step_stands_for_the_one_that_is_built_on_the_same() -> None:
    """The same words stand in two stages; what is below tells them apart, whatever the files that a build sends are called."""
    nodes = {
        "base": Node("FROM x"),
        "files": Node("[internal] load build context"),
        "copy": Node("COPY f /", ("base", "files")),
        "first": Node("RUN make", ("base",)),
        "second": Node("RUN make", ("copy",)),
        "their files": Node("[internal] load build context"),
        "their copy": Node("COPY f /", ("base", "their files")),
        "their second": Node("RUN make", ("their copy",)),
    }
    others = ["their files", "their copy", "their second"]
    assert find_twins(nodes, others) == {"their files": "files", "their copy": "copy", "their second": "second"}


def test_a_step_that_is_built_on_something_else_stands_for_one_that_is_left() -> None:
    """Each for another, as long as there are some; one that does what none of the own ones does, for none."""
    nodes = {
        "a": Node("RUN make", ("x",)),
        "b": Node("RUN make", ("y",)),
        "c": Node("RUN make", ("z",)),
        "d": Node("RUN make", ("b2",)),
        "e": Node("RUN other"),
    }
    assert find_twins(nodes, ["c", "d", "e"]) == {"c": "a", "d": "b"}
    assert find_twins({"a": Node("RUN x"), "b": Node("RUN x"), "c": Node("RUN x")}, ["b", "c"]) == {"b": "a", "c": "a"}


def test_steps_that_lean_on_each_other_or_on_nothing_that_is_told_end_the_search() -> None:
    """No builder should say so; a long Dockerfile is no circle."""
    circle = {"a": Node("RUN x", ("b",)), "b": Node("RUN y", ("a",)), "c": Node("RUN x", ("gone",))}
    assert find_twins(circle, ["c"]) == {"c": "a"}
    chain = {str(at): Node("RUN x", (str(at - 1),) if at else ()) for at in range(3000)}
    assert find_twins(chain, ["2999"]) == {"2999": "0"}
