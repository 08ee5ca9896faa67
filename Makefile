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

.PHONY: help setup build test lint test-peers demo replay bench clean

help:
	@echo "make demo        the digital-TV case, from a folder of recorded events to tables of results"
	@echo "make test        all tests (installs what they need first)"
	@echo "make build       the release build: $(BD)"
	@echo "make replay CASE=DIR [DATA=DIR]   run another folder of events and compare with its expected rows"
	@echo "make lint        formatting, clippy, licences"
	@echo "make test-peers  tests against Apache Kafka (PEERS=DIR, needs Java)"
	@echo "make bench       benchmarks, beside Apache Kafka and Spark where PEERS has them"

setup:
	@scripts/setup.sh

build: setup
	cargo build --release -p bd -p tv-cases

test: setup
	BD_TEST_BINARIES_BUILT=1 cargo test --workspace --no-fail-fast

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test-peers: setup
	@tests/peers/run.sh "$(PEERS)"

demo: build
	@demo/tv/demo.sh "$(BD)" "$(CASES)" "$(DATA)"

replay: build
	@demo/tv/replay.sh "$(BD)" "$(CASES)" "$(CASE)" "$(DATA)"

bench: build
	@bench/run.sh "$(BD)" "$(CASES)" "$(PEERS)"

clean:
	rm -rf "$(CARGO_TARGET_DIR)"
