# matrix: one command to see it work, one to test it.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LAB := $(PY) -m tests.lab
MATRIX := $(VENV)/bin/matrix
# Where files pass that nobody wants to keep: in memory, where the system has a place for that.
PASSING := $(shell test -w /dev/shm && echo /dev/shm || echo "$${TMPDIR:-/tmp}")

.PHONY: help run nightly test unit check drills bench audit wheel format lock examples plan engine engine-stop bootstrap jaeger traces jaeger-stop clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: $(VENV)/.ready ## set everything up, run the default matrix, print the table
	@$(LAB) run $(ARGS)

# FILE, ONLY, SKIP, JOBS, MEASURE, LOCKED, BASELINE, SITE … as docs/ci.md has them; make itself ends with 2 where this fails.
nightly: $(VENV)/.ready ## builder, lock check, run, gates, site; SHARD=2/8 for a part, MERGE=folder to put parts together
	@MATRIX=$(MATRIX) .ci/nightly

test: $(VENV)/.ready ## run every test, with an engine if one can be had
	@PYTHONDONTWRITEBYTECODE= EXAMPLES=12 $(LAB) with -- $(PY) -m pytest -n 5 --dist worksteal $(ARGS)

unit: $(VENV)/.ready ## run the tests that need neither engine nor network
	@TMPDIR="$(PASSING)" PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -p no:xdist tests/unit $(ARGS)

check: $(VENV)/.ready ## lint and types; run it before every commit
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

drills: $(VENV)/.ready ## try faults and hostile files on purpose, for hours; the table goes to docs/reliability.md
	@DRILLS=yes $(PY) -m pytest -p no:xdist tests/faults/engine $(ARGS)
	@$(PY) -m tests.faults.files

# ARGS="--only tiny --cells 12 --state cold --rounds 5" measures a part; `python -m bench --help` has the rest.
bench: $(VENV)/.ready ## matrix against bake and build, side by side; the tables go to docs/performance.md and docs/scale.md
	@PYTHONDONTWRITEBYTECODE= $(PY) -m bench $(ARGS)

audit: $(VENV)/.ready ## ask whether anything that is pinned has a known vulnerability
	@$(VENV)/bin/pip-audit --disable-pip --require-hashes --progress-spinner off --requirement requirements-dev.txt

wheel: $(VENV)/.ready ## build the wheel into dist: the same to the byte, whoever builds it and when
	@SOURCE_DATE_EPOCH=1577836800 $(PY) -m hatchling build --target wheel --directory dist

format: $(VENV)/.ready ## lay the code out
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

plan: $(VENV)/.ready ## show the cells of the default matrix
	@$(MATRIX) plan

engine: $(VENV)/.ready ## start an engine if none answers; eval its output to use it
	@$(LAB) up

engine-stop: $(VENV)/.ready ## stop the engine that was started here
	@$(LAB) down

bootstrap: $(VENV)/.ready ## make, heal or reuse the builder
	@$(MATRIX) bootstrap

jaeger: $(VENV)/.ready ## start Jaeger to look at traces with, on the loopback
	@$(MATRIX) jaeger start $(ARGS)

traces: $(VENV)/.ready ## open, or print, the address of the latest run's trace
	@$(MATRIX) jaeger open $(ARGS)

jaeger-stop: $(VENV)/.ready ## stop Jaeger
	@$(MATRIX) jaeger stop

clean: $(VENV)/.ready ## remove what matrix made in the engine
	@$(MATRIX) clean

# Each line of reports/examples: a format, and the file that shows it.
EXAMPLES := table:report.txt markdown:report.md comment:comment.md csv:report.csv junit:junit.xml prometheus:report.prom html:report.html

examples: $(VENV)/.ready ## make reports/examples and the pictures of the docs anew
	@$(PY) -m tests.example_run reports/examples build/nights
	@for example in $(EXAMPLES); do \
	  $(MATRIX) report --reports reports/examples --format $${example%%:*} -o reports/examples/$${example#*:} || exit; done
	@$(MATRIX) site --reports build/nights -o build/site
	@$(PY) -m tests.browser.pictures reports/examples/report.html build/site/index.html docs/images

# All of development, and of that what `matrix` itself and its installation need: what action.yml installs.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
  --no-emit-find-links --generate-hashes pyproject.toml

lock: $(VENV)/.ready ## pin the environments anew (needs uv)
	$(COMPILE) --group dev --upgrade --output-file requirements-dev.txt
	$(COMPILE) --group install --constraint requirements-dev.txt --upgrade --output-file requirements.txt

# The virtual environment: exactly what requirements-dev.txt pins, by hash, and this package on top of it.
$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "matrix needs Python 3.11 or newer; name one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 4; }
	@$(PYTHON) -m venv $(VENV) || { echo "type: apt-get install python3-venv" >&2; exit 4; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
