# `make help` lists the targets. Each sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("rayner needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $(READY)

install: $(READY) ## make the environment in .venv with the pinned dependencies

demo: $(READY) ## the main job on the bundled sample: six minutes on two cores, then open runs/demo/report.html
	$(BIN)/python jobs/pipeline.py --config jobs/conf/demo.yaml

TRAIN ?= sample/labelled.txt
CORPUS ?= sample/corpus
BENCH_RUN ?= runs/bench
WHAT = run=$(BENCH_RUN) train=$(TRAIN) corpus=$(CORPUS)

bench: $(READY) ## speed against peers; TRAIN=labelled.txt CORPUS=folder BENCH_RUN=folder for real text
	$(BIN)/python jobs/pipeline.py --config jobs/conf/bench.yaml $(WHAT) corpus=null
	$(BIN)/python jobs/bench.py --config jobs/conf/bench.yaml $(WHAT)

test: $(READY) ## all tests
	$(BIN)/python -m pytest --quiet

fast: $(READY) ## the tests that train nothing and start no Ray
	$(BIN)/python -m pytest --quiet -m 'not slow'

check: $(READY) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_layers.py

format: $(READY) ## put the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(READY) ## lines of rayner/ner that tests reach
	$(BIN)/python -m pytest --quiet tests/ner --cov=rayner.ner --cov-report=term-missing

lock: $(READY) ## write requirements.lock from what is installed
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

clean: ## remove the environment and caches; runs are kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info

.PHONY: help install demo bench test fast check format coverage lock clean
