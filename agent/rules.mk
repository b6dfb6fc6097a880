# The C programs: static with musl for guests and hosts, and the agent under the sanitizers for local suites.
# Sets AGENT_BINARIES (what the executable embeds) and AGENT_TEST_BINARIES (what tests run).

AGENT_WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Werror
AGENT_CFLAGS := -std=c11 -D_GNU_SOURCE $(AGENT_WARNINGS) -Iagent/common -Iagent/guest -Ibuild/agent/generated
AGENT_STATIC := -static -s -O2 -g0 -ffunction-sections -fdata-sections -Wl,--gc-sections
AGENT_SANITIZED := gcc -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

AGENT_HEADERS := $(wildcard agent/common/*.h agent/guest/*.h agent/host/*.h agent/host/*/*.h)
AGENT_COMMON := $(wildcard agent/common/*.c) build/agent/generated/messages.c
AGENT_WRAPPER_ONLY := $(patsubst %,agent/guest/%.c,wrapper modules init newroot rootdisk roottree)
AGENT_GUEST := $(filter-out $(AGENT_WRAPPER_ONLY),$(wildcard agent/guest/*.c))
AGENT_WRAPPER := $(AGENT_WRAPPER_ONLY) agent/guest/cmdline.c agent/guest/pseudofs.c agent/guest/poweroff.c
AGENT_HELPER := $(wildcard agent/host/*.c agent/host/*/*.c agent/common/*.c) build/agent/generated/disk_messages.c \
	build/agent/generated/switch_messages.c
AGENT_CODEC_TEST := tests/unit/agent/codec.c
AGENT_NEWROOT_TEST := tests/unit/agent/newroot.c agent/host/userns.c agent/host/write_file.c \
	$(patsubst %,agent/guest/%.c,newroot rootdisk roottree)
AGENT_WITHOUT_MAIN := $(filter-out agent/guest/main.c,$(AGENT_GUEST)) $(AGENT_COMMON)
AGENT_ENDING_TEST := tests/unit/agent/ending.c $(AGENT_WITHOUT_MAIN)
AGENT_THREADS_TEST := tests/unit/agent/threads.c $(AGENT_WITHOUT_MAIN)

AGENT_BINARIES := build/agent/provium-agent build/agent/provium-wrapper build/agent/provium-helper
AGENT_BINARIES_ARM64 := $(AGENT_BINARIES:build/agent/%=build/agent-arm64/%)
AGENT_TEST_BINARIES := build/agent-asan/provium-agent build/agent-asan/provium-helper build/agent-asan/codec \
	build/agent-asan/ending build/agent-asan/loop build/agent-asan/newroot build/agent-tsan/threads

build/agent/generated/messages.h: agent/common/generate.ts src/guest/messages.ts src/disk/messages.ts src/net/switch-messages.ts package.json | $(BUN)
	$(BUN) agent/common/generate.ts build/agent/generated

build/agent/generated/messages.c build/agent/generated/disk_messages.c build/agent/generated/switch_messages.c: build/agent/generated/messages.h ;

# $(call agent_programs,DIRECTORY,COMPILER): agent, wrapper and helper for one architecture.
define agent_programs
$(1)/provium-agent: $$(AGENT_GUEST) $$(AGENT_COMMON) $$(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $$(@D)
	$(2) $$(AGENT_CFLAGS) -o $$@ $$(AGENT_GUEST) $$(AGENT_COMMON)

$(1)/provium-wrapper: $$(AGENT_WRAPPER) $$(AGENT_HEADERS)
	@mkdir -p $$(@D)
	$(2) $$(AGENT_CFLAGS) -o $$@ $$(AGENT_WRAPPER)

$(1)/provium-helper: $$(AGENT_HELPER) $$(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $$(@D)
	$(2) $$(AGENT_CFLAGS) -o $$@ $$(AGENT_HELPER)
endef

# Where the system's own compiler links against musl (Alpine), MUSL_CC=gcc.
MUSL_CC ?= musl-gcc
export MUSL_CC

$(eval $(call agent_programs,build/agent,$(MUSL_CC) $(AGENT_STATIC)))
$(eval $(call agent_programs,build/agent-arm64,aarch64-linux-gnu-gcc -specs=build/cross/arm64/musl.specs $(AGENT_STATIC)))

$(AGENT_BINARIES_ARM64): build/cross/arm64/musl.specs

build/cross/arm64/musl.specs: embed/cross/musl-arm64.sh
	embed/cross/musl-arm64.sh $(@D)

build/agent-asan/provium-agent: $(AGENT_GUEST) $(AGENT_COMMON) $(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $(@D)
	$(AGENT_SANITIZED) $(AGENT_CFLAGS) -o $@ $(AGENT_GUEST) $(AGENT_COMMON)

build/agent-asan/provium-helper: $(AGENT_HELPER) $(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $(@D)
	$(AGENT_SANITIZED) $(AGENT_CFLAGS) -o $@ $(AGENT_HELPER)

build/agent-asan/codec: $(AGENT_CODEC_TEST) $(AGENT_COMMON) $(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $(@D)
	$(AGENT_SANITIZED) $(AGENT_CFLAGS) -o $@ $(AGENT_CODEC_TEST) $(AGENT_COMMON)

build/agent-asan/ending: $(AGENT_ENDING_TEST) $(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $(@D)
	$(AGENT_SANITIZED) $(AGENT_CFLAGS) -o $@ $(AGENT_ENDING_TEST)

build/agent-asan/loop: tests/unit/agent/loop.c agent/common/loop.c $(AGENT_HEADERS)
	@mkdir -p $(@D)
	$(AGENT_SANITIZED) $(AGENT_CFLAGS) -o $@ tests/unit/agent/loop.c agent/common/loop.c

build/agent-asan/newroot: $(AGENT_NEWROOT_TEST) $(AGENT_HEADERS)
	@mkdir -p $(@D)
	$(AGENT_SANITIZED) $(AGENT_CFLAGS) -Iagent/host -o $@ $(AGENT_NEWROOT_TEST)

build/agent-tsan/threads: $(AGENT_THREADS_TEST) $(AGENT_HEADERS) build/agent/generated/messages.h
	@mkdir -p $(@D)
	gcc -g -O1 -fsanitize=thread -Wl,--wrap=arena_attach,--wrap=arena_detach,--wrap=read,--wrap=write \
		$(AGENT_CFLAGS) -o $@ $(AGENT_THREADS_TEST)
