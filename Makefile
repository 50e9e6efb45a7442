# One command per task; `make` lists them. Everything happens in ./.venv.
# A Python is suitable if it is new enough and can make environments that download over https.
SUITABLE = -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
# The first suitable one; `make PYTHON=/path/to/python ...` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
  $$python $(SUITABLE) && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed
# `torch==1.2.3` in constraints.txt, as `torch==1.2.3+cpu`: the build without GPU libraries.
CPU_TORCH = $(shell sed -nE 's/^(torch|torchvision)==([^ ]+)$$/\1==\2+cpu/p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help notebook install install-cpu demo test test-docs test-slow test-browser test-ray bench torture lint types keys check \
  package clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@if test -z "$(PYTHON)" || ! $(PYTHON) $(SUITABLE); then \
	  echo "No suitable Python. gan-train needs 3.11 or newer, with the modules venv and ssl."; \
	  echo "Install one, or name yours: make PYTHON=/path/to/python ..."; exit 2; fi
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(STAMP)  ## make .venv and install gan-train with the tested versions

install-cpu: $(BIN)/python  ## the same without PyTorch's GPU libraries (CPU_INDEX=address of the CPU builds)
	@if test "$$(uname)" != Darwin; then \
	  echo "installing $(CPU_TORCH)"; \
	  $(PIP) $(if $(CPU_INDEX),--extra-index-url $(CPU_INDEX)) $(CPU_TORCH) || { \
	    echo "pip found no CPU build of these. Name the address that PyTorch's install page shows for CPU:"; \
	    echo "  make install-cpu CPU_INDEX=address"; exit 2; }; fi
	@$(MAKE) --no-print-directory install

demo: install  ## install, train on handwritten digits (offline, under 3 minutes), leave pictures
	$(BIN)/gan-train

test: install  ## install and run the default tests (under 4 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup \
	  -m 'not slow and not gpu and not browser and not docs'

test-docs: install  ## run all commands of docs/, shortened
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m docs

test-slow: install  ## the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow and not ray and not browser'

test-browser: install  ## the tests of HTML pages in Chromium, if it is installed with its driver
	@if command -v chromedriver >/dev/null; then \
	  OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser; \
	else echo "test-browser: not run, as there is no chromedriver"; fi

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

keys: install  ## write docs/keys.md from the comments in configs/ and gan_cli/runs/log_keys.yaml
	$(BIN)/python docs/make_keys.py

check: lint types test test-docs  ## what CI runs

notebook: install  ## run the cells of docs/notebook.ipynb anew (a minute)
	$(BIN)/python docs/make_notebook.py

package: install  ## build the wheel and the source archive into dist/, and check them
	rm -rf dist
	$(PIP) --constraint constraints.txt build twine
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

clean:  ## remove the environment and caches; never outputs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
