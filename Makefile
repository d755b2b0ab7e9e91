# make                    ./main ./quantize ./server ./imatrix ./gguf-split; nothing is installed outside this folder
# make test               the tests          make sanitize   the tests under ASan and UBSan
# make demo               a short story, of the bundled model; MODEL=FILE: of another
# make bench              what there is to measure
# make kernel-servers     kernels that this machine cannot load, as programs that `make test` runs (ARM: in qemu-user)
# make clean              all but .venv      make distclean  .venv too
# PYTHON=python3.12 make  another Python (3.11 or later) than the first that fits

ifeq ($(origin PYTHON),undefined)
FIND_PYTHON = for p in python3 python3.11 python3.12 python3.13; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3
PYTHON  = $(eval PYTHON := $(shell $(FIND_PYTHON)))$(PYTHON)
endif
ifeq ($(origin CC),default)
CC      = gcc
endif
TOOLS   = main quantize server imatrix gguf-split tokenize llama-bench doctor
VENV    = .venv/bin/python
SOURCES = $(shell find kernels llamacy -name '*.[ch]' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi') setup.py
ASAN    = build/asan
CROSS   = aarch64-linux-gnu
TREE    = bin convert.py convert-hf-to-gguf.py docs kernels llamacy prompts pyproject.toml setup.py tests tools Makefile README.md .ci

# install,PLACE: what pyproject.toml lists at PLACE, into .venv; the list becomes the target
install = $(VENV) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))$(1), sep="\n")' > $@ && \
    { $(VENV) -m pip --disable-pip-version-check --quiet install --no-compile -r $@ || \
    { echo 'make: pip could not install these packages (is there a network?):' $$(cat $@) >&2; exit 1; }; }

GPU = $(strip $(foreach flag,LLAMA_CUBLAS LLAMA_CUDA LLAMA_METAL,$(if $($(flag)),$(flag)=$($(flag)))))
ifneq ($(GPU),)
$(info $(GPU): this build has no GPU kernels yet; making a CPU build)
endif

.PHONY: all test kernel-servers bench sanitize demo clean distclean
.DELETE_ON_ERROR:

all: $(TOOLS)

$(TOOLS): %: bin/% build/built
	@cp $< $@

# make only asks whether anything changed; setup.py knows what follows from it.
build/built: $(SOURCES) .venv/build-needs .venv/run-needs
	@mkdir -p build && touch $@.new
	@$(VENV) setup.py -q build_ext --inplace --parallel $$(getconf _NPROCESSORS_ONLN)
	@$(VENV) -m compileall -q llamacy
	@mv $@.new $@

.venv/build-needs: pyproject.toml
	@what=; packages=; lack() { what="$${what:+$$what, }$$1"; packages="$$packages $$2"; }; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    lack 'Python 3.11 or later' 'python3 python3-dev python3-venv'; \
	else \
	    $(PYTHON) -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null \
	        || lack Python.h python3-dev; \
	    $(VENV) -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import ensurepip' 2>/dev/null \
	        || $(PYTHON) -m pip --version >/dev/null 2>&1 || lack 'venv (or pip)' python3-venv; \
	fi; \
	if ! command -v $(firstword $(CC)) >/dev/null; then lack $(firstword $(CC)) 'gcc libc6-dev'; \
	elif ! echo '#include <stdio.h>' | $(CC) -E - >/dev/null 2>&1; then lack stdio.h libc6-dev; fi; \
	[ -z "$$what" ] || { echo "make: missing: $$what: apt-get install$$packages" >&2; exit 1; }
	@if $(VENV) -m pip --version >/dev/null 2>&1; then :; \
	elif $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv --clear .venv; \
	else $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(VENV) install --quiet pip; fi
	@$(call install,["build-system"]["requires"])

.venv/run-needs: .venv/build-needs
	@$(call install,["project"]["dependencies"])

.venv/test-needs: .venv/build-needs
	@$(call install,["project"]["optional-dependencies"]["test"])

test: all .venv/test-needs kernel-servers
	@$(VENV) -m pytest $(TESTS)

# What has no compiler here is not built, and its tests say so.
kernel-servers: .venv/build-needs
	@LLAMACY_STAND_IN=1 $(VENV) setup.py -q kernel_server --parallel $$(getconf _NPROCESSORS_ONLN)
	@if command -v $(CROSS)-gcc >/dev/null; then \
	    LLAMACY_CROSS=$(CROSS) $(VENV) setup.py -q kernel_server --parallel $$(getconf _NPROCESSORS_ONLN); fi

bench: all .venv/test-needs
	@$(VENV) -m tests.bench $(BENCH)

demo:
	@$(MAKE) --no-print-directory all
	@if [ -n "$$MODEL" ]; then ./main -m "$$MODEL" -n 128 -p 'Once upon a time'; \
	else ./main -m bundled -n 200 -p 'Once upon a time' --temp 0.6 -s 1; fi

# The copy has its own extension modules, so this tree's stay as fast as they are. Python itself leaks by design. ASan
# looks for C++'s throw once, at start: without libstdc++ there, the first exception in a C++ module would end the run.
sanitize: .venv/test-needs
	@mkdir -p $(ASAN)
	@tar -cf - --exclude='*.so' --exclude=__pycache__ $(TREE) | tar -xf - -C $(ASAN)
	@ln -sfn ../../.venv $(ASAN)/.venv
	@cd $(ASAN) && LLAMACY_SANITIZE=1 $(VENV) setup.py -q build_ext --inplace
	@cd $(ASAN) && LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libstdc++.so.6)" \
	    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc $(VENV) -m pytest $(TESTS)

clean:
	@rm -rf build dist *.egg-info $(TOOLS)
	@find llamacy tests -name '*.so' -exec rm -f {} +
	@find llamacy tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	@rm -rf .venv
