package parse

import (
	"sync/atomic"
	"time"
)

// counters count what happened at one node.
type counters struct {
	hits, ok, faults atomic.Uint64
	quiet            atomic.Int64 // no fault is logged before this time, in Unix nanoseconds
}

// visits counts at a runner what is not yet part of counters.
type visits struct{ hits, ok uint32 }

// count notes that an event passed the node's filter.
func (r *run) count(n *node, ok bool) {
	c := &r.counts[n.place]
	if c.hits == 0 {
		r.visited = append(r.visited, n)
	}
	c.hits++
	if ok {
		c.ok++
	}
}

// Flush adds what was counted to the pipeline's Stats.
func (x *Runner) Flush() {
	for _, n := range x.visited {
		c := &x.counts[n.place]
		n.counters.hits.Add(uint64(c.hits))
		n.counters.ok.Add(uint64(c.ok))
		*c = visits{}
	}
	x.visited = x.visited[:0]
}

// NodeStats is what happened at one node since the pipeline was compiled.
type NodeStats struct {
	Stage  string
	Node   string
	File   string
	Line   int
	Hits   uint64 // events that passed the filter
	OK     uint64 // events that the node succeeded on
	Faults uint64 // expressions, methods and targets that failed
}

// Stats returns the counts of all nodes, those inside others behind them.
func (p *Pipeline) Stats() []NodeStats {
	var out []NodeStats
	for _, s := range p.stages {
		for _, n := range s.nodes {
			out = n.appendStats(out)
		}
	}
	return out
}

func (n *node) appendStats(out []NodeStats) []NodeStats {
	out = append(out, NodeStats{
		Stage: n.stage, Node: n.name, File: n.pos.File, Line: n.pos.Line,
		Hits: n.counters.hits.Load(), OK: n.counters.ok.Load(), Faults: n.counters.faults.Load(),
	})
	for _, c := range n.children {
		out = c.appendStats(out)
	}
	return out
}

// faultQuiet is how long a node is silent after a logged fault: hostile lines must not fill the log.
const faultQuiet = time.Minute

// fault counts a failure at run time and logs it, at most once per node and minute.
func (r *run) fault(n *node, message string, err error) {
	total := n.counters.faults.Add(1)
	r.tell(n, StepFault, false, "", message, err)
	quiet, now := n.counters.quiet.Load(), r.p.now()
	if now.UnixNano() < quiet || !n.counters.quiet.CompareAndSwap(quiet, now.Add(faultQuiet).UnixNano()) {
		return
	}
	r.p.log.Warn(message, "node", n.name, "err", err, "faults", total)
}
