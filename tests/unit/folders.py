"""Folders with a matrix.yaml in them, as tests need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.parse import parse_matrix
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.config.schema import MatrixFile
    from orchestrator.model import Plan

HEAD = "version: 1\nname: m\n"
STRUCTURE = "schemaVersion: 2.0.0\nfileExistenceTests: [{name: root, path: /}]\n"

CONTRACT = """\
version: 1
name: otel-python
axes:                                   # the product, in this order
  base: [alpine, slim, wolfi]
  python: ["3.12", "3.13"]
  deps: [stdlib, otel-grpc, grpcio-1.40]
defaults:                               # settings of every cell
  context: .                            # relative to this file
  smoke: [{import: [json]}]
settings:                               # settings by axis value; a later axis wins over an earlier one
  base:
    alpine: {dockerfile: dockerfiles/alpine.Dockerfile, args: {BASE_IMAGE: "python:{python}-alpine"}, libc: musl}
    slim:   {dockerfile: dockerfiles/slim.Dockerfile,   args: {BASE_IMAGE: "python:{python}-slim"},   libc: glibc}
  deps:
    otel-grpc: {requirements: dockerfiles/deps/otel-grpc.txt, smoke: [{import: [grpc]}, {probe: otlp-grpc}]}
exclude: [{base: wolfi, python: "3.12", reason: "…"}]      # stays in the report, with its reason
include: [{base: slim, python: "3.14", deps: stdlib}]
expect:  [{base: alpine, deps: grpcio-1.40, outcome: build-failed, reason: "…"}]   # an expected failure is a pass
claims:
  - {say: "Alpine is smaller than slim", metric: size, left: {base: alpine}, right: {base: slim}, is: smaller, by: 10%}
decide:  {between: base, require: [smoke], prefer: [{metric: size, weight: 2}, {metric: build_time, weight: 1}]}
budgets: [{where: {base: slim}, size: 250MB, build_time: 3m}, {growth: {size: 5%, build_time: 20%}}]
builder: {name: matrix, driver: docker-container, image: moby/buildkit:buildx-stable-1, network: host,
          mirrors: {docker.io: ["127.0.0.1:5000"]}}
traces:  {ui: "http://127.0.0.1:16686/trace/{trace_id}"}
"""
CONTRACT_FILES = ("Dockerfile", "dockerfiles/alpine.Dockerfile", "dockerfiles/slim.Dockerfile", "dockerfiles/deps/otel-grpc.txt")


def make_files(folder: Path, *names: str) -> Path:
    """Make files, empty where that is enough, and the folders that they lie in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(STRUCTURE if name == "cst.yaml" else "", encoding="utf-8")
    return folder


def parse(text: str, folder: Path, *files: str) -> tuple[MatrixFile, Plan]:
    """Check a matrix.yaml beside a Dockerfile; version and name are added."""
    return parse_matrix(HEAD + text, "matrix.yaml", make_files(folder, "Dockerfile", *files))


def plan_of(text: str, folder: Path, *files: str) -> Plan:
    """Plan a matrix.yaml beside a Dockerfile; version and name are added."""
    return parse(text, folder, *files)[1]


def problems_of(text: str, folder: Path, *files: str) -> list[str]:
    """Give all that is wrong with a text; its line 1 is line 1 of the file."""
    with pytest.raises(ConfigError) as caught:
        parse_matrix(text, "matrix.yaml", make_files(folder, "Dockerfile", *files))
    return list(caught.value.problems)
