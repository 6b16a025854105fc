/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The connection counter: how many TCP connections does a source open in a window, and is the
 * source real.
 *
 * Counted is each SYN without ACK. A window belongs to a source: it begins with the source's first
 * connection and lasts meter.window. When the count passes meter.limit, user space gets one event
 * of each kind per source and window, at the first moment at which its condition holds:
 *
 *   count > limit      and the sample is proven          -> event with established = 1
 *   count > 2 * limit  and it is not, up to then         -> event with established = 0
 *
 * The second may be followed by the first, when a burst is over before its answers are back.
 *
 * Anybody can send SYNs in anybody's name, so user space must never ban the source of an event with
 * established = 0. Nor do some real connections prove that the others are real: the victim in whose
 * name the SYNs come opens a few itself. So FLOWS attempts are drawn at random from those between
 * half the limit and the limit, and the sample is proven when sockets show that three quarters of
 * them have completed their handshake. Whoever forges nine SYNs for each of a victim's own gets
 * that once in 40,000 windows; whoever completes only half of his own escapes it in six of seven.
 * An attempt for which there is a connection already, which a forger may know, is drawn like any
 * other and proves nothing.
 *
 * The sockets are looked for with every later packet of a drawn connection, and with every later
 * SYN of the source (for clients that connect and then say nothing).
 *
 * Only connections to this machine have sockets here; those it forwards are counted and reported,
 * but stay unproven. An allowed source makes no event; that is only looked up when there would be
 * one.
 */
#ifndef METER_H
#define METER_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "allow.h"
#include "bans.h"
#include "clock.h"
#include "gabion.h"
#include "maps.h"
#include "packet.h"
#include "report.h"

/* TCP states, as in struct bpf_sock. */
enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_CLOSING = 11,
};

static __always_inline struct source source_key(const struct packet *pkt)
{
	struct source key = {};

	if (pkt->family == 4) {
		key.addr[10] = 0xff;
		key.addr[11] = 0xff;
		__builtin_memcpy(&key.addr[12], &pkt->saddr4, 4);
	} else {
		__builtin_memcpy(key.addr, pkt->saddr, sizeof(key.addr));
	}
	return key;
}

static __always_inline __u64 *suspect_cell(const struct packet *pkt)
{
	__u32 hash = pkt->saddr4;

	if (pkt->family == 6)
		hash = pkt->saddr_words[0] ^ pkt->saddr_words[1] * 31 ^ pkt->saddr_words[2] * 37 ^
		       pkt->saddr_words[3] * 41;
	hash = (hash * 0x9e3779b1U) >> 20 & (SUSPECT_CELLS - 1);
	return bpf_map_lookup_elem(&suspects, &hash);
}

static __always_inline struct flow flow_of(const struct packet *pkt)
{
	struct flow flow = {.daddr = pkt->daddr4, .sport = pkt->sport, .dport = pkt->dport};

	if (pkt->family == 6)
		flow.daddr = pkt->daddr_words[0] ^ pkt->daddr_words[1] ^ pkt->daddr_words[2] ^
			     pkt->daddr_words[3];
	return flow;
}

/* The count from which on connections are drawn: before it, a source costs no socket lookup. */
static __always_inline __u32 from_count(const struct meter *meter)
{
	return meter->limit / 2 + 1;
}

/* Returns 1 when the flows are the same, else 0. It does not branch: the verifier would follow each
 * combination of answers for a whole sample. */
static __always_inline __u32 same_flow(const struct flow *a, const struct flow *b)
{
	__u64 differ =
		(a->daddr ^ b->daddr) | (__u32)(a->sport ^ b->sport) | (__u32)(a->dport ^ b->dport);

	differ += 0xffffffff; /* beyond 32 bits unless it was 0 */
	barrier_var(differ);
	return (differ >> 32) ^ 1;
}

/* Says whether a connection between the packet's addresses and the given ports has completed its
 * handshake. A listener, a half-open connection and one in TIME_WAIT do not count. */
static __always_inline int completed(void *ctx, const struct packet *pkt, __be16 sport,
				     __be16 dport)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 size, state;

	if (pkt->family == 4) {
		tuple.ipv4.saddr = pkt->saddr4;
		tuple.ipv4.daddr = pkt->daddr4;
		tuple.ipv4.sport = sport;
		tuple.ipv4.dport = dport;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, pkt->saddr, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, pkt->daddr, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = sport;
		tuple.ipv6.dport = dport;
		size = sizeof(tuple.ipv6);
	}
	sk = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
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

static __always_inline int is_proven(const struct conn *conn)
{
	int sampled = __builtin_popcount(conn->sampled);

	return sampled && __builtin_popcount(conn->proven) * 4 >= sampled * 3;
}

/* Reports the source when the rule above says so and it was not in this window. */
static __always_inline void try_report(const struct frame *frame, const struct packet *pkt,
				       const struct source *key, struct conn *conn,
				       const struct meter *meter, struct stats *st, __u64 now)
{
	enum report kind = is_proven(conn) ? REPORT_ESTABLISHED : REPORT_UNPROVEN;

	if (conn->count <= meter->limit || conn->reported >= kind)
		return;
	if (kind == REPORT_UNPROVEN && conn->count <= 2ULL * meter->limit)
		return;
	if (find_allow(pkt))
		conn->reported = REPORT_ESTABLISHED;
	else if (report(frame, pkt, key, conn, meter, kind, st, now))
		conn->reported = kind;
}

