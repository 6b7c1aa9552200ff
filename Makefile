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

engine:
	@tests/start-engine
.PHONY: engine

images: build engine ## build all images; ARGS='@nova' builds some, starts Docker if none answers
	@tests/need mmdebstrap=mmdebstrap setpriv=util-linux
	$(KOLLA) build $(ARGS)
.PHONY: images

push: build engine ## build and push all images: make push REGISTRY=HOST:PORT
	@test -n "$(REGISTRY)" || { echo "to which registry? make push REGISTRY=HOST:PORT" >&2; exit 2; }
	@tests/need mmdebstrap=mmdebstrap setpriv=util-linux
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

fuzz: ## fuzz what reads the files of strangers, each target for FUZZ_SECONDS (60)
	@tests/fuzz
.PHONY: fuzz

bench: build ## measure against the tools people would use instead
	bench/run
.PHONY: bench

clean: ## remove what was compiled and rendered; images stay
	cargo clean
.PHONY: clean
