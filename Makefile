# The commands of the house. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
.PHONY: help deps deps-run deps-bench build run test bench fmt sqlx deny clean

# Marks of what has been installed, so that a second call is instant.
STAMPS := target/deps
# Folders with packages from npm: what runs needs the first, tests need all.
NODE_RUN := runners/node
NODE_TEST := $(patsubst %/package-lock.json,%,$(wildcard \
	testing/*/package-lock.json crates/*/tests/fixtures/*/package-lock.json))
installed = $(addsuffix /node_modules/.package-lock.json,$(1))
# The pages for browsers, which the binary carries.
CONSOLE := console/dist/connect.html
CONSOLE_SOURCES := $(wildcard console/*.html console/*.json console/*.mjs console/*.ts) \
	$(shell find console/src console/types -type f)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: deps-run ## Start Causeway with the demo app on http://127.0.0.1:8400, until Ctrl-C
	@cargo build --locked -p causeway -p causeway-simulators --bins
	@exec target/debug/causeway-demo

test: ## Check and test everything, as the build machines do
	@.ci/phase --start
	@.ci/phase "dependencies" $(MAKE) deps
	@.ci/phase "format" cargo fmt --all --check
	@.ci/phase "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
	@.ci/phase "build" cargo build --locked --workspace --all-targets
	@.ci/phase "tidy" target/debug/xtask tidy
	@.ci/phase "queries" target/debug/xtask sqlx --check
	@.ci/phase "doc tests" cargo test --locked --workspace --doc --quiet
	@.ci/phase --report
	@target/debug/xtask test --locked --workspace

build: deps-run ## Build the released binary: target/release/causeway
	@cargo build --locked --release -p causeway

deps: deps-run $(STAMPS)/debian-test $(STAMPS)/nextest $(STAMPS)/vm-kernel $(STAMPS)/vm-vsock target/testing-venv/installed $(call installed,$(NODE_TEST)) ## Install what tests need and this machine lacks

bench: deps deps-bench ## Measure against peers and limits; writes bench/README.md's tables
	@bench/run

fmt: ## Format the Rust sources
	@cargo fmt --all

sqlx: deps ## Check the queries on both databases and write their metadata
	@cargo xtask sqlx

deny: ## Check packages with cargo-deny, advisories included (needs the network)
	@cargo deny --version >/dev/null 2>&1 || { \
		echo "Installing cargo-deny: about two minutes on two cores"; \
		cargo install --locked --debug cargo-deny; }
	@cargo deny --all-features check

clean: ## Remove what was built and installed here
	@cargo clean
	@rm -rf $(addsuffix /node_modules,console $(NODE_RUN) $(NODE_TEST)) console/dist

deps-run: $(STAMPS)/debian-run $(call installed,$(NODE_RUN)) $(CONSOLE)

deps-bench: $(STAMPS)/debian-bench

$(STAMPS)/debian-%: .ci/debian-packages
	@.ci/debian-packages $*
	@mkdir -p $(@D) && touch $@

%/node_modules/.package-lock.json: %/package-lock.json | $(STAMPS)/debian-run
	@echo "Installing the npm packages of $*"
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@mkdir -p $(@D) && touch $@

$(CONSOLE): $(CONSOLE_SOURCES) | $(call installed,console)
	@echo "Building the console"
	@cd console && npm run --silent build
	@touch $@

target/testing-venv/installed: testing/requirements.txt | $(STAMPS)/debian-test
	@echo "Installing the Python packages of the tests"
	@python3 -m venv --clear target/testing-venv
	@target/testing-venv/bin/pip install --quiet --disable-pip-version-check -r testing/requirements.txt
	@touch $@

# The kernel of the virtual machines that tests emulate: unpacked, not installed, since it is not to boot
# this machine.
$(STAMPS)/vm-kernel: | $(STAMPS)/debian-test
	@.ci/vm-kernel target/vm-kernel
	@mkdir -p $(@D) && touch $@

# Their vsock, whose Unix sockets are as Firecracker's.
$(STAMPS)/vm-vsock:
	@echo "Building the vsock of emulated machines: about a minute on two cores, once"
	@cargo install --quiet --locked --debug vhost-device-vsock --version 0.3.0 \
		--root target/vhost-device-vsock --target-dir target/vhost-device-vsock/build
	@rm -rf target/vhost-device-vsock/build
	@mkdir -p $(@D) && touch $@

$(STAMPS)/nextest:
	@cargo nextest --version >/dev/null 2>&1 || { \
		echo "Installing cargo-nextest: about two minutes on two cores, once"; \
		cargo install --locked --debug cargo-nextest --version 0.9.143; }
	@mkdir -p $(@D) && touch $@
