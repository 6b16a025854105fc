package enforce

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/enforce/machine"
	"gabion/userspace/lists"
)

// million is how many bans the benchmarks hold.
const million = 1_000_000

// manyBans returns that many decisions on single addresses, all recorded.
func manyBans(n int, now time.Time) []*decision.Decision {
	out := make([]*decision.Decision, n)
	for i := range out {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		out[i] = &decision.Decision{
			ID: uint64(i + 1), Type: decision.TypeBan, Scope: decision.ScopeIP, Value: addr.String(),
			Origin: decision.OriginLists, Scenario: "list", CreatedAt: now, Until: now.Add(time.Hour),
		}
	}
	return out
}

func mustNewPlain(b *testing.B, table Table) *Enforcer {
	b.Helper()
	none := func() ([]netip.Addr, error) { return nil, nil }
	sys := machine.System{Proc: b.TempDir(), ResolvConf: []string{}, Addresses: none, Gateways: none}
	log := slog.New(slog.DiscardHandler)
	return New(Config{
		Table: table, Guard: NewGuard(GuardConfig{System: sys, Log: log}), IDs: &decision.IDs{},
		MaxBans: 2 * million, Log: log, Now: time.Now,
	})
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func mustRestore(b *testing.B, e *Enforcer, ds []*decision.Decision) {
	b.Helper()
	if err := e.Restore(ds); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRestoreAMillion(b *testing.B) {
	ds := manyBans(million, time.Now())
	for b.Loop() {
		before := heap()
		e := mustNewPlain(b, &Memory{})
		began := time.Now()
		mustRestore(b, e, ds)
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/million, "ns/ban")
		b.ReportMetric(float64(heap()-before)/million, "B/ban")
		runtime.KeepAlive(e)
	}
}

// BenchmarkReconcileAMillion measures a reconcile that finds nothing to do, and the longest that a
// ban waits while it runs.
func BenchmarkReconcileAMillion(b *testing.B) {
	e := mustNewPlain(b, &Memory{})
	mustRestore(b, e, manyBans(million, time.Now()))
	if _, err := e.Reconcile(time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		worst, mean := banDuring(b, e, func() {
			began := time.Now()
			if drift, err := e.Reconcile(time.Now()); err != nil || drift.Total() > drift.Missing {
				b.Errorf("drift = %+v, %v", drift, err)
			}
			b.ReportMetric(float64(time.Since(began).Nanoseconds())/million, "ns/ban")
		})
		b.ReportMetric(worst, "ms-worst-Ban")
		b.ReportMetric(mean, "ms-mean-Ban")
	}
}

// BenchmarkExpireAMillion measures the end of a list of which all decisions end at once.
func BenchmarkExpireAMillion(b *testing.B) {
	ds := manyBans(million, time.Now())
	for b.Loop() {
		e := mustNewPlain(b, &Memory{})
		mustRestore(b, e, ds)
		if _, err := e.Reconcile(time.Now()); err != nil {
			b.Fatal(err)
		}
		worst, mean := banDuring(b, e, func() {
			began := time.Now()
			if n := len(e.Expire(time.Now().Add(2 * time.Hour))); n < million {
				b.Errorf("%d have ended", n)
			}
			b.ReportMetric(float64(time.Since(began).Nanoseconds())/million, "ns/ban")
		})
		b.ReportMetric(worst, "ms-worst-Ban")
		b.ReportMetric(mean, "ms-mean-Ban")
	}
}

// banDuring bans one address every millisecond while work runs, and returns how long the longest
// took, and the mean.
func banDuring(b *testing.B, e *Enforcer, work func()) (worst, mean float64) {
	b.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var sum float64
		n := 0
		for tick := time.NewTicker(time.Millisecond); ; n++ {
			select {
			case <-stop:
				tick.Stop()
				mean = sum / math.Max(1, float64(n))
				return
			case <-tick.C:
			}
			d := &decision.Decision{Type: decision.TypeBan, Scope: decision.ScopeIP, CreatedAt: time.Now(), Until: time.Now().Add(24 * time.Hour),
				Value: fmt.Sprintf("2001:db8::%x:%x", n>>16&0xffff, n&0xffff)}
			began := time.Now()
			if refused := e.Ban([]*decision.Decision{d}); len(refused) > 0 {
				b.Errorf("refused: %s", refused[0].Reason)
			}
			took := float64(time.Since(began).Microseconds()) / 1000
			worst, sum = math.Max(worst, took), sum+took
		}
	}()
	work()
	close(stop)
	<-stopped
	return worst, mean
}

// millionList returns a list of that many addresses of 10.0.0.0/8, and its bytes in memory.
func millionList(now time.Time, from int) (List, int64) {
	before := heap()
	l := List{Class: decision.ClassFirstList, Name: "million", Imported: now, Until: now.Add(time.Hour)}
	l.Entries = lists.New(func(yield func(netip.Prefix) bool) {
		for i := from; i < from+million; i++ {
			if !yield(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)) {
				return
			}
		}
	})
	return l, heap() - before
}

// BenchmarkReplaceAMillion measures the exchange of one list of a million for another that shares half
// of it, what stays in memory, and the longest that a ban waits meanwhile.
func BenchmarkReplaceAMillion(b *testing.B) {
	b.Run("memory", func(b *testing.B) { replaceAMillion(b, mustNewPlain(b, &Memory{})) })
	b.Run("kernel", func(b *testing.B) {
		e, _ := mustPlane(b, 2*million, time.Now())
		replaceAMillion(b, e)
	})
}

func replaceAMillion(b *testing.B, e *Enforcer) {
	now := time.Now()
	odd, size := millionList(now, 0)
	even, _ := millionList(now, million/2)
	for i := 0; b.Loop(); i++ {
		next := odd
		if i%2 == 1 {
			next = even
		}
		worst, mean := banDuring(b, e, func() {
			if r, err := e.ReplaceList(next); err != nil || r.Enforced != million {
				b.Errorf("report = %+v, %v", r, err)
			}
		})
		b.ReportMetric(worst, "ms-worst-Ban")
		b.ReportMetric(mean, "ms-mean-Ban")
	}
	b.ReportMetric(float64(size)/million, "B/entry")
}

// BenchmarkReconcileAMillionListed measures a reconcile of a list of a million with nothing to do.
func BenchmarkReconcileAMillionListed(b *testing.B) {
	e := mustNewPlain(b, &Memory{})
	l, _ := millionList(time.Now(), 0)
	if _, err := e.ReplaceList(l); err != nil {
		b.Fatal(err)
	}
	if _, err := e.Reconcile(time.Now()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		worst, mean := banDuring(b, e, func() {
			if drift, err := e.Reconcile(time.Now()); err != nil || drift.Total() > drift.Missing {
				b.Errorf("drift = %+v, %v", drift, err)
			}
		})
		b.ReportMetric(worst, "ms-worst-Ban")
		b.ReportMetric(mean, "ms-mean-Ban")
	}
}
