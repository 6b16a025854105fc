/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Is the source of many connections real? Anybody can send SYNs in anybody's name, so user space
 * must never ban the source of an event with established = 0.
 *
 * For a meter of SYNs per source there is up to one event of each kind per source and window, at
 * the first moment at which its condition holds:
 *
 *   count > limit      and the sample is proven          -> event with established = 1
 *   count > 2 * limit  and it is not, up to then         -> event with established = 0
 *
 * The second may be followed by the first, when a burst is over before its answers are back.
 *
 * Some real connections do not prove that the others are real: the victim in whose name the SYNs
 * come opens a few itself. So FLOWS attempts are drawn, and the sample is proven when sockets show
 * that PROOF of them, three quarters, have completed their handshake, or more than the limit has:
 * then the source is above it by itself, whoever else uses its name.
 *
 * They are drawn at random from those between half the limit and the limit. Where these are fewer
 * than FLOWS, with a limit below 15, drawing goes on beyond it, and with a limit below 11 it begins
 * so much earlier that PROOF attempts are drawn before the one that is too many; but never with a
 * source's first, which is all that a flood of made-up sources sends of each.
 *
 * What comes of that is held by a model of this rule (loader/proof_model_test.go):
 *
 *   completed of a source's attempts   1/10          1/4       1/2    3/4    9/10   all
 *   proven, limit of 5 and more        1 in 42,700   1 in 237  14 %   68 %   96 %   always
 *   likewise, limit of 1               19 %          63 %      96 %   and up
 *
 * The second line is of sources that are above the limit by themselves. Whoever opens fewer than
 * PROOF connections in a window, and no more than the limit, is never proven by what others send. A
 * forger who knows when the window began and each moment at which the victim connects can leave the
 * sample to these; for an even chance the victim's own must then be a third of the limit, and with
 * a tenth of it he gets one window in 800.
 *
 * An attempt for which there is a connection already, which a forger may know, is drawn like any
 * other and proves nothing, and so is one that the sample has: one connection is one proof.
 *
 * The sockets are looked for with every later packet of a drawn connection, and with later SYNs of
 * the source (for clients that connect and then say nothing): with each of the first ones beyond
 * the limit, then with one in SPARSE, because what is far beyond it is likely a flood.
 *
 * Only connections to this machine have sockets here; those it forwards are counted and reported,
 * but stay unproven.
 */
#ifndef PROOF_H
#define PROOF_H

#include <bpf/bpf_helpers.h>

#include "allow.h"
#include "gabion.h"
#include "look.h"
#include "maps.h"
#include "match.h"
#include "packet.h"
#include "report.h"
#include "slots.h"

#define PROOF  6	   /* of FLOWS: completed handshakes that are enough with any limit */
#define EAGER  (4 * FLOWS) /* SYNs beyond the limit that each look for a socket */
#define SPARSE 64	   /* power of two */

/* TCP states, as in struct bpf_sock. */
enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_CLOSING = 11,
};

/* Says whether a socket in that state has completed its handshake. A listener, a half-open
 * connection and one in TIME_WAIT do not count. */
static __always_inline int is_connected(__u32 state)
{
	switch (state) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_CLOSE_WAIT:
	case TCP_LAST_ACK:
	case TCP_CLOSING:
		return 1;
	}
	return 0;
}

static __always_inline __u64 *suspect_cell(const struct look *look)
{
	__u32 cell = hash_key16(look->high, look->low, 0) & (SUSPECT_CELLS - 1);

	return bpf_map_lookup_elem(&suspects, &cell);
}

#define FLOW_SALT 2

/* An IPv6 destination is hashed with the secret: where anybody could name two that meet, SYNs to
 * one would be proven by a connection to the other. */
