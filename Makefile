# The same commands everywhere: here, in .ci/run and in the docs. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

# rustup's folder is not on every shell's PATH.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
# Named here, for programs that were built before the tree was moved.
export OUTBOXD_CACHE ?= $(CURDIR)/.cache
TARGET := $(or $(CARGO_TARGET_DIR),target)

# make demo DEMO_STAY=1: everything stays up until Ctrl-C.
DEMO_STAY ?=
# make bench BENCH_ARGS=--help: what can be chosen.
BENCH_ARGS ?=
# Tests that start servers of their own are many and the servers are hungry.
TEST_THREADS ?= $(shell cores=$$(nproc); echo $$((cores < 2 ? 2 : cores > 4 ? 4 : cores)))

# What make test-crash runs: these files of tests/it.
PROOFS := decides_unknown_outcomes leaks_nothing leaves_its_successor_alone refuses_stray_commits resumes_exactly_once \
    survives_broker_loss survives_cluster_faults survives_faults_together survives_lost_requests survives_topic_changes
# Many of them wait for most of their time.
PROOF_THREADS ?= 3
# And these have time limits: nothing runs beside them.
TIMED_PROOFS := takes_over
# Their brokers: replication factor 3, two in-sync replicas needed.
PROOF := OUTBOXD_PROOF=full OUTBOXD_BROKERS=3 cargo test --test it --features failpoints
# make soak-crash N=…: crash injections.
N ?= 10000

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: setup ## show the main job on real servers, with two crashes and a proof (DEMO_STAY=1: leave it up)
	@echo "building outboxd (release; the first time takes some minutes)"
	@cargo build --release --bin outboxd
	@cargo build --package testbed --bin demo
	@exec $(TARGET)/debug/demo $(TARGET)/release/outboxd config/demo.toml $(if $(DEMO_STAY),--stay)

.PHONY: test
test: setup ## build and run every test, on real servers
	@start=$$SECONDS; \
	OUTBOXD_FUZZ_SECONDS=60 \
	    cargo test --workspace --features failpoints --no-fail-fast -- --test-threads=$(TEST_THREADS); \
	[ -n "$${CI:-}" ] || echo "make test: all passed in $$((SECONDS - start)) s"

.PHONY: test-crash
test-crash: setup ## the proofs in full: every fault, many times (less than an hour)
	@start=$$SECONDS; failed=0; \
	proofs() { $(PROOF) --no-fail-fast -- --nocapture --include-ignored --test-threads="$$@" || failed=1; }; \
	proofs $(PROOF_THREADS) $(PROOFS); \
	proofs 1 $(TIMED_PROOFS); \
	cargo build --release --bin outboxd && proofs 1 holds_no_failpoint || failed=1; \
	echo "make test-crash: $$((SECONDS - start)) s"; exit $$failed

# make simulate SCHEDULES=…: how many seeds.
SCHEDULES ?= 1000000

.PHONY: simulate
simulate: rust ## the exactly-once protocol under schedules of chance: SCHEDULES=1000000 (no servers)
	@OUTBOXD_SCHEDULES=$(SCHEDULES) cargo test --release --lib simulation -- --nocapture

# make mutants ONLY=07: those whose patches begin so.
.PHONY: mutants
mutants: setup ## plant each of 26 bugs in a copy of the tree: a test must notice (a quarter of an hour; ONLY=07)
	@tests/mutants/run.sh $(ONLY)

.PHONY: soak-crash
soak-crash: setup ## crash injections by the thousand: N=10000
	@OUTBOXD_INJECTIONS=$(N) $(PROOF) -- --nocapture --test-threads=$(TEST_THREADS) resumes_exactly_once

.PHONY: soak-binlog
soak-binlog: setup ## logs of gigabytes, 100,000 changed bytes (some minutes, 20 GB of disk)
	@cargo test --test it --features failpoints soak_binlog -- --ignored --nocapture --test-threads=1
	@OUTBOXD_FLIPS=100000 cargo test --lib --features failpoints a_changed_byte -- --nocapture

.PHONY: soak-large
soak-large: setup ## one source transaction of 5,000,000 rows, in bounded memory (some minutes, 5 GB of disk)
	@cargo test --release --test it soak_large -- --ignored --nocapture

# make fuzz SECONDS=600: so long for each of six targets.
FUZZ_SECONDS = $(or $(SECONDS),60)

.PHONY: fuzz
fuzz: rust ## feed the decoders damaged inputs, SECONDS (60) a target
	@OUTBOXD_FUZZ_SECONDS=$(FUZZ_SECONDS) cargo test --features failpoints --test fuzz -- --nocapture

.PHONY: check
check: fmt-check clippy doc-check deny ## format, lints, documentation, licences and advisories

.PHONY: bench
bench: setup ## measure throughput and latency on real servers
	@cargo bench --bench relay -- $(BENCH_ARGS)

.PHONY: fmt
fmt: rust ## format the code
	@cargo fmt --all

.PHONY: docs
docs: rust ## regenerate the parts of docs/ that are written from the code
	@OUTBOXD_UPDATE_DOCS=1 cargo test --lib docs

.PHONY: setup
setup: rust ## fetch MySQL, MariaDB and Kafka into .cache (or OUTBOXD_CACHE), install missing packages when root
	@tests/testbed/setup.sh

.PHONY: clean
clean: ## remove what was built and fetched
	@rm -rf $(TARGET) .cache

.PHONY: rust
rust:
	@command -v cargo >/dev/null || { \
	    echo "no cargo found. Install Rust with rustup, see https://rustup.rs:"; \
	    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; \
	    exit 1; } >&2

.PHONY: fmt-check
fmt-check: rust
	@if cargo fmt --version >/dev/null 2>&1; then echo "check: format"; cargo fmt --all --check; \
	else echo "check: no cargo fmt, format skipped (rustup component add rustfmt)"; fi

.PHONY: clippy
clippy: rust
	@if cargo clippy --version >/dev/null 2>&1; then echo "check: clippy"; \
	    cargo clippy --workspace --all-targets --features failpoints -- -D warnings; \
	else echo "check: no cargo clippy, lints skipped (rustup component add clippy)"; fi

.PHONY: doc-check
doc-check: rust
	@echo "check: documentation"
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# Advisories need a database from the network; everything else is known from Cargo.lock.
.PHONY: deny
deny: rust
	@if ! cargo deny --version >/dev/null 2>&1; then \
	    echo "check: no cargo-deny, licences and advisories skipped (cargo install cargo-deny)"; exit 0; fi; \
	echo "check: licences, bans, sources"; \
	cargo deny --log-level error check licenses bans sources; \
	if cargo deny --log-level off fetch db 2>/dev/null; then \
	    echo "check: advisories"; cargo deny --log-level error check --disable-fetch advisories; \
	else echo "check: no advisory database to be had, advisories skipped"; fi
