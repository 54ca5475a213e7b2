# What developers type. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/afterchat/afterchat/cmd.version=$(VERSION)
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static binary build/afterchat
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o build/afterchat ./cmd/afterchat

.PHONY: test
test: ## Run all tests, with the race detector if there is a C compiler; needs only Go. Ends with what was skipped and why
	@race=-race; if ! command -v "$$(go env CC | cut -d ' ' -f 1)" >/dev/null || [ "$${CGO_ENABLED:-1}" = 0 ]; then \
	  race=; echo "no C compiler: the tests run without the race detector" >&2; fi; set -x; \
	go test -json $$race -shuffle=on -timeout 20m ./... | go run ./cmd/testdata/skipped

.PHONY: property
property: ## Render 100,000 random conversations with all examples, and with random configurations
	go test -count=1 -timeout 20m ./config ./internal/pipeline -run '^TestPromise' -rapid.checks=5000

# The tests of faults add a row each, whatever became of them.
FAULTS := $(CURDIR)/build/faults.md
define print_faults
printf '\n| fault | engine | acknowledged | delivered | lost | doubled | seconds to recover |\n|---|---|---|---|---|---|---|\n'; cat $(FAULTS)
endef

.PHONY: e2e
e2e: build request-tracker ## Run the tests that need the built binary, root or other programs
	@programs=$$(bash internal/ledger/postgrestest/install.sh) || exit 1; browser=$$(bash cmd/testdata/chromium/install.sh) || exit 1; set -x; \
	AFTERCHAT_POSTGRES=$$programs AFTERCHAT_E2E=$(CURDIR)/build/afterchat go test -count=1 -timeout 10m ./internal/ledger/postgres -run '^TestE2E' -rapid.checks=30 -v; \
	AFTERCHAT_POSTGRES=$$programs go test -count=1 ./internal/gateway ./internal/delivery -run '^TestE2E' -v; \
	: >$(FAULTS); export AFTERCHAT_FAULTS=$(FAULTS); \
	AFTERCHAT_POSTGRES=$$programs AFTERCHAT_CHROMIUM=$$browser AFTERCHAT_E2E=$(CURDIR)/build/afterchat go test -count=1 -timeout 25m ./cmd/... -run '^TestE2E' -v; \
	set +x; $(print_faults)

.PHONY: chaos
chaos: build ## Print the fault matrices of the connectors; kill gateway and database 1,000 times under load, or CYCLES times; print the table of faults
	go test -count=1 -v -run '^(TestFaults|TestKills|TestFaultMatrix|TestRandomFaults|TestKill)$$' ./connectors/zendesk ./connectors/hubspot
	@programs=$$(bash internal/ledger/postgrestest/install.sh) || exit 1; set -x; \
	: >$(FAULTS); export AFTERCHAT_FAULTS=$(FAULTS); \
	AFTERCHAT_POSTGRES=$$programs AFTERCHAT_E2E=$(CURDIR)/build/afterchat AFTERCHAT_CHAOS_CYCLES=$${CYCLES:-1000} go test -count=1 -timeout 4h ./cmd \
	  -run '^TestE2E(Kill|Damage|Full|Descriptors|PowerCut|DiskFaults|Clock|LedgerCopy|Postgres.*)$$' -v; \
	set +x; $(print_faults)

.PHONY: request-tracker
request-tracker: ## Install the help desk that make e2e delivers to; needs root on Debian
	bash cmd/testdata/requesttracker/install.sh

.PHONY: lint
lint: ## go vet, golangci-lint, go mod tidy
	go vet ./...
	go run $(GOLANGCI_LINT) run
	go mod tidy -diff

.PHONY: fmt
fmt: ## Format the code
	go run $(GOLANGCI_LINT) fmt

.PHONY: golden
golden: ## Write the golden files anew; read the diff before you commit it
	go test ./... -update

.PHONY: fuzz
fuzz: ## Fuzz every parser, FUZZTIME each (20s)
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-20s} $$package; \
	  done; \
	done

.PHONY: bench
bench: build ## Measure everything beside what the machine can do, in tables, in twelve minutes
	@export AFTERCHAT_BENCH=full; $(BENCH)

.PHONY: bench-quick
bench-quick: build ## The same in three minutes, with fewer and shorter windows
	@$(BENCH)

BENCH = programs=$$(bash internal/ledger/postgrestest/install.sh) || exit 1; set -x; \
	AFTERCHAT_POSTGRES=$$programs AFTERCHAT_E2E=$(CURDIR)/build/afterchat go test -count=1 -timeout 30m ./cmd -run '^$$' -bench '^Benchmark(Table|Console|Isolation)$$' -benchtime 1x

.PHONY: profile
profile: build ## Profile the program under load; the compiler arranges the next build by it
	programs=$$(bash internal/ledger/postgrestest/install.sh) || exit 1; \
	AFTERCHAT_POSTGRES=$$programs AFTERCHAT_E2E=$(CURDIR)/build/afterchat AFTERCHAT_PROFILE=$(CURDIR)/cmd/afterchat/default.pgo \
	  go test -count=1 ./cmd -run '^$$' -bench '^BenchmarkProfile$$' -benchtime 1x

.PHONY: cover
cover: ## Show test coverage by function
	go test -coverprofile=build/cover.out ./... && go tool cover -func=build/cover.out | tail -40

.PHONY: ci
ci: ## What a merge needs: the same as .ci/run
	bash .ci/run