static __always_inline struct flow flow_of(const struct packet *pkt)
{
	struct flow flow = {.daddr = pkt->daddr4, .sport = pkt->sport, .dport = pkt->dport};
	const __u32 *word = pkt->daddr_words;

	if (pkt->family == 6)
		flow.daddr = hash_key16(word[0] | (__u64)word[1] << 32,
					word[2] | (__u64)word[3] << 32, FLOW_SALT);
	return flow;
}

/* The count from which on connections are drawn: before it, a source costs no lookup. */
static __always_inline __u32 from_count(const struct meter *meter)
{
	__u32 half = meter->limit / 2 + 1, early = meter->limit - PROOF + 1;

	if (meter->limit <= PROOF)
		return 2;
	return half < early ? half : early;
}

/* The count up to which connections are drawn. */
static __always_inline __u32 last_count(const struct meter *meter)
{
	__u32 full = from_count(meter) + FLOWS - 1;

	return meter->limit > full ? meter->limit : full;
}

/* Like find_flow() and awaited() it does not branch: the verifier would follow each combination of
 * answers for a whole sample. */
static __always_inline __u32 same_flow(const struct flow *a, const struct flow *b)
{
	return 1 ^ not_zero((a->daddr ^ b->daddr) | (__u32)(a->sport ^ b->sport) |
			    (__u32)(a->dport ^ b->dport));
}

/* Returns the place of a flow in the sample, as a bit; 0 when it is not drawn. An entry that is not
 * in use has port 0. */
static __always_inline __u32 find_flow(const struct conn *conn, const struct flow *flow)
{
	__u32 found = 0;

#pragma unroll
	for (int i = FLOWS - 1; i >= 0; i--)
		found = found << 1 | same_flow(&conn->flow[i], flow);
	return found;
}

/* Says whether a connection between the packet's addresses and the given ports has completed its
 * handshake. */
static __always_inline int completed(void *ctx, struct look *look, __be16 sport, __be16 dport)
{
	struct bpf_sock_tuple *tuple = &look->tuple;
	const struct packet *pkt = &look->pkt;
	struct bpf_sock *sk;
	__u32 size, state;

	if (pkt->family == 4) {
		tuple->ipv4.saddr = pkt->saddr4;
		tuple->ipv4.daddr = pkt->daddr4;
		tuple->ipv4.sport = sport;
		tuple->ipv4.dport = dport;
		size = sizeof(tuple->ipv4);
	} else {
		__builtin_memcpy(tuple->ipv6.saddr, pkt->saddr, sizeof(tuple->ipv6.saddr));
		__builtin_memcpy(tuple->ipv6.daddr, pkt->daddr, sizeof(tuple->ipv6.daddr));
		tuple->ipv6.sport = sport;
		tuple->ipv6.dport = dport;
		size = sizeof(tuple->ipv6);
	}
	sk = bpf_skc_lookup_tcp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return is_connected(state);
}

static __always_inline int is_proven(const struct conn *conn, const struct meter *meter)
{
	__u32 completed = __builtin_popcount(conn->proven);

	return completed >= PROOF || completed > meter->limit;
}

/* Returns an entry of conn->flow; for the mask see slot_at(). */
static __always_inline struct flow *flow_at(struct conn *conn, __u32 i)
{
	barrier_var(i);
	i &= FLOWS - 1;
	return &conn->flow[i];
}

/* Draws a SYN into the sample, so that each of the attempts up to now is in it with the same
 * chance: the first ones fill it, the n-th replaces one of them with a chance of FLOWS in n. */
static __always_inline void draw(void *ctx, struct look *look, struct conn *conn, __u32 nth)
{
	struct flow flow = flow_of(&look->pkt);
	__u32 slot = nth - 1;

	if (nth > FLOWS)
		slot = bpf_get_prandom_u32() % nth;
	if (slot >= FLOWS)
		return;
	conn->proven &= ~(1U << slot);
	if (find_flow(conn, &flow) || completed(ctx, look, flow.sport, flow.dport))
		flow = (struct flow){}; /* drawn before, or older than its SYN: never proof */
	*flow_at(conn, slot) = flow;
}

