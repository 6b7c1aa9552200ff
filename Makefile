# Builds, tests and publishes the images. `make` lists what there is.

.DEFAULT_GOAL := help
.NOTPARALLEL:
KOLLA := target/release/kolla
# Passed on to kolla: make images ARGS='--namespace me @nova'
ARGS ?=

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
.PHONY: help

build: ## compile kolla
	@tests/need git=git cc=build-essential
	@tests/need-rust
	cargo build --release --package kolla
.PHONY: build

images: build ## build all images, with Docker where it answers and else without; ARGS='@nova' builds some
	$(KOLLA) build $(ARGS)
.PHONY: images

push: build ## build and push all images: make push REGISTRY=HOST:PORT
	@test -n "$(REGISTRY)" || { echo "to which registry? make push REGISTRY=HOST:PORT" >&2; exit 2; }
	$(KOLLA) build --push --registry "$(REGISTRY)" $(ARGS)
.PHONY: push

lint: ## check format, lints, licences, scripts and rendered Dockerfiles
	@tests/lint
.PHONY: lint

test: lint build ## run every check and test, on an engine and registries of its own
	@tests/need mmdebstrap=mmdebstrap
	cargo test --release --workspace --lib --bins --tests --no-run
	tests/with-engine cargo test --release --workspace --lib --bins --tests --no-fail-fast
.PHONY: test

conformance: build ## compare what the native engine builds with what BuildKit builds; build a plan with buildx
	cargo test --release --workspace --test conformance --test bake --no-run
	tests/conformance/judge cargo test --release --workspace --test conformance --test bake
.PHONY: conformance

acceptance: build ## prove that the images run OpenStack: a database to a stack, on a machine of its own
	tests/acceptance/run
	tests/acceptance/run --break keystone
.PHONY: acceptance

fuzz: ## fuzz what reads the files of strangers, each target for FUZZ_SECONDS (60)
	@tests/fuzz
.PHONY: fuzz

bench: build ## measure against the tools people would use instead
	bench/run
.PHONY: bench

clean: ## remove what was compiled and rendered; images stay
	cargo clean
.PHONY: clean
