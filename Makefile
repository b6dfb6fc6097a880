# Provium: two commands do everything on a fresh Debian machine:
#
#   make demo    builds dist/provium, then runs the example suite in real virtual machines
#   make test    builds, then passes every test
#
# What is missing on the machine is installed when this runs as root or with password-less sudo; otherwise the
# one command to run is printed. See `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# OFFLINE=1 builds without network, from the source archive of a release.
# GUEST=default embeds the default guest, GUEST=none leaves it out (distribution packages).
GUEST ?= default
# GUEST_ARM64=1 adds the agent and the default guest for arm64 machines (arch = "aarch64").
GUEST_ARM64 ?= 0
PREFIX ?= /usr/local
DESTDIR ?=

BUN_VERSION := $(shell sed -n 's/^ *"bun": "\(.*\)",*/\1/p' package.json)
TOOLS := build/tools/bun-$(BUN_VERSION)
BUN := $(CURDIR)/$(TOOLS)/node_modules/.bin/bun
export PATH := $(CURDIR)/$(TOOLS)/node_modules/.bin:$(PATH)

.PHONY: help build demo test test-arm64 test-arm64-executable test-distribution bench lint dist install deb clean setup unit local vm net chaos test-nested test-install test-again fuzz chaos-matrix soak analyze compat

help:
	@echo 'make build    dist/provium, the one executable (GUEST=none: without the default guest; GUEST_ARM64=1: with agent and guest for arm64 too)'
	@echo 'make demo     build, then run the example suite in real virtual machines'
	@echo 'make test     build, lint, and every test'
	@echo 'make test-arm64  the suites of machines in emulated arm64 ones'
	@echo 'make test-arm64-executable  the arm64 file of a release (make dist) in such a machine'
	@echo 'make test-distribution  a Debian image with systemd, made by debootstrap (as root), in a machine'
	@echo 'make test-nested  a guest that boots guests of its own over AF_VSOCK (some minutes under emulation)'
	@echo 'make test-again  TIMES=20 LANES=3: `make test` again and again in clones of the commit, to see what is flaky'
	@echo 'make bench    the figures, as ratios measured side by side'
	@echo 'make test-install  installs into bare roots and runs the demo there, as root and not (needs root, debootstrap)'
	@echo 'make fuzz     TIME=10: every parser of ours fed with anything, so long each (10, 5m, 1h; LANES=2 at a time)'
	@echo 'make chaos-matrix  every fault on every process in every phase (ONLY=PATTERN, REST=1, LANES=3)'
	@echo 'make soak     N=100: boots, calls and machines on one bridge, with the size of every process'
	@echo 'make compat   QEMUs and kernels of other Debian suites, unpacked and tried (ONLY=PATTERN)'
	@echo 'make analyze  the C programs through cppcheck and clang --analyze'
	@echo 'make lint     formatter, linter, types, layers'
	@echo 'make dist     dist/release: executables for every machine, sources, bill of materials, checksums'
	@echo 'make install  DESTDIR= PREFIX=$(PREFIX): executable, man pages, documents, examples'
	@echo 'make deb      a Debian package in dist/'
	@echo 'make clean    remove build/ and dist/'

# --- what the machine needs ---------------------------------------------------------------------------------

SETUP := build/setup-$(GUEST)$(if $(filter 1,$(OFFLINE)),-offline).stamp

setup: $(SETUP) node_modules/.stamp

$(SETUP): embed/setup.sh
	@mkdir -p build
	@sh embed/setup.sh
	@touch $@

ifeq ($(OFFLINE),1)
# From the source archive of a release, which carries in vendor/ what is fetched otherwise.
NATIVE := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
vendored = $(firstword $(wildcard $(CURDIR)/vendor/$(1)))
export KERNEL_DEB := $(call vendored,guest/linux-image-*_$(NATIVE).deb)
export BUSYBOX_DEB := $(call vendored,guest/busybox-static_*_$(NATIVE).deb)
export MUSL_DEB := $(call vendored,cross/musl-dev_*_arm64.deb)
ARM64_DEBS := KERNEL_DEB=$(call vendored,guest/linux-image-*_arm64.deb) \
	BUSYBOX_DEB=$(call vendored,guest/busybox-static_*_arm64.deb) APPLETS_DEB=$(BUSYBOX_DEB)
