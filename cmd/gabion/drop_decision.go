package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/decision"
)

// An answer is asked for again after a while: the ban that drops a source may have been replaced. The
// number of them is bounded, for a banned prefix may have any number of sources.
const (
	answerAge  = 10 * time.Second
	maxAnswers = 4096
)

// decisionFinder says which decision is behind a dropped packet: it asks the daemon, and where that
// does not know, the kernel's tables.
type decisionFinder struct {
	client  *client.Client
	plane   *loader.Plane
	now     func() time.Time
	notes   io.Writer
	noted   bool // that the daemon does not answer
	answers map[question]answer
}

type question struct {
	source netip.Addr
	class  decision.Class
}

type answer struct {
	decision *client.Decision
	at       time.Time
}

func newDecisionFinder(c *client.Client, plane *loader.Plane, now func() time.Time, notes io.Writer) *decisionFinder {
	return &decisionFinder{client: c, plane: plane, now: now, notes: notes, answers: map[question]answer{}}
}

// decision returns the decision behind a sample; nil when no decision drops such packets, or when it
// has ended since.
func (f *decisionFinder) decision(ctx context.Context, s loader.Sample) *client.Decision {
	if s.Reason != loader.DroppedByBan || !s.Source.IsValid() {
		return nil
	}
	q := question{s.Source, s.Class}
	now := f.now()
	if have, ok := f.answers[q]; ok && now.Sub(have.at) < answerAge {
		return have.decision
	}
	d := f.fromDaemon(ctx, q)
	if d == nil {
		d = f.fromKernel(q, now)
	}
	if len(f.answers) >= maxAnswers {
		clear(f.answers)
	}
	f.answers[q] = answer{d, now}
	return d
}

func (f *decisionFinder) fromDaemon(ctx context.Context, q question) *client.Decision {
	why, err := f.client.Why(ctx, q.source)
	if err != nil {
		f.note(ctx, err)
		return nil
	}
	for _, b := range why.Bans { // the most specific first
		if b.Simulated == nil || !*b.Simulated {
			return &b.Decision
		}
	}
	return nil
}

// note says once that the daemon does not answer.
func (f *decisionFinder) note(ctx context.Context, err error) {
	if f.noted || ctx.Err() != nil {
		return
	}
	f.noted = true
	if errors.Is(err, client.ErrNotRunning) {
		fmt.Fprintln(f.notes, "The daemon is not running: decisions are shown as the kernel knows them, without their scenario.")
		return
	}
	fmt.Fprintf(f.notes, "Decisions are shown as the kernel knows them, without their scenario: %s\n", printable(advise(err).Error(), oneLine))
}

// fromKernel looks for the longest banned prefix that is in force, as the kernel does.
func (f *decisionFinder) fromKernel(q question, now time.Time) *client.Decision {
	for bits := q.source.BitLen(); bits >= 0; bits-- {
		p := netip.PrefixFrom(q.source, bits).Masked()
		r, ok, err := f.plane.BanHit(p)
		if err != nil || !ok || r.Class != q.class || !r.Until.IsZero() && !r.Until.After(now) {
			continue
		}
		d := &client.Decision{
			ID: r.DecisionID, Type: decision.TypeBan, Scope: decision.ScopeRange, Value: prefixText(p), Hits: &r.Hits,
		}
		if p.IsSingleIP() {
			d.Scope = decision.ScopeIP
		}
		if !r.Until.IsZero() {
			d.Until, d.Duration = r.Until.UTC().Format(time.RFC3339), left(r.Until, now)
		}
		return d
	}
	return nil
}
