# Needs make, sh and a Python; everything else is installed into .venv. Stdout belongs to the command that a target runs.

.DEFAULT_GOAL := help
.SUFFIXES:
SHELL := /bin/sh

# PYTHON=/path/to/python3 names the interpreter; otherwise the first of these that is new enough and whole.
PYTHON ?=
interpreters := $(or $(PYTHON),python3.11 python3.12 python3.13 python3)
python := .venv/bin/python
# pip compiles the sources one after the other; `compileall` does it on every core. What it warns of is for us, in a
# build of our own.
pip_install := PYTHONWARNINGS=ignore $(python) -m pip install --quiet --disable-pip-version-check --no-compile \
	-c constraints.txt
# Images of containers like to set it; each of the hundreds of processes of a test run would compile the sources anew.
unexport PYTHONDONTWRITEBYTECODE
# It names the interpreter of this .venv only, and not of what a test makes elsewhere.
unexport PYTHON
real_parts := kafka or s3 or cluster or browser or command

.PHONY: help install run kafka charts test unit soak lint docs pictures wheel sbom licences bench bench-stats peers fuzz

help: ## list the targets
	@while IFS= read -r line; do \
		case "$$line" in \
		[a-z]*:*'## '*) printf '  make %-11s %s\n' "$${line%%:*}" "$${line##*## }" ;; \
		esac; \
	done < Makefile

install: .venv/installed ## install the project at its pinned versions into .venv

run: .venv/installed ## run the sweep and print its JSON; ARGS='order.size=1000 ...' sets keys
	@$(python) -m sweep $(ARGS)

kafka: .venv/installed ## run a real Apache Kafka on 127.0.0.1:9092 until ctrl-C; PORT=... changes the port
	@$(python) -m tools.kafka $(if $(PORT),--port $(PORT))

charts: sweep/page/assets/charts.js ## bundle what draws the charts of a report, with npm; without it a report has no scripts

test: .venv/installed-test ## run the linters and every test, beside each other
	@$(MAKE) --no-print-directory lint & \
	$(python) -m pytest -n 3 --dist loadscope --no-loadscope-reorder $(ARGS); code=$$?; wait $$! && exit $$code

unit: .venv/installed-test ## run the tests that start no process and open no socket
	@$(python) -m pytest -n auto -m "not ($(real_parts))" $(ARGS)

soak: .venv/installed-test ## run the tests that take long: kills, forged files, bombs, fuzzers, many examples; hours
	@$(python) -m pytest -m soak --timeout 3600 $(ARGS)
	@SOR_SWEEP_EXAMPLES=10 $(python) -m pytest -n auto --timeout 3600 -m "not ($(real_parts) or soak)" $(ARGS)

lint: .venv/installed-test ## run ruff, mypy, the contracts between the packages, and hadolint over the Containerfile
	@$(python) -m ruff check
	@$(python) -m ruff format --check --quiet
	@$(python) -m mypy
	@.venv/bin/lint-imports
	@.venv/bin/hadolint Containerfile

docs: .venv/installed-test ## build these pages as a static site in site/, links checked; needs no network
	@NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --quiet --strict $(ARGS)

pictures: .venv/installed-test charts ## make the pictures of docs/ anew: a sweep, its report in Chromium, a terminal
	@$(python) -m tools.pictures

