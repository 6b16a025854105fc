/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The loop around a lookup: time is read twice for all rounds together, so it weighs nothing. */
#ifndef WALK_H
#define WALK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "traffic.h"

struct walk {
	struct draw draw;
	__u64 found;
};

typedef long (*step_fn)(__u32 round, struct walk *walk);

/* Counts an answer. The next source depends on it, so that two lookups overlap only as far as the
 * processor foresees what it is. */
static __always_inline void answer(struct walk *walk, __u64 found)
{
	walk->found += found;
	walk->draw.state ^= found;
}

static __always_inline int time_walk(step_fn step)
{
	struct job *job = this_job();
	struct walk walk = {};
	__u64 start;

	if (!job)
		return XDP_ABORTED;
	walk.draw = job->draw;
	start = bpf_ktime_get_ns();
	bpf_loop(job->rounds, step, &walk, 0);
	job->ns = bpf_ktime_get_ns() - start;
	job->draw.state = walk.draw.state;
	job->found = walk.found;
	return XDP_DROP;
}

#endif
