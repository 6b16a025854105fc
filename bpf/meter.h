/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The meters: what a packet that no ban drops adds to the counts of its keys, and what follows when
 * a limit is passed.
 *
 * A meter says which packets it counts (match.h), for which key (their source, its network, or
 * their destination port) and how many units a key may have in a window. Windows of a meter follow
 * each other without a gap, the same for all keys, so that a slot needs no time of its own. Above
 * the limit a meter sheds, which means that what it counts is dropped for the rest of the window,
 * and there is one event per key and window; two when a source is proven real only after the first
 * (proof.h). An allowed source is neither shed nor reported.
 *
 * First all meters count, without a branch on what others found; only then, and only for a packet
 * that is above some limit or near one, comes what is expensive. What is shed looks for no socket
 * but now and then.
 */
#ifndef METER_H
#define METER_H

#include <bpf/bpf_helpers.h>

#include "allow.h"
#include "clock.h"
#include "count.h"
#include "gabion.h"
#include "look.h"
#include "maps.h"
#include "match.h"
#include "proof.h"
#include "proven.h"
#include "report.h"
#include "tiny.h"

#define OFFSETS 512 /* power of two: where a header can begin that is looked at here */

/* Bounds an index of look->sum and look->slot; for how see slot_at(). */
static __always_inline __u32 place_bound(__u32 at)
{
	barrier_var(at);
	return at & (METERS - 1);
}

/* Counts the packet in one meter, if it matches, and notes what is left to do. */
static __always_inline void count_in(struct look *look, struct meter *meter, __u32 at)
{
	struct meter_counts *counts = bpf_map_lookup_elem(&meter_counts, &at);
	__u32 sum, bit = 1U << at;
	struct place place;
	__u64 slot;

	if (counts)
		counts->matched++;
	slot = count_up(meter, look, at, &place);
	if (!slot) {
		look->full++;
		return;
	}
	sum = slot & SLOT_COUNT;
	if (sum > meter->limit)
		look->over |= bit;
	else if (!(look->view.proof & bit) || sum < from_count(meter))
		return;
	if (slot & SLOT_REPORTED)
		return;
	look->work |= bit;
	look->sum[place_bound(at)] = sum;
	look->slot[place_bound(at)] = place.line * SLOTS + place.index;
}

static __always_inline struct look *this_look(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&looks, &zero);
}

static __always_inline struct meter *meter_at(const struct look *look, __u32 at)
{
	__u32 index = (look->view.flags & METERS_HALF) * METERS + at;

	return bpf_map_lookup_elem(&meters, &index);
}

/* Counts the packet that this CPU looks at in the meter of a place. Like the other two that follow
 * a function of its own: the verifier proves it once, and not for each place and way to it. */
__noinline int count_meter(__u32 at)
{
	struct look *look = this_look();
	struct meter *meter;

	at &= METERS - 1;
	if (!look)
		return 0;
	meter = meter_at(look, at);
	if (meter && matches(meter, look))
		count_in(look, meter, at);
	return 0;
}

/* Notes in the slot that its key needs no more work in this window. A bit that two CPUs add at once
 * is gone again; then the next packet adds it. */
static __always_inline void set_reported(__u32 where)
{
	__u32 line = where / SLOTS;
	struct meter_line *slots = bpf_map_lookup_elem(&meter_slots, &line);

	if (slots)
		__sync_fetch_and_add(slot_at(slots, where), SLOT_REPORTED);
}

/* Reports a key that is above the limit of the meter of a place, if nothing has to be proven first.
 */
__noinline int report_meter(__u32 at)
{
	struct look *look = this_look();
	struct meter *meter;

	at &= METERS - 1;
	if (!look)
		return 0;
	meter = meter_at(look, at);
	if (meter && report(look, meter, at, look->sum[place_bound(at)], REPORT_UNPROVEN))
		set_reported(look->slot[place_bound(at)]);
	return 0;
}

/* Does for the meter of a place, which counts SYNs per source, what proof.h says. A function of
 * each hook: bpf/gabion.bpf.c. */
typedef int (*prove_fn)(void *ctx, __u32 at);

static __always_inline int prove_meter(void *ctx, __u32 at)
{
	struct look *look = this_look();
	struct meter *meter;
	struct conn *conn;
	__u64 *cell;
	int syn;

	at &= METERS - 1;
	if (!look)
		return 0;
	meter = meter_at(look, at);
	cell = suspect_cell(look);
	if (!meter || !cell)
		return 0;
	running_window(meter, look->now);
	syn = look->pkt.tcp_flags & TCP_SYN;
	conn = find_conn(look, meter, syn);
	if (!conn) {
		*cell &= ~(1ULL
			   << at); /* if a source of the same hash has one, its next SYN sets it */
		return 0;
	}
	if (conn->reported == REPORT_ESTABLISHED) {
		if (syn)
			set_reported(look->slot[place_bound(at)]);
		return 0;
	}
	if (syn) {
		*cell |= 1ULL << at;
		conn->count = look->sum[place_bound(at)];
		if (conn->count <= meter->limit || !is_proven(conn, meter))
			seek_proof(ctx, look, conn, meter);
	} else if (!is_proven(conn, meter)) {
		take_proof(ctx, look, conn);
	}
	try_report(look, meter, at, conn);
	return 0;
}

/* Says whether the source of the packet that this CPU looks at is proven. */
__noinline int is_spared(void)
{
	struct look *look = this_look();

	return look && is_proven_source(look);
}

