/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What this machine sends, as far as it says something about a remote address. Nothing is changed,
 * dropped or held up here.
 *
 *  - A reset that answers a segment without ACK, as a SYN to a port where nobody listens is, and an
 *    ICMP or ICMPv6 "unreachable": somebody tries closed ports (MARK_CLOSED). Resets of connections
 *    that there were do not count: any busy client causes them.
 *  - A SYN-ACK: a connection begins and is half open (MARK_HALF_OPEN). It is taken off the count
 * again when the socket that came out of it sends its first segment, at the latest when the remote
 *    closes. Until then a client that connects and says nothing counts as well.
 *  - Any other segment of a connected socket proves the remote address (proven.h).
 *
 * What is forwarded is not this machine's answer and is left out.
 */
#ifndef EGRESS_H
#define EGRESS_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "clock.h"
#include "gabion.h"
#include "look.h"
#include "maps.h"
#include "meter.h"
#include "packet.h"
#include "proven.h"

#define ICMP4_UNREACHABLE 3
#define ICMP4_TOO_BIG	  4 /* a code of it: says nothing about ports */
#define ICMP6_UNREACHABLE 1
#define ICMP_REST	  6 /* bytes of the header behind type and code */

/* Turns a packet round: what was sent to a remote port, as if it had come from there. */
static __always_inline void turn_round(struct packet *pkt)
{
	__be16 port = pkt->sport;

	__builtin_memcpy(pkt->saddr, pkt->daddr, sizeof(pkt->saddr));
	pkt->sport = pkt->dport;
	pkt->dport = port;
}

/* Says whether it is an ICMP "unreachable" that names the packet it answers. */
static __always_inline int is_unreachable(const struct packet *pkt)
{
	if (!pkt->has_type)
		return 0;
	if (pkt->family == 6)
		return pkt->icmp_type == ICMP6_UNREACHABLE;
	return pkt->icmp_type == ICMP4_UNREACHABLE && pkt->icmp_code != ICMP4_TOO_BIG;
}

/* Looks at the packet that an ICMP "unreachable" answers, instead; it begins at offset bytes.
 * Returns 0 when it does not say which port it was for. */
static __always_inline int look_at_answered(const struct frame *frame, __u32 offset)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct look *look = this_look();
	struct packet pkt = {};
	enum parsed result;

	if (!look)
		return 0;
	barrier_var(offset);
	offset &= OFFSETS - 1;
	cur.pos += offset;
	if (look->pkt.family == 4)
		result = parse_ipv4(&cur, &pkt);
	else
		result = parse_ipv6(&cur, &pkt);
	if (result != PARSED)
		return 0;
	look->pkt = pkt;
	if (parse_ports(&cur, &look->pkt) < 0)
		return 0;
	look->pkt.tcp_flags = 0; /* of what came in: not what is matched here */
	return look->pkt.has_ports;
}

/* Returns what a TCP segment says: bits of enum mark, or 0. */
static __always_inline __u32 tcp_answer(const struct packet *pkt)
{
	__u8 flags = pkt->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK);

	if (flags == (TCP_SYN | TCP_ACK))
		return MARK_HALF_OPEN;
	if (flags == (TCP_RST | TCP_ACK) && !pkt->seq)
		return MARK_CLOSED;
	return 0;
}

/* Takes a connection that is no longer half open off the count of its remote address. */
static __always_inline void count_down(struct look *look, struct meter *meter, __u32 at)
{
	struct meter_line *line;
	struct place place;
	__u32 where;
	__u64 *slot;

	line = place_of(meter, look, at, &place);
	if (!line)
		return;
	where = find_slot(line, place.tag);
	if (!where)
		return;
	slot = slot_at(line, where & (SLOTS - 1));
	if (*(volatile __u64 *)slot & SLOT_COUNT)
		count_off(slot);
}

/* The same as count_meter(), for connections that are established. */
__noinline int uncount_meter(__u32 at)
{
	struct look *look = this_look();
	struct meter *meter;

	at &= METERS - 1;
	if (!look)
		return 0;
	meter = meter_at(look, at);
	if (meter && matches(meter, look))
		count_down(look, meter, at);
	return 0;
}

static __always_inline void uncount_all(struct look *look)
{
	for (__u32 at = 0; at < METERS && at < look->view.count; at++)
		uncount_meter(at);
}

/* Says whether the packet is the first that an accepted connection sends. */
static __always_inline int is_first(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);
	__u32 segments = skb->gso_segs ?: 1;

	return tcp && tcp->segs_out == segments;
}

/* Takes note of a segment that is no answer, if it is one of a connected socket. */
static __always_inline int watch_connected(struct __sk_buff *skb, clock_fn clock)
{
	struct look *look = this_look();
	struct bpf_sock *sk = skb->sk;

	if (!look || !sk || !is_connected(sk->state))
		return 0;
	*(volatile __u32 *)&look->first = is_first(skb, sk);
	if (!show_meters(look, MARK_HALF_OPEN))
		return 0;
	look->now = clock(CLOCK_JIFFIES);
	if (look->view.spare)
		learn_proven(look);
	if (*(volatile __u32 *)&look->first)
		uncount_all(look);
	return 0;
}

/* Counts an answer in the meters of such. */
static __always_inline int watch_answer(__u32 answer, clock_fn clock)
{
	__u32 zero = 0;
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);
	struct look *look = this_look();

	if (st && look && show_meters(look, answer))
		count_all(NULL, look, st, clock, NULL);
	return 0;
}

/* Looks at what is behind the IP header, at offset bytes. Returns 0 when it is not to be seen. */
static __always_inline int look_at_transport(const struct frame *frame, __u32 offset)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct look *look = this_look();

	if (!look)
		return 0;
	barrier_var(offset);
	offset &= OFFSETS - 1;
	cur.pos += offset;
	if (parse_ports(&cur, &look->pkt) < 0)
		return 0;
	*(volatile __u32 *)&look->offset = cur.pos - frame->data;
	return 1;
}

/* The functions of the hook that are proven once: see meter_fn. */
struct watchers {
	int (*transport)(struct __sk_buff *skb, __u32 offset); /* look_at_transport() */
	int (*answered)(struct __sk_buff *skb, __u32 offset);  /* look_at_answered() */
	int (*answer)(__u32 marks);			       /* watch_answer() */
	int (*connected)(struct __sk_buff *skb);	       /* watch_connected() */
};

/* Looks at a packet of which the source is known. */
static __always_inline void watch_packet(struct __sk_buff *skb, struct look *look,
					 const struct watchers *call)
{
	__u32 answer;

	if (is_unreachable(&look->pkt)) {
		if (call->answered(skb, *(volatile __u32 *)&look->offset + ICMP_REST))
			call->answer(MARK_CLOSED);
		return;
	}
	if (look->pkt.l4_proto != IPPROTO_TCP || !look->pkt.has_ports)
		return;
	answer = tcp_answer(&look->pkt);
	turn_round(&look->pkt);
	if (answer)
		call->answer(answer);
	else if (!(look->pkt.tcp_flags & (TCP_SYN | TCP_RST)))
		call->connected(skb);
}

static __always_inline void watch(struct __sk_buff *skb, const struct frame *frame,
				  const struct watchers *call)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct look *look = this_look();
	struct packet pkt = {};

	if (!look || skb->ingress_ifindex || !any_watchers())
		return;
	if (parse_source(&cur, &pkt) != PARSED)
		return;
	begin_look(look, &pkt, frame);
	if (call->transport(skb, cur.pos - frame->data))
		watch_packet(skb, look, call);
}

#endif
