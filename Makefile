# make demo   set all up, grade the reference solution, leave demo/grade.json
# make quick  set all up, run the tests that start nothing: no TensorFlow, sandbox, container or browser
# make test   set all up, run all tests; of what is long and alike a sample
# make test-all   make test, and then the whole of what it takes a sample of
# make check  format, lint, types
# make fix    format and mend what ruff can mend
# make student-wheel   build what students install, without the answer, into dist/student
# make lock   resolve the dependencies anew and write locks/
#
# A machine needs Python 3.11, 3.12 or 3.13, make, and a package index that pip can reach.
# PYTHON=python3.12 make demo   takes another interpreter.
# JOBS=4 make test   shares the tests among so many processes; JOBS=0 runs them in one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2
# Each file of tests runs in one process: its tests share what is expensive to make.
TESTS := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo quick test test-all check fix lock student-wheel
.DELETE_ON_ERROR:

demo: $(READY)
	@mkdir -p demo
	$(BIN)/grade fetch || echo "No CIFAR-10 here: the demo grades everything but the accuracy." >&2
	$(BIN)/grade pack reference_solution --output demo
	$(BIN)/grade demo/submission.zip --reference --json demo/grade.json --results demo/results

quick: $(READY)
	$(TESTS) -m "not (tensorflow or sandbox or docker or browser or slow)" $(PYTEST_ARGS)

test: $(READY)
	$(TESTS) $(PYTEST_ARGS)

test-all: test
	$(TESTS) -m exhaustive

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

student-wheel: $(READY)
	$(BIN)/python student_wheel.py dist/student

# uv itself comes from the lock file, by hash, through pip; uv then installs the rest by hash.
$(READY): locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) \
	  else "Python: expected 3.11 to 3.13, found %d.%d. Name one: make PYTHON=python3.11" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' locks/dev.txt > $(VENV)/uv.txt
	@echo "Setting up $(VENV) (about 1.5 GB, once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r locks/dev.txt || \
	  { echo "uv reaches no index, as it does not read pip's settings: pip does it, in some minutes" >&2; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# uv resolves for every platform and for the extras that exclude each other. The lock is kept as
# requirements with hashes: pip, uv and a Dockerfile read it alike, and it names no download host.
EXPORT := uv export --quiet --frozen --no-header --no-emit-project --no-annotate --extra server
lock:
	PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; \
	  uv lock --upgrade --quiet && mkdir -p locks && \
	  $(EXPORT) --extra cpu -o locks/cpu.txt && \
	  $(EXPORT) --extra gpu -o locks/gpu.txt && \
	  $(EXPORT) --extra cpu --extra jax --extra nbgrader --extra cluster --extra dev -o locks/dev.txt