/* Returns the meters that shed the packet, as bits of their places. */
static __always_inline __u32 to_shed(struct look *look, struct stats *st)
{
	__u32 shed;

	if (!look->over)
		return 0;
	if (find_allow(&look->pkt)) {
		look->work = 0;
		return 0;
	}
	shed = look->over & look->view.shed;
	if (shed & look->view.spare && is_spared()) {
		st->spared++;
		shed &= ~(__u32)look->view.spare;
	}
	return shed;
}

/* Returns the meters that count SYNs of a source and are to see this packet of one of its
 * connections, as bits of their places. */
static __always_inline __u32 to_prove(const struct look *look)
{
	__u32 want = MARK_TCP | MARK_HEADER, no = TCP_SYN | MARK_CLOSED | MARK_HALF_OPEN;
	__u64 *cell;

	if (!look->view.proof || (look->marks & (want | no)) != want)
		return 0;
	cell = suspect_cell(look);
	return cell ? *cell & look->view.proof : 0;
}

static __always_inline void count_shed(__u32 at)
{
	struct meter_counts *counts = bpf_map_lookup_elem(&meter_counts, &at);

	if (counts)
		counts->shed++;
}

/* Completes what begin_look() has begun; answer are marks of what is answered. Returns 0 when no
 * meter is in force any more. */
static __always_inline int show_meters(struct look *look, __u32 answer)
{
	*(volatile __u64 *)&look->view = *(volatile const __u64 *)&control.meters;
	look->marks = marks_of(&look->pkt) | answer;
	look->full = 0;
	look->over = 0;
	look->work = 0;
	set_source(look);
	return look->view.count;
}

/* Says whether some meter may count the packet. */
static __always_inline int is_counted(const struct look *look)
{
	__u32 begins = TCP_SYN | MARK_CLOSED | MARK_HALF_OPEN;

	return !(look->view.flags & METERS_NO_SEGMENTS) ||
	       (look->marks & (MARK_TCP | begins)) != MARK_TCP;
}

/* Lets the meters count what is in look. Returns whether the packet is to be shed. Without prove
 * there is nothing to prove, as with answers. */
static __always_inline int count_all(void *ctx, struct look *look, struct stats *st, clock_fn clock,
				     prove_fn prove)
{
	__u32 count = is_counted(look) ? look->view.count : 0, shed, work;

	look->now = clock(CLOCK_JIFFIES);
	for (__u32 at = 0; at < METERS && at < count; at++)
		count_meter(at);
	st->metered_full += look->full;
	look->work |= to_prove(look);
	shed = to_shed(look, st);
	work = look->work;
	if (!(shed | work))
		return 0;
	if (work)
		look->boot = clock(CLOCK_BOOT);
	for (__u32 at = 0; at < METERS && at < look->view.count; at++) {
		if (shed >> at & 1)
			count_shed(at);
		if (!(work >> at & 1))
			continue;
		if (prove && look->view.proof >> at & 1)
			prove(ctx, at);
		else
			report_meter(at);
	}
	return shed != 0;
}

/* Goes on parsing a packet that begin_look() was given, behind its IP header, at offset bytes.
 * Returns 1 when fragments follow it. */
static __always_inline int look_at_ports(const struct frame *frame, __u32 offset)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct look *look = this_look();
	__u32 zero = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);

	if (!look || !st)
		return 0;
	barrier_var(offset);
	offset &= OFFSETS - 1;
	cur.pos += offset;
	if (parse_ports(&cur, &look->pkt) < 0)
		st->ext_limit++;
	*(volatile __u32 *)&look->offset = cur.pos - frame->data;
	return !!*(volatile __be16 *)&look->pkt.more;
}

/* Looks at a packet that others follow once more: see tiny.h. */
static __always_inline int look_at_tiny(const struct frame *frame)
{
	struct look *look = this_look();
	__u32 zero = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);

	if (!look || !st || !parse_tiny(frame, look->offset, &look->pkt))
		return 0;
	st->tiny_fragments++;
	return 1;
}

/* The functions of each hook that the verifier proves once for it, since only they need its
 * context. */
struct meter_fns {
	int (*ports)(void *ctx, __u32 offset); /* look_at_ports() */
	int (*tiny)(void *ctx);		       /* look_at_tiny() */
	prove_fn prove;
};

typedef int (*meter_fn)(void *ctx, __u32 offset); /* meter_packet() */

static __always_inline int meter_packet(void *ctx, __u32 offset, clock_fn clock,
					const struct meter_fns *call)
{
	__u32 zero = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);
	struct look *look = this_look();

	if (!st || !look)
		return 0;
	if (call->ports(ctx, offset))
		call->tiny(ctx);
	return show_meters(look, 0) && count_all(ctx, look, st, clock, call->prove);
}

/* Says whether a packet of that protocol is for the meters. */
static __always_inline int any_meters(__u8 l4_proto)
{
	return control.meters.count &&
	       !(l4_proto == IPPROTO_UDP && control.meters.flags & METERS_NO_UDP);
}

/* Says whether anything depends on what this machine sends. */
static __always_inline int any_watchers(void)
{
	return control.meters.spare || control.meters.flags & METERS_ANSWERS;
}

/* Begins to look at a packet, of which the source is known. */
static __always_inline void begin_look(struct look *look, const struct packet *pkt,
				       const struct frame *frame)
{
	look->pkt = *pkt;
	look->len = frame->len;
	look->ifindex = frame->ifindex;
}

#endif
