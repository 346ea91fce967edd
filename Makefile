# Two commands on a fresh machine: `make demo` and `make test`. Both set up first what is not there yet.

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
DEMO := .venv/.demo
TEST := .venv/.test
ALL := .venv/.all
UV := $(BIN)/uv
SLOW ?= slow
FAULTS ?= not slow or slow

.PHONY: help setup java demo fraud test slow slow-house slow-spark slow-online faults faults-kills faults-others cluster-up cluster-down cluster-test cluster-flights release-quick notebooks compat docs images release airflow-check audit check lock clean \
	bench-first-minute bench-ingest bench-join bench-training bench-windows bench-online bench-freshness bench-serving bench-statistics bench-selection bench-log bench-scale bench-scale-cluster bench-sharding mysql-up mysql-down

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

setup: $(ALL) ## fill .venv from the lock file with all that any target needs; demo and test take a part of it

java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; \
	found=$$("$$java" -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1); \
	[ "$${found:-0}" -ge 17 ] || { \
		echo "Spark needs Java 17; $${found:+$$java is version }$${found:-none was found}. Install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) and, if several are installed, set JAVA_HOME." >&2; exit 1; }

$(DEMO) $(TEST) $(ALL): requirements.lock pyproject.toml .ci/setup .ci/packages/demo.txt .ci/packages/test.txt | java
	@.ci/setup "$(PYTHON)" $(subst .,,$(notdir $@))

demo: $(DEMO) ## run the whole flow on the flights of New York, 2013
	@$(BIN)/python jobs/flights/demo.py

fraud: $(DEMO) ## run the credit-card fraud system: groups, two models, batch and online predictions
	@$(BIN)/python jobs/credit_card_fraud/demo.py

test: $(TEST) ## run the quick test suite
	@$(BIN)/pytest

slow: $(ALL) ## run what the quick suite leaves out: each strategy of the join, a year of flights, long sequences
	@$(BIN)/pytest -m "$(SLOW)"

# CI's queue takes the slow tests in three parts, and the faults in two.
slow-house: $(ALL)
	@$(BIN)/pytest -m "$(SLOW)" tests/house tests/pure

slow-spark: $(TEST)
	@$(BIN)/pytest -m "$(SLOW)" tests/spark

slow-online: $(TEST)
	@$(BIN)/pytest -m "$(SLOW)" tests/online tests/report

faults: $(TEST) mysql-up ## kill every job, damage files, fill disks, let clocks jump, fuzz, run a day of hours (slow; docs/faults.md)
	@$(BIN)/pytest -m "$(FAULTS)" tests/faults

KILLS := tests/faults/test_kills.py tests/faults/test_stopped.py tests/faults/test_online.py # of jobs, of a commit, of servers

faults-kills: $(TEST) mysql-up
	@$(BIN)/pytest -m "$(FAULTS)" $(KILLS)

faults-others: $(TEST) mysql-up
	@$(BIN)/pytest -m "$(FAULTS)" tests/faults $(KILLS:%=--ignore %)

cluster-up: $(TEST) ## start a Spark standalone cluster on loopback: a master and two workers, each a process with its own folder
	@$(BIN)/python tests/cluster/standalone.py up

cluster-down: ## stop it
	@$(BIN)/python tests/cluster/standalone.py down

cluster-test: $(TEST) mysql-up ## both systems on a cluster, compared with one machine; executors killed under every job (slow)
	@$(BIN)/pytest tests/cluster tests/faults/test_kills.py -k "cluster or flow"

notebooks: $(TEST) ## run the notebooks from backfill to online inference, in a store of their own
	@$(BIN)/pytest tests/notebooks

compat: $(TEST) ## run public notebooks written for Hopsworks, fetched from GitHub, with another import (slow)
	@$(BIN)/pytest tests/compat; status=$$?; cat .compat/table.md; exit $$status

bench-first-minute: $(TEST) ## measure what is waited for first: a read and a training set in a new process, beside deltalake and DuckDB
	@$(BIN)/python benchmarks/first_minute.py

bench-ingest: $(TEST) ## measure inserts beside raw Delta
	@$(BIN)/python benchmarks/ingest.py

.bench/.ready: $(ALL)
	@$(UV) pip install --quiet --python $(BIN)/python --target .bench --upgrade --no-deps dbl-tempo==0.1.30
	@$(UV) pip install --quiet --python $(BIN)/python --target .bench --upgrade ipython
	@touch $@

bench-join: .bench/.ready ## measure the point-in-time join beside tempo, the rank join, Spark's shuffle, DuckDB and Polars
	@$(BIN)/python benchmarks/point_in_time.py

