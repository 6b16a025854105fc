package loader

import "testing"

func TestTheTagOfTheEmbeddedProgramIsTheKernels(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	if want := mustTag(t, p.xdp); Tag() != want {
		t.Errorf("Tag() = %s, the kernel says %s", Tag(), want)
	}
}

func TestTheABINumberIsTheEmbeddedObjects(t *testing.T) {
	spec, err := newSpec(Options{})
	if err != nil {
		t.Fatal(err)
	}
	abi, err := abiOf(spec)
	if err != nil {
		t.Fatal(err)
	}
	if abi.Version != ABI {
		t.Errorf("ABI = %d, the embedded object says %d", ABI, abi.Version)
	}
}
