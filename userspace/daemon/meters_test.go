package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/daemon/excess"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/meter"
	"gabion/userspace/source/kernel"
)

// metered is a daemon as far as events of meters need one.
func metered() *Daemon {
	d := &Daemon{excess: excess.New()}
	d.book.Store(&rulebook.Book{Meters: []*meter.Meter{
		{Name: "own/rate", Match: meter.Match{Protocol: meter.TCP}, Count: meter.Connections, Limit: 500, Window: time.Second, Shed: true},
	}})
	return d
}

func TestOnlyAMeterPerSourceNamesASource(t *testing.T) {
	comparer := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	source := netip.MustParseAddr("192.0.2.7")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		event loader.Event
		want  kernel.Event
	}{
		{"per source", loader.Event{Time: at, Meter: "own/rate", Source: source, Prefix: netip.MustParsePrefix("192.0.2.7/32"), Count: 501, Limit: 500, Window: time.Second, Protocol: "tcp", DstPort: 80, Established: true, Interface: "eth0"},
			kernel.Event{Time: at, Meter: "own/rate", Source: source, Count: 501, Limit: 500, Window: time.Second, Established: true, Protocol: "tcp", Port: 80, Interface: "eth0"}},
		{"per network", loader.Event{Meter: "own/rate", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Count: 9, Protocol: "udp"},
			kernel.Event{Meter: "own/rate", Range: netip.MustParsePrefix("192.0.2.0/24"), Count: 9, Protocol: "udp"}},
		{"per port", loader.Event{Meter: "own/rate", Count: 9, DstPort: 80, Protocol: "tcp"},
			kernel.Event{Meter: "own/rate", Count: 9, Protocol: "tcp", Port: 80}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, metered().meterEvent(tt.event), comparer); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhyNamesTheMetersThatASourceWasAboveLately(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := metered()
	event := func(name, prefix string, at time.Time) {
		p := netip.MustParsePrefix(prefix)
		d.meterEvent(loader.Event{Time: at, Meter: name, Prefix: p, Count: 501, Limit: 500})
	}
	event("own/rate", "192.0.2.7/32", now.Add(-time.Minute))
	event("own/gone", "192.0.2.0/24", now.Add(-2*time.Minute))
	event("own/early", "192.0.2.7/32", now.Add(-time.Hour))
	d.meterEvent(loader.Event{Time: now, Meter: "own/port"}) // one source of many
	want := []client.WhyMeter{
		{Name: "own/rate", Rule: "500 connections per source in 1s, then shed", Sheds: true, At: now.Add(-time.Minute), Count: 501, Limit: 500},
		{Name: "own/gone", At: now.Add(-2 * time.Minute), Count: 501, Limit: 500},
	}
	if diff := cmp.Diff(want, d.whyMeters(netip.MustParseAddr("192.0.2.7"), now)); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
}

func TestMetersFollowTheRulesAndOutliveTheDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	r := newRig(t)
	pins := fmt.Sprintf("/sys/fs/bpf/gabion-test-daemon-%d", os.Getpid())
	t.Cleanup(func() {
		if err := loader.Remove(pins); err != nil {
			t.Error(err)
		}
	})
	r.mode, r.kernel = "auto", ", pin_dir: "+pins
	own := func(limit int) {
		r.write("rules/own.yaml", fmt.Sprintf("type: meter\nname: own/echo\nmatch: {protocol: icmp}\ncount: packets\nper: source\nlimit: %d\nwindow: 1s\naction: report\n", limit))
	}
	if err := os.Mkdir(r.path("rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	own(9)
	r.start("interfaces: [gabion-none]\nrules: {embedded: true, dirs: [" + r.path("rules") + "]}\n")
	rule := func() string {
		st, err := r.client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range st.Meters {
			if m.Name == "own/echo" {
				return m.Rule
			}
		}
		return ""
	}
	if got, want := rule(), "9 packets per source in 1s, then report"; got != want {
		t.Errorf("meter at the start = %q, want %q", got, want)
	}
	own(7)
	r.hangup <- os.Interrupt
	r.until("reload", func() bool { return rule() == "7 packets per source in 1s, then report" })
	metrics, err := r.client.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range metrics {
		if m.Labels["meter"] == "own/echo" {
			seen[m.Name] = true
		}
	}
	for _, name := range []string{"gabion_meter_matched_total", "gabion_meter_shed_total", "gabion_meter_events_total"} {
		if !seen[name] {
			t.Errorf("no metric %s of the meter", name)
		}
	}
	r.stop()

	plane, err := loader.OpenReadOnly(pins)
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	stats, err := plane.MeterStats()
	names := map[string]bool{}
	for _, s := range stats {
		names[s.Name] = true
	}
	if err != nil || !names["own/echo"] || !names[rulebook.ConnectionRate] {
		t.Errorf("in force without a daemon: %v, %v", stats, err)
	}
}
