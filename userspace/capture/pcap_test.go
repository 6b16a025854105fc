package capture

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/packet"
)

var at = time.Date(2026, 2, 12, 14, 10, 15, 123456789, time.UTC)

func udp(src, dst string) []byte {
	return packet.UDP(netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst))
}

func mustWrite(t *testing.T, snaplen int, length int, frames ...[]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, snaplen)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.Write(at, length, f); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func TestThePcapIsOfNanosecondsAndEthernet(t *testing.T) {
	const header = "4d3cb2a1" + "0200" + "0400" + "00000000" + "00000000" + "60000000" + "01000000"
	const record = "47df8d69" + "15cd5b07"
	for _, tt := range []struct {
		name   string
		length int
		data   []byte
		want   string
	}{
		{"whole", 3, []byte{1, 2, 3}, "03000000" + "03000000" + "010203"},
		{"cut off", 1500, []byte{1, 2, 3}, "03000000" + "dc050000" + "010203"},
		{"longer than the file allows", 100, make([]byte, 100), "60000000" + "64000000" + strings.Repeat("00", 96)},
		{"empty", 0, nil, "00000000" + "00000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := hex.EncodeToString(mustWrite(t, 96, tt.length, tt.data))
			if diff := cmp.Diff(header+record+tt.want, got); diff != "" {
				t.Errorf("pcap (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTcpdumpReadsWhatIsWritten(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("SKIPPED: needs tcpdump")
	}
	file := mustWrite(t, 96, 1400, udp("192.0.2.1:4242", "198.51.100.7:53"), udp("[2001:db8::1]:4242", "[2001:db8::7]:53"))
	cmd := exec.Command("tcpdump", "--nano", "-tttt", "-nn", "-e", "-r", "-")
	cmd.Env = append(cmd.Environ(), "TZ=UTC")
	cmd.Stdin = bytes.NewReader(file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tcpdump: %v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		t.Fatalf("tcpdump printed %d lines, want 2:\n%s", len(lines), out)
	}
	for i, want := range []string{"192.0.2.1.4242 > 198.51.100.7.53", "2001:db8::1.4242 > 2001:db8::7.53"} {
		for _, part := range []string{"2026-02-12 14:10:15.123456789", "length 1400", want} {
			if !strings.Contains(lines[i], part) {
				t.Errorf("tcpdump says %q, want %q in it", lines[i], part)
			}
		}
	}
}

type brokenPipe struct{ err error }

func (b brokenPipe) Write([]byte) (int, error) { return 0, b.err }

func TestAWriterReportsWhatItCouldNotWrite(t *testing.T) {
	broken := errors.New("broken")
	if _, err := NewWriter(brokenPipe{broken}, 96); !errors.Is(err, broken) {
		t.Errorf("beginning a file: %v, want the cause", err)
	}
	w := &Writer{to: brokenPipe{broken}, snaplen: 96}
	if err := w.Write(at, 1, []byte{1}); !errors.Is(err, broken) {
		t.Errorf("writing a packet: %v, want the cause", err)
	}
}