MACHINE := $(if $(filter aarch64,$(shell uname -m)),aarch64,x64)$(if $(wildcard /lib/ld-musl-*),$(if $(wildcard /lib*/ld-linux-*),,-musl))
VENDORED_BUN := vendor/bun/oven-bun-linux-$(MACHINE)-$(BUN_VERSION).tgz

$(BUN): | $(SETUP)
	@test -e $(VENDORED_BUN) || { echo '$(VENDORED_BUN) is missing: OFFLINE=1 builds from the source archive of a release (make dist)' >&2; exit 1; }
	@mkdir -p $(@D)
	tar -xzf $(VENDORED_BUN) -C $(@D) --strip-components=2 package/bin/bun

node_modules/.stamp: package.json bun.lock $(wildcard patches/*.patch) | $(BUN)
	$(BUN) embed/offline.ts
	@touch $@
else
ARM64_DEBS := KERNEL_DEB= BUSYBOX_DEB=

$(BUN): | $(SETUP)
	@mkdir -p $(TOOLS)
	npm install --loglevel=error --no-audit --no-fund --prefix $(TOOLS) bun@$(BUN_VERSION)

node_modules/.stamp: package.json bun.lock $(wildcard patches/*.patch) | $(BUN)
	$(BUN) install --frozen-lockfile --silent
	@touch $@
endif

# --- the pieces ---------------------------------------------------------------------------------------------

include agent/rules.mk
include tests/fuzz/rules.mk

GUEST_FILES := build/guest/manifest
$(GUEST_FILES): $(shell find embed/guest -type f) | $(SETUP) $(BUN)
	embed/guest/build.sh build/guest

build/guest-aarch64/manifest: $(shell find embed/guest embed/cross -type f) | $(SETUP) $(BUN)
	$(ARM64_DEBS) embed/guest/build.sh build/guest-aarch64 arm64

ifeq ($(GUEST_ARM64),1)
FOREIGN_GUEST := build/agent-arm64/provium-agent build/agent-arm64/provium-wrapper \
	$(if $(filter none,$(GUEST)),,build/guest-aarch64/manifest)
endif

# What the executable is built with; changes when that does.
.PHONY: flags
flags:
build/flags: flags
	@mkdir -p build
	@echo 'GUEST=$(GUEST) GUEST_ARM64=$(GUEST_ARM64)' | cmp -s - $@ || echo 'GUEST=$(GUEST) GUEST_ARM64=$(GUEST_ARM64)' >$@

SOURCES := $(shell find src embed -name '*.ts' -o -name '*.lua' -o -name '*.json' -o -name '*.html')

ifeq ($(GUEST),none)
dist/provium: $(SOURCES) $(AGENT_BINARIES) $(FOREIGN_GUEST) node_modules/.stamp embed/compile.ts build/flags
else
dist/provium: $(SOURCES) $(AGENT_BINARIES) $(GUEST_FILES) $(FOREIGN_GUEST) node_modules/.stamp embed/compile.ts build/flags
endif
	GUEST=$(GUEST) FOREIGN=$(if $(filter 1,$(GUEST_ARM64)),guest,none) $(BUN) embed/compile.ts dist/provium

build: dist/provium

demo: build
	dist/provium demo

ARM64_SUITES := $(filter-out tests/vm/vsock/% tests/vm/net/kernel_rules.test.lua,$(wildcard tests/vm/*/*.test.lua)) tests/shared

# --- proof --------------------------------------------------------------------------------------------------

lint: node_modules/.stamp
	node_modules/.bin/biome check .
	node_modules/.bin/tsc --noEmit --singleThreaded --incremental --tsBuildInfoFile build/tsbuildinfo
	$(BUN) tests/lint/layers.ts

test: build $(AGENT_TEST_BINARIES) $(FUZZ_BINARIES)
	$(BUN) tests/run.ts

unit local vm net chaos: build $(AGENT_TEST_BINARIES)
	$(BUN) tests/run.ts $@

# Not part of `make test`: it makes root directories from packages, which takes minutes and root.
test-install: build
	tests/install/rooms.sh

TIMES ?= 20
test-again: $(BUN)
	$(BUN) tests/again/run.ts $(TIMES)

