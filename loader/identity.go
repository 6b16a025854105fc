package loader

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

// ABI is the version of the pinned maps that this binary makes and takes over (GABION_ABI).
const ABI = 8

const (
	tagSize  = 8             // bytes of a hash that make a tag (BPF_TAG_SIZE)
	sha256By = 6<<16 | 18<<8 // the kernel version from which tags are SHA-256; before, SHA-1
	noTag    = "unknown"

	constantsMap = ".rodata" // what is const volatile in bpf/config.h
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
	insns := slices.Clone(prog.Instructions)
	for i := range insns {
		if insns[i].IsLoadFromMap() {
			insns[i].Constant = 0
		}
	}
	if err := insns.Marshal(sum, prog.ByteOrder); err != nil { // resolves calls, too
		return "", fmt.Errorf("hash instructions: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:tagSize]), nil
}

// sameProgram says whether two loaded programs do the same. A tag does not cover the constants, which
// are in a map of each program's own.
func sameProgram(a, b *ebpf.Program) (bool, error) {
	tagA, constA, err := contents(a)
	if err != nil {
		return false, err
	}
	tagB, constB, err := contents(b)
	return tagA == tagB && bytes.Equal(constA, constB), err
}

// contents returns a loaded program's tag and constants.
func contents(prog *ebpf.Program) (tag string, constants []byte, err error) {
	info, err := prog.Info()
	if err != nil {
		return "", nil, fmt.Errorf("read program info: %w", err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		c, err := constantsIn(id)
		if err != nil {
			return "", nil, fmt.Errorf("read constants of program: %w", err)
		}
		constants = append(constants, c...)
	}
	return info.Tag, constants, nil
}

// constantsIn returns what a map holds when it is one of constants.
func constantsIn(id ebpf.MapID) ([]byte, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return nil, fmt.Errorf("open map %d: %w", id, err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil || info.Name != constantsMap {
		return nil, err
	}
	return m.LookupBytes(uint32(0))
}
