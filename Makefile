# Everything that people and CI run. `make` alone lists it.

SUITE   ?= smoke
RUNTIME ?= auto
STORE   ?= store
KEEP    ?= kept
JOBS    ?= 1
FLAGS   ?=
PREFIX  ?= /usr/local
# How many packages are tested at a time, and in each how many tests that bear others beside them, whatever the
# number of cores: those of clusters wait more than they work, and the longest packages begin first.
PACKAGES ?= 3
PARALLEL ?= 2
TESTFLAGS ?=
# How many planted bugs prove-some takes, which are drawn by DRAW, any text.
SAMPLE  ?= 6
DRAW    ?= $(shell git rev-parse --short=8 HEAD 2>/dev/null || date -u +%F)
# Of the race detector: a program does not sleep for a second before it ends.
GORACE ?= atexit_sleep_ms=0
export GORACE
GO      ?= go
# What the suite etcd tests: the path of a binary; without one, it is built.
ETCD    ?=
SETTINGS = $(if $(filter etcd,$(SUITE)),--set binary=$(or $(ETCD),$(shell ci/etcd-binary.sh),$(error ci/etcd-binary.sh made no etcd)))
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

# All that is not tested for races is compiled alike, so what it has in common is compiled once.
ALIKE  = CGO_ENABLED=0 GOFLAGS=-trimpath
# What runs inside pods is static, and travels inside bin/faultline.
STATIC = $(ALIKE) GOOS=linux $(GO) build -buildvcs=false -ldflags='-s -w'

build: ## build bin/faultline, which has all that it needs and runs from any folder
	@mkdir -p bin nodes/programs/embedded
	$(STATIC) -o nodes/programs/embedded/ ./cmd/agent ./cmd/injector
	$(ALIKE) $(GO) build -tags faultline_embed -o bin/faultline ./cmd/faultline

install: build ## install it as $(PREFIX)/bin/faultline
	install -D -m 755 bin/faultline $(DESTDIR)$(PREFIX)/bin/faultline

test: ## unit and integration tests; those that need Docker or namespaces say so and are skipped without
	@$(MAKE) -j2 test-packages test-compat

# lint vets what is tested here.
test-packages:
	$(GO) test -race -vet=off -timeout 30m -p $(PACKAGES) -parallel $(PARALLEL) $(TESTFLAGS) ./nodes/docker ./cmd/faultline . ./nodes/local ./...

# The tests of the agent's API against Consul's client are a module of their own; built with the flags
# of the agent, they share with it what it has compiled.
test-compat:
	cd nodes/agent/compat && $(ALIKE) $(GO) test $(TESTFLAGS) ./...

self: ## inject faults into the harness itself: every call of a short run goes wrong, in every way; its disks are played against their model; checkers and schedules against many more random histories and seeds. test draws some. About an hour
	FAULTLINE_SELF=all $(GO) test -timeout 30m -count 1 ./checker ./nemesis
	FAULTLINE_SELF=all $(GO) test -run '^TestTheModelIsMemberlist$$' -timeout 60m -count 1 ./checker/gossip/model
	FAULTLINE_SELF=all $(GO) test -run '^TestTheDiskIsTheModel$$' -timeout 30m -count 1 ./nodes/injector/disk
	FAULTLINE_SELF=all $(GO) test -run '^(TestARunInMemory|TestWhateverGoesWrong|TestADiskThatFails|TestAnEngineThatFails)' -timeout 3h -count 1 .

test-chaos: build ## run the scenarios of ci/$(SUITE) on $(RUNTIME), $(JOBS) at a time, and judge them
	bin/faultline test ci/$(SUITE) --runtime $(RUNTIME) --store $(STORE) --jobs $(JOBS) $(SETTINGS) $(FLAGS)

night: build ## the long scenarios and new schedules; first what was invalid in an earlier night, which $(KEEP) has
	bin/faultline test ci/nightly --runtime $(RUNTIME) --store $(STORE) --jobs $(JOBS) --keep $(KEEP) $(FLAGS)

prove: build ## plant each known bug and demand that it is found, and silence without it
	bin/faultline prove ci/prove --runtime $(RUNTIME) --store $(STORE) --jobs $(JOBS) $(FLAGS)

prove-some: build ## prove for $(SAMPLE) of the bugs, drawn by $(DRAW), and one of disks; say the command that repeats it
	@some=$$(ci/sample.sh ci/prove $(SAMPLE) $(DRAW) no-fsync) && trap 'rm -r "$$(dirname "$$some")"' EXIT && ls "$$some" && \
	echo "again: make prove-some RUNTIME=$(RUNTIME) JOBS=$(JOBS) SAMPLE=$(SAMPLE) DRAW=$(DRAW)" && \
	bin/faultline prove "$$some" --runtime $(RUNTIME) --store $(STORE) --jobs $(JOBS) $(FLAGS)

bench: ## measure the harness and the agent; prints figures, judges nothing
	$(GO) test -run '^$$' -bench . -benchtime 2s ./workloads/... ./checker/... ./nodes/injector/...
	$(GO) test -run '^$$' -bench . -benchtime 5x -timeout 20m ./nodes/docker/ ./nodes/local/ .

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(ALIKE) $(GO) vet ./...
	$(ALIKE) $(GO) run $(STATICCHECK) ./...

fuzz: ## run every fuzz target for a short while
	@ci/fuzz.sh

clean: build ## remove what killed runs left on this machine
	bin/faultline clean

.PHONY: help build install test test-packages test-compat self test-chaos night prove prove-some bench lint fuzz clean
