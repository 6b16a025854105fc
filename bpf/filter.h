/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The stages every hook runs, in order: source address, bans, allow, and for what passes the
 * connection counter. There is one way out, and it counts.
 */
#ifndef FILTER_H
#define FILTER_H

#include "allow.h"
#include "bans.h"
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
	case O_OVERTAGGED:
		st->dropped_tags++;
		st->dropped_bytes += frame->len;
		return DROP;
	}
	return PASS;
}

/* Asks the bans and the allow entries; class is that of the ban when the packet is dropped. */
static __always_inline enum outcome inspect_source(const struct packet *pkt, clock_fn clock,
						   __u8 *class)
{
	struct ban *ban = NULL;
	struct allow *allow;

	switch (judge(pkt, clock, &ban)) {
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
	allow = find_allow(pkt);
	if (allow) {
		__sync_fetch_and_add(&allow->hits, 1);
		return O_ALLOWED;
	}
	if (ban) {
		__sync_fetch_and_add(&ban->hits, 1);
		*class = ban->class;
	}
	return O_DROPPED;
}

/* Parses as far as the source address and asks the bans about it. */
static __always_inline enum outcome inspect(struct cursor *cur, struct packet *pkt, clock_fn clock,
					    __u8 *class)
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
	return inspect_source(pkt, clock, class);
}

/* The outcome is counted before the connection counter runs, so that the verifier need not follow
 * each outcome through it: counted afterwards, it has three times as much to prove. Fills drop when
 * it says DROP and a sample is wanted. */
static __always_inline enum verdict filter(void *ctx, const struct frame *frame, clock_fn clock,
					   struct drop *drop)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct packet pkt = {};
	enum outcome outcome;
	__u32 zero = 0;
	__u8 class = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);

	if (!st) /* cannot be, but: "R0 invalid mem access 'map_value_or_null'" */
		return PASS;
	outcome = inspect(&cur, &pkt, clock, &class);
	if (account(st, frame, &pkt, outcome) == DROP) {
		if (is_sampling())
			*drop = drop_of(&pkt, outcome == O_DROPPED ? DROPPED_BAN : DROPPED_TAGS,
					class);
		return DROP;
	}
	if (pkt.family && outcome != O_ALLOWED) {
		if (parse_ports(&cur, &pkt) < 0)
			st->ext_limit++;
		meter(ctx, frame, &pkt, st, clock);
	}
	return PASS;
}

#endif
