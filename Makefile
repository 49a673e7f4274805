# `make help` tells what there is. Each target installs what it needs, once: a second run starts at once.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS   ?=

# Debian's own, whose library can be taken along
DIST_PYTHON ?= /usr/bin/python3

.DEFAULT_GOAL := help
.PHONY: help venv run check test bench screenshots dist newcomer clean

help: ## show this
	@echo 'make run     the gateway on 127.0.0.1:8080, with config.toml'
	@echo 'make test    all tests; fewer with ARGS, as in: make test ARGS="tests/gateway -k tls"'
	@echo 'make check   formatting, lint, types, import contracts'
	@echo 'make bench   speed beside a bare server, moto and bare QEMU, as a table; fewer with ARGS=--quick'
	@echo 'make screenshots   every page of the console as a picture, in build/screenshots/'
	@echo 'make dist    what people install, of the last commit: one file for Linux, a wheel, a source archive, an SBOM'
	@echo 'make newcomer   what a newcomer types, in fresh Debians (root, some 20 min)'
	@echo 'make venv    only install, into $(VENV)'
	@echo 'make clean   remove what was made, but not data/'

venv: $(VENV)/.installed

run: venv
	@$(BIN)/onefleet serve --config config.toml

check: $(VENV)/.testable
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.testable .tools/.installed
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

bench: $(VENV)/.benchable
	$(BIN)/python tests/bench/bench.py --json bench-results.json $(ARGS)

screenshots: $(VENV)/.testable .tools/.installed
	$(BIN)/python -m tests.screenshots

newcomer: $(VENV)/.testable .tools/.installed
	@command -v buildah >/dev/null || apt-get install -qq -y --no-install-recommends buildah crun >/dev/null
	ONEFLEET_NEWCOMER=1 $(BIN)/python -m pytest tests/newcomer $(ARGS)

dist:
	@.ci/dist/install-tools $(DIST_PYTHON)
	@$(DIST_PYTHON) .ci/dist/build.py $(DIST_PYTHON)

clean:
	rm -rf $(VENV) .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info

# --- what is installed; each of these files says that its step is done

$(VENV)/bin/python:
	@.ci/make-venv $(PYTHON) $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo 'installing into $(VENV) ...'
	@$(PIP) --editable .
	@touch $@

$(VENV)/.testable: $(VENV)/.installed
	@echo 'installing the test tools into $(VENV) ...'
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.benchable: $(VENV)/.testable
	@echo 'installing moto, to measure against, into $(VENV) ...'
	@$(PIP) --editable '.[test,bench]'
	@touch $@

.tools/.installed: .ci/install-test-tools tests/end_to_end/package-lock.json constraints.txt | $(VENV)/bin/python
	@.ci/install-test-tools $(BIN)/python
	@touch $@
