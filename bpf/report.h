/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reports to user space. They are rare by construction (one per source and window) and budgeted per
 * CPU on top, so the ring buffer's own choice of when to wake the reader is right: never a wake-up
 * per packet.
 */
#ifndef REPORT_H
#define REPORT_H

#include <bpf/bpf_helpers.h>

#include "config.h"
#include "gabion.h"
#include "maps.h"
#include "packet.h"

#define SECOND 1000000000ULL

static __always_inline int within_budget(__u64 now)
{
	__u32 zero = 0;
	struct budget *budget = bpf_map_lookup_elem(&budgets, &zero);

	if (!budget)
		return 0;
	if (now - budget->start >= SECOND) {
		budget->start = now;
		budget->used = 0;
	}
	if (budget->used >= events_budget)
		return 0;
	budget->used++;
	return 1;
}

/* Writes the event of this source, window and kind. Returns 1 when it is written, now or by another
 * CPU at the same time, and 0 when it has to be tried again.
 *
 * The claim comes before the record: a record that is reserved and then discarded without a wake-up
 * lets one that another CPU wrote behind it sleep, and all after it. */
static __always_inline int report(const struct frame *frame, const struct packet *pkt,
				  const struct source *key, const struct conn *conn,
				  const struct meter *meter, enum report kind, struct stats *st,
				  __u64 now)
{
	struct claim claim = {.start = conn->start, .kind = kind};
	struct conn_event *event;
	__u64 one = 1;

	if (!within_budget(now)) {
		st->events_over_budget++;
		return 0;
	}
	__builtin_memcpy(claim.addr, key->addr, sizeof(claim.addr));
	if (bpf_map_update_elem(&claims, &claim, &one, BPF_NOEXIST))
		return 1;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		bpf_map_delete_elem(&claims, &claim);
		st->events_full++;
		return 0;
	}
	event->time = now;
	event->window = meter->window;
	__builtin_memcpy(event->source, key->addr, sizeof(event->source));
	event->count = conn->count;
	event->limit = meter->limit;
	event->ifindex = frame->ifindex;
	event->dst_port = bpf_ntohs(pkt->dport);
	event->family = pkt->family;
	event->established = kind == REPORT_ESTABLISHED;
	st->events++;
	if (!event->established)
		st->events_unproven++;
	bpf_ringbuf_submit(event, 0);
	return 1;
}

#endif
