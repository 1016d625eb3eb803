# Two commands do everything on a fresh Debian 12 with Go, make, git and root:
# `make demo` and `make test`. `make help` lists the rest.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

KERNEL   ?= host
RUN      ?= .
FUZZTIME ?= 3s
PKGS     := $$(go list ./... | grep -v '/e2e$$')
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X github.com/flowshunt/flowshunt/pkg/version.release=$(VERSION)
TOOL     := go tool -modfile=hack/tools/go.mod

export KERNEL RUN FUZZTIME
# as written: make would expand the dollars of a command or an expression
override CMD := $(value CMD)
override RUN := $(value RUN)
export CMD

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install the Debian packages that all of this needs
	@hack/setup

.PHONY: build
build: ## build the commands into bin/
	@mkdir -p bin
	test ! -d cmd || CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: man
man: ## write the man pages into build/man
	@mkdir -p build/man
	go run ./cmd/flowshuntctl man build/man

.PHONY: unit
unit: ## test every package but e2e, where goroutines are with the race detector
	@hack/setup unit
	go test ./flows/... & pid=$$!; status=0; \
	go test -race -p 3 $$(go list ./... | grep -v -e '/e2e$$' -e '/flowshunt/flows$$' -e '/flowshunt/flows/') || status=$$?; \
	wait $$pid && exit $$status

.PHONY: lint
lint: ## gofmt, vet, staticcheck, layers
	@hack/lint

.PHONY: generate
generate: ## regenerate generated code
	@hack/setup generate
	go generate ./...

.PHONY: generate-check
generate-check: ## fail when generated code is not what generate makes
	@hack/generate-check

.PHONY: ovn-newer
ovn-newer: ## unpack the OVN of the next Debian release, for the tests that compare with it
	@hack/ovn-newer

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@hack/fuzz

.PHONY: bench
bench: ## run the benchmarks against their peers, results in build/bench.json
	@hack/bench

.PHONY: bench-once
bench-once: ## run every Go benchmark once, so that none can rot
	go test -short -run '^$$' -bench . -benchtime 1x $(PKGS)

.PHONY: e2e
e2e: ## run stories on real OVS: RUN=<regexp> KERNEL=<6.1|6.12|host>
	@hack/e2e

.PHONY: vm
vm: ## run CMD='...' in a virtual machine: KERNEL=<6.1|6.12>
	@hack/setup vm
	@mkdir -p build && go build -o build/vm ./hack/vm
	@build/vm -kernel $(KERNEL:host=6.1) -share build -- bash -c "$$CMD"

.PHONY: demo
demo: ## show an elephant leave the slow path, with numbers
	@hack/demo

.PHONY: test
test: ## everything a change must pass: one kernel, each story once
	@hack/test

.PHONY: test-all
test-all: ## everything there is: both kernels, slow stories, longer fuzzing
	@hack/test all

.PHONY: clean
clean: ## remove what builds and tests made in this folder
	rm -rf bin build
