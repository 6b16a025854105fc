package daemon

import (
	"context"
	"net/netip"
	"time"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/daemon/excess"
	"gabion/userspace/meter"
	"gabion/userspace/source/kernel"
)

// meter returns the meter of a name, nil when it is no longer in force.
func (d *Daemon) meter(name string) *meter.Meter {
	for _, m := range d.book.Load().Meters {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// kernelEvents is the loader's stream in the words of the source.
func (d *Daemon) kernelEvents(ctx context.Context, handle func(kernel.Event)) error {
	return d.plane.RunEvents(ctx, func(e loader.Event) { handle(d.meterEvent(e)) })
}

// meterEvent notes who was above which limit, and says so in the words of the source.
func (d *Daemon) meterEvent(e loader.Event) kernel.Event {
	out := kernel.Event{
		Time: e.Time, Meter: e.Meter, Count: e.Count, Limit: e.Limit, Window: e.Window,
		Established: e.Established, Protocol: e.Protocol, Port: e.DstPort, Interface: e.Interface,
	}
	if !e.Prefix.IsValid() {
		return out // per port: the source is one of many
	}
	if out.Source = e.Source; !e.Source.IsValid() {
		out.Range = e.Prefix
	}
	d.excess.Note(e.Prefix, excess.Entry{
		Meter: e.Meter, At: e.Time, Count: e.Count, Limit: e.Limit, Established: e.Established,
	})
	return out
}

// recently is how long ago a source may have been above a limit for why to say so.
const recently = 10 * time.Minute

// whyMeters returns the meters whose limits an address was above lately.
func (d *Daemon) whyMeters(addr netip.Addr, now time.Time) []client.WhyMeter {
	out := []client.WhyMeter{}
	for _, e := range d.excess.Find(addr, now.Add(-recently)) {
		w := client.WhyMeter{Name: e.Meter, At: e.At.UTC(), Count: e.Count, Limit: e.Limit, Established: e.Established}
		if m := d.meter(e.Meter); m != nil {
			w.Rule, w.Sheds = m.String(), m.Shed
		}
		out = append(out, w)
	}
	return out
}

// meterStatus returns what the meters in force did.
func (d *Daemon) meterStatus() []client.MeterStatus {
	out := []client.MeterStatus{}
	if d.plane == nil {
		return out
	}
	stats, err := d.plane.MeterStats()
	if err != nil {
		d.log.Warn("meters not read", "err", err)
		return out
	}
	for _, s := range stats {
		m := client.MeterStatus{Name: s.Name, Matched: s.Matched, Shed: s.Shed, Events: s.Events}
		if rule := d.meter(s.Name); rule != nil {
			m.Rule = rule.String()
		}
		out = append(out, m)
	}
	return out
}

func (d *Daemon) collectMeters(emit emit) {
	for _, m := range d.meterStatus() {
		emit("matched_total", "Packets that the meter counted.", counter, float64(m.Matched), "meter", m.Name)
		emit("shed_total", "Packets that the meter dropped above its limit.", counter, float64(m.Shed), "meter", m.Name)
		emit("events_total", "Events that the meter raised.", counter, float64(m.Events), "meter", m.Name)
	}
}