# TIME is for each target; TARGETS names some of them, LANES is how many at a time.
TIME ?= 10
TARGETS ?=
fuzz: node_modules/.stamp $(FUZZ_BINARIES)
	$(BUN) tests/fuzz/run.ts $(TIME) $(TARGETS)

chaos-matrix: build
	$(BUN) tests/chaos/matrix/run.ts

# N is boots; calls and machines in a row follow from it.
N ?= 100
soak: build
	$(BUN) tests/soak/run.ts $(N)

compat: build
	$(BUN) tests/compat/run.ts

analyze: build/agent/generated/messages.h
	tests/lint/analyze.sh

# An executable with the arm64 guest inside, then all that is not about a PC: vsock/ and kernel_rules run this host's
# programs in the guest, and what is tagged `pc` speaks of devices and sizes of the x86-64 guest.
test-arm64:
	@command -v qemu-system-aarch64 >/dev/null || { echo 'make test-arm64 needs QEMU for arm64: apt-get install --no-install-recommends qemu-system-arm' >&2; exit 1; }
	@command -v aarch64-linux-gnu-gcc >/dev/null || { echo 'make test-arm64 needs a compiler for arm64: apt-get install --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross' >&2; exit 1; }
	$(MAKE) build GUEST_ARM64=1
	dist/provium --config tests/vm/arm64.toml --no-tag pc $(ARM64_SUITES)

test-arm64-executable:
	$(MAKE) build GUEST_ARM64=1
	tests/install/arm64/build.sh build/arm64-root
	dist/provium tests/install/arm64/executable.test.lua --config tests/install/arm64/provium.toml

build/debian.img: tests/distribution/build.sh
	@mkdir -p build
	tests/distribution/build.sh $@

test-distribution: build build/debian.img
	dist/provium --config tests/distribution/provium.toml tests/distribution

build/nested.img: dist/provium tests/nested/build.sh
	tests/nested/build.sh $@

test-nested: build build/nested.img
	dist/provium --config tests/nested/provium.toml tests/nested

bench: build
	$(BUN) tests/bench/run.ts

# --- shipping -----------------------------------------------------------------------------------------------

dist: build $(AGENT_BINARIES_ARM64) build/guest-aarch64/manifest build/man/provium.1
	$(BUN) embed/dist.ts

MAN_PAGES := build/man/provium.1 build/man/provium.toml.5 build/man/provium-lua.7
DOCS := README.md CHANGELOG.md THIRD_PARTY.md $(wildcard docs/*.md)

ifeq ($(OFFLINE),1)
$(firstword $(MAN_PAGES)): $(wildcard vendor/man/*)
	@mkdir -p $(@D)
	cp vendor/man/* $(@D)
else
$(firstword $(MAN_PAGES)): embed/man.ts embed/manual.ts docs/cli.md $(SOURCES) | node_modules/.stamp
	$(BUN) embed/man.ts build/man
endif

# Completions and the definitions for editors, from the same tables as the program.
SHELL_FILES := build/shell/provium.bash
$(SHELL_FILES): embed/shell.ts $(SOURCES) | node_modules/.stamp
	$(BUN) embed/shell.ts build/shell

install: build $(firstword $(MAN_PAGES)) $(SHELL_FILES)
	install -D -m 0755 dist/provium $(DESTDIR)$(PREFIX)/bin/provium
	for page in $(MAN_PAGES); do install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	install -D -m 0644 build/shell/provium.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/provium
	install -D -m 0644 build/shell/_provium $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_provium
	install -D -m 0644 build/shell/provium.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/provium.fish
	install -D -m 0644 build/shell/provium.lua $(DESTDIR)$(PREFIX)/share/provium/lua/provium.lua
	install -d $(DESTDIR)$(PREFIX)/share/doc/provium/examples
	install -m 0644 $(DOCS) $(DESTDIR)$(PREFIX)/share/doc/provium
	cp -R embed/demo/. $(DESTDIR)$(PREFIX)/share/doc/provium/examples
	chmod -R u=rwX,go=rX $(DESTDIR)$(PREFIX)/share/doc/provium

deb: build
	embed/package/deb.sh dist

clean:
	rm -rf build dist
