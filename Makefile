# One front door for tasks. Each target makes the environment it needs in .venv, so `make demo` and `make test` work in a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
DATASETS ?= ../shared/datasets

.PHONY: demo test lint format bench hooks wheel train clean help

help:  ## list the tasks
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: .venv/installed  ## upscale a real picture with the bundled weights
	$(BIN)/fsrcnn upscale examples/astronaut.png --scale 3 -o demo_output/ --overwrite
	@echo "Open demo_output/astronaut.png (and examples/astronaut.png beside it)."

test: .venv/developing  ## run the tests
	$(BIN)/python -m pytest

lint: .venv/developing  ## style, types, and the floors of the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/developing  ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/developing  ## time a whole 1080p → 4K command part by part, its memory at 100 megapixels, and training
	$(BIN)/python benchmarks/photo_to_4k.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/training_speed.py

hooks: .venv/developing  ## run lint before each commit in this clone
	git config core.hooksPath .hooks

wheel: .venv/developing  ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

train: .venv/developing  ## rerun the recipe of one model: make train MODEL=fsrcnn-x3 DATASETS=folder
	PATH="$(CURDIR)/$(BIN):$$PATH" DATASETS="$(DATASETS)" sh recipes/$(MODEL).sh

clean:  ## remove what these tasks made
	rm -rf .venv demo_output dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/created:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/developing: .venv/created pyproject.toml requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@ .venv/installed
