# Every target does its own set-up; CI calls the same targets.
# PYTHON names the interpreter for the virtual environments: make compare PYTHON=python3.14
PYTHON ?= python3
checked = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "tcplab: $(PYTHON) is missing or older than Python 3.11; install one, or name it: make PYTHON=python3.14 ..." >&2; exit 1; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up cpusets lesson compare publish publish-check local test test-all faults check check-lab bench dashboards lock audit clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Docker's own error names a taken port, but not its service nor the setting; and by then half of the lab has started.
up: ## Start the full lab in Docker (docker compose up), if its ports are free
	@docker compose config | awk '/^  [a-z-]+:$$/ {service = $$1} /host_ip:/ {host = $$2} /published:/ && host == "127.0.0.1" {print service, $$2}' | tr -d ':"' | \
	  while read -r service port; do \
	    if [ -z "$$(docker compose ps --quiet --status running $$service)" ] && bash -c "</dev/tcp/127.0.0.1/$$port" 2>/dev/null; then \
	      setting=TCPLAB_PORT_$$(echo $${service%-master} | tr a-z A-Z); \
	      echo "tcplab: port $$port, for $$service, is in use; end what uses it, or choose another: $$setting=... make up (or in .env)" >&2; \
	      exit 1; \
	    fi; \
	  done
	docker compose up --build

cpusets: ## Keep servers, load and the rest of the lab in Docker on cores of their own, from four cores on
	@$(checked)
	@$(PYTHON) -m loadtest.lab.cpusets

compare: .venv/ready ## Compare the servers without Docker: a table, a page, Markdown and JSON (90 s; python -m loadtest compare --help)
	@.venv/bin/python -m loadtest compare

lesson: .venv/ready ## Learn by predicting: list the lessons; N=1 runs one (L=ru: in Russian)
	@.venv/bin/python -m loadtest lesson $(N) $(if $(L),--lang $(L)) $(if $(CHANGE),--change $(CHANGE))

publish: .venv/ready ## Write the READMEs' measured figures from the results in loadtest/compare/published/
	@.venv/bin/python -m loadtest publish

publish-check: .venv/ready ## Check that they are written, and that the code they were measured with is still the same
	@.venv/bin/python -m loadtest publish --check

local: .venv/ready ## Run the servers and Locust with its web UI without Docker; Ctrl-C ends them all
	@.venv/bin/python -m loadtest.lab.local

.PHONY: servers master workers
servers: .venv/ready ## Several hosts: run the servers: make servers SERVERS=10.0.0.5
	@.venv/bin/python -m loadtest.lab.hosts servers --servers "$(SERVERS)"

master: .venv/ready ## Several hosts: run the load's master: make master MASTER=10.0.0.2 SERVERS=10.0.0.5
	@.venv/bin/python -m loadtest.lab.hosts master --servers "$(SERVERS)" --master "$(MASTER)"

workers: .venv/ready ## Several hosts: run N load processes: make workers N=4 MASTER=10.0.0.2 SERVERS=10.0.0.5
	@.venv/bin/python -m loadtest.lab.hosts workers --servers "$(SERVERS)" --master "$(MASTER)" $(if $(N),--number $(N))

# Markers (pyproject.toml) divide the tests into parts, only here; tests/test_selection.py holds that each test is in one.
# Most tests wait for deadlines more than they work, so four run at a time; those that measure run alone.
ALONE = measures or hosts or docker
LONGER = (other_loop or free_threaded or slow) and not ($(ALONE))
QUICK = not (other_loop or free_threaded or slow or $(ALONE))
SIDE_BY_SIDE = .venv-dev/bin/python -m pytest --numprocesses=4 --dist=worksteal

test: .venv-dev/ready ## Run the tests that need neither Docker nor an idle machine (about 10 minutes)
	@$(SIDE_BY_SIDE) -m "$(QUICK)"

