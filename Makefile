# make demo | test | check | bench | package ... on Debian or Ubuntu with Python >= 3.11.
# Every target does its own set-up; a second run finds it done.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
STAMP := $(VENV)/stamp
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=PATH)
TEST_PACKAGES := $(shell sed 's/\#.*//' packaging/apt/test.txt)
BENCHES := hit rights idle single memory pair lazy gossip failover dashboard preheat wave
FUZZES := gossip leases
FUZZ_S ?= 60
WORKERS ?= $(shell echo $$((2 * $$(nproc))))
SIDE_BY_SIDE := --numprocesses=$(WORKERS) --dist=load --maxschedchunk=1
REPORT := --durations=10 --durations-min=1
PYTEST := $(AS_ROOT) $(BIN)/python -m pytest -o tmp_path_retention_policy=failed

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: $(STAMP) ## a registry and three nodes on this machine, one image pulled through all of them
	$(BIN)/eagle-node demo

.PHONY: test
test: $(STAMP) test-tools ## all tests but the slow ones (root, for network namespaces)
	@status=0; \
	$(PYTEST) $(REPORT) -m "not slow and not alone" $(SIDE_BY_SIDE) || status=$$?; \
	$(PYTEST) $(REPORT) -m "not slow and alone" || status=$$?; \
	exit $$status

.PHONY: test-slow
test-slow: $(STAMP) test-tools ## the tests that take minutes each
	$(PYTEST) -m slow

.PHONY: check
check: $(STAMP) ## format, lint, types, import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## rewrite the sources in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: screenshots
screenshots: $(STAMP) ## pictures of the dashboard, SVG and text, into build/screenshots
	$(BIN)/python -m tests.tui.pictures build/screenshots

.PHONY: bench
bench: $(STAMP) test-tools ## all benchmarks, one after the other
	@for name in $(BENCHES); do echo "== $$name"; $(AS_ROOT) $(BIN)/python -m tests.bench.$$name; done

.PHONY: fuzz
fuzz: $(STAMP) ## the fuzz targets with atheris, FUZZ_S seconds each (default: 60)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/fuzz atheris
	@for name in $(FUZZES); do echo "== $$name"; \
		PYTHONPATH=build/fuzz $(BIN)/python -m tests.fuzz.$$name -max_total_time=$(FUZZ_S); done

.PHONY: lock
lock: $(STAMP) ## requirements.lock anew, for the dependencies in pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
		--strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--all-build-deps --extra dev --extra otel --output-file requirements.lock pyproject.toml

.PHONY: test-tools
test-tools:
	@.ci/apt-install $(TEST_PACKAGES)

PACK := build/packaging-venv
PACK_STAMP := $(PACK)/stamp
KINDS := wheel pex pyz executable deb image sbom
NATIVE := $(shell uname -m)
ARCH ?= $(NATIVE)
ifeq ($(ARCH),$(NATIVE))
ARTEFACTS := $(KINDS)
PROVEN := wheel pex pyz executable deb image engines systemd hosts
PROOF_TOOLS := packaging/apt/package.txt
DIST ?= dist
else
ARTEFACTS := wheel pex pyz sbom
PROVEN := pex pyz
PROOF_TOOLS := packaging/apt/package.txt packaging/apt/foreign.txt
DIST ?= dist/$(ARCH)
endif
EAGLE_PACKAGING = PYTHONPATH=packaging $(PACK)/bin/python -m eagle_packaging --arch $(ARCH) --dist $(DIST)

.PHONY: package
package: $(PACK_STAMP) package-check ## all artefacts (that can be built here for ARCH), each proven (root)
	$(EAGLE_PACKAGING) $(ARTEFACTS)
	$(MAKE) package-test

.PHONY: $(KINDS:%=package-%)
$(KINDS:%=package-%): package-%: $(PACK_STAMP)
	$(EAGLE_PACKAGING) $*

.PHONY: package-test
package-test: $(STAMP) test-tools ## a real image through each artefact in dist/, in a bare environment (root)
	@.ci/apt-install $(shell sed 's/\#.*//' $(PROOF_TOOLS))
	$(AS_ROOT) $(BIN)/python -m tests.artefacts --arch $(ARCH) --dist $(DIST) $(PROVEN)

.PHONY: package-bench
package-bench: $(STAMP) test-tools ## size, start-up time and memory of each artefact in dist/ (root)
	@.ci/apt-install $(shell sed 's/\#.*//' packaging/apt/package.txt)
	$(AS_ROOT) $(BIN)/python -m tests.bench.artefacts --dist $(DIST)

.PHONY: package-check
package-check: $(PACK_STAMP) ## the Kubernetes example against the schemas of several releases
	PYTHONPATH=packaging $(PACK)/bin/python -m eagle_packaging.manifests examples/kubernetes/*.yaml

.PHONY: package-twice
package-twice: $(PACK_STAMP) ## all artefacts into dist/ and once more elsewhere, bytes compared
	PYTHONPATH=packaging $(PACK)/bin/python -m eagle_packaging.twice --arch $(ARCH) --dist $(DIST) $(ARTEFACTS)

.PHONY: package-lock
package-lock: $(STAMP) ## packaging/requirements.txt anew, for packaging/requirements.in
	cd packaging && CUSTOM_COMPILE_COMMAND="make package-lock" ../$(BIN)/pip-compile --quiet \
		--generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --output-file requirements.txt requirements.in

$(PACK_STAMP): packaging/requirements.txt
	@.ci/apt-install binutils ca-certificates
	python=$$(PYTHON='$(PYTHON)' .ci/find-python); "$$python" -m venv --clear $(PACK)
	$(PACK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r packaging/requirements.txt
	touch $@

.PHONY: clean
clean: ## remove everything that make has made
	rm -rf $(VENV) build dist *.egg-info tui/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find eagle_node tui tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	python=$$(PYTHON='$(PYTHON)' .ci/find-python); "$$python" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
