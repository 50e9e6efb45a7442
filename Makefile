# One command per task; `make` lists them. Everything happens in ./.venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-ray bench torture lint types check clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) not found: install Python 3.11 or newer, or name yours: make PYTHON=python3.12 ..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev]'
	touch $@

install: $(STAMP)  ## make .venv and install gan-train with the tested versions

demo: install  ## install, train on handwritten digits (offline, under 3 minutes), leave pictures
	$(BIN)/gan-train

test: install  ## install and run the default tests (under 3 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m 'not slow and not gpu'

test-slow: install  ## the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow and not ray'

test-ray:  ## the tests of sweeps on ray, in an environment of their own
	test -x .venv-ray/bin/python || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,ray]'
	OMP_NUM_THREADS=1 .venv-ray/bin/python -m pytest -m ray

bench: install  ## gan-train against textbook loops (ROOT= holds MNIST; 40 minutes on 2 cores)
	$(BIN)/python -m benchmarks.bench $(if $(ROOT),--root $(ROOT)) $(BENCH)

torture: install  ## kill, truncate and fill disks, and compare byte for byte (MINUTES=30)
	$(BIN)/python benchmarks/torture.py --minutes $(or $(MINUTES),30) $(TORTURE)

lint: install  ## ruff: rules, docstrings and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## what CI runs

clean:  ## remove the environment and caches; never outputs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
