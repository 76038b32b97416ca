# Verbs for people who work on clue. They act in $(VENV), which `make install` fills; each says what it runs.
#   make install   the package in editable form with the tools for checking it, under constraints.txt
#   make check     lint, types and tests
#   make format    lays the source out and sorts imports
#   make samples   writes the shipped sample records again (the same bytes, from their templates)
#   make bench     the measurements of tests/benchmarks (slow; they print ratios and gate nothing)
#   make lowest    the test suite on the lowest versions that pyproject.toml promises
#   make clean     removes caches and builds; leaves runs/ and the environments alone
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: install lint types test check format samples bench lowest clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt -e '.[test,bench]'
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

test: install
	$(BIN)/pytest -n 2

check: lint types test

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

samples: install
	$(BIN)/python -m tasks.samples.make

bench: install
	for script in tests/benchmarks/[a-z]*_speed.py tests/benchmarks/crf.py tests/benchmarks/span_loss.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

lowest:
	tests/lowest.sh

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.*' -prune -exec rm -rf {} +
