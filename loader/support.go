package loader

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
)

// feature is something the programs cannot do without.
type feature struct {
	name  string
	since string // kernel version
	probe func() error
}

func needed() []feature {
	return []feature{
		{"LPM trie maps", "4.11", func() error { return features.HaveMapType(ebpf.LPMTrie) }},
		{"XDP programs", "4.8", func() error { return features.HaveProgramType(ebpf.XDP) }},
		{"socket lookup from XDP", "5.2", func() error { return features.HaveProgramHelper(ebpf.XDP, asm.FnSkcLookupTcp) }},
		{"ring buffers", "5.8", func() error { return features.HaveMapType(ebpf.RingBuf) }},
		{"boot clock in programs", "5.8", func() error { return features.HaveProgramHelper(ebpf.XDP, asm.FnKtimeGetBootNs) }},
	}
}

// CheckSupport says in one message what stands in the way of loading the programs, before anything is
// half done.
func CheckSupport() error {
	// Only kernels before 5.11 count maps as locked memory; elsewhere this changes nothing, and it
	// fails for lack of rights that the probes below name better.
	limited := rlimit.RemoveMemlock()
	for _, f := range needed() {
		err := f.probe()
		switch {
		case err == nil:
		case errors.Is(err, ebpf.ErrNotSupported):
			return fmt.Errorf("%w: the kernel lacks %s (Linux %s): use Linux 5.10 or newer", ErrUnsupported, f.name, f.since)
		case errors.Is(err, os.ErrPermission):
			return fmt.Errorf("%w: no permission to load BPF programs: run as root, or with the capabilities "+
				"CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (CAP_SYS_ADMIN to mount bpffs; before Linux 5.11 also "+
				"LimitMEMLOCK=infinity)", ErrUnsupported)
		default:
			return fmt.Errorf("%w: probe %s: %w", ErrUnsupported, f.name, err)
		}
	}
	if limited != nil {
		return fmt.Errorf("%w: locked memory is limited and the limit cannot be raised (%w): "+
			"set LimitMEMLOCK=infinity in the unit", ErrUnsupported, limited)
	}
	return nil
}
