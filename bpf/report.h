/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reports to user space. They are rare by construction (one per key and window) and budgeted per
 * CPU on top, so the ring buffer's own choice of when to wake the reader is right: never a wake-up
 * per packet.
 *
 * Whoever forges addresses can make as many keys pass a limit as he likes. So what is not proven
 * has a budget of its own, another one for each meter, and leaves half of the ring buffer free: it
 * can push out neither the reports of sources that are proven, the only ones that are banned, nor
 * those of another meter.
 */
#ifndef REPORT_H
#define REPORT_H

#include <bpf/bpf_helpers.h>

#include "config.h"
#include "gabion.h"
#include "look.h"
#include "maps.h"
#include "match.h"

#define SECOND 1000000000ULL

/* Takes one off what this CPU may write in the running second, of which an entry of budgets keeps
 * count. */
static __always_inline int within_budget(void *budgets, __u32 key, __u64 now, __u64 limit)
{
	struct budget *budget = bpf_map_lookup_elem(budgets, &key);

	if (!budget)
		return 0;
	if (now - budget->start >= SECOND) {
		budget->start = now;
		budget->used = 0;
	}
	if (budget->used >= limit)
		return 0;
	budget->used++;
	return 1;
}

static __always_inline void fill_event(struct meter_event *event, const struct look *look,
				       const struct meter *meter, __u32 count, enum report kind)
{
	int v6 = look->pkt.family == 6;

	event->time = look->boot;
	event->window = meter->window_ns;
	event->limit = meter->wanted;
	__builtin_memcpy(event->source, &look->high, sizeof(look->high));
	__builtin_memcpy(event->source + sizeof(look->high), &look->low, sizeof(look->low));
	event->count = count;
	event->meter = meter->id;
	event->ifindex = look->ifindex;
	event->dst_port = bpf_ntohs(look->pkt.dport);
	event->family = look->pkt.family;
	event->prefixlen = meter->prefixlen[v6];
	event->unit = meter->unit;
	event->shift = meter->shift;
	event->established = kind == REPORT_ESTABLISHED;
	event->protocol = look->pkt.l4_proto;
	__builtin_memset(event->pad, 0, sizeof(event->pad));
}

/* The counters are this CPU's own. */
static __always_inline void count_event(__u32 at, enum report kind)
{
	struct meter_counts *counts = bpf_map_lookup_elem(&meter_counts, &at);
	__u32 zero = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);

	if (!counts || !st)
		return;
	counts->events++;
	st->events++;
	if (kind != REPORT_ESTABLISHED)
		st->events_unproven++;
}

/* Says whether the ring buffer has room for reports of that kind. */
static __always_inline int has_room(enum report kind)
{
	return kind == REPORT_ESTABLISHED ||
	       bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) <
		       bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 2;
}

/* Takes a report of that kind, of the meter at a place, off its budget. */
static __always_inline int may_report(const struct look *look, __u32 at, enum report kind)
{
	int proven = kind == REPORT_ESTABLISHED;

	return within_budget(&budgets, proven ? METERS : at, look->boot,
			     proven ? events_budget : unproven_budget);
}

static __always_inline void count_put_off(int full)
{
	__u32 zero = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);

	if (!st)
		return;
	if (full)
		st->events_full++;
	else
		st->events_over_budget++;
}

/* Writes the event of this key, window and kind, of the meter at a place. Returns 1 when it is
 * written, now or by another CPU at the same time, and 0 when it has to be tried again.
 *
 * The claim comes before the record: a record that is reserved and then discarded without a wake-up
 * lets one that another CPU wrote behind it sleep, and all after it. */
static __always_inline int report(const struct look *look, const struct meter *meter, __u32 at,
				  __u32 count, enum report kind)
{
	struct claim claim = {.running = meter->running, .meter = meter->id, .kind = kind};
	struct key key = key_of(meter, look);
	struct meter_event *event;
	__u64 one = 1;

	if (!has_room(kind)) {
		count_put_off(1);
		return 0;
	}
	if (!may_report(look, at, kind)) {
		count_put_off(0);
		return 0;
	}
	__builtin_memcpy(claim.key, &key, sizeof(claim.key));
	if (bpf_map_update_elem(&claims, &claim, &one, BPF_NOEXIST))
		return 1;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		bpf_map_delete_elem(&claims, &claim);
		count_put_off(1);
		return 0;
	}
	fill_event(event, look, meter, count, kind);
	bpf_ringbuf_submit(event, 0);
	count_event(at, kind);
	return 1;
}

#endif