test-all: .venv-dev/ready ## Run every test, also on other event loops, without a GIL, over several hosts and in Docker (about 40 minutes)
	@outcomes=$$(mktemp -d) || exit 1; trap 'rm -rf "$$outcomes"' EXIT; \
	TESTS_OUTCOMES=$$outcomes/0.json $(SIDE_BY_SIDE) -m "$(QUICK)"; statuses=$$?; \
	echo "tcplab: tests on other event loops than uvloop, without a GIL, and tests that take minutes of CPU"; \
	TESTS_OUTCOMES=$$outcomes/1.json $(SIDE_BY_SIDE) -m "$(LONGER)"; statuses="$$statuses $$?"; \
	echo "tcplab: tests that measure, several hosts and Docker, one after another"; \
	TESTS_OUTCOMES=$$outcomes/2.json .venv-dev/bin/python -m pytest -m "$(ALONE)"; statuses="$$statuses $$?"; \
	.venv-dev/bin/python -m tests.again $$outcomes $$statuses

FAULTS = tests/faults tests/contract tests/test_locks.py
faults: .venv-dev/ready ## Run the tests of the contract and the faults, on all event loops (RUNS=20: 20 times)
	@for run in $$(seq $${RUNS:-1}); do \
	  echo "tcplab: the servers' contract and the faults, run $$run"; \
	  $(SIDE_BY_SIDE) $(FAULTS) || exit 1; \
	done

check: .venv-dev/ready ## Check lint, formatting and types
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

check-lab: .venv-dev/ready ## Check the full lab in Docker: start one on free ports, ask every panel for data, take it down
	@.venv-dev/bin/python -m tests.e2e.check_lab

bench: .venv-dev/ready ## Measure what the lab's servers cost beside bare echo servers
	@.venv-dev/bin/python -m tests.bench

.PHONY: variants
variants: .venv-dev/ready ## Write what follows from servers/variants.py (Compose, Prometheus, .env, dashboards), and the READMEs' tables
	.venv-dev/bin/python -m servers.write
	.venv-dev/bin/python -m grafana.write

tables: .venv-dev/ready ## Write what follows from the tables of scenarios, warnings and check's rows (dashboards, READMEs)
	.venv-dev/bin/python -m loadtest.readme_tables
	.venv-dev/bin/python -m grafana.write

dashboards: .venv-dev/ready ## Write grafana/dashboards/*.json from their program
	.venv-dev/bin/python -m grafana.write

# uv writes locks for every platform and Python at once. Without --upgrade it would keep the locked versions for ever.
lock: .venv-dev/ready ## Write the hash-locked requirements from pyproject.toml, each at its newest release
	.venv-dev/bin/python -m pip install --quiet uv==0.13.9
	for room in servers: loadtest:--extra=load tests:"--extra=load --extra=dev"; do \
	  .venv-dev/bin/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command 'make lock' --no-emit-find-links --no-emit-index-url \
	    $${room#*:} --output-file $${room%%:*}/requirements.lock || exit 1; done

# The pins come first, because they need only Python: a failing pip-audit must not hide what they say.
# --strict: a package that can't be looked up fails, because it isn't known to be safe.
audit: ## Report pinned versions out of support, and locked packages with known vulnerabilities (asks PyPI)
	@$(checked)
	@status=0; \
	$(PYTHON) -m tests.pins || status=1; \
	{ $(PYTHON) -m venv --clear .venv-audit && \
	  .venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 && \
	  .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes $(addprefix --requirement ,$(wildcard */requirements.lock)); } || status=1; \
	exit $$status

clean: ## Remove the virtual environments and caches
	rm -rf .venv .venv-dev .venv-audit .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: loadtest/requirements.lock
.venv-dev/ready: tests/requirements.lock
%/ready:
	@test ! -L $* || { echo "tcplab: $* is a link; remove it, or make $@ where it leads" >&2; exit 1; }
	@$(checked)
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "tcplab: $(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "tcplab: making $* (once; Python packages are fetched and checked against their hashes)"
	@$(PYTHON) -m venv --clear $*
	@$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
