/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Cursor parsing of a frame into one typed struct, in two steps: parse_source() finds the source
 * address, which is all that a ban needs; parse_ports() goes on to the transport header and is only
 * called for packets that pass. A chain of odd extension headers therefore hides nobody.
 */
#ifndef PACKET_H
#define PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "config.h"

#define VLAN_TAGS   2	   /* 802.1ad outside, 802.1Q inside, in any mix */
#define EXT_HEADERS 8	   /* IPv6 extension headers walked */
#define IPV4_OFFSET 0x1fff /* fragment offset in iphdr.frag_off */
#define IPV4_MORE   0x2000 /* in the same: more fragments follow */
#define IPV6_OFFSET 0xfff8 /* fragment offset in ext_header.offset */
#define IPV6_MORE   0x0001

/* Flags of the TCP header, and the octet that they are in. */
#define TCP_FLAGS_AT 13
#define TCP_SYN	     0x02
#define TCP_RST	     0x04
#define TCP_ACK	     0x10

/* What parsing found. Anything but PARSED ends the inspection: there is no address to judge. The
 * packet passes, since the stack discards what is broken, unless it was built to hide its source.
 */
enum parsed {
	PARSED = 0,
	NOT_IP,
	TRUNCATED,  /* ends before its source address */
	MALFORMED,  /* its IP header is one that the stack discards */
	OVERTAGGED, /* more than VLAN_TAGS tags */
};

/* A frame as a hook gets it. */
struct frame {
	void *data;
	void *end;
	__u32 len; /* bytes, as received; more than end - data when there are several buffers */
	__u32 ifindex;
};

static __always_inline struct frame xdp_frame(struct xdp_md *ctx)
{
	struct frame frame = {
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.ifindex = ctx->ingress_ifindex,
	};

	frame.len = xdp_frags ? bpf_xdp_get_buff_len(ctx) : frame.end - frame.data;
	return frame;
}

struct packet {
	__u8 family;	     /* 4 or 6; 0 until parse_source() succeeds */
	__u8 l4_proto;	     /* IPPROTO_*; of the first header that is no extension header */
	__u8 later_fragment; /* has a source, but no transport header */
	__u8 has_ports;	     /* the TCP or UDP header is here and complete */
	__u8 has_type;	     /* the ICMP type and code are here */
	__u8 tcp_flags;	     /* as in octet 13 of the header */
	__u8 icmp_type;
	__u8 icmp_code;
	__be16 more; /* not 0: fragments follow */
	__be16 pad;
	__be32 seq; /* of TCP */
	__be16 sport;
	__be16 dport;
	union {
		__u8 saddr[16];
		__be32 saddr4;
		__u32 saddr_words[4];
	};
	union {
		__u8 daddr[16];
		__be32 daddr4;
		__u32 daddr_words[4];
	};
};

struct cursor {
	void *pos;
	void *end;
};

struct vlan_header {
	__be16 tci;
	__be16 proto;
};

/* PPPoE session and PPP header, as far as it matters here. */
struct pppoe_header {
	__u8 version_type;
	__u8 code;
	__be16 session;
	__be16 len;
	__be16 proto; /* PPP_* */
};

#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057

/* The first 8 bytes of an IPv6 extension header: none is shorter. */
struct ext_header {
	__u8 next;
	__u8 len; /* in 8 bytes, without these 8; authentication: in 4 bytes, minus 2; fragment: -
		   */
	__be16 offset; /* fragment only: in bytes when masked with IPV6_OFFSET */
	__be32 rest;
};

/* The first bytes of both versions of ICMP. */
struct icmp_start {
	__u8 type;
	__u8 code;
};

/* Returns the next size bytes and moves the cursor behind them, or NULL at the end of the packet.
 */
static __always_inline void *take(struct cursor *cur, __u32 size)
{
	void *pos = cur->pos;

	if (pos + size > cur->end)
		return NULL;
	cur->pos = pos + size;
	return pos;
}