/* Returns an entry of conn->flow. The index is masked where it is used: without that 5.10 forgets
 * the bounds of a number it has put on the stack, "R4 max value is outside of the allowed memory
 * range". */
static __always_inline struct flow *flow_at(struct conn *conn, __u32 i)
{
	barrier_var(i);
	i &= FLOWS - 1;
	return &conn->flow[i];
}

/* Draws a SYN into the sample, so that each of the attempts up to now is in it with the same
 * chance: the first ones fill it, the n-th replaces one of them with a chance of FLOWS in n. */
static __always_inline void draw(void *ctx, const struct packet *pkt, struct conn *conn, __u32 nth)
{
	__u32 slot = nth - 1;

	if (nth > FLOWS)
		slot = bpf_get_prandom_u32() % nth;
	if (slot >= FLOWS)
		return;
	conn->proven &= ~(1U << slot);
	conn->sampled |= 1U << slot;
	if (completed(ctx, pkt, pkt->sport, pkt->dport))
		*flow_at(conn, slot) = (struct flow){}; /* older than its SYN: never proof */
	else
		*flow_at(conn, slot) = flow_of(pkt);
}

/* Uses a SYN of a source that is near the limit: it may be drawn into the sample, and it is an
 * occasion to look one of the sample up. */
static __always_inline void seek_proof(void *ctx, const struct packet *pkt, struct conn *conn,
				       const struct meter *meter)
{
	struct flow flow = flow_of(pkt), *known;
	__u32 count = conn->count, slot = count & (FLOWS - 1);
	__u64 *cell = suspect_cell(pkt);

	if (cell)
		*cell = 1;
	if (count <= meter->limit)
		draw(ctx, pkt, conn, count - from_count(meter) + 1);
	known = flow_at(conn, slot);
	if (known->sport && known->daddr == flow.daddr && !same_flow(known, &flow) &&
	    completed(ctx, pkt, known->sport, known->dport))
		conn->proven |= 1U << slot;
}

static __always_inline void meter_syn(void *ctx, const struct frame *frame,
				      const struct packet *pkt, const struct meter *meter,
				      struct stats *st, __u64 now)
{
	struct source key = source_key(pkt);
	struct conn fresh = {.start = now};
	struct conn *conn;

	st->connections++;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn) {
		/* Another CPU may insert it first; then its entry is the one to count in. */
		bpf_map_update_elem(&conns, &key, &fresh, BPF_NOEXIST);
		conn = bpf_map_lookup_elem(&conns, &key);
		if (!conn) {
			st->connections_full++;
			return;
		}
	}
	/* Signed: another CPU may have begun a window after this one read the clock. */
	if ((__s64)(now - conn->start) >= (__s64)meter->window)
		*conn = fresh;
	__sync_fetch_and_add(&conn->count, 1);
	if (conn->reported == REPORT_ESTABLISHED || conn->count < from_count(meter))
		return;
	if (conn->count <= meter->limit || !is_proven(conn))
		seek_proof(ctx, pkt, conn, meter);
	try_report(frame, pkt, &key, conn, meter, st, now);
}

/* Looks whether a packet that is no SYN belongs to a drawn connection whose handshake it shows to
 * be complete. Everybody else's packets cost one array load here. */
static __always_inline void meter_data(void *ctx, const struct frame *frame,
				       const struct packet *pkt, const struct meter *meter,
				       struct stats *st, clock_fn clock)
{
	__u64 *cell = suspect_cell(pkt);
	struct source key;
	struct flow flow;
	__u32 known = 0;
	struct conn *conn;
	__u64 now;

	if (!cell || !*cell)
		return;
	key = source_key(pkt);
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn)
		return;
	now = clock(CLOCK_BOOT);
	if ((__s64)(now - conn->start) >= (__s64)meter->window) {
		*cell = 0;
		return;
	}
	if (conn->reported == REPORT_ESTABLISHED || is_proven(conn))
		return;
	flow = flow_of(pkt);
#pragma unroll
	for (int i = 0; i < FLOWS; i++)
		known |= same_flow(&conn->flow[i], &flow) << i; /* an unused entry has port 0 */
	if (!known || !completed(ctx, pkt, pkt->sport, pkt->dport))
		return;
	conn->proven |= known;
	try_report(frame, pkt, &key, conn, meter, st, now);
}

/* Counts a packet of a source that is not banned. */
static __always_inline void meter(void *ctx, const struct frame *frame, const struct packet *pkt,
				  struct stats *st, clock_fn clock)
{
	__u32 zero = 0;
	struct meter *meter = bpf_map_lookup_elem(&meters, &zero);

	if (!meter || !meter->limit || pkt->l4_proto != IPPROTO_TCP || !pkt->has_ports)
		return;
	if (!pkt->syn)
		meter_data(ctx, frame, pkt, meter, st, clock);
	else if (!pkt->ack)
		meter_syn(ctx, frame, pkt, meter, st, clock(CLOCK_BOOT));
}

#endif
