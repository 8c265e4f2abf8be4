# What a developer types. Everything is installed into .venv, from the versions in requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock
# Two processes keep two cores busy; each starts a PostgreSQL of its own.
PYTEST_WORKERS ?= 2
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format check bench chaos mutants lock clean

help: ## show what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## four workers tune a model, in a minute
	$(BIN)/tpeak demo

test: $(VENV)/.dev ## all tests
	$(BIN)/python -m pytest --numprocesses $(PYTEST_WORKERS) --dist loadscope

lint: $(VENV)/.dev ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## mend what a machine can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test ## all that must hold before a change lands

bench: $(VENV)/.dev ## the throughput of ask, report and tell, in minutes: ARGS='--json FILE'
	$(BIN)/python benchmarks/throughput.py --short $(ARGS)

chaos: $(VENV)/.dev ## faults of all kinds for minutes, and the proof that nothing was lost: ARGS='--seed 7'
	$(BIN)/python -m tests.chaos.stage $(ARGS)
	$(BIN)/python -m tests.model $(ARGS)

mutants: $(VENV)/.dev ## plant bugs that the checker must find
	$(BIN)/python -m tests.chaos.hunt $(ARGS)

lock: ## resolve requirements.lock anew
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate --all-extras pyproject.toml --output-file requirements.lock
	rm -rf $(VENV)-lock

clean: ## remove what was installed and built
	rm -rf $(VENV) dist build

$(VENV)/.demo: $(BIN)/python pyproject.toml requirements.lock
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml requirements.lock
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "tpeak needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh scripts/install_venv.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
