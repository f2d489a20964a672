# Headwater: every task of the project. `make` prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := $(CURDIR)/.venv
PY := $(VENV)/bin/python
STEP := scripts/step
SEEDS ?= 2000

# cargo, maturin and pyo3's build script must agree on the interpreter, or each would rebuild for the other.
export PYO3_PYTHON := $(PY)
export VIRTUAL_ENV := $(VENV)
export PATH := $(VENV)/bin:$(PATH)
export CARGO_TERM_COLOR ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/release.stamp ## replay 336,776 flights through an embedded broker and check every count
	@$(PY) -m headwater.demo --data .cache/demo

.PHONY: test
test: .venv/dev.stamp .venv/spark.stamp jars sparks kcat ## run every test: Rust, Python, other people's clients, Spark, notebooks
	@$(STEP) "rust tests" scripts/rust-tests
	@$(STEP) "python tests" $(PY) -m pytest tests/python
	@$(STEP) "interop tests" $(PY) -m pytest tests/interop
	@$(STEP) "spark tests" $(PY) -m pytest tests/spark --timeout 300
	@$(STEP) "spark tests, oldest Spark" tests/spark/spark.sh pytest 4.0.5 tests/spark -m every_spark --timeout 300
	@$(STEP) "spark tests, newest Spark" tests/spark/spark.sh pytest 4.3.0 tests/spark -m every_spark --timeout 300
	@$(STEP) "notebooks' checker" $(PY) -m pytest tests/notebooks
	@$(STEP) "notebooks" $(PY) notebooks/check.py

.PHONY: notebooks
notebooks: .venv/release.stamp .venv/spark.stamp jars ## check and run the notebooks of the course, with their solutions
	@$(PY) notebooks/check.py $(NOTEBOOKS)

.PHONY: lab
lab: .venv/release.stamp .venv/spark.stamp ## open the course in JupyterLab, with everything installed
	@cd notebooks && $(VENV)/bin/jupyter lab $(LAB_ARGS)

.PHONY: verify
verify: tools ## the read-only gate: format, lints, every test, docs, stubs
	@$(STEP) "rustfmt" cargo fmt --all --check
	@$(STEP) "ruff format" ruff format --check .
	@$(STEP) "ruff" ruff check .
	@$(STEP) "xtask tidy" cargo xtask tidy
	@$(STEP) "xtask layers" cargo xtask layers
	@$(STEP) "xtask codegen" cargo xtask codegen --check
	@$(STEP) "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
	@$(STEP) "rustdoc" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@$(MAKE) --no-print-directory test
	@$(STEP) "mypy" mypy
	@$(STEP) "stubtest" $(PY) -m mypy.stubtest headwater --mypy-config-file pyproject.toml --allowlist python/stubtest-allow.txt

.PHONY: fix
fix: tools ## format, apply lint fixes, regenerate committed files
	cargo fmt --all
	cargo xtask codegen
	HEADWATER_WRITE_DOCS=1 cargo test --locked -q -p headwater-broker --test it -- the_reference_page_is_current
	ruff check --fix .
	ruff format .

.PHONY: wheel
wheel: tools ## build the release wheel into dist/
	maturin build --release --locked --out dist

.PHONY: bench
bench: .venv/release.stamp jars ## print speed as ratios, side by side with other clients
	@$(PY) benches/side_by_side.py $(BENCH_ARGS)

.PHONY: bench-spark
bench-spark: .venv/release.stamp .venv/spark.stamp jars sparks ## print Spark's rates beside spark-sql-kafka, Parquet and ready-made batches
	@$(PY) benches/spark.py $(BENCH_ARGS)

.PHONY: sim
sim: tools ## simulated power cuts over SEEDS=n seeds
	HEADWATER_SEEDS=$(SEEDS) HEADWATER_SIM_SEEDS=$(SEEDS) cargo test --locked -p headwater-log -p headwater-controller -p headwater-broker -p headwater-arrow --test it -- laws power simulated crash

.PHONY: fuzz
fuzz: ## fuzz every decoder, SECONDS=n each
	@scripts/fuzz $(or $(SECONDS),60) $(TARGETS)

.PHONY: tools jars sparks kcat
tools: .venv/tools.stamp
jars: .cache/jars.stamp
sparks: .cache/sparks.stamp
kcat:
	@scripts/need-kcat

.venv/tools.stamp: requirements-dev.txt
	@scripts/need python3 cargo cc
	@test -x $(PY) || python3 -m venv $(VENV)
	@$(STEP) "python tools" $(VENV)/bin/pip install -q -r requirements-dev.txt
	@touch $@

.venv/spark.stamp: .venv/tools.stamp requirements-spark.txt requirements-notebooks.txt $(shell git ls-files spark-connector)
	@$(STEP) "spark and jupyter" $(VENV)/bin/pip install -q -r requirements-spark.txt -r requirements-notebooks.txt
	@$(STEP) "spark connector" $(VENV)/bin/pip install -q --force-reinstall --no-deps ./spark-connector
	@touch $@

# The wheels depend on every source file; cargo decides what is really rebuilt.
SOURCES := $(shell git ls-files rust python Cargo.lock Cargo.toml pyproject.toml 2>/dev/null)

.venv/dev.stamp: .venv/tools.stamp $(SOURCES)
	@$(STEP) "wheel (dev)" scripts/install-wheel --profile dev
	@rm -f .venv/release.stamp
	@touch $@

.venv/release.stamp: .venv/tools.stamp $(SOURCES)
	@$(STEP) "wheel (release)" scripts/install-wheel --profile release
	@rm -f .venv/dev.stamp
	@touch $@

.cache/sparks.stamp: .venv/tools.stamp tests/spark/pom.xml tests/spark/spark.sh
	@scripts/need java mvn
	@$(STEP) "other sparks and spark-sql-kafka" tests/spark/spark.sh fetch
	@touch $@

.cache/jars.stamp: tests/kafka/pom.xml
	@scripts/need java mvn
	@$(STEP) "kafka jars" tests/kafka/kafka.sh fetch
	@touch $@
