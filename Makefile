# SPDX-License-Identifier: Apache-2.0
#
# A thin door to Meson. `make` builds, `make demo` shows, `make check` proves, `make install` installs,
# `make deb` makes a Debian package.
# Packages that are missing are installed (Debian, as root or through sudo); PACKAGES=no leaves that.

BUILD ?= build
PREFIX ?= /usr/local
PACKAGES ?= yes
CLANG_FORMAT ?= clang-format-14

ifeq ($(PACKAGES),yes)
install-packages = tools/install-packages
else
install-packages = : tools/install-packages
endif

.PHONY: all packages-build demo check install deb clean format man tidy bench

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

# Runs each time, because a system may have lost a package; it costs one dpkg-query.
packages-build:
	@$(install-packages) build

$(BUILD)/build.ninja: | packages-build
	@mkdir -p $(BUILD)
	@meson setup $(BUILD) --prefix $(PREFIX) >$(BUILD)/setup.log || { cat $(BUILD)/setup.log; exit 1; }

demo: all
	@$(install-packages) run
	@$(BUILD)/src/cli/tapedeck demo

check:
	@$(install-packages) build run test deb
	@tests/run --build $(BUILD) $(CHECK)

install: all
	@meson install -C $(BUILD) --no-rebuild --quiet

deb:
	@$(install-packages) build deb
	@packaging/build-deb $(BUILD)

clean:
	@rm -rf $(BUILD)

format:
	@git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs -r $(CLANG_FORMAT) -i

# What is written from the option tables: manual and shell completion.
man: all
	@tools/make-man $(BUILD)
	@tools/make-completion $(BUILD)

tidy: all
	@$(install-packages) test
	@tools/tidy $(BUILD)

bench: all
	@meson test -C $(BUILD) --no-rebuild --benchmark --verbose
