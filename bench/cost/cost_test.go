package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/tools/loggen/logs"
	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
)

// mustLoad loads the rules that ship.
func mustLoad(t *testing.T) *rulebook.Book {
	t.Helper()
	cfg := config.Default()
	cfg.Rules = config.Rules{Embedded: true}
	book, err := rulebook.Load(cfg, rulebook.Deps{
		Now: func() time.Time { return time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC) }, Log: slog.New(slog.DiscardHandler), DataDir: t.TempDir(),
	})
	if err != nil || len(book.Faults) > 0 {
		t.Fatal(err, book.Faults)
	}
	return book
}

// mustWrite writes a log.
func mustWrite(t *testing.T, kind string, o logs.Options) (text []byte, label string) {
	t.Helper()
	k, err := logs.Named(kind)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := k.Write(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), k.Type
}

// options returns options for a log; its clock goes on by a millisecond with every look at it.
func options(book *rulebook.Book, in io.Reader, label string) Options {
	now := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	return Options{Rules: book.Rules, Profiles: book.Profiles, Input: in, File: "x.log", Type: label, Now: func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	}}
}

func TestAnyNumberOfWorkersFindsTheSame(t *testing.T) {
	book := mustLoad(t)
	const lines = 6_000
	for kind, o := range map[string]logs.Options{
		"auth": {Lines: lines, Sources: 100}, "nginx": {Lines: lines, Sources: 300, Hostile: 300}, "stubborn": {Lines: lines}, "crowd": {Lines: lines},
	} {
		text, label := mustWrite(t, kind, o)
		type found struct{ Lines, Parsed, Unparsed, Live, Overflows, Alerts, Decisions uint64 }
		var want found
		for workers := 1; workers <= 4; workers++ {
			o := options(book, bytes.NewReader(text), label)
			o.Workers = workers
			r, err := Measure(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			got := found{r.Lines, r.Parsed, r.Unparsed, r.LiveBuckets, r.Overflows, r.Alerts, r.Decisions}
			if workers == 1 {
				want = got
				if got.Lines != lines || kind != "crowd" && got.Overflows < 10 {
					t.Errorf("%s: %+v proves nothing", kind, got)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %d workers (-one +%[2]d):\n%s", kind, workers, diff)
			}
		}
	}
}

func TestAReportSaysWhatWasUsed(t *testing.T) {
	text, label := mustWrite(t, "auth", logs.Options{Lines: 5_000})
	o := options(mustLoad(t), bytes.NewReader(text), label)
	var profile bytes.Buffer
	o.CPU = &profile
	r, err := Measure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Lines != 5_000 || r.Workers != 1 || r.Wall <= 0 || r.CPU <= 0 || r.LinesPerS <= 0 || r.LinesPerCPU <= 0 ||
		r.AllocsPerLine <= 0 || r.PeakRSS < 1<<20 || r.LiveBuckets == 0 || r.Parsed == 0 {
		t.Errorf("report %+v", r)
	}
	if r.Parsed+r.Unparsed+r.Whitelisted != r.Lines {
		t.Errorf("%d parsed, %d not and %d whitelisted of %d lines", r.Parsed, r.Unparsed, r.Whitelisted, r.Lines)
	}
	if profile.Len() == 0 {
		t.Error("no profile was written")
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var human bytes.Buffer
	if err := r.Print(&human); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ in, text string }{
		{string(encoded), `"lines":5000`}, {string(encoded), `"lines_per_cpu_s":`}, {string(encoded), `"peak_rss_bytes":`},
		{human.String(), "5000: "}, {human.String(), "on 1 cores"},
	} {
		if !strings.Contains(want.in, want.text) {
			t.Errorf("%q is not in %s", want.text, want.in)
		}
	}
}

func TestALogThatCannotBeMeasuredIsAnError(t *testing.T) {
	book := mustLoad(t)
	broken := errors.New("disk on fire")
	if _, err := Measure(t.Context(), options(book, iotest.ErrReader(broken), "syslog")); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if _, err := Measure(t.Context(), options(book, strings.NewReader(""), "syslog")); err == nil {
		t.Error("an empty log was measured")
	}
}

func TestProgressIsToldWhileTheLogIsRead(t *testing.T) {
	text, label := mustWrite(t, "auth", logs.Options{Lines: 5_000})
	o := options(mustLoad(t), bytes.NewReader(text), label)
	now := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	o.Now = func() time.Time {
		now = now.Add(progressEvery)
		return now
	}
	var told []int64
	o.Progress = func(p Progress) { told = append(told, p.Bytes) }
	if _, err := Measure(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(told) < 2 || told[len(told)-1] != int64(len(text)) || told[0] >= int64(len(text)) {
		t.Errorf("told of %v bytes of %d", told, len(text))
	}
}
