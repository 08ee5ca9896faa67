# Build, test and run bd. README names the two that matter: make demo, make test.
SHELL := /bin/bash
BD_CACHE ?= $(HOME)/.cache/bd
# One target folder outside the clone, so that fresh clones reuse compiled dependencies.
export CARGO_TARGET_DIR ?= $(BD_CACHE)/target
export BD_CACHE
# Where the scripts that start the real systems are (only for test-peers and bench).
PEERS ?= ../shared/peers
BD := $(CARGO_TARGET_DIR)/release/bd
CASES := $(CARGO_TARGET_DIR)/release/tv-cases

WORLD := $(CARGO_TARGET_DIR)/release/tv-world
UI_SOURCES := $(shell find ui -type f -not -path 'ui/node_modules/*' -not -path 'ui/dist/*' -not -path 'ui/shots/*')

.PHONY: help setup ui build test lint test-peers demo replay bench soak fuzz screenshot clean

help:
	@echo "make demo        the digital-TV demo, live: databases and devices -> topics -> SQL -> search -> dashboard"
	@echo "make demo REPLAY=DIR [DATA=DIR]   the same with a folder of recorded events"
	@echo "make test        all tests (installs what they need first)"
	@echo "make build       the release build: $(BD)"
	@echo "make replay CASE=DIR [DATA=DIR]   load a folder of events, process it, compare with its expected rows"
	@echo "make screenshot  the picture in README, anew (takes five minutes)"
	@echo "make lint        formatting, clippy, licences"
	@echo "make test-peers  tests against Apache Kafka (PEERS=DIR, needs Java)"
	@echo "make soak        a thousand kills of the broker under load (SOAK_KILLS=N, SOAK_SEED=N), models with many seeds, then"
	@echo "                 each fuzz target for an hour (SOAK_FUZZ_SECONDS=N, 0: none)"
	@echo "make fuzz        each fuzz target for FUZZ_SECONDS (needs cargo-fuzz and a nightly compiler; FUZZ_TARGETS=\"A B\")"
	@echo "make bench       benchmarks, beside Apache Kafka, Spark and Elasticsearch where PEERS has them"

setup:
	@scripts/setup.sh

# What the console shows; it becomes a part of the binary.
ui: ui/dist/index.html
ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && npm run --silent build
	@touch $@

build: setup
	@$(MAKE) --no-print-directory ui
	cargo build --release -p bd -p tv-cases -p tv-world

test: setup
	@$(MAKE) --no-print-directory ui
	cd ui && npm test --silent
	BD_TEST_BINARIES_BUILT=1 cargo test --workspace --no-fail-fast

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features bd-cluster-kafka/peers,bd-connectors/peers,bd-schema/peers -- -D warnings

test-peers: setup
	@tests/peers/run.sh "$(PEERS)"

demo: build
	@exec demo/tv/demo.sh "$(WORLD)" "$(BD)" "$(DATA)" "$(REPLAY)"

replay: build
	@demo/tv/replay.sh "$(BD)" "$(CASES)" "$(CASE)" "$(DATA)"

screenshot: build
	@scripts/screenshot.sh "$(WORLD)" "$(BD)" docs/dashboard.png

bench: build
	@bench/run.sh "$(BD)" "$(CASES)" "$(WORLD)" "$(PEERS)"

# The release build, ended by kill -9 again and again under load, then the models of power loss and of codecs with many seeds; half
# an hour. Then each fuzz target for an hour.
SOAK_KILLS ?= 1000
SOAK_SEED ?= 1
SOAK_SEEDS ?= 20
SOAK_CASES ?= 5000
SOAK_FUZZ_SECONDS ?= 3600
soak: build
	BD_TEST_BINARIES_BUILT=1 BD_SOAK_KILLS=$(SOAK_KILLS) BD_SOAK_SEED=$(SOAK_SEED) \
		cargo test --release -p bd-e2e --test soak -- --nocapture
	BD_SOAK_SEEDS=$(SOAK_SEEDS) cargo test --release -p bd-broker --test power_loss -- --nocapture
	PROPTEST_CASES=$(SOAK_CASES) cargo test --release -p bd-log --test model --test compaction_model
	PROPTEST_CASES=$(SOAK_CASES) cargo test --release -p bd-schema --lib properties
	@if [ "$(SOAK_FUZZ_SECONDS)" = 0 ]; then echo "soak: fuzzing is left out: SOAK_FUZZ_SECONDS=0"; \
	elif lacks=$$($(FUZZ_LACKS)); then echo "soak: fuzzing is left out: $$lacks"; \
	else $(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(SOAK_FUZZ_SECONDS); fi

# Coverage-guided, each target for so many seconds, from fuzz/seeds and what was found before; what they find becomes a file in
# fuzz/artifacts.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
# Says what is missing; fails if nothing is.
FUZZ_LACKS = if ! cargo fuzz --version >/dev/null 2>&1; then echo "there is no cargo-fuzz (cargo install cargo-fuzz)"; \
	elif ! cargo +nightly --version >/dev/null 2>&1; then echo "there is no nightly compiler (rustup toolchain install nightly)"; \
	else false; fi
# Leaks are not looked for: threads that end just then are taken for some.
fuzz:
	@if lacks=$$($(FUZZ_LACKS)); then echo "fuzz: $$lacks" >&2; exit 1; fi
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; seeds=fuzz/seeds/$$target; [ -d $$seeds ] || seeds=; \
		cargo +nightly fuzz run --fuzz-dir fuzz $$target fuzz/corpus/$$target $$seeds -- -max_total_time=$(FUZZ_SECONDS) \
			-rss_limit_mb=2048 -max_len=4096 -detect_leaks=0; \
	done

clean:
	rm -rf "$(CARGO_TARGET_DIR)"
