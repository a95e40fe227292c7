# `make check` is all that CI does. Each of its steps also runs alone.
# Needs Go, git, a C compiler (for the race detector) and the usual Unix tools.

# The program whose size is what the SDK costs an app: gRPC transport and one scheme.
SDK_EXAMPLE   ?= ./client/example
SDK_MAX_BYTES ?= 16777216

# Seconds of new fuzzing in all, divided over all targets.
FUZZ_SECONDS  ?= 60

# Simulator seeds; each draws scheme, cohort and faults.
SEEDS         ?= 30

# The steps of `make check`, cheap ones first. `test` is the README's test command.
STEPS := fmt tidy vet test layers generated breaking lint wasm arm sdksize trainer vuln seeds mutants race fuzz

.PHONY: check steps tools generate clean $(STEPS)

check:
	@.ci/run

steps:
	@echo $(STEPS)

test:
	go test ./...

fmt:
	@.ci/fmt

vet:
	go vet ./...

tidy:
	go mod tidy -diff

# Part of `make test` too; here without the test cache.
layers:
	go test -count=1 ./internal/layers

lint: .bin/golangci-lint .bin/buf
	.bin/golangci-lint run ./...
	.bin/buf lint
	.bin/buf format --diff --exit-code

generate: .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc
	.bin/buf generate

generated: .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc
	@.ci/generated

breaking: .bin/buf
	@.ci/breaking

# The core of the SDK runs in a browser; its gRPC transport does not.
wasm:
	GOOS=js GOARCH=wasm go build ./client

arm:
	GOOS=linux GOARCH=arm go build ./client/...

sdksize:
	@.ci/sdksize $(SDK_EXAMPLE) $(SDK_MAX_BYTES)

# The example trainer in Python, run for real by the SDK's process trainer.
trainer:
	@examples/trainer/check.sh

vuln: .bin/govulncheck
	@.ci/vuln

seeds:
	@.ci/seeds $(SEEDS)

mutants:
	go run ./internal/mutants

# Tests that start processes start plain binaries: the detector would see nothing of
# them. Noise, accountants, plans, audits and models have no goroutines. Schemes are machines that
# one goroutine drives; of theirs only what adds and opens sums is used by several. The
# simulator's goroutines are those of its workers, whatever it simulates. A sweep that fails each
# write of a run in turn takes the same steps hundreds of times.
race:
	go test -race -timeout=20m -skip 'AtEveryWrite|EverySingleFailedWrite|WhicheverWriteFails' $$(go list ./... | grep -vE '/internal/processes$$|/secagg/(oneshot|pairwise)(/|$$)|/dp(/|$$)|/coordinator/plan$$|/sim(/audit|/model)?$$|/cmd/choir/(bench|preflight)$$')
	go test -race -run 'Parallel|Accumul|Snapshot|Pieces|Workers' ./secagg/oneshot/... ./secagg/pairwise/...
	go test -race -run 'Learns|Soak|Crash|Modes|Repeat|Workers' ./sim

fuzz:
	@.ci/fuzz $(FUZZ_SECONDS)

# The tools are pinned in a module of their own, tools/go.mod, and built from source.
tools: .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc .bin/golangci-lint .bin/govulncheck

.bin/%: tools/go.mod tools/go.sum
	go -C tools build -trimpath -ldflags='-s -w' -o ../$@ $$(go -C tools list tool | grep '/$*$$')
	@touch $@

clean:
	rm -rf .bin
