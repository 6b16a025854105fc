/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The stages every hook runs, in order: source address, bans, allow, and for what passes the
 * meters. There is one way out, and it counts.
 */
#ifndef FILTER_H
#define FILTER_H

#include "allow.h"
#include "bans.h"
#include "clock.h"
#include "gabion.h"
#include "maps.h"
#include "meter.h"
#include "packet.h"
#include "sample.h"

enum verdict {
	PASS = 0,
	DROP,
};

/* What became of a packet: the counters in struct stats of the same names. */
enum outcome {
	O_PASSED = 0,
	O_NON_IP,
	O_TRUNCATED,
	O_MALFORMED,
	O_DISABLED,
	O_EXPIRED,
	O_SHADOWED,
	O_ALLOWED,
	O_DROPPED,
	O_SHED,
	O_OVERTAGGED,
};

static __always_inline void count(__u64 *v4, __u64 *v6, const struct packet *pkt)
{
	if (pkt->family == 4)
		(*v4)++;
	else
		(*v6)++;
}

/* Counts a packet once and says what the hook does with it. The counters are this CPU's own, and a
 * program is not interrupted by itself, so nothing is atomic here. */
static __always_inline enum verdict account(struct stats *st, const struct frame *frame,
					    const struct packet *pkt, enum outcome outcome)
{
	st->received++;
	st->received_bytes += frame->len;
	switch (outcome) {
	case O_PASSED:
		count(&st->passed_v4, &st->passed_v6, pkt);
		break;
	case O_NON_IP:
		st->passed_non_ip++;
		break;
	case O_TRUNCATED:
		st->truncated++;
		break;
	case O_MALFORMED:
		st->malformed++;
		break;
	case O_DISABLED:
		count(&st->disabled_v4, &st->disabled_v6, pkt);
		break;
	case O_EXPIRED:
		count(&st->expired_v4, &st->expired_v6, pkt);
		break;
	case O_SHADOWED:
		count(&st->shadowed_v4, &st->shadowed_v6, pkt);
		break;
	case O_ALLOWED:
		count(&st->allowed_v4, &st->allowed_v6, pkt);
		break;
	case O_DROPPED:
		count(&st->dropped_v4, &st->dropped_v6, pkt);
		st->dropped_bytes += frame->len;
		return DROP;
	case O_SHED:
		count(&st->shed_v4, &st->shed_v6, pkt);
		st->dropped_bytes += frame->len;
		return DROP;
	case O_OVERTAGGED:
		st->dropped_tags++;
		st->dropped_bytes += frame->len;
		return DROP;
	}
	return PASS;
}

/* What is found out about a marked source: an enum outcome, and the class of the ban that dropped
 * it above that. */
#define OUTCOME_BITS 8

static __always_inline int outcome_of(enum judgement judgement, const struct ruling *by,
				      struct allow *allow)
{
	switch (judgement) {
	case CLEAN:
		return O_PASSED;
	case SHADOWED:
		return O_SHADOWED;
	case EXPIRED:
		return O_EXPIRED;
	case DISABLED:
		return O_DISABLED;
	case BANNED:
		break;
	}
	if (allow) {
		__sync_fetch_and_add(&allow->hits, 1);
		return O_ALLOWED;
	}
	count_hit(by);
	return O_DROPPED | by->class << OUTCOME_BITS;
}

/* Judges an IPv4 source, in host order, that the filter in front does not clear, by the given view.
 * A function of its own, with numbers for arguments, is verified once instead of with everything
 * that may come before it. */
__noinline int inspect4(__u32 addr, __u64 jiffies, __u64 raw_view)
{
	struct view view = view_of(raw_view);
	struct ruling by = {};
	enum judgement judgement = judge4(addr, jiffies, &view, &by);

	return outcome_of(judgement, &by, judgement == BANNED ? find_allow4(addr) : NULL);
}

