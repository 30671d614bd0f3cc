# What a user and a developer run. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

SITE ?= site.yaml
OUT ?= out
RELEASE ?= bookworm
# Each boots hosts of its own; much of a test is waiting for them.
PROCESSES ?= 3
# Where the results of test-faults go, and its options: --help lists them.
RESULTS ?= faults.json
FAULTS ?=
# The first of these that is Python 3.11 or newer makes .venv.
PYTHONS ?= python3.13 python3.12 python3.11 python3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help render check reading rehearse test test-fast test-releases test-faults lint bench clean

help: ## list the targets
	@printf 'usage: make TARGET [SITE=site.yaml] [OUT=out] [RELEASE=bookworm]\n\n'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	  while IFS=: read -r target text; do \
	    printf '  %-13s %s\n' "$$target" "$${text#*## }"; \
	  done

render: $(VENV)/runtime ## write the scripts of SITE to OUT
	@$(BIN)/dockseal render $(SITE) --output $(OUT)

check: $(VENV)/runtime ## report every problem of SITE
	@$(BIN)/dockseal check $(SITE)

reading: $(VENV)/runtime ## count what a reviewer of OUT has to read
	@$(BIN)/dockseal reading $(OUT)

rehearse: $(VENV)/runtime ## run the scripts of SITE on a throwaway Docker host
	@$(BIN)/dockseal rehearse $(SITE) --release $(RELEASE)

# As root on Debian or Ubuntu the lab's packages are installed; otherwise the
# command is printed, and tests that need a Docker host are skipped.
test: $(VENV)/dev ## run all tests, those on throwaway Docker hosts too
	@$(BIN)/dockseal lab --install || \
	  printf 'Without that, tests that need a Docker host are skipped.\n' >&2
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) \
	  --dist loadscope --no-loadscope-reorder

test-fast: $(VENV)/dev ## run the tests that need no Docker host
	$(BIN)/python -m pytest -m 'not host'

test-releases: $(VENV)/dev ## run each host test on every kind of host
	@$(BIN)/dockseal lab --install
	for release in bullseye bookworm trixie trixie-upstream; do \
	  $(BIN)/python -m pytest tests/host --release "$$release" \
	    --numprocesses $(PROCESSES) --dist loadscope --no-loadscope-reorder; \
	done

test-faults: $(VENV)/dev ## kill, starve and deceive every script; the table, and RESULTS
	@$(BIN)/dockseal lab --install
	$(BIN)/python -m faults --release $(RELEASE) --json $(RESULTS) $(FAULTS)

lint: $(VENV)/dev ## check the Python, the templates and the rendered scripts
	$(BIN)/python -m pytest --quiet tests/lint

bench: $(VENV)/dev ## measure rendering and the scripts beside the same by hand
	$(BIN)/python -m bench

clean: ## remove .venv, caches and rehearsal/; OUT and the lab's images stay
	rm -rf -- $(VENV) rehearsal .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	find . -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf -- {} +

$(VENV)/runtime: pyproject.toml | $(VENV)/bin/python
	@printf 'installing what dockseal needs into %s\n' $(VENV) >&2
	@$(PIP) --editable .
	@touch $@

$(VENV)/dev: pyproject.toml | $(VENV)/bin/python
	@printf 'installing what the tests need into %s\n' $(VENV) >&2
	@$(PIP) --editable '.[dev]'
	@touch $(VENV)/runtime $@

$(VENV)/bin/python:
	@new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	python=; \
	for name in $(PYTHONS); do \
	  if "$$name" -c "$$new_enough" 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [[ -z $$python ]]; then \
	  printf 'error: Python 3.11 or newer is needed, found none of: %s\n' '$(PYTHONS)' >&2; \
	  printf 'On Debian 12 or newer: apt-get install python3 python3-venv\n' >&2; \
	  exit 2; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  printf 'error: %s has no venv module\n' "$$python" >&2; \
	  printf 'On Debian or Ubuntu: apt-get install python3-venv\n' >&2; \
	  exit 2; \
	fi; \
	printf 'making %s with %s\n' $(VENV) "$$("$$python" --version)" >&2; \
	"$$python" -m venv --clear $(VENV)
