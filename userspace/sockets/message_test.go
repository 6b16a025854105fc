package sockets

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// answer is an inet_diag_msg.
func answer(family, timer byte, remote string) []byte {
	b := make([]byte, answerSize)
	b[0], b[1], b[2] = family, unix.BPF_TCP_ESTABLISHED, timer
	copy(b[4+remoteOffset:], netip.MustParseAddr(remote).AsSlice())
	return b
}

func TestOnlyConnectionsAreRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  []byte
		want string
	}{
		{"IPv4", answer(unix.AF_INET, 0, "192.0.2.1"), "192.0.2.1"},
		{"IPv6", answer(unix.AF_INET6, 0, "2001:db8::1"), "2001:db8::1"},
		{"IPv4 at a socket of IPv6", answer(unix.AF_INET6, 0, "::ffff:192.0.2.1"), "192.0.2.1"},
		{"one that is over", answer(unix.AF_INET, timerTimeWait, "192.0.2.1"), ""},
		{"another family", answer(unix.AF_UNIX, 0, "192.0.2.1"), ""},
		{"one that is cut off", answer(unix.AF_INET, 0, "192.0.2.1")[:answerSize-1], ""},
		{"nothing", nil, ""},
	} {
		s, ok := parseSocket(tt.msg)
		if got := s.Remote.String(); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %s, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestMessagesAreCutWhereTheyEnd(t *testing.T) {
	message := func(size uint32, payload ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, size)
		return append(append(b, make([]byte, headerSize-4)...), payload...)
	}
	for _, tt := range []struct {
		name          string
		msg           []byte
		payload, rest int // bytes
		ok            bool
	}{
		{"one", message(20, 1, 2, 3, 4), 4, 0, true},
		{"one without a payload", message(16), 0, 0, true},
		{"one and a next", append(message(18, 1, 2, 0, 0), 9), 2, 1, true},
		{"one without its padding", message(18, 1, 2), 2, 0, true},
		{"less than a header", message(16)[:15], 0, 0, false},
		{"more than there is", message(21, 1, 2, 3, 4), 0, 0, false},
		{"less than it says itself", message(15, 1, 2), 0, 0, false},
		{"far too much", message(^uint32(0), 1), 0, 0, false},
	} {
		_, payload, rest, err := cut(tt.msg)
		if (err == nil) != tt.ok || len(payload) != tt.payload || len(rest) != tt.rest {
			t.Errorf("%s: %d bytes and %d more, %v; want %d and %d", tt.name, len(payload), len(rest), err, tt.payload, tt.rest)
		}
	}
}

// FuzzCut cuts whatever comes into messages, each shorter than what is left.
func FuzzCut(f *testing.F) {
	f.Add(answer(unix.AF_INET, 0, "192.0.2.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, payload, rest, err := cut(b)
			if err != nil {
				return
			}
			if len(rest)+len(payload)+headerSize > len(b) {
				t.Fatalf("%d bytes became %d and %d", len(b), len(payload), len(rest))
			}
			_, _ = parseSocket(payload)
			_ = verdict(payload)
			b = rest
		}
	})
}

// FuzzFilter runs the filter as the kernel does, and compares with what the prefixes say.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1, 32, 198, 51, 100, 0, 24}, []byte{198, 51, 100, 9})
	f.Add([]byte{192, 0, 2, 0, 25}, []byte{192, 0, 2, 128})
	f.Fuzz(func(t *testing.T, text, remote []byte) {
		addr, ok := netip.AddrFromSlice(remote)
		if !ok {
			return
		}
		var within []netip.Prefix
		want := false
		for ; len(text) >= 5 && len(within) < maxFilter; text = text[5:] {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte(text)), int(text[4])%33).Masked()
			within = append(within, p)
			want = want || p.Contains(addr.Unmap())
		}
		if len(within) == 0 {
			return
		}
		if got := runFilter(t, filter(within), addr); got != want {
			t.Errorf("%v takes %s: %v, want %v", within, addr, got, want)
		}
	})
}

// runFilter is inet_diag_bc_run of the kernel, for the operations that are used.
func runFilter(t *testing.T, code []byte, remote netip.Addr) bool {
	left := len(code)
	for left > 0 {
		op := code[len(code)-left:]
		yes, no := int(op[1]), int(binary.NativeEndian.Uint16(op[2:]))
		takes := false
		if op[0] == opRemote {
			size := 4
			if op[opSize] == unix.AF_INET6 {
				size = 16
			}
			addr, _ := netip.AddrFromSlice(op[opSize+8 : opSize+8+size])
			takes = netip.PrefixFrom(addr, int(op[opSize+1])).Contains(remote.Unmap())
		} else if op[0] != opJump {
			t.Fatalf("operation %d", op[0])
		}
		if takes {
			left -= yes
		} else {
			left -= no
		}
	}
	return left == 0
}