/* The same for an IPv6 source, as two numbers. */
__noinline int inspect6(__u64 high, __u64 low, __u64 jiffies, __u64 raw_view)
{
	struct address6 addr = {.high = high, .low = low};
	struct view view = view_of(raw_view);
	struct ruling by = {};
	enum judgement judgement = judge6(addr, jiffies, &view, &by);

	return outcome_of(judgement, &by, judgement == BANNED ? find_allow6(addr, &view) : NULL);
}

static __always_inline int inspect_source(const struct packet *pkt, clock_fn clock)
{
	struct address6 addr6;
	__u32 addr4;
	__u64 view;

	if (pkt->family == 4) {
		addr4 = bpf_ntohl(pkt->saddr4);
		view = load_view(VIEW4);
		if (!marked4(addr4, view_of(view)))
			return O_PASSED;
		return inspect4(addr4, clock(CLOCK_JIFFIES), view);
	}
	addr6 = address6(pkt->saddr_words);
	view = load_view(VIEW6);
	if (!marked6(addr6, view_of(view)))
		return O_PASSED;
	return inspect6(addr6.high, addr6.low, clock(CLOCK_JIFFIES), view);
}

/* Parses as far as the source address and asks the bans about it. */
static __always_inline int inspect(struct cursor *cur, struct packet *pkt, clock_fn clock)
{
	switch (parse_source(cur, pkt)) {
	case NOT_IP:
		return O_NON_IP;
	case TRUNCATED:
		return O_TRUNCATED;
	case MALFORMED:
		return O_MALFORMED;
	case OVERTAGGED:
		return O_OVERTAGGED;
	case PARSED:
		break;
	}
	return inspect_source(pkt, clock);
}

/* Says whether what became of a packet so far leaves it to the meters. One comparison: after a
 * switch the verifier would follow each outcome by itself. */
static __always_inline int is_metered(const struct packet *pkt, enum outcome outcome)
{
	__u32 passing = 1U << O_PASSED | 1U << O_DISABLED | 1U << O_EXPIRED | 1U << O_SHADOWED;

	return pkt->family && passing >> (outcome & 31) & 1;
}

/* Lets the meters count a packet that would pass, and counts it once as what it is then. */
static __always_inline enum verdict filter_metered(void *ctx, const struct frame *frame,
						   const struct cursor *cur,
						   const struct packet *pkt, enum outcome outcome,
						   struct stats *st, meter_fn meter,
						   struct drop *drop)
{
	struct look *look = this_look();

	if (!look)
		return PASS;
	*(volatile __u32 *)&look->outcome = outcome; /* read back, it may be any to the verifier */
	begin_look(look, pkt, frame);
	outcome = O_SHED;
	if (!meter(ctx, cur->pos - frame->data))
		outcome = *(volatile __u32 *)&look->outcome;
	if (account(st, frame, &look->pkt, outcome) == PASS)
		return PASS;
	if (is_sampling())
		*drop = drop_of(&look->pkt, DROPPED_SHED, 0);
	return DROP;
}

/* Fills drop when it says DROP and a sample is wanted. */
static __always_inline enum verdict filter(void *ctx, const struct frame *frame, clock_fn clock,
					   meter_fn meter, struct drop *drop)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct packet pkt = {};
	enum outcome outcome;
	__u32 zero = 0, seen;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);

	if (!st) /* cannot be, but: "R0 invalid mem access 'map_value_or_null'" */
		return PASS;
	seen = inspect(&cur, &pkt, clock);
	outcome = seen & ((1 << OUTCOME_BITS) - 1);
	if (is_metered(&pkt, outcome) && any_meters(pkt.l4_proto))
		return filter_metered(ctx, frame, &cur, &pkt, outcome, st, meter, drop);
	if (account(st, frame, &pkt, outcome) == PASS)
		return PASS;
	if (is_sampling())
		*drop = drop_of(&pkt, outcome == O_DROPPED ? DROPPED_BAN : DROPPED_TAGS,
				seen >> OUTCOME_BITS);
	return DROP;
}

#endif
