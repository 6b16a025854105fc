package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/packet"
	"gabion/loader"
	"gabion/userspace/client"
)

var sampledAt = time.Date(2026, 2, 12, 14, 10, 15, 123456789, time.UTC)

func sampleOf(src, dst string) loader.Sample {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return loader.Sample{
		Time: sampledAt, Reason: loader.DroppedByBan, Source: from.Addr(), Ifindex: 2, Interface: "eth1", Length: 1400,
		Data: packet.TCP(from, to, packet.SYN),
	}
}

func records() []dropRecord {
	list := sampleOf("[2001:db8:1234:5678:9abc:def0:1234:5678]:4242", "[2001:db8::7]:443")
	list.Class = 5
	hidden := loader.Sample{Time: sampledAt, Reason: loader.DroppedForTags, Ifindex: 3, Length: 14, Data: make([]byte, 14)}
	return []dropRecord{
		recordOf(sampleOf("192.0.2.1:4242", "198.51.100.7:22"), &client.Decision{
			ID: 42, Scenario: "gabion/ssh-bruteforce\x1b[2J", Until: "2026-02-12T15:00:00Z", Value: "192.0.2.1",
		}),
		recordOf(list, &client.Decision{Value: "2001:db8::/32"}),
		recordOf(hidden, nil),
		recordOf(sampleOf("192.0.2.1:4242", "198.51.100.7:22"), nil),
	}
}

func TestFollowedDropsAreAlignedAndColumnsGrow(t *testing.T) {
	var out bytes.Buffer
	show, err := followDrops(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records() {
		if err := show(r); err != nil {
			t.Fatal(err)
		}
	}
	want := `TIME             INTERFACE        SOURCE           PACKET                      REASON  CLASS  DECISION  SCENARIO               UNTIL
14:10:15.123456  eth1             192.0.2.1        tcp 4242 > 22 syn           ban     ban    42        gabion/ssh-bruteforce\x1b[2J  2026-02-12 15:00:00
14:10:15.123456  eth1             2001:db8:1234:5678:9abc:def0:1234:5678  tcp 4242 > 443 syn          ban     list 5  -         -                             -
14:10:15.123456  3                -                                       -                           vlan tags  -       -         -                             -
14:10:15.123456  eth1             192.0.2.1                               tcp 4242 > 22 syn           ban        ban     -         -                             -
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestDropsAreListedAsATable(t *testing.T) {
	var out bytes.Buffer
	show, end := listDrops(&out)
	for _, r := range records()[2:] {
		if err := show(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	want := `TIME             INTERFACE  SOURCE     PACKET             REASON     CLASS  DECISION  SCENARIO  UNTIL
14:10:15.123456  3          -          -                  vlan tags  -      -         -         -
14:10:15.123456  eth1       192.0.2.1  tcp 4242 > 22 syn  ban        ban    -         -         -
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestADropIsOneObjectOnOneLine(t *testing.T) {
	var out bytes.Buffer
	show := jsonDrops(&out)
	for _, r := range records()[:3] {
		if err := show(r); err != nil {
			t.Fatal(err)
		}
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3:\n%s", len(lines), out.String())
	}
	var first map[string]any
	if err := json.Unmarshal(lines[0], &first); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"time": "2026-02-12T14:10:15.123456789Z", "interface": "eth1", "source": "192.0.2.1", "destination": "198.51.100.7",
		"protocol": "tcp", "source_port": 4242.0, "destination_port": 22.0, "tcp_flags": "syn", "length": 1400.0,
		"reason": "ban", "class": 0.0, "class_name": "ban",
	} {
		if first[key] != want {
			t.Errorf("%s = %v, want %v", key, first[key], want)
		}
	}
	if got := first["decision"].(map[string]any)["scenario"]; got != "gabion/ssh-bruteforce\x1b[2J" {
		t.Errorf("scenario = %q", got)
	}
	want := `{"time":"2026-02-12T14:10:15.123456789Z","interface":"","ifindex":3,"vlan_tags":0,"length":14,"reason":"vlan tags",` +
		`"data":"0000000000000000000000000000"}`
	if diff := cmp.Diff(want, string(lines[2])); diff != "" {
		t.Errorf("a packet with a hidden source (-want +got):\n%s", diff)
	}
}

// The daemon bans every address that it is asked for, the second decision for the first being one
// that only counts.
func TestDecisionsAreAskedForOncePerSourceAndForgotten(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		fmt.Fprintf(w, `{"bans":[{"id":7,"simulated":true},{"id":%d,"simulated":false,"value":%q}]}`, asked, path.Base(r.URL.Path))
	}))
	defer srv.Close()
	c, err := client.New(client.Options{Address: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	now := sampledAt
	find := newDecisionFinder(c, nil, func() time.Time { return now }, io.Discard)
	for _, tt := range []struct {
		name   string
		source string
		after  time.Duration
		want   uint64
	}{
		{"first", "192.0.2.1", 0, 1},
		{"again", "192.0.2.1", answerAge - 1, 1},
		{"another source", "2001:db8::1", 0, 2},
		{"later", "192.0.2.1", 1, 3},
	} {
		now = now.Add(tt.after)
		d := find.decision(context.Background(), loader.Sample{Reason: loader.DroppedByBan, Source: netip.MustParseAddr(tt.source)})
		if d == nil || d.ID != tt.want || d.Value != tt.source {
			t.Errorf("%s: decision = %+v, want the daemon's answer %d", tt.name, d, tt.want)
		}
	}
	if d := find.decision(context.Background(), loader.Sample{Reason: loader.DroppedForTags}); d != nil {
		t.Errorf("a packet with a hidden source has decision %+v", d)
	}
	for i := range maxAnswers + 10 {
		src := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		find.decision(context.Background(), loader.Sample{Reason: loader.DroppedByBan, Source: src})
	}
	if n := len(find.answers); n > maxAnswers {
		t.Errorf("%d answers are kept, want at most %d", n, maxAnswers)
	}
}
