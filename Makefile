# Everything a person types. `make` alone lists it.
PYTHON ?= python3
SET_UP := $(PYTHON) lab/bootstrap/__main__.py
VENV   := .venv/bin
CODE   := lab proxy sample_app loadtest tests

.DEFAULT_GOAL := help
.PHONY: help lab-up lab-down setup fmt check test bench bench-first bench-load bench-proxy soak soak-rolls soak-churn soak-crashes soak-steps soak-engine soak-faults soak-latency soak-path soak-proof soak-smuggling lock soak-updown

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18

lab-up: ## set this machine up and start the lab; then: lab roll v2
	@$(SET_UP)
	@$(VENV)/lab up

lab-down: ## stop the lab and remove its containers, networks and volumes
	@$(VENV)/lab down

setup: ## everything `make lab-up` sets up, without starting the lab
	@$(SET_UP)

fmt: ## format the code and mend what the linter can
	@$(SET_UP) --dev --no-engine
	$(VENV)/python -m ruff check --quiet --fix-only $(CODE)
	$(VENV)/python -m ruff format $(CODE)

check: ## format, lint, types, imports, documents; changes nothing
	@$(SET_UP) --dev --no-engine
	$(VENV)/python -m ruff format --check $(CODE)
	$(VENV)/python -m ruff check $(CODE)
	$(VENV)/python -m mypy
	$(VENV)/lint-imports --no-cache
	$(VENV)/python -m pytest -q tests/unit/test_docs.py tests/unit/test_pages.py

.PHONY: docs
docs: ## write the pages that are made from the code: commands, errors, lifecycles, options
	@$(SET_UP) --dev --no-engine
	@LAB_UPDATE_GOLDEN=1 $(VENV)/python -m pytest -q tests/unit/test_pages.py

test: ## run all tests, two files at a time (some start containers)
	@$(SET_UP) --dev
	$(VENV)/python -m pytest -n 2 --dist loadfile

bench: ## what the command, a roll, the engine, the matrix, a million requests and the load cost, against tests/bench/limits.toml
	@$(SET_UP) --dev
	@failed=0; for part in lab roll engine compat proof loadtest; do $(VENV)/python -m tests.bench.$$part || failed=1; done; exit $$failed

bench-first: ## the same and a first `make lab-up`; removes the lab's images before it
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.bench.lab --first

bench-load: ## how much load this machine can offer on time
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.bench.loadtest

bench-proxy: ## the proxy beside nginx, HAProxy and a plain aiohttp one; 7 minutes; writes docs
	@$(SET_UP) --dev --no-engine
	@$(VENV)/python -m tests.bench.proxy

soak: soak-engine soak-churn soak-faults soak-rolls ## the soaks of everyday confidence, one after the other; about 50 minutes

soak-rolls: ## every order, batch and size of fleet, forth and back; resumable, about 20 minutes
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.rolls

soak-churn: ## the proxy: a thousand replacements under 300 requests a second of every kind, about 5 minutes
	@$(SET_UP) --dev --no-engine
	@$(VENV)/python -m tests.soak.churn

soak-crashes: ## the command killed at point after point of a roll under traffic; resumable, at most 40 minutes
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.crashes

soak-engine: ## the rollout engine on virtual time: 500 fleets, 20,000 rollouts, every pair of crashes
	@$(SET_UP) --dev --no-engine
	@$(VENV)/python -m tests.soak.engine

soak-faults: ## every faulty version rolled for real; seeded, resumable, about 15 minutes
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.faults

soak-latency: ## how often a slower version is found, and an equal one taken for slower; seeded
	@$(SET_UP) --dev --no-engine
	@$(VENV)/python -m tests.soak.latency

soak-path: ## a schema change's whole way under traffic, turned back at each stage, its migrator killed; resumable, 20 minutes
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.path

soak-proof: ## the verdict: 60 clean rolls raise no alarm, 60 faults are all found; seeded, resumable, 20 minutes a part
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.proof $(if $(PART),--part $(PART))

soak-smuggling: ## malformed requests and answers by the ten thousand, cut anywhere; seeded, about 4 minutes
	@$(SET_UP) --dev --no-engine
	@$(VENV)/python -m tests.soak.smuggling

.PHONY: soak-schema
soak-schema: ## every change scenario, naive and safe: by the matrix, and rolled under traffic on Docker; resumable
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.schema

soak-steps: ## two fleets' lives on Docker: 20 rolls, rollbacks, scalings, pauses and kills each; resumable, 20 minutes
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.steps

soak-updown: ## lab up and lab down interrupted before and after every step; seeded, resumable, at most 40 minutes
	@$(SET_UP) --dev
	@$(VENV)/python -m tests.soak.updown

# --universal: one lock for every platform; no index address is written into a file
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --index-strategy unsafe-best-match

lock: ## write the five requirements files anew from pyproject.toml (needs uv)
	$(COMPILE) pyproject.toml --all-extras --output-file tests/requirements.txt
	$(COMPILE) pyproject.toml --extra load --extra compat --extra install \
		--constraint tests/requirements.txt --output-file lab/requirements.txt
	$(call image-lock,proxy,proxy)
	$(call image-lock,app,sample_app)
	$(call image-lock,load,loadtest)

# an image holds what its extra names, not what the project itself needs
define image-lock
$(PYTHON) -c 'import tomllib; \
	extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	print(*extras["$(1)"], sep="\n")' \
	| $(COMPILE) - --constraint tests/requirements.txt --output-file $(2)/requirements.txt
endef
