# The commands a newcomer needs; each makes its own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint build bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,datasets,ray,bench]'
	touch $@

demo: $(READY)  ## build a lexicon from the example notes and use it
	BIN=$(BIN) sh examples/demo.sh

test: $(READY)  ## the whole test suite
	$(BIN)/python -m pytest

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

build: $(READY)  ## the wheel, proved in an empty environment
	BIN=$(BIN) sh tests/wheel.sh

bench: $(READY)  ## the benchmark tables in benchmarks/ (an hour; needs HYPERTOK_SHARED)
	BIN=$(BIN) sh benchmarks/run.sh

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
