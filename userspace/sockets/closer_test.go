package sockets

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a kernel with some sockets.
type fake struct {
	sockets []Socket
	closed  map[Socket]bool
	lists   int           // how often the sockets were listed
	asked   []int         // by how many prefixes each time
	takes   time.Duration // what a list takes
	listErr error
	failing func(Socket) error // of Destroy; nil: none fails
	open    int                // tables that are not closed
}

func (f *fake) table() (Table, error) {
	f.open++
	return f, nil
}

func (f *fake) Connections(within []netip.Prefix, visit func(Socket) bool) error {
	f.lists++
	f.asked = append(f.asked, len(within))
	time.Sleep(f.takes)
	for _, s := range f.left() {
		if !visit(s) {
			break
		}
	}
	return f.listErr
}

func (f *fake) Destroy(s Socket) error {
	if f.failing != nil {
		if err := f.failing(s); err != nil {
			return err
		}
	}
	if f.closed == nil {
		f.closed = map[Socket]bool{}
	}
	f.closed[s] = true
	return nil
}

// left returns the sockets that are open.
func (f *fake) left() []Socket {
	var out []Socket
	for _, s := range f.sockets {
		if !f.closed[s] {
			out = append(out, s)
		}
	}
	return out
}

func (f *fake) Close() error {
	f.open--
	return nil
}

// socketsOf makes as many sockets of a remote address.
func socketsOf(remote string, count int) []Socket {
	out := make([]Socket, count)
	for i := range out {
		out[i].Remote = netip.MustParseAddr(remote)
		out[i].id[0], out[i].id[1], out[i].id[2] = byte(i), byte(i>>8), byte(i>>16)
	}
	return out
}

// host returns the i-th of some host prefixes.
func host(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
}

func TestWhatComesInDuringARoundIsDoneInOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{sockets: socketsOf("192.0.2.1", 3), takes: time.Second}
		c := newCloser(f.table, allBut())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		began := time.Now()
		c.Add(prefixes("192.0.2.1/32"))
		synctest.Wait() // it lists
		for i := range 1000 {
			c.Add([]netip.Prefix{host(i), host(i / 2)})
		}
		if st := c.Stats(); st.Waiting != 1000 {
			t.Errorf("stats = %+v, want 1000 different prefixes to wait", st)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if st := c.Stats(); st.Closed != 3 || st.Rounds != 1 {
			t.Errorf("stats = %+v, want three closed in one round", st)
		}
		for c.Stats().Rounds < 2 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		// Listing twice, and the rest after the first.
		if took, want := time.Since(began), (2+restFactor)*time.Second; took != want {
			t.Errorf("two rounds took %s, want %s", took, want)
		}
		if diff := cmp.Diff([]int{1, 1000}, f.asked); diff != "" {
			t.Errorf("prefixes of each round (-want +got):\n%s", diff)
		}
		cancel()
		if err := <-ended; err != nil || f.open != 0 {
			t.Errorf("run = %v, %d tables left open", err, f.open)
		}
	})
}

func TestAFullQueueCountsWhatItCannotTake(t *testing.T) {
	c := newCloser((&fake{}).table, allBut())
	for i := range maxQueue + 10 {
		c.Add([]netip.Prefix{host(i)})
	}
	c.Add([]netip.Prefix{host(3)}) // waits already
	if st := c.Stats(); st.Waiting != maxQueue || st.Unqueued != 10 {
		t.Errorf("stats = %+v, want %d to wait and 10 not to be taken", st, maxQueue)
	}
}

