package engine

import "time"

// maxRounds bounds how often an overflow that was raised by an overflow is fed back: scenarios may
// match their own overflows, which would go on for ever.
const maxRounds = 4

// runSequencer takes the jobs in input order, waits until each is parsed and gives its parts to
// the shards. It ends, and closes the shards' queues, when order is closed and drained.
func (e *Engine) runSequencer() {
	w := worker{engine: e}
	var ticks <-chan time.Time
	if e.deliver == nil {
		t := time.NewTicker(tick)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case j, ok := <-e.order:
			if !ok {
				for _, s := range e.shards {
					close(s.in)
				}
				return
			}
			<-j.parsed
			e.conduct(&w, j)
			if e.deliver != nil && !j.reload {
				e.deliver <- j
			}
		case <-ticks:
			if r := e.current.Load(); r.timed {
				e.conduct(&w, newTick(r, e.config.Now(), len(e.shards)))
			}
		}
	}
}

// conduct gives a job to the shards, and then what it leads to, which w matches.
func (e *Engine) conduct(w *worker, j *job) {
	e.advance(j)
	if j.rules.feedsBack && !j.reload {
		e.dispatchRounds(w, j)
	} else {
		e.dispatch(j)
	}
}

// dispatch gives the shards their parts of a job. The last shard to finish ends the job.
func (e *Engine) dispatch(j *job) {
	wanted := make([]bool, len(j.parts)) // the shards write to a part as soon as they have it
	n := 0
	for i := range j.parts {
		if wanted[i] = j.reload || len(j.parts[i].pours) > 0 || j.tells(); wanted[i] {
			n++
		}
	}
	if n == 0 {
		j.finish()
		return
	}
	j.left.Store(int32(n))
	for i, s := range e.shards {
		if wanted[i] {
			s.take(j)
		}
	}
}

// dispatchRounds dispatches a job and then, round by round, the overflows that it raised and that
// are fed back. It waits for the shards in between: what an overflow leads to happens before the
// next batch, for any number of shards.
func (e *Engine) dispatchRounds(w *worker, j *job) {
	w.use(j.rules)
	defer w.flush()
	last := j.finish
	step := make(chan struct{}, 1)
	j.finish = func() { step <- struct{}{} }
	for round := 1; ; round++ {
		e.dispatch(j)
		<-step
		again := j.takeAgain()
		if len(again) == 0 || round > maxRounds {
			e.count.dropped.Add(uint64(len(again)))
			break
		}
		for i, r := range again {
			w.offer(j, r.event, position{round: round, event: i})
		}
	}
	last()
}
