/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which packets a meter counts, and for which key. */
#ifndef MATCH_H
#define MATCH_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "look.h"
#include "packet.h"

/* Returns 1 for anything but 0, without a branch. */
static __always_inline __u32 not_zero(__u32 x)
{
	__u64 carry = x + 0xffffffffULL;

	barrier_var(carry);
	return carry >> 32;
}

/* It does not branch either: the verifier would follow each protocol for each way to it. */
static __always_inline __u32 marks_of(const struct packet *pkt)
{
	__u32 proto = pkt->l4_proto, marks = pkt->tcp_flags;
	__u32 other = not_zero(proto ^ IPPROTO_ICMP) & not_zero(proto ^ IPPROTO_ICMPV6);

	marks |= MARK_TCP * (1 ^ not_zero(proto ^ IPPROTO_TCP));
	marks |= MARK_UDP * (1 ^ not_zero(proto ^ IPPROTO_UDP));
	marks |= MARK_ICMP * (1 ^ other);
	return marks | MARK_HEADER * not_zero(pkt->has_ports | pkt->has_type);
}

/* Fills in the source as the halves of its IPv6 form. */
static __always_inline void set_source(struct look *look)
{
	const struct packet *pkt = &look->pkt;

	if (pkt->family == 4) {
		look->high = 0;
		look->low = bpf_htonl(0xffff) | (__u64)pkt->saddr4 << 32;
		return;
	}
	look->high = pkt->saddr_words[0] | (__u64)pkt->saddr_words[1] << 32;
	look->low = pkt->saddr_words[2] | (__u64)pkt->saddr_words[3] << 32;
}

/* Says, without a branch, whether a port is in none of the ranges. */
static __always_inline __u32 outside(const struct port_range *range, __u16 port)
{
	__u32 out = 1, beyond;

#pragma unroll
	for (int i = 0; i < PORT_RANGES; i++) {
		beyond = (__u32)range[i].span - (__u16)(port - range[i].first);
		barrier_var(beyond);
		out &= beyond >> 31;
	}
	return out;
}

static __always_inline int has_type(const struct meter *meter, __u8 type)
{
	return meter->types[0] == type || meter->types[1] == type || meter->types[2] == type ||
	       meter->types[3] == type;
}

static __always_inline int matches(const struct meter *meter, const struct look *look)
{
	__u32 marks = meter->marks;

	if ((look->marks & meter->mask) != (marks & ~MARK_TYPES))
		return 0;
	if (outside(meter->port, bpf_ntohs(look->pkt.dport)))
		return 0;
	return !(marks & MARK_TYPES) || has_type(meter, look->pkt.icmp_type);
}

/* A key of a meter. */
struct key {
	__u64 high;
	__u64 low;
};

static __always_inline struct key key_of(const struct meter *meter, const struct look *look)
{
	__u32 port = look->pkt.l4_proto << 16 | bpf_ntohs(look->pkt.dport);
	struct key key;

	key.high = look->high & meter->key_high;
	key.low = look->low & meter->key_low[look->pkt.family == 6];
	key.low |= port & meter->key_port;
	return key;
}

#endif
