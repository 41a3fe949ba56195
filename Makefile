# The developer's manual: one verb a task. `make` alone lists them.

CARGO  ?= cargo
CACHE  := $(CURDIR)/.cache
# Versions of the tools that tests and checks use; each is installed into .cache/bin when it is first needed.
GRPCURL_VERSION    := v1.9.3
CARGO_DENY_VERSION := 0.20.2

export PATH := $(CACHE)/bin:$(PATH)

.PHONY: help build run test unit lint format deny bench tools clean
.DEFAULT_GOAL := help

help: ## List the verbs.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the release binary, target/release/secret-service.
	$(CARGO) build --release --locked

run: ## Run the service with its doubles on loopback (dev mode).
	$(CARGO) run --release --locked -- dev

test: tools ## Run all tests: unit, service tier on the doubles, the real process, the README's walk.
	$(CARGO) test --locked --lib --tests

unit: ## Run the tests that stand beside the code.
	$(CARGO) test --locked --lib

lint: format deny ## Check formatting, clippy (warnings are errors) and what the build depends on.
	$(CARGO) clippy --locked --all-targets -- -D warnings

format:
	$(CARGO) fmt --check

deny: $(CACHE)/bin/cargo-deny
	scripts/deny

bench: ## Measure the API beside a bare tonic server in the same run.
	$(CARGO) bench --locked

tools: ## Install what the tests call (grpcurl), where Go is there.
	@scripts/tool grpcurl $(GRPCURL_VERSION)

$(CACHE)/bin/cargo-deny:
	@scripts/tool cargo-deny $(CARGO_DENY_VERSION)

clean: ## Remove what was built and cached.
	rm -rf target .cache .secret-service
