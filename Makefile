# Needs git, make and Python 3.11 or newer; everything else is installed into .venv from the locks, hashes checked.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := @$(BIN)/python -m pip --disable-pip-version-check -qq
LOCKED := install --require-hashes --requirement
UV ?= uv
ARGS ?=
SECONDS ?= 60

.PHONY: help run test lint check format bench lock audit fuzz clean

help:  ## what can be made
	@grep -E "^[a-z]+:" Makefile | sed -E "s,:[^#]*(## )?,\t,"

run: $(VENV)/runtime.stamp  ## a gateway with a simulated provider at 127.0.0.1:8484; no key and no network needed
	$(BIN)/python -m routerd demo --key sk-routerd-demo $(ARGS)

test: $(VENV)/dev.stamp  ## make test ARGS='tests/wire -x'
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp  ## beside nginx, smg, TensorZero and Portkey; rewrites the tables of bench/README.md
	$(BIN)/python -m bench.run $(ARGS)

lock:  ## needs uv; UPGRADE=--upgrade takes newer releases
	$(PYTHON) -m tools.lock --uv $(UV) $(UPGRADE)

audit: $(VENV)/dev.stamp  ## what is installed is what the lock says, and nothing in it runs by itself
	$(BIN)/python -m tools.audit

fuzz: $(VENV)/dev.stamp  ## look for inputs that break a law; make fuzz SECONDS=600 ARGS=sse
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "routerd needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: requirements.lock | $(BIN)/python
	@echo 'installing into $(VENV), once ...'
	$(PIP) $(LOCKED) requirements.lock
	@touch $@

# The project itself is installed in place, for the `routerd` command and its version. Its build back end is in the lock.
$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo 'installing into $(VENV), once ...'
	$(PIP) $(LOCKED) requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/runtime.stamp
