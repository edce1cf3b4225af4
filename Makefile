# One command on a fresh machine: make run. Everything lives in .venv and ./data; nothing else is touched.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What an active shell may carry must not steer the environment made here.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONSAFEPATH
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIRE_VIRTUALENV PIP_CONSTRAINT PIP_REQUIREMENT
unexport UV_PYTHON UV_SYSTEM_PYTHON UV_TARGET UV_PREFIX UV_CONSTRAINT UV_OVERRIDE UV_PROJECT_ENVIRONMENT
# pyright and its node both come from wheels: no download, no look for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON := .venv/bin/python
JS := tests/js/node_modules
PORT ?= 8001
ARGS ?=

LOCK := $(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
LOCK += --custom-compile-command "make lock" $(ARGS)

.PHONY: help run test check load chaos storm rolling slow-readers bench bench-send bench-search bench-media upload-load docs clean lock

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## serve on http://localhost:8001 with embedded engines (PORT=… to move it)
	@exec $(PYTHON) -m realtime serve --port $(PORT) $(ARGS)

test: .venv/installed $(JS)/.installed ## run the tests on real engines (ARGS="-k calls" to choose)
	$(PYTHON) -m pytest $(ARGS)

check: .venv/installed ## format, lint, types, import rules, manifests
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m pyright --warnings
	.venv/bin/lint-imports
	$(PYTHON) -m ops.manifests k8s/base k8s/overlays/dev k8s/overlays/prod

load: .venv/installed ## load test against a server of its own
	@exec $(PYTHON) -m loadtests $(ARGS)

chaos: .venv/installed ## break things under load and count what was lost
	@exec $(PYTHON) -m loadtests.chaos $(ARGS)

storm: .venv/installed ## ten thousand clients reconnect at once (ARGS="--how cut --manners stock")
	@exec $(PYTHON) -m loadtests.storm $(ARGS)

rolling: .venv/installed ## replace two processes ten times under load
	@exec $(PYTHON) -m loadtests.rolling $(ARGS)

slow-readers: .venv/installed ## a tenth of a room of 1,000 stops reading
	@exec $(PYTHON) -m loadtests.slow_readers $(ARGS)

bench: .venv/installed ## measure beside Node and the kernel's limit (ARGS=--quick)
	@exec $(PYTHON) -m loadtests.bench $(ARGS)

bench-send: .venv/installed ## time one stored and delivered message
	@exec $(PYTHON) -m loadtests.bench_send $(ARGS)

bench-search: .venv/installed ## time searches among 100,000 people (ARGS=--quick)
	@exec $(PYTHON) -m loadtests.bench_search $(ARGS)

bench-media: .venv/installed ## upload and download MB/s beside nginx (ARGS=--quick)
	@exec $(PYTHON) -m loadtests.bench_media $(ARGS)

upload-load: .venv/installed ## the server's memory under uploads of 150 MB, ten at once (ARGS=--quick)
	@exec $(PYTHON) -m loadtests.upload_load $(ARGS)

docs: .venv/installed ## write docs/openapi.json, docs/asyncapi.json and docs/policy.md
	@exec $(PYTHON) -m realtime docs $(ARGS)

lock: .venv/installed ## resolve pyproject.toml again (ARGS=--upgrade for newer versions)
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --extra embedded --extra supervised --extra load --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) requirements/uv.in -o requirements/uv.txt

clean: ## remove the environment and every cache; ./data stays
	rm -rf .venv $(JS) loadtests/bench/peers/node/node_modules .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

.venv/installed: requirements/dev.txt requirements/uv.txt .ci/bootstrap
	@sh .ci/bootstrap
	@touch $@

# The official JavaScript client, which the tests drive. npm and node come from the environment made above.
$(JS)/.installed: tests/js/package.json .venv/installed .ci/install-js
	@sh .ci/install-js
	@touch $@
