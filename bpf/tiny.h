/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * First fragments that end before the TCP header does. Linux puts them together with the others
 * (with IPv6 only before 5.11) and takes what comes out of that; and nobody makes such fragments
 * but who hides the flags from who looks at fragments (RFC 1858). So they count as SYNs.
 *
 * What lies behind the payload in the frame is padding, which anybody fills as he likes: only the
 * IP header says where that ends. It is looked at in a function of its own, since that for all
 * packets is followed by the verifier for each chain of headers.
 */
#ifndef TINY_H
#define TINY_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "look.h"
#include "packet.h"

#define MAX_HEADERS 32768 /* power of two: more bytes than are walked */

/* Says where in the frame the IP packet ends, by its header. */
static __always_inline __u32 ip_end(const struct frame *frame)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	struct ipv6hdr *ip6;
	struct iphdr *ip4;
	__be16 proto = 0;
	__u32 start;

	if (parse_link(&cur, &proto) != PARSED)
		return 0;
	start = cur.pos - frame->data;
	if (proto == bpf_htons(ETH_P_IP)) {
		ip4 = take(&cur, sizeof(*ip4));
		return ip4 ? start + bpf_ntohs(ip4->tot_len) : 0;
	}
	ip6 = take(&cur, sizeof(*ip6));
	return ip6 ? start + sizeof(*ip6) + bpf_ntohs(ip6->payload_len) : 0;
}

/* Makes a SYN of a packet that is such a fragment of TCP, with the ports that it has, and says
 * whether it is. Behind is where parsing it ended. */
static __always_inline int parse_tiny(const struct frame *frame, __u32 behind, struct packet *pkt)
{
	struct cursor cur = {.pos = frame->data, .end = frame->end};
	__be16 *ports;

	if (pkt->l4_proto != IPPROTO_TCP || pkt->later_fragment)
		return 0;
	if (pkt->has_ports)
		behind -= sizeof(struct tcphdr);
	if (ip_end(frame) >= behind + sizeof(struct tcphdr))
		return 0;
	barrier_var(behind);
	behind &= MAX_HEADERS - 1;
	cur.pos += behind;
	ports = take(&cur, 2 * sizeof(*ports));
	if (!ports)
		return 0;
	pkt->sport = ports[0];
	pkt->dport = ports[1];
	pkt->tcp_flags = TCP_SYN;
	pkt->has_ports = 1;
	return 1;
}

#endif
