# What one does with this project. `make demo` is where to begin.
# Needs Python 3.11 or newer with pip and venv; everything else is installed into .venv, locked and checked by hash.

BIN := .venv/bin
ARGS ?=

.PHONY: help demo test undo-schedules crashes several lint types contracts check bench bench-inventory bench-undo bench-growth bench-faulty bench-resume conformance undo-table fault-matrix format states lock clean run-env dev-env

help:
	@echo "make demo    a guarded day at an example help desk"
	@echo "make test    the whole test suite (ARGS=... are passed on to pytest)"
	@echo "make undo-schedules  10,000 generated schedules against undo in a modelled world (ARGS='2000 --seed 1')"
	@echo "make crashes  a guard killed at every boundary, and what is left (ARGS='--family one', --sample 60, --only CASE)"
	@echo "make several  10,000 calls to guards on one PostgreSQL, one killed again and again (ARGS='--guards 2 --calls 500')"
	@echo "make lint    style"
	@echo "make check   style, types, layers, tests"
	@echo "make bench   what the guard costs (ARGS=--quick: a look)"
	@echo "make bench-inventory  how well tools are judged (ARGS=--errors: each error)"
	@echo "make bench-undo  whole runs taken back (ARGS=--quick: a look)"
	@echo "make bench-growth  a ledger of a million actions beside one of a thousand (ARGS=--quick: a look)"
	@echo "make bench-faulty  lost replies and other faults: direct, public proxies, the guard (ARGS=--quick: a look)"
	@echo "make bench-resume  guards killed in the middle of a plan, and how soon the next one goes on (ARGS=--quick: a look)"
	@echo "make conformance  the official suite, with the guard and without it, check by check"
	@echo "make undo-table  what became of every write that the tests make on real systems"
	@echo "make fault-matrix  what comes of every fault, on every kind of upstream, for every kind of write (docs/faults.md)"
	@echo "make format  bring the code into shape"
	@echo "make states  draw docs/states.md from the table of states"
	@echo "make lock    resolve the dependencies anew (UPGRADE=1: to their newest versions)"
	@echo "make clean   remove what was built, the virtual environment included"

demo: run-env
	$(BIN)/takeback play examples/helpdesk/day.toml
	$(BIN)/takeback play examples/helpdesk/http.toml

test: dev-env
	$(BIN)/python -m pytest $(ARGS)

undo-schedules: dev-env
	$(BIN)/python -m tests.undo_world $(ARGS)

crashes: dev-env
	$(BIN)/python -m tests.crashes $(ARGS)

several: dev-env
	$(BIN)/python -m tests.several.load $(ARGS)

lint: dev-env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --output-format concise .

types: dev-env
	$(BIN)/mypy
	$(BIN)/pyright

contracts: dev-env
	$(BIN)/lint-imports

check: lint types contracts test

bench: dev-env
	$(BIN)/python -m benchmarks $(ARGS)

bench-inventory: dev-env
	$(BIN)/python -m benchmarks.inventory $(ARGS)

bench-undo: dev-env
	$(BIN)/python -m benchmarks.undo $(ARGS)

bench-growth: dev-env
	$(BIN)/python -m benchmarks.growth $(ARGS)

bench-faulty: dev-env
	$(BIN)/python -m benchmarks.faulty $(ARGS)

bench-resume: dev-env
	$(BIN)/python -m benchmarks.resume $(ARGS)

conformance: dev-env
	$(BIN)/python -m tests.conformance

undo-table: dev-env
	@$(BIN)/python -m tests.undo_table

fault-matrix: dev-env
	@$(BIN)/python -m tests.matrix

format: dev-env
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

# The words above the marker stay; what follows it is drawn.
states: run-env
	sed '/^<!-- drawn/q' docs/states.md > docs/states.md.new
	$(BIN)/python -m takeback.core.states >> docs/states.md.new
	mv docs/states.md.new docs/states.md

COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade) \
	--no-annotate
OTHERS := $(wildcard tests/third_party/requirements/*.in)

lock: dev-env
	$(COMPILE) pyproject.toml --group build --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --group dev --constraint requirements/run.txt --output-file requirements/dev.txt
	$(foreach others,$(OTHERS),$(COMPILE) $(others) --output-file $(others:.in=.txt) &&) true

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

run-env:
	@bash .ci/setup run

dev-env:
	@bash .ci/setup dev