/* Returns the entries that wait for their proof and have the flow's destination, as bits. */
static __always_inline __u32 awaited(const struct conn *conn, const struct flow *flow)
{
	const struct flow *known = conn->flow;
	__u32 waits = 0;

#pragma unroll
	for (int i = FLOWS - 1; i >= 0; i--)
		waits = waits << 1 |
			(not_zero(known[i].sport) & ~not_zero(known[i].daddr ^ flow->daddr));
	return waits & ~conn->proven;
}

/* Looks one of the entries up, the first one from some place on that waits for its proof. */
static __always_inline void look_up(void *ctx, struct look *look, struct conn *conn, __u32 place)
{
	struct flow flow = flow_of(&look->pkt), *known;
	__u32 waits = awaited(conn, &flow), before;

	place &= FLOWS - 1;
	waits = (waits | waits << FLOWS) >> place;
	if (!waits)
		return;
	before = ~waits & (waits - 1);
	barrier_var(before); /* clang would count them with a table in a map of its own */
	place = (place + __builtin_popcount(before)) & (FLOWS - 1);
	known = flow_at(conn, place);
	if (completed(ctx, look, known->sport, known->dport))
		conn->proven |= 1U << place;
}

/* Uses a SYN of a source that is near the limit: it is an occasion to look one of the sample up,
 * and it may be drawn into that itself. */
static __always_inline void seek_proof(void *ctx, struct look *look, struct conn *conn,
				       const struct meter *meter)
{
	__u32 count = conn->count, from = from_count(meter);

	if (count <= meter->limit + EAGER || count % SPARSE == 0)
		look_up(ctx, look, conn, count + count / SPARSE);
	if (count >= from && count <= last_count(meter))
		draw(ctx, look, conn, count - from + 1);
}

/* Looks whether a packet that is no SYN belongs to a drawn connection whose handshake it shows to
 * be complete. */
static __always_inline void take_proof(void *ctx, struct look *look, struct conn *conn)
{
	const struct packet *pkt = &look->pkt;
	struct flow flow = flow_of(pkt);
	__u32 known = find_flow(conn, &flow);

	if (known && completed(ctx, look, pkt->sport, pkt->dport))
		conn->proven |= known;
}

/* Returns the source's sample in the running window; NULL when there is none and none is begun. */
static __always_inline struct conn *find_conn(struct look *look, const struct meter *meter,
					      int begin)
{
	struct source *key = &look->source;
	struct conn *conn;

	look->fresh = (struct conn){.running = meter->running};
	*key = (struct source){.meter = meter->id};
	__builtin_memcpy(key->addr, &look->high, sizeof(look->high));
	__builtin_memcpy(key->addr + sizeof(look->high), &look->low, sizeof(look->low));
	conn = bpf_map_lookup_elem(&conns, key);
	if (!conn && begin) {
		/* Another CPU may insert it first; then its entry is the one to use. */
		bpf_map_update_elem(&conns, key, &look->fresh, BPF_NOEXIST);
		conn = bpf_map_lookup_elem(&conns, key);
	}
	if (!conn || conn->running == look->fresh.running)
		return conn;
	if (!begin)
		return NULL;
	*conn = look->fresh;
	return conn;
}

/* Reports the source when the rule above says so and it was not in this window. */
static __always_inline void try_report(const struct look *look, const struct meter *meter, __u32 at,
				       struct conn *conn)
{
	enum report kind = is_proven(conn, meter) ? REPORT_ESTABLISHED : REPORT_UNPROVEN;

	if (conn->count <= meter->limit || conn->reported >= kind)
		return;
	if (kind == REPORT_UNPROVEN && conn->count <= 2ULL * meter->limit)
		return;
	if (find_allow(&look->pkt))
		conn->reported = REPORT_ESTABLISHED;
	else if (report(look, meter, at, conn->count, kind))
		conn->reported = kind;
}

#endif
