# Everything here runs in an environment of its own, $(VENV), made from
# requirements.txt by nothing but venv and pip. For another Python beside it:
#     make PYTHON=python3.13 VENV=.venv-3.13 test
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Of a file in one process, tests share what they compile.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile
export TIMEFORMAT := -- %0lR
export PYRIGHT_PYTHON_GLOBAL_NODE := 0

.PHONY: help demo test test-long lint requirements clean

help:
	@echo 'make demo          tune a neural network on pictures of digits; figures in out/'
	@echo 'make test          linters, types, floors, doctests and the suite'
	@echo 'make test-long     what takes longer: notebooks, faults, calibration'
	@echo 'make lint          linters, types and floors alone'
	@echo 'make requirements  requirements.txt from pyproject.toml'
	@echo 'make clean         remove what the others leave behind, but for $(VENV)'

demo: $(VENV)/.installed
	$(BIN)/python -m bojax demo

lint: $(VENV)/.installed
	time $(BIN)/ruff check
	time $(BIN)/ruff format --check
	time $(BIN)/pyright --pythonpath $(BIN)/python
	time $(BIN)/lint-imports --no-logo

test: lint
	time $(PYTEST) -p tests.conftest --doctest-modules bojax
	time $(PYTEST) -m 'not long' --durations 10

test-long: $(VENV)/.installed
	time $(PYTEST) -m long --durations 10

# Keeps the versions that requirements.txt has where it can: remove it for newer.
requirements:
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/pip install --quiet uv
	.cache/uv/bin/uv pip compile pyproject.toml --output-file requirements.txt \
	  --extra demo --extra zero --group build --group test --python-version 3.11 --universal \
	  --generate-hashes --only-binary :all: --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make requirements' --quiet

clean:
	rm -rf out build dist .cache .hypothesis .import_linter_cache .pytest_cache \
	  .ruff_cache
	find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -r {} +

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'bojax needs Python 3.11 or newer, and $(PYTHON) is not:' \
	    'name one that is, as in `make PYTHON=python3.12 demo`.' >&2; exit 1; }
	@echo 'Making $(VENV): once, and about a minute.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
