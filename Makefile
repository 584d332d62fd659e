# Everything lives in .venv, and a target makes what it needs. Tests see the installed package.
PYTHON ?= python3
TORCH ?= torch==2.13.0# what the tests are run with; the package takes any from 2.9 on
INRCODEC_REQUIRE ?= $(if $(shell command -v c++ || command -v g++ || command -v clang++),native)
BIN := .venv/bin
SOURCES := pyproject.toml README.md $(shell find inrcodec cuda_ext -type f -not -name '*.pyc')
NATIVE := $(filter %.cpp %.cu %.h,$(SOURCES))
PYTEST := OMP_NUM_THREADS=1 INRCODEC_TEST_INSTALLED=1 $(BIN)/pytest
export INRCODEC_REQUIRE# where there is a compiler, a test that lacks native code fails
export PYTHONSAFEPATH := 1# the source folder never hides the installed package
export OMP_WAIT_POLICY := PASSIVE# threads that wait do not spin, which slows a busy machine
.PHONY: help setup demo test check fix native fuzz rd docs clean
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile
setup: .venv/installed ## make .venv; install the package with all extras, and developers' tools
.venv/tools: pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv && $(BIN)/pip install -q --upgrade pip && $(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q --group dev && ($(BIN)/pip install -q --group compiled || true) && touch $@
.venv/installed: .venv/tools $(SOURCES)
	$(BIN)/pip install -q --no-build-isolation '.[all]' && touch $@
demo: setup ## encode, decode and measure the samples; demo/demo.png shows them; DEMO_SECONDS=20 an encode
	$(BIN)/python scripts/demo.py --seconds $(or $(DEMO_SECONDS),20)
test: setup ## every test, on the installed package
	$(PYTEST)
check: setup ## format, lint, types, rules of the house
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/clang-format -n -Werror $(NATIVE)
	$(BIN)/mypy && $(PYTEST) -q tests/unit/test_house.py
fix: setup ## put format and imports right
	$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format . && $(BIN)/clang-format -i $(NATIVE)
native: setup ## what is installed, and native code against its reference
	$(BIN)/inrcodec doctor && INRCODEC_REQUIRE=native $(PYTEST) tests/parity
fuzz: setup ## damage each golden stream FUZZ_RUNS=2000 times; only documented errors may come
	$(BIN)/python scripts/fuzz.py data/vectors/*/valid/*.inr --runs $(or $(FUZZ_RUNS),2000)
rd: setup ## measure images, sounds and films of DATA into data/rd, tables into docs (takes hours)
	for s in images sounds films; do PYTHONPATH=scripts $(BIN)/python scripts/run_rd.py $(DATA) --set $$s --rows data/rd/$$s.csv || exit; done; $(BIN)/python scripts/plot_rd.py --into docs/results.md
docs: setup ## write docs/cli.md anew from the command line
	$(BIN)/typer inrcodec.cli utils docs --name inrcodec --output docs/cli.md
clean: ## remove what can be made again
	rm -rf .venv build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
