# One front door for tasks. Each target makes the environment it needs in .venv, so `make demo` and `make test` work in a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
DATASETS ?= ../shared/datasets
NATIVE := $(wildcard native/*)
COMMA := ,

.PHONY: demo test lint format bench fuzz hooks wheel wheels train sanitize kill check-aarch64 web c-library clean help

help:  ## list the tasks
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: .venv/installed  ## upscale a real picture with the bundled weights
	$(BIN)/fsrcnn upscale examples/astronaut.png --scale 3 -o demo_output/ --overwrite
	@echo "Open demo_output/astronaut.png (and examples/astronaut.png beside it)."

test: .venv/developing  ## run the tests, on all processors
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

lint: .venv/developing  ## style, types, the floors of the architecture, the measured tables in README and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/tables.py --check

format: .venv/developing  ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/benching  ## time the engines beside general runtimes, a whole 1080p → 4K command, frames in memory, a folder of photos, memory at 100 megapixels, films, the server under load, training, and the engine of browsers
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/photo_to_4k.py
	$(BIN)/python benchmarks/frames.py
	$(BIN)/python benchmarks/folder.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/film.py
	$(BIN)/python benchmarks/film_memory.py
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/training_speed.py
	$(MAKE) web
	$(BIN)/python benchmarks/web_engine.py

fuzz: .venv/developing  ## read 10,000 mutants each of pictures and weights files in child processes, send 10,000 hostile requests, and count what becomes of them
	$(BIN)/python tools/fuzz.py
	$(BIN)/python tools/fuzz_serve.py

sanitize:  ## run the native engine under AddressSanitizer + UndefinedBehaviorSanitizer, then ThreadSanitizer
	cmake -S native -B build/address -DFSRCNN_SANITIZE=address,undefined
	cmake --build build/address --target check check_model --parallel
	build/address/check
	build/address/check_model
	cmake -S native -B build/thread -DFSRCNN_SANITIZE=thread
	cmake --build build/thread --target check check_model --parallel
	build/thread/check
	build/thread/check_model 500

kill: .venv/developing  ## kill every command at random moments, 200 times with each of KILL, TERM and INT, films too, and look at what is left (hours)
	$(BIN)/python tools/kill.py
	$(BIN)/python tools/kill_films.py

check-aarch64:  ## run the NEON engine under QEMU (Debian: apt-get install g++-aarch64-linux-gnu qemu-user-static)
	cmake -S native -B build/aarch64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
		-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
	cmake --build build/aarch64 --target check check_model --parallel
	qemu-aarch64-static build/aarch64/check
	qemu-aarch64-static build/aarch64/check_model 500

# Debian: apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32 wasi-libc. Where there
# is no clang-19: .venv/bin/pip install ziglang.
WASM_CXX ?= $(if $(shell command -v clang++-19),clang++-19 --target=wasm32-wasi,$(BIN)/python -m ziglang c++ -target wasm32-wasi)
WASM_SOURCES := $(addprefix native/,engine.cpp instruction_sets.cpp isa_wasm.cpp packer.cpp plan.cpp wasm.cpp)
WASM_EXPORTS := malloc free $(addprefix fsrcnn_,abi explain create run describe destroy)

web: .venv/developing web/dist/fsrcnn.wasm  ## build the engine for browsers and its npm package into web/dist/, and copy it into the page
	$(BIN)/python tools/web.py

# No contraction, as in CMakeLists.txt. The stack is clang's for WebAssembly; zig's would be of 16 MB.
web/dist/fsrcnn.wasm: $(NATIVE) | .venv/developing
	@$(WASM_CXX) --version > /dev/null 2>&1 || { echo "make web needs clang++-19, or zig: type .venv/bin/pip install ziglang" >&2; exit 1; }
	mkdir -p $(@D)
	$(WASM_CXX) -std=c++17 -O2 -msimd128 -ffp-contract=off -fno-math-errno -fno-exceptions -fno-rtti -fvisibility=hidden \
		-Wall -Wextra -mexec-model=reactor -Wl,--strip-all -Wl,-z,stack-size=65536 \
		$(addprefix -Wl$(COMMA)--export=,$(WASM_EXPORTS)) $(WASM_SOURCES) -o $@

PREFIX ?= $(CURDIR)/build/prefix

c-library:  ## build and install the library for C and whatever calls C: make c-library PREFIX=folder
	cmake -S native -B build/c
	cmake --build build/c --parallel
	cmake --install build/c --prefix "$(PREFIX)"

hooks: .venv/developing  ## run lint before each commit in this clone
	git config core.hooksPath .hooks

wheel: .venv/developing  ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

wheels: .venv/wheeling web  ## build the release into dist/: wheels for x86-64 and AArch64, the pure one, the sources; check each where it can be run
	$(BIN)/python tools/wheels.py

train: .venv/developing  ## rerun the recipe of one model: make train MODEL=fsrcnn-x3 DATASETS=folder
	PATH="$(CURDIR)/$(BIN):$$PATH" DATASETS="$(DATASETS)" sh recipes/$(MODEL).sh

clean:  ## remove what these tasks made
	rm -rf .venv demo_output dist build web/dist web/node_modules web/LICENSE src/fsrcnn/serve/page/engine .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/created:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@


# Built with the pinned tools, in build/, so that a change in native/ recompiles only what it touches.
.venv/developing: .venv/created pyproject.toml requirements-dev.txt $(NATIVE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ .venv/installed

.venv/benching: .venv/developing requirements-bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-bench.txt
	@touch $@

.venv/wheeling: .venv/developing requirements-wheels.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-wheels.txt
	@touch $@
