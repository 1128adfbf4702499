# Shortcuts for CMake and ctest. `make help` lists the targets.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CTEST = ctest --output-on-failure -j$(JOBS)
FUZZ_SECONDS ?= 60
RECIPE ?= recipes/quickstart.yaml
OUT ?= runs/$(basename $(notdir $(RECIPE)))

.PHONY: all help deps build test check format layers words rooms lint sanitize bench fuzz model transformers run install uninstall clean
all: build

help:
	@echo 'make                build the program and the libraries in $(BUILD)/'
	@echo 'make run            install what is missing, build, run $(RECIPE) into $(OUT), or continue it'
	@echo '                    (RECIPE=recipes/gsm8k-smollm2-quick.yaml: a real model, which is downloaded; OUT=runs/again: another run)'
	@echo 'make test           install what is missing, build, run every test'
	@echo 'make check          format, levels, words, rooms, lint, then the tests under ASan and UBSan'
	@echo 'make lint           clang-tidy over src/, of files that have changed since they were clean'
	@echo '                    (LINT_SINCE=COMMIT: only those that have changed since it; JOBS=2: processes)'
	@echo 'make bench          measure speeds, as JSON'
	@echo 'make fuzz           fuzz the readers of files and grading (FUZZ_SECONDS=$(FUZZ_SECONDS) each;'
	@echo '                    FUZZ_TARGETS=fuzz_grade: one target; FUZZ_OPTIONS=-runs=10000000: by inputs, not time)'
	@echo 'make deps           install the Debian packages that are missing'
	@echo 'make model          download SmolLM2-135M-Instruct into models/'
	@echo 'make transformers   install a Python with transformers in build/transformers, for one test'
	@echo 'make install        into $$DESTDIR$$PREFIX (PREFIX=$(PREFIX))'
	@echo 'make uninstall      removes what it installed (the same DESTDIR)'
	@echo 'make clean          remove $(BUILD)/, build-sanitize/ and build-fuzz/'

deps:
	@tools/deps build

build:
	@tools/deps --check build
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release $(CMAKE_FLAGS) > $(BUILD)/configure.log 2>&1 || \
		{ cat $(BUILD)/configure.log; exit 1; }
	@cmake --build $(BUILD) -j$(JOBS) $(addprefix --target ,$(TARGET))

# Without a network, tests that need a download are skipped; in CI they must run.
test:
	@tools/deps build test transformers
	@$(MAKE) --no-print-directory build
	@tools/get-smollm2 --gguf-only || { test -z "$$CI" && echo 'The tests on SmolLM2 will be skipped.'; }
	@tools/setup-transformers build/transformers > /dev/null || \
		{ test -z "$$CI" && echo 'The test on transformers will be skipped.'; }
	@$(CTEST) --test-dir $(BUILD)

check: format layers words rooms lint sanitize

format:
	@tools/check-format

# Each checker first shows that its rules can fail.
layers:
	@tools/check-layers --self-test
	@tools/check-layers

# Plain English, folder by folder: make words IN=src/app
words:
	@tools/check-words --self-test
	@tools/check-words $(IN)

rooms:
	@tools/draw-rooms --check

lint: build
	@tools/deps lint
	@JOBS=$(JOBS) LINT_SINCE=$(LINT_SINCE) tools/lint $(BUILD)

sanitize:
	@tools/deps build test
	@$(MAKE) --no-print-directory build BUILD=build-sanitize CMAKE_FLAGS=-DESPALIER_SANITIZE=ON
	@$(CTEST) --test-dir build-sanitize

# First single parts, then the program on SmolLM2.
bench: build
	@tools/get-smollm2 --gguf-only
	@for part in $(BUILD)/bench/*; do echo "$$part" >&2; $$part || exit 1; done
	@$(BUILD)/espalier bench

fuzz:
	@tools/deps build fuzz
	@CLANG=clang-14 sh tests/fuzz/run_targets $(FUZZ_SECONDS) $(FUZZ_TARGETS)

model:
	@tools/get-smollm2

transformers:
	@tools/setup-transformers build/transformers

run: deps
	@$(MAKE) --no-print-directory build TARGET=espalier # without the tests
	@! grep -q 'models/smollm2' $(RECIPE) || tools/get-smollm2
	@! grep -q 'data/word-problems' $(RECIPE) || tools/get-word-problems
	@if [ -e $(OUT)/run.db ]; then \
		echo '$(OUT) exists: continuing it (make run OUT=runs/again starts another run).'; \
		$(BUILD)/espalier run $(RECIPE) --out $(OUT) --resume; \
	else \
		$(BUILD)/espalier run $(RECIPE) --out $(OUT); \
	fi
	@command -v espalier > /dev/null || echo 'The program is $(BUILD)/espalier (make install puts it on the path).'

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

# What the last `make install` of this build folder has installed.
uninstall:
	@test -e $(BUILD)/install_manifest.txt || { echo '$(BUILD)/install_manifest.txt is not there: nothing was installed from $(BUILD)' >&2; exit 1; }
	@sed "s|^|$$DESTDIR|" $(BUILD)/install_manifest.txt | while read -r file || [ -n "$$file" ]; do rm -f "$$file"; done
	@rm -f $(BUILD)/install_manifest.txt

clean:
	@rm -rf $(BUILD) build-sanitize build-fuzz
