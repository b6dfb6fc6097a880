# The fuzz targets in C: with libFuzzer where clang has it, else with gcc and the driver in tests/fuzz/c. Every target is
# tests/fuzz/c/fuzz_NAME.c, its first inputs are tests/fuzz/corpus/NAME. FUZZ_SOURCES_NAME says what it is linked with.

FUZZ_NAMES := $(patsubst tests/fuzz/c/fuzz_%.c,%,$(wildcard tests/fuzz/c/fuzz_*.c))
FUZZ_BINARIES := $(FUZZ_NAMES:%=build/fuzz/%)
FUZZ_RUNTIME := $(shell clang -print-file-name=libclang_rt.fuzzer-$(shell uname -m).a 2>/dev/null)
FUZZ_CHECKS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1
ifneq ($(wildcard $(FUZZ_RUNTIME)),)
FUZZ_CC := clang $(FUZZ_CHECKS) -fsanitize=fuzzer -Wno-gnu-empty-initializer
FUZZ_DRIVER := tests/fuzz/c/patience.c
else
FUZZ_CC := gcc $(FUZZ_CHECKS)
FUZZ_DRIVER := tests/fuzz/c/patience.c tests/fuzz/c/driver.c
endif

# The helper without its main().
FUZZ_HOST := $(filter-out agent/host/helper.c,$(AGENT_HELPER))

FUZZ_SOURCES_frames := $(AGENT_COMMON) build/agent/generated/disk_messages.c build/agent/generated/switch_messages.c
# It includes image_daemon.c.
FUZZ_SOURCES_daemon := $(filter-out agent/host/disk/image_daemon.c,$(FUZZ_HOST))
# receive.c alone, with a read(2) that cuts the stream as the input says.
FUZZ_SOURCES_receive := -Wl,--wrap=read agent/guest/receive.c $(filter-out agent/common/loop.c,$(AGENT_COMMON))
build/fuzz/receive: agent/guest/receive.c

build/fuzz/%: tests/fuzz/c/fuzz_%.c $(FUZZ_DRIVER) $(AGENT_HEADERS) $(FUZZ_HOST) build/agent/generated/messages.h
	@mkdir -p $(@D)
	$(FUZZ_CC) -Wl,--wrap=LLVMFuzzerTestOneInput $(AGENT_CFLAGS) -Iagent/host/disk -Iagent/host/switch -o $@ $< $(FUZZ_DRIVER) $(or $(FUZZ_SOURCES_$*),$(FUZZ_HOST))