func TestWhoeverLogsInWhileHeIsBannedIsNotCut(t *testing.T) {
	f := &fake{sockets: append(socketsOf("192.0.2.1", 2), socketsOf("192.0.2.7", 1)...)}
	spared := ""
	c := New(Config{
		Drops: func(a netip.Addr) bool { return a.String() != spared },
		Look:  func() { spared = "192.0.2.7" },
		Open:  f.table, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	c.round(t.Context(), prefixes("192.0.2.0/24"))
	if diff := cmp.Diff(socketsOf("192.0.2.7", 1), f.left(), cmp.Comparer(func(a, b Socket) bool { return a == b })); diff != "" {
		t.Errorf("sockets left (-want +got):\n%s", diff)
	}
	if st := c.Stats(); st.Closed != 2 || st.Spared != 1 {
		t.Errorf("stats = %+v, want two closed and one spared", st)
	}
}

func TestNobodyLooksWhenThereIsNothingToClose(t *testing.T) {
	f := &fake{sockets: append(socketsOf("198.51.100.1", 5), socketsOf("192.0.2.9", 1)...)}
	c := New(Config{
		Drops: allBut("192.0.2.9"), Look: func() { t.Error("looked") },
		Open: f.table, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	c.round(t.Context(), prefixes("192.0.2.0/24"))
	if st := c.Stats(); st.Closed != 0 || st.Spared != 1 || len(f.left()) != 6 {
		t.Errorf("stats = %+v, want none closed", st)
	}
}

func TestMoreSocketsThanARoundTakesAreClosedInSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{sockets: socketsOf("192.0.2.1", 2*maxRound+1)}
		c := newCloser(f.table, allBut())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		c.Add(prefixes("192.0.2.1/32"))
		synctest.Wait()
		if st := c.Stats(); st.Closed != 2*maxRound+1 || st.Rounds != 3 || st.Waiting != 0 {
			t.Errorf("stats = %+v, want all closed in three rounds", st)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatTheKernelRefusesIsCountedAndLogged(t *testing.T) {
	no := errors.New("no")
	for _, tt := range []struct {
		name  string
		fake  *fake
		open  error
		want  Stats
		said  string
		count int // sockets left
	}{
		{"it does not answer", &fake{}, no, Stats{Failures: 1, Rounds: 1}, "err=no", 0},
		{"it lists some and fails", &fake{sockets: socketsOf("192.0.2.1", 2), listErr: no}, nil,
			Stats{Closed: 2, Failures: 1, Rounds: 1}, "err=no", 0},
		{"it closes none", &fake{sockets: socketsOf("192.0.2.1", maxRound+1), failing: func(Socket) error { return ErrNoDestroy }}, nil,
			Stats{Failures: maxRound, Rounds: 1}, "close a connection of 192.0.2.1: the kernel closes no connections", maxRound + 1},
		{"they have ended already", &fake{sockets: socketsOf("192.0.2.1", 2), failing: func(Socket) error { return errGone }}, nil,
			Stats{Rounds: 1}, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			open := tt.fake.table
			if tt.open != nil {
				open = func() (Table, error) { return nil, tt.open }
			}
			c := New(Config{Drops: allBut(), Look: func() {}, Open: open, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now})
			c.round(t.Context(), prefixes("192.0.2.1/32"))
			if diff := cmp.Diff(tt.want, c.Stats()); diff != "" { // and nothing waits to be tried for ever
				t.Errorf("stats (-want +got):\n%s", diff)
			}
			if !strings.Contains(log.String(), tt.said) || tt.said == "" && strings.Contains(log.String(), "WARN") {
				t.Errorf("log lacks %q:\n%s", tt.said, &log)
			}
			if left := len(tt.fake.left()); left != tt.count || tt.fake.open != 0 {
				t.Errorf("%d sockets are left, want %d; %d tables left open", left, tt.count, tt.fake.open)
			}
		})
	}
}

func TestTheEndOfTheDaemonEndsARound(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{sockets: socketsOf("192.0.2.1", 5)}
	f.failing = func(Socket) error { cancel(); return nil }
	c := newCloser(f.table, allBut())
	c.round(ctx, prefixes("192.0.2.1/32"))
	if st := c.Stats(); st.Closed != 1 || len(f.left()) != 4 {
		t.Errorf("stats = %+v, want one closed", st)
	}
}
