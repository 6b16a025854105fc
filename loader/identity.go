package loader

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

// ABI is the version of the pinned maps that this binary makes and takes over (GABION_ABI).
const ABI = 2

const (
	tagSize  = 8             // bytes of a hash that make a tag (BPF_TAG_SIZE)
	sha256By = 6<<16 | 18<<8 // the kernel version from which tags are SHA-256; before, SHA-1
	noTag    = "unknown"
)

// Tag returns the tag that this kernel gives to the embedded XDP program, as bpftool prog shows it: what
// is loaded with another tag is another version. It needs no privileges.
func Tag() string {
	spec, err := loadBpf()
	if err != nil {
		return noTag
	}
	tag, err := tagOf(spec.Programs[bpfProgGabionXdp])
	if err != nil {
		return noTag
	}
	return tag
}

// tagOf does what the kernel does: it hashes the instructions without the numbers of maps in them.
func tagOf(prog *ebpf.ProgramSpec) (string, error) {
	version, err := features.LinuxVersionCode()
	if err != nil {
		return "", fmt.Errorf("read kernel version: %w", err)
	}
	var sum hash.Hash = sha256.New()
	if version < sha256By {
		sum = sha1.New()
	}
	for _, ins := range prog.Instructions {
		if ins.IsLoadFromMap() {
			ins.Constant = 0
		}
		if _, err := ins.Marshal(sum, prog.ByteOrder); err != nil {
			return "", fmt.Errorf("hash instruction: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:tagSize]), nil
}
