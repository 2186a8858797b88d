# Everything a newcomer or CI needs; each target builds what it depends on.

.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CAMPAIGN ?= workflows/campaigns/copper.yaml
PROTOCOL ?= fast
PYTEST_ARGS ?= -n 2 --dist loadfile

# Jobs are short: where Python may not keep its bytecode, each of them would compile the libraries anew for 5 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env demo test lint docs clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

env: $(STAMP) ## Make the environment .venv with the pinned packages

# uv installs in seconds what takes pip more than a minute; where uv cannot be had or cannot reach the packages
# (it does not read pip's configuration), pip does the same from the same pins. nequix comes without what it lists: CUDA
# and tools for training, none of which its networks need.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	{ $(BIN)/python -m pip install --quiet -c constraints.txt uv && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[aiida,dev,docs,mlip]' && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --no-deps nequix; } || \
	{ $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[aiida,dev,docs,mlip]' && \
	  $(BIN)/python -m pip install --quiet -c constraints.txt --no-deps nequix; }
	touch $@

demo: export AIIDA_PATH := $(CURDIR)
demo: export PATH := $(CURDIR)/$(BIN):$(PATH)
demo: env ## Calibrate copper, with the record in .aiida of this folder (about 15 minutes)
	phasecal init
	phasecal launch $(CAMPAIGN) --protocol $(PROTOCOL) --wait
	pk=$$(phasecal query --json | python -c 'import json, sys; print(json.load(sys.stdin)[0]["pk"])')
	phasecal report "$$pk" -o report
	echo "PK $$pk; the report is $(CURDIR)/report/report.html"
	echo "To look further: export AIIDA_PATH=$(CURDIR); $(BIN)/phasecal show $$pk; $(BIN)/verdi daemon stop"

test: env ## Run all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: env ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: env ## Build the site into docs/_build
	$(BIN)/python -m sphinx -n -W --keep-going docs docs/_build

clean: ## Remove the environment and everything built; the record in .aiida stays
	rm -rf $(VENV) build dist report docs/_build docs/jupyter_execute docs/reference/generated .pytest_cache .ruff_cache .mypy_cache
	find phasecal workflows tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
