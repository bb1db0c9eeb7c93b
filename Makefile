# `make` lists the targets. Everything is set up on demand: `make test` on a fresh Debian with python3, python3-venv and
# make is enough. As root it also installs what apt must give; otherwise it says what to install, and skips the lab.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.offhook-installed
PYTEST := $(BIN)/pytest
ROOMS := sipcore audio phone tui
SOUND_PACKAGES := libportaudio2 libasound2-plugins
SYSTEM_PACKAGES := $(SOUND_PACKAGES) pulseaudio pulseaudio-utils debootstrap tshark tmux iproute2 espeak-ng \
  kamailio kamailio-websocket-modules kamailio-outbound-modules
BENCH_PACKAGES := gcc libc6-dev sox
UNIT := not lab and not audio and not journey and not slow
SEEDS ?= 500

.PHONY: help venv system sound check fix test unit slow lab lab-tests journeys fuzz sim sim-planted demo bench-call bench-calls bench-resilience bench-media bench-secure interop bench-console bench-first-run i18n screens clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP)  ## a virtual environment with Offhook and the development tools

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# $(call apt_packages,PACKAGES,WHAT NEEDS THEM): installs what is missing as root, else says what to run and goes on.
define apt_packages
	@missing=(); \
	for package in $(1); do \
	  [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || missing+=("$$package"); \
	done; \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "no apt-get here; $(2) needs: $${missing[*]}" >&2; \
	elif [ "$$(id -u)" -ne 0 ]; then \
	  echo "for $(2): sudo apt-get install $${missing[*]}" >&2; \
	else \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq || true; \
	  apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
	fi
endef

system:  ## what apt must give for the lab and the sound tests (installs as root, else says what to run)
	$(call apt_packages,$(SYSTEM_PACKAGES),the lab and the sound tests)

sound:  ## what apt must give for sound devices (installs as root, else says what to run)
	$(call apt_packages,$(SOUND_PACKAGES),sound devices)

check: venv  ## format, lint, types, import contracts, size of modules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@find $(ROOMS) tests bench -name '*.py' -size +8k -exec wc -l {} + \
	  | awk '$$2 != "total" && $$1 > 450 { print "warning: " $$2 " has " $$1 " lines, the house limit is 450" }'
	$(PYTEST) -q -n 2 tests/architecture

fix: venv  ## let ruff format and repair what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Two shared cores: what can run in parallel does, then everything that measures time runs alone.
test: system venv  ## everything: check, unit tests, then lab, sound and journeys
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory slow
	$(MAKE) --no-print-directory lab
	$(MAKE) --no-print-directory lab-tests
	$(MAKE) --no-print-directory journeys

unit: venv  ## the tests that need nothing but Python, in parallel
	$(PYTEST) -q -n 2 -m "$(UNIT)" --ignore=tests/architecture

slow: venv  ## the longer ones: simulation seeds, fuzzing, benches that must hold
	$(PYTEST) -q -n 2 --dist worksteal -m "slow and not lab and not audio and not journey" || [ $$? -eq 5 ]

lab: venv  ## build the Asterisk root (once, cached) and prove that Asterisk and the null sinks start
	$(BIN)/python -m tests.lab.root
	$(PYTEST) -q tests/lab/test_lab.py -rs

lab-tests: venv  ## the tests against Asterisk and through PulseAudio: what measures no time in parallel, then the rest
	$(PYTEST) -q -n 2 --dist worksteal -m "lab and parallel and not journey" -rs || [ $$? -eq 5 ]
	$(PYTEST) -q -m "(lab or audio) and not parallel and not journey" --deselect tests/lab/test_lab.py -rs || [ $$? -eq 5 ]

# A file's journeys stay together and in order: those through one demo's faults end with its account of them all.
journeys: venv  ## the whole program, as a user runs it: two at a time, then what measures time
	$(PYTEST) -q -n 2 --dist loadfile -m "journey and parallel" tests/journeys -rs || [ $$? -eq 5 ]
	$(PYTEST) -q -m "journey and not parallel" tests/journeys -rs || [ $$? -eq 5 ]

fuzz: venv  ## a million messages at the parsers
	OFFHOOK_FUZZ=1000000 $(PYTEST) -q tests/fuzz --timeout 0

sim: venv  ## the deterministic simulation: make sim SEEDS=10000
	OFFHOOK_SIM_SEEDS=$(SEEDS) $(PYTEST) -q -n 2 -m "not slow" tests/sim --timeout 0

sim-planted: venv  ## bugs put in on purpose: after how many seeds the simulation finds each
	$(BIN)/python -m tests.sim.planted

demo: venv sound  ## Offhook against an embedded PBX, nothing to configure
	$(BIN)/offhook --demo

bench-call: venv system  ## figures of a call: start, ctl round trip, CPU, memory, packet intervals
	$(BIN)/python -m bench.call

bench-secure: venv system  ## what encryption costs: CPU against a plain call, memory, answer to first packet
	$(BIN)/python -m bench.secure

# QUICK=1 takes fewer clips, PART=virtual or PART=live one half, MINUTES=10 adds a call of ten, PHONES=offhook,baresip
# leaves others out, DOCUMENT=1 writes docs/sound.md. PESQ comes as source and needs a compiler.
bench-media: venv system  ## what is heard under loss, jitter and drift (PESQ), and when, beside other phones; one table
	$(call apt_packages,$(BENCH_PACKAGES),the scores of bench-media)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m bench.media $(if $(QUICK),--quick) $(if $(PART),--$(PART)) \
	  $(if $(PHONES),--phones $(PHONES)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(DOCUMENT),--document)

interop: venv system  ## calls with a browser's phone (headless Chromium, jssip), both ways; needs Node 20 and Chromium
	$(BIN)/python -m bench.browser

# ROWS=reset,503 RUNS=5 QUICK=1 PEERS=offhook,jssip JOBS=2 narrow it down or widen it; Offhook alone takes about 35 minutes.
bench-resilience: venv system  ## every fault of docs/resilience.md in front of a real PBX, one table
	$(BIN)/python -m bench.resilience $(if $(ROWS),--rows $(ROWS)) $(if $(RUNS),--runs $(RUNS)) $(if $(QUICK),--quick)

# ROWS=reset,address PHONES=offhook,jssip,baresip QUICK=1 narrow it down or widen it; Offhook alone takes about 25 minutes.
# What the others need (Chromium, Node.js, npm packages, baresip) is installed on demand; DOCUMENT=1 puts the table into docs.
bench-calls: venv system  ## what the far end of a call hears of every fault, one table
	$(BIN)/python -m bench.calls $(if $(ROWS),--rows $(ROWS)) $(if $(PHONES),--phones $(PHONES)) $(if $(QUICK),--quick) \
	  $(if $(DOCUMENT),--document)

# Texts are marked with _(), _n(), mark(), _mark() or as a Phrase; the made-up language "pseudo" finds those that are not.
i18n: venv  ## extract the texts, merge them into the translations, compile them
	$(BIN)/pybabel -q extract -k _ -k _n:1,2 -k _mark -k mark -k Phrase --no-location --no-wrap --sort-output --project offhook \
	  --copyright-holder "Offhook contributors" --msgid-bugs-address CONTRIBUTING.md -o tui/locale/offhook.pot sipcore audio phone tui
	$(BIN)/pybabel -q update --no-wrap --no-fuzzy-matching --ignore-obsolete -D offhook -i tui/locale/offhook.pot -d tui/locale
	$(BIN)/pybabel -q compile -D offhook -d tui/locale

screens: venv  ## draw the pictures of docs/screens anew
	$(BIN)/python -m docs.screens.make

bench-console: venv  ## what the console costs: bytes to a terminal, first paint, key to first byte, memory, CPU
	$(BIN)/python -m bench.console_bytes

bench-first-run: venv sound  ## from a fresh clone to a registered console: `make demo`, first and second run
	$(BIN)/python -m bench.first_run

clean:  ## remove what the tools left (not the lab's cache, which lives outside)
	rm -rf $(VENV) build dist reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
