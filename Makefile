# The developer's manual: one verb a task. `make` alone lists them.

CARGO ?= cargo

# The soak runs what is built: the release where it is.
SOAK_PROFILE = $(if $(wildcard target/release/secret-service),--release)

# The service tier waits more than it computes: half as many tests again as processors keep both busy.
SERVICE_THREADS = $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

export PATH := $(CURDIR)/.cache/bin:$(PATH)

.PHONY: help build run kube test simulate simulate-faults soak mutants fuzz unit lint format faults image deny contract chart sbom generate docs bench bench-cluster bench-image bench-peer bench-hostile bench-clients bench-console console screenshots tools clean
.DEFAULT_GOAL := help

help: ## List the verbs.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the release binary, target/release/secret-service.
	$(CARGO) build --release --locked

run: ## Run the service with its doubles on loopback (dev mode).
	$(CARGO) run --locked -- dev

kube: ## Run a real Kubernetes control plane on loopback (built by Go when first needed), until Ctrl-C.
	scripts/control-plane >/dev/null
	$(CARGO) run --quiet --locked --example kube

test: tools ## Run all tests: unit, service tier in both engines, the process, the README's walk, Azure's SDKs, the clients.
	$(CARGO) test --locked --workspace --lib --tests
	SECRET_SERVICE_TESTS_ENGINE=secret-store RUST_TEST_THREADS=$(SERVICE_THREADS) $(CARGO) test --locked --test service
	RUST_TEST_THREADS=$(SERVICE_THREADS) scripts/on-control-plane $(CARGO) test --locked --test service --test extension --test control_plane --test console
	SECRET_SERVICE_TESTS_ENGINE=secret-store RUST_TEST_THREADS=$(SERVICE_THREADS) scripts/on-control-plane $(CARGO) test --locked --test service

simulate: ## Simulate the whole service under fresh seeds for SECONDS (600), after the kept ones; SEED=N replays one.
	SIMULATION_SECONDS=$(or $(SECONDS),600) SIMULATION_SEED=$(SEED) $(CARGO) test --locked --test simulation

simulate-faults: ## Put faults that the service once had back, one at a time, and see that the simulation finds each within 2,000 SEEDS.
	scripts/simulate-faults

mutants: ## Change the core in all ways that cargo-mutants knows, and say which changes no test notices (MUTANTS=cases: the use cases, hours).
	scripts/mutants $(MUTANTS)

soak: ## Kill the real process with -9 under eight callers, KILLS=300 times; SEED=, ENGINE=direct|secret-store, SOAK_SECONDS= instead.
	SOAK_KILLS=$(KILLS) SOAK_SEED=$(SEED) SOAK_ENGINE=$(ENGINE) $(CARGO) test --locked $(SOAK_PROFILE) --test soak

fuzz: ## Fuzz what comes from outside, a minute (FUZZ_SECONDS) for each kind of input, from the kept corpus.
	scripts/fuzz

unit: ## Run the tests that stand beside the code.
	$(CARGO) test --locked --workspace --lib

lint: format deny contract chart sbom faults image ## Check formatting, clippy (warnings are errors), dependencies, the contract and the chart.
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --test '*' --bench '*' -- -D warnings

format:
	$(CARGO) fmt --all --check

faults:
	git apply --check tests/simulation/faults/*.patch

image: ## Check what the image is built of: it compiles without dev mode, and nothing that only dev mode needs is in it.
	scripts/image-contents
	$(CARGO) clippy --locked --no-default-features -- -D warnings

deny:
	scripts/tool cargo-deny
	scripts/deny

contract: ## Hold the contract to buf's rules and to what has landed.
	scripts/contract lint
	scripts/contract breaking

chart: ## Hold the Helm chart to helm's rules and Kubernetes' schemas, and the manifests to the chart.
	scripts/chart lint
	scripts/chart check

sbom: ## Write the software bill of materials, target/secret-service.cdx.json.
	scripts/sbom

generate: ## Generate the clients' code and the manifests, and record the contract as landed.
	scripts/contract land
	scripts/go-client generate
	scripts/python-client generate
	scripts/web-client generate
	scripts/web-console build
	scripts/chart generate

docs: ## Write the reference pages in docs/ anew from the code.
	UPDATE_DOCS=1 $(CARGO) test --locked --test docs

bench: ## Measure the API beside a bare tonic server in the same run.
	$(CARGO) bench --locked

bench-cluster: ## Measure a thousand synced secrets on a real control plane beside a bare loop of server-side applies.
	scripts/on-control-plane $(CARGO) bench --locked --bench cluster

bench-image: ## The same with the binary of the image, and that binary's size. It takes ten minutes to build.
	$(CARGO) build --locked --profile image --no-default-features --bin secret-service
	size --format=gnu target/image/secret-service && stat --format='%s bytes, %n' target/image/secret-service
	BENCH_BINARY=$(CURDIR)/target/image/secret-service scripts/on-control-plane $(CARGO) bench --locked --bench cluster

bench-peer: ## Measure External Secrets Operator beside Secret Service on the same control plane; builds it when first needed.
	directory=$$(scripts/peer) && BENCH_PEER=$$directory scripts/on-control-plane $(CARGO) bench --locked --bench peer

bench-hostile: ## Measure a good caller alone and beside a thousand connections that mean harm, KINDS= of them or all.
	$(CARGO) bench --locked --bench hostile -- $(KINDS)

bench-clients: build ## Measure the Go client beside ghz on the same method.
	scripts/go-client bench

bench-console: build ## Measure the page in Chromium: bytes, time to use, ten thousand rows, axe, and Lighthouse where it is.
	SECRET_SERVICE_BINARY=$(CURDIR)/target/release/secret-service scripts/web-console bench

console: ## Build the web page that the service embeds, clients/web/console/dist.
	scripts/web-console build

screenshots: ## Take the pictures of the documentation anew, docs/console/*.png.
	$(CARGO) build --locked
	scripts/web-console screenshots

tools: ## Install what the tests call: grpcurl, where Go is there, and Azure's SDK, where Python is.
	scripts/tool grpcurl
	scripts/python-sdk

clean: ## Remove what was built and cached.
	rm -rf target .cache .secret-service
