# `make` lists what can be made.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo test test-slow test-lowest lint docs docs-serve bench wheel-check clean

# Paths are relative to this folder, so that its own path may have spaces in it.
VENV := .venv
PY := $(VENV)/bin/python
LOWEST := .venv-lowest

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "The first use makes $(VENV) from a Python >= 3.11; PYTHON=/path/to/python chooses which."

install: $(VENV)/installed-demo  ## Install multisi and what the demo needs in .venv

demo: $(VENV)/installed-demo  ## Train a small model; write a picture and the model to demo/, print a table
	$(VENV)/bin/multisi demo

test: lint  ## Lint, check types, run every test that is not slow
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(VENV)/installed-test  ## Run the slow tests
	$(PY) -m pytest -m slow

test-lowest: $(LOWEST)/installed  ## Run the tests that are not slow on the lowest versions allowed
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/installed-test  ## Check style, formatting, types and the floors of imports
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/installed-docs  ## Build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

docs-serve: $(VENV)/installed-docs  ## Serve the documentation on this machine
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs serve

bench: $(VENV)/installed-test  ## Run the benchmarks
	$(PY) -m tests.benchmarks

wheel-check: $(VENV)/bin/uv  ## Build the archives in dist/; use the wheel in an empty environment
	rm -rf dist build/wheel
	$(VENV)/bin/uv build --build-constraints constraints.txt
	$(PY) -m venv build/wheel
	build/wheel/bin/python -m pip install --disable-pip-version-check -c constraints.txt dist/*.whl
	python=$$PWD/build/wheel/bin/python; check=$$PWD/tests/check_wheel.py; \
	folder=$$(mktemp -d) && cd "$$folder" && "$$python" -P "$$check" && rm -r "$$folder"

clean:  ## Remove the virtual environments, the caches and all that was built or written
	rm -rf $(VENV) $(LOWEST) build dist site demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is installed, one stamp a purpose. It is installed again when one of these files changes.
$(VENV)/installed-demo: what := -e ".[demo]"
$(VENV)/installed-test: what := -e ".[test,dev]" -r docs/requirements.txt
$(VENV)/installed-docs: what := -r docs/requirements.txt

$(VENV)/installed-%: pyproject.toml constraints.txt docs/requirements.txt multisi/_version.py $(VENV)/made-in
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt $(what)
	@touch $@

# uv alone: what needs nothing else must not wait for torch.
$(VENV)/bin/uv: constraints.txt $(VENV)/made-in
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt uv
	@touch $@

# The lowest versions of what pyproject.toml names, on the oldest Python.
$(LOWEST)/installed: pyproject.toml multisi/_version.py $(VENV)/bin/uv
	$(VENV)/bin/uv venv --clear --python 3.11 $(LOWEST)
	$(VENV)/bin/uv pip install --python $(LOWEST) --resolution lowest-direct -e ".[test]"
	@touch $@

# A virtual environment notes where it was made. It is made anew when it was moved, when it was left
# half made, or when its Python has gone; one that you made yourself and that works is kept.
VENV_CHECK := import sys, pip; sys.exit(sys.version_info < (3, 11))
USABLE := $(shell [ "$$(cat $(VENV)/made-in 2>/dev/null)" = "$$(pwd -P)" ] && \
	$(PY) -c "$(VENV_CHECK)" 2>/dev/null && echo yes)
ifneq ($(USABLE),yes)
.PHONY: $(VENV)/made-in
endif

# A Python is found by running it: a name on the PATH may be a shim that leads nowhere, and Debian
# ships a Python without ensurepip.
PYTHON_CHECK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
$(VENV)/made-in:
	@if [ ! -e $@ ] && $(PY) -c "$(VENV_CHECK)" 2>/dev/null; then pwd -P > $@; exit; fi; \
	if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; \
	else set -- python3.11 python3.12 python3.13 python3.14 python3 python; fi; \
	found=; \
	for python in "$$@"; do \
	    if "$$python" -c "$(PYTHON_CHECK)" >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    printf '%s\n' "No usable Python. Tried: $$*" \
	        "Each failed to run, is older than 3.11, or lacks the modules venv and ensurepip." \
	        "Install one (Debian, Ubuntu: apt install python3 python3-venv; Fedora: dnf install python3;" \
	        "macOS: brew install python), or name one: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$found"; \
	"$$found" -m venv --clear $(VENV) && pwd -P > $@
