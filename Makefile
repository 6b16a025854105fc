# gabion: `make run` shows it at work, `make test` proves it.
GO       ?= go
BIN      := bin/gabion
PREFIX   ?= /usr/local
CLANG    := clang-19
STRIP    := llvm-strip-19
export CGO_ENABLED := 0

.PHONY: help build run test test-kernels fuzz lint generate bench install clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/gabion, one static binary
	@tools/need.sh go
	$(GO) build -buildvcs=auto -trimpath -ldflags '-s -w' -o $(BIN) ./cmd/gabion

run: build ## show attacks detected and dropped in network namespaces; IFACE=eth0 protects a real interface
	$(if $(IFACE),$(BIN) run --interface $(IFACE),$(BIN) lab)

test: build ## run all tests (as root: also those that load kernel programs)
	@tools/need.sh go bpftool nft ipset iptables xdp-filter
	$(GO) run ./tools/gotest -timeout 30m ./...

test-kernels: ## run the data path's tests in other kernels, emulated; KERNELS="5.10 6.1" narrows
	@tools/need.sh go qemu-system-x86_64 dpkg-deb xz
	$(GO) run ./tools/kernels -kernels "$(KERNELS)" $(if $(UPDATE),-update)

fuzz: ## run every fuzz target for a moment; TIME=1m for longer
	@tools/need.sh go git
	@GO=$(GO) tools/fuzz.sh "$(or $(TIME),3s)"

lint: ## gofmt, go vet, staticcheck
	@tools/need.sh go
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not gofmt-ed: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## compile all BPF C and regenerate the bindings in loader/ and bench/kernel/
	@tools/need.sh go $(CLANG) $(STRIP) libbpf-dev
	$(GO) generate ./loader ./bench/kernel

bench: ## run the Go benchmarks, each five times, for benchstat
	@tools/need.sh go
	$(GO) test -run '^$$' -bench . -count 5 ./...

install: build ## install binary, systemd unit, example configuration and shell completion
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/gabion
	install -d -m 0755 $(DESTDIR)/etc/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/gabion.service > $(DESTDIR)/etc/systemd/system/gabion.service
	test -e $(DESTDIR)/etc/gabion/gabion.yaml || install -D -m 0640 packaging/gabion.yaml $(DESTDIR)/etc/gabion/gabion.yaml
	install -d -m 0755 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BIN) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gabion
	@echo "installed; start with: systemctl enable --now gabion"

clean: ## remove what building made
	rm -rf bin dist