bench-training: $(TEST) ## measure training data beside the join that it needs
	@$(BIN)/python benchmarks/training_data.py

bench-windows: .bench/.ready ## measure window features beside Spark's frames, a range join, DuckDB and Polars
	@$(BIN)/python benchmarks/windows.py

bench-online: $(TEST) mysql-up ## measure the sync and feature vectors beside the database itself
	@$(BIN)/python benchmarks/online.py

.bench/feast/.ready: $(ALL)
	@$(UV) venv --quiet --clear --python $(BIN)/python .bench/feast
	@$(UV) pip install --quiet --python .bench/feast/bin/python 'feast[mysql]==0.67.0'
	@touch $@

bench-serving: .bench/feast/.ready mysql-up ## measure spark-fs serve beside Feast's server and a bare route, by wrk (apt-get install wrk)
	@$(BIN)/python benchmarks/serving.py

bench-freshness: $(TEST) mysql-up ## measure how long an event takes to the vector that has it, beside a bare upsert
	@$(BIN)/python benchmarks/freshness.py

bench-statistics: $(TEST) ## measure statistics beside DuckDB, Spark and NumPy
	@$(BIN)/python benchmarks/feature_statistics.py

bench-selection: $(TEST) ## measure feature selection beside scikit-learn and NumPy on the collected frame
	@$(BIN)/python benchmarks/selection.py

bench-log: $(TEST) ## measure a look at the log of a table, by the length of its history
	@$(BIN)/python benchmarks/log.py

bench-scale: $(TEST) mysql-up ## measure what more rows, keys, groups and features cost
	@$(BIN)/python benchmarks/scale.py

bench-scale-cluster: cluster-up mysql-up ## the same on the cluster, where a worker has one core
	@$(BIN)/python tests/cluster/standalone.py submit benchmarks/scale.py --folder $(CURDIR)/.cluster --most 4000000

bench-sharding: $(TEST) mysql-up ## measure the online store cut into one to eight schemas
	@$(BIN)/python benchmarks/sharding.py

check: $(ALL) audit ## ruff with its format and security rules, mypy, the import rules, known vulnerabilities
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo 'Not formatted: run .venv/bin/ruff format' >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > .import_linter.log || { cat .import_linter.log; exit 1; }
	@echo "ruff, mypy and the import rules: no complaints"

audit: $(ALL) ## ask pip-audit for known vulnerabilities in what requirements.lock names
	@$(BIN)/python tests/house/audit.py

cluster-flights: $(TEST) mysql-up
	@$(BIN)/pytest tests/cluster -k flights

docs: $(ALL) ## build the documentation into site/, with no warning
	@$(BIN)/python -m typer spark_fs.cli utils docs --name spark-fs --title "Command line" --output docs/reference/cli.md > /dev/null
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "The documentation is in site/index.html"

images: $(ALL) demo ## take the pictures of the explorer anew, over the store of the demo
	@$(BIN)/python docs/images/make.py

release: $(ALL) ## build wheel and sdist, install each into an empty environment, and run the demo from there
	@$(BIN)/python tests/house/release.py --demo

release-quick: $(ALL)
	@$(BIN)/python tests/house/release.py

airflow-check: $(ALL) ## let a real Airflow load the DAGs of conf/schedule (installs it into .airflow)
	@[ -x .airflow/bin/airflow ] || { $(UV) venv --quiet --allow-existing --python $(PYTHON) .airflow && $(UV) pip install --quiet --python .airflow/bin/python 'apache-airflow==3.*'; }
	@.airflow/bin/python tests/house/airflow_check.py

mysql-up: ## start a MariaDB and a MySQL of our own on free loopback ports, for the online tests
	@$(PYTHON) tests/online/servers.py up

mysql-down: ## stop them
	@$(PYTHON) tests/online/servers.py down

COMPILE := $(UV) pip compile --quiet --strip-extras --python-version 3.11 --no-emit-index-url --no-emit-find-links pyproject.toml
NAMES := $(COMPILE) --no-header --no-annotate --constraint requirements.lock

lock: $(ALL) ## resolve requirements.lock anew from pyproject.toml, and what demo and test need of it
	@$(COMPILE) --upgrade --all-extras --generate-hashes --output-file requirements.lock
	@$(NAMES) --extra demo --extra serve --output-file .ci/packages/demo.txt
	@$(NAMES) --extra demo --extra serve --extra lineage --extra test --output-file .ci/packages/test.txt

clean: ## remove what setup and demo made
	@rm -rf .venv .bench .demo .fraud .notebooks .spark_fs .cluster .airflow .release .handbook .compat site dist build
