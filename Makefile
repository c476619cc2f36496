# Commands for contributors and CI. Every step finishes quickly when there is nothing to do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Debian puts nats-server where only root looks.
export PATH := $(PATH):/usr/sbin:/sbin

# `make demo ARGS='--epochs 2'` passes flags on to `ballast demo`, and `make e2e ARGS='-t helm'` to vitest.
ARGS ?=

RESULTS := test-results
# Tests that a cluster of somebody else's can have; the others make one for themselves.
IN_GIVEN_CLUSTER := test/cluster-k8s/cluster.test.ts test/cluster-k8s/keda.test.ts
NODE_MODULES := node_modules/.package-lock.json
BUILT := dist/.built
SOURCES := $(shell find . \( -name node_modules -o -name dist -o -name gen -o -name runs -o -name .git \) -prune \
	-o \( -name '*.ts' -o -name '*.css' -o -path './scripts/*.mjs' -o -name '*.proto' -o -name 'tsconfig*.json' \) -print)

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: check-node setup-data build ## compare methods on long-tailed Fashion-MNIST; ends with a table and a report
	node dist/bundle/cli/main.js demo --parallel 2 $(ARGS)

.PHONY: test
test: check-node setup-tests check unit system ## checks, unit tests, build, system tests

.PHONY: check
check: check-node $(NODE_MODULES) ## formatting, lint, types, protos
	npm run --silent check

.PHONY: unit
unit: check-node $(NODE_MODULES) ## unit tests
	npx vitest run --project unit $(call reporters,unit)

.PHONY: system
system: build ## system tests: real processes that run what is built
	npx vitest run --project 'system*' $(call reporters,system)

.PHONY: images
images: build ## the container image, by Docker or, as root, without it
	@scripts/make-images.sh

.PHONY: containers
containers: build setup-containers ## a cluster of containers: killed, drained, replaced (root, runc, mmdebstrap)
	@scripts/make-images.sh root || echo 'No image: its tests will skip' >&2
	npx vitest run --project containers $(call reporters,containers)

.PHONY: e2e
e2e: build ## the chart and SynthesisRuns in the cluster of KUBECONFIG, or in one of this machine (test/cluster-k8s)
	@[ -n "$$KUBECONFIG" ] || scripts/make-images.sh root || echo 'No image: the test of a cluster will skip' >&2
	npx vitest run --project e2e $(if $(KUBECONFIG),$(IN_GIVEN_CLUSTER)) $(ARGS) $(call reporters,e2e)

.PHONY: build
build: check-node $(BUILT) ## compile into dist/

.PHONY: docs
docs: check-node $(NODE_MODULES) ## write the generated parts of docs/ and grafana/ again
	npx vitest run --project unit docs grafana --update

.PHONY: clean
clean: ## remove what was built (runs/ and node_modules/ stay)
	rm -rf dist gen $(RESULTS)

.PHONY: check-node
check-node:
	@sh scripts/check-node.sh

.PHONY: setup-data
setup-data:
	@sh scripts/setup-data.sh

.PHONY: setup-containers
setup-containers: setup-data
	@sh scripts/setup-tests.sh containers

.PHONY: setup-tests
setup-tests: setup-data
	@sh scripts/setup-tests.sh

$(NODE_MODULES): package-lock.json
	npm ci
	@touch $@

$(BUILT): $(NODE_MODULES) $(SOURCES)
	npm run --silent build
	@touch $@

reporters = --reporter=default --reporter=json --outputFile.json=$(RESULTS)/$(1).json