# The scripts of a report are packed though they are not in the tree, so a wheel is not made without them.
wheel: .venv/installed charts ## build the wheel and the source archive into dist/; the version is that of the commit's tag
	@$(pip_install) build >&2
	@$(python) -m build --outdir dist . >&2
	@ls dist/*.whl dist/*.tar.gz

sbom: .venv/installed-test ## print what runs as CycloneDX JSON: each package, version, licence and who needs it
	@$(python) -m tools.dependencies sbom

licences: .venv/installed-test ## list the licence of each package that runs
	@$(python) -m tools.dependencies licences

bench: .venv/installed-test ## measure, and write benchmarks/results.json
	@$(python) -m benchmarks.run $(ARGS)

bench-stats: .venv/installed-test ## how often statistics hold the truth: tables of 1,000 trials a cell; ARGS='--trials 200'
	@$(python) -m benchmarks.statistics_tables $(ARGS)

peers: .peers/hftbacktest/installed .peers/vectorbt/installed .peers/arch/installed ## install what make bench holds this project against

fuzz: .venv/installed-test ## attack what reads files and messages; SECONDS=600 in all, FINDINGS=... names a folder
	@$(python) -m tests.fuzz.run --seconds $(or $(SECONDS),600) \
		$(if $(FINDINGS),--findings $(FINDINGS)) $(ARGS)

# A .venv whose interpreter is gone is made anew, one that works is left alone.
.venv/bin/python:
	@found=; outdated=; broken=; \
	for candidate in $(interpreters); do \
		"$$candidate" -c 'import sys' >/dev/null 2>&1 || continue; \
		if ! "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			outdated="$$candidate"; \
		elif ! "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
			broken="$$candidate"; \
		else \
			found="$$candidate"; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		if [ -n "$$broken" ]; then \
			echo "sor-sweep: $$broken cannot make a virtual environment: its modules venv and ensurepip are missing."; \
		elif [ -n "$$outdated" ]; then \
			echo "sor-sweep: $$outdated is too old: Python 3.11 or newer is needed."; \
		else \
			echo "sor-sweep: no Python 3.11 or newer was found (tried: $(interpreters))."; \
		fi; \
		echo "  Debian 12, Ubuntu 24.04:  apt-get install -y python3 python3-venv"; \
		echo "  Ubuntu 22.04:             apt-get install -y python3.11 python3.11-venv"; \
		echo "  Fedora, RHEL 9:           dnf install -y python3.11"; \
		echo "  An interpreter elsewhere: make PYTHON=/path/to/python3 ..."; \
		exit 2; \
	fi >&2; \
	"$$found" -m venv --clear .venv >&2

.venv/packages: .venv/bin/python pyproject.toml constraints.txt
	@echo "sor-sweep: installing into .venv (once; a minute or two)" >&2
	@$(python) -m pip --version >/dev/null 2>&1 || $(python) -m ensurepip >&2
	@$(pip_install) pip >&2  # a distribution's may be years old, and take half as long again
	@$(pip_install) -e . >&2
	@$(python) -m compileall -q -j 0 allocator feed sweep >&2
	@$(python) -m compileall -qq -j 0 .venv/lib >/dev/null 2>&1 || true  # what some package has for another Python
	@touch $@

.venv/installed: .venv/packages
	@echo "sor-sweep: compiling the kernels (once; minutes)" >&2
	@$(python) -c 'import feed.files.csv_kernel, feed.files.mbo_kernel, feed.quality.tally_kernel; \
		from sweep.statistics.signs_kernel import count_signs; count_signs.prepare()' >&2 & \
	$(python) -m allocator.kernels >&2; code=$$?; wait $$! && exit $$code
	@touch $@

.venv/test-tools: .venv/packages
	@echo "sor-sweep: installing the test tools into .venv" >&2
	@$(pip_install) -e '.[test]' >&2
	@touch $@

# Beside each other: one waits for the network and unpacks, the other computes.
.venv/installed-test: .venv/packages
	@$(MAKE) --no-print-directory -j 2 .venv/installed .venv/test-tools
	@touch $@

# The lock holds the digest of each package; none of their scripts is run.
sweep/page/assets/charts.js: $(addprefix tools/charts/,absent.js bundle.mjs entry.js package-lock.json package.json)
	@command -v npm >/dev/null 2>&1 || { \
		echo "sor-sweep: npm is missing; install Node.js 18 or newer, or do without: reports then have no scripts" >&2; \
		exit 2; \
	}
	@cd tools/charts && npm ci --omit=dev --ignore-scripts --loglevel=error >&2
	@mkdir -p $(@D)
	@node tools/charts/bundle.mjs $(@D)

# Their pins exclude one another and ours, so that each has an environment of its own.
.peers/%/installed: benchmarks/peers/%.txt .venv/bin/python
	@echo "sor-sweep: installing $* into .peers (1 GB)" >&2
	@$(python) -m venv --clear .peers/$*
	@.peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $< >&2
	@touch $@