static __always_inline int is_vlan(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/* Finds the protocol (ETH_P_*) behind the Ethernet header and up to VLAN_TAGS tags. */
static __always_inline enum parsed parse_ethernet(struct cursor *cur, __be16 *proto)
{
	struct ethhdr *eth = take(cur, sizeof(*eth));
	struct vlan_header *vlan;

	if (!eth)
		return TRUNCATED;
	*proto = eth->h_proto;
#pragma unroll
	for (int i = 0; i < VLAN_TAGS; i++) {
		if (!is_vlan(*proto))
			return PARSED;
		vlan = take(cur, sizeof(*vlan));
		if (!vlan)
			return TRUNCATED;
		*proto = vlan->proto;
	}
	return is_vlan(*proto) ? OVERTAGGED : PARSED;
}

/* The cursor ends behind the options; when those are cut off, no transport header fits there. */
static __always_inline enum parsed parse_ipv4(struct cursor *cur, struct packet *pkt)
{
	void *start = cur->pos;
	struct iphdr *ip = take(cur, sizeof(*ip));

	if (!ip)
		return TRUNCATED;
	if (ip->version != 4 || ip->ihl < 5)
		return MALFORMED;
	pkt->family = 4;
	pkt->saddr4 = ip->saddr;
	pkt->daddr4 = ip->daddr;
	pkt->l4_proto = ip->protocol;
	pkt->later_fragment = !!(ip->frag_off & bpf_htons(IPV4_OFFSET));
	pkt->more = ip->frag_off & bpf_htons(IPV4_MORE);
	cur->pos = start + ip->ihl * 4;
	return PARSED;
}

/* An IPv4-mapped source has no meaning on the wire; counted, it would look like the IPv4 source.
 * One comparison: each more is another path that the verifier follows to the end. */
static __always_inline int is_mapped(const struct in6_addr *addr)
{
	const __be32 *word = addr->in6_u.u6_addr32;
	__u32 differ = word[0] | word[1] | (word[2] ^ bpf_htonl(0xffff));

	barrier_var(differ);
	return !differ;
}

static __always_inline enum parsed parse_ipv6(struct cursor *cur, struct packet *pkt)
{
	struct ipv6hdr *ip = take(cur, sizeof(*ip));

	if (!ip)
		return TRUNCATED;
	if (ip->version != 6 || is_mapped(&ip->saddr))
		return MALFORMED;
	pkt->family = 6;
	__builtin_memcpy(pkt->saddr, &ip->saddr, sizeof(pkt->saddr));
	__builtin_memcpy(pkt->daddr, &ip->daddr, sizeof(pkt->daddr));
	pkt->l4_proto = ip->nexthdr;
	return PARSED;
}

/* Moves over a PPPoE header and translates the protocol behind it. The interface that PPPoE makes
 * has no Ethernet header, so its packets are judged on the one that they arrive on. */
static __always_inline enum parsed parse_pppoe(struct cursor *cur, __be16 *proto)
{
	struct pppoe_header *ppp = take(cur, sizeof(*ppp));

	if (!ppp)
		return TRUNCATED;
	if (ppp->proto == bpf_htons(PPP_IPV4))
		*proto = bpf_htons(ETH_P_IP);
	else if (ppp->proto == bpf_htons(PPP_IPV6))
		*proto = bpf_htons(ETH_P_IPV6);
	return PARSED;
}

/* Moves to the IP header; which one is there, proto says. */
static __always_inline enum parsed parse_link(struct cursor *cur, __be16 *proto)
{
	enum parsed result = parse_ethernet(cur, proto);

	if (result == PARSED && *proto == bpf_htons(ETH_P_PPP_SES))
		result = parse_pppoe(cur, proto);
	return result;
}

static __always_inline enum parsed parse_source(struct cursor *cur, struct packet *pkt)
{
	enum parsed result;
	__be16 proto = 0;

	result = parse_link(cur, &proto);
	if (result != PARSED)
		return result;
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(cur, pkt);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(cur, pkt);
	return NOT_IP;
}

static __always_inline int is_extension(__u8 proto)
{
	switch (proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case IPPROTO_AH:
	case IPPROTO_FRAGMENT:
		return 1;
	}
	return 0;
}

/* Moves over IPv6 extension headers. Returns -1 when there are more than EXT_HEADERS; a chain that
 * is cut off leaves the cursor where no transport header fits. */
static __always_inline int skip_extensions(struct cursor *cur, struct packet *pkt)
{
	struct ext_header *ext;
	__u8 proto;

	for (int i = 0; i <= EXT_HEADERS; i++) {
		proto = pkt->l4_proto;
		if (!is_extension(proto))
			return 0;
		if (i == EXT_HEADERS)
			return -1;
		ext = take(cur, sizeof(*ext));
		if (!ext)
			return 0;
		pkt->l4_proto = ext->next;
		if (proto == IPPROTO_FRAGMENT) {
			pkt->later_fragment = !!(ext->offset & bpf_htons(IPV6_OFFSET));
			pkt->more = ext->offset & bpf_htons(IPV6_MORE);
		} else if (proto == IPPROTO_AH)
			cur->pos = (void *)ext + (ext->len + 2) * 4;
		else
			cur->pos = (void *)ext + (ext->len + 1) * 8;
		if (pkt->later_fragment)
			return 0;
	}
	return 0;
}

/* Fills the transport fields as far as the packet holds them. Returns -1 when the IPv6 extension
 * headers go on beyond the limit. */
static __always_inline int parse_ports(struct cursor *cur, struct packet *pkt)
{
	struct tcphdr *tcp;
	struct udphdr *udp;
	struct icmp_start *icmp;

	if (pkt->family == 6 && skip_extensions(cur, pkt) < 0)
		return -1;
	if (pkt->later_fragment)
		return 0;
	switch (pkt->l4_proto) {
	case IPPROTO_TCP:
		tcp = take(cur, sizeof(*tcp));
		if (!tcp)
			return 0;
		pkt->sport = tcp->source;
		pkt->dport = tcp->dest;
		pkt->seq = tcp->seq;
		pkt->tcp_flags = ((__u8 *)tcp)[TCP_FLAGS_AT];
		pkt->has_ports = 1;
		break;
	case IPPROTO_UDP:
		udp = take(cur, sizeof(*udp));
		if (!udp)
			return 0;
		pkt->sport = udp->source;
		pkt->dport = udp->dest;
		pkt->has_ports = 1;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp = take(cur, sizeof(*icmp));
		if (!icmp)
			return 0;
		pkt->icmp_type = icmp->type;
		pkt->icmp_code = icmp->code;
		pkt->has_type = 1;
		break;
	}
	return 0;
}

#endif
