// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What gabion is measured against, the generator of packets, and the empty loop whose time is
 * subtracted from that of each lookup.
 *
 * The tries are what most projects begin with: host bans and networks in one of them, a second one
 * of allowed networks in front, and a clock for the end of a ban.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "traffic.h"
#include "walk.h"

struct key4 {
	__u32 prefixlen;
	__be32 addr;
};

struct key6 {
	__u32 prefixlen;
	__be32 addr[4];
};

/* All tries and hash tables are sized and filled by user space. value: end of the entry, ns since
 * boot. deny*: hosts and networks. nets*: networks only, beside hosts*. allow*: read first. */
#define TRIE(key_type)                                                                             \
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                       \
	__type(key, struct key_type);                                                              \
	__type(value, __u64);                                                                      \
	__uint(max_entries, 1);                                                                    \
	__uint(map_flags, BPF_F_NO_PREALLOC)

struct {
	TRIE(key4);
} deny4 SEC(".maps");

struct {
	TRIE(key6);
} deny6 SEC(".maps");

struct {
	TRIE(key4);
} nets4 SEC(".maps");

struct {
	TRIE(key6);
} nets6 SEC(".maps");

struct {
	TRIE(key4);
} allow4 SEC(".maps");

struct {
	TRIE(key6);
} allow6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __be32);
	__type(value, __u64);
	__uint(max_entries, 1);
} hosts4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __be32[4]);
	__type(value, __u64);
	__uint(max_entries, 1);
} hosts6 SEC(".maps");

/* key: 0 passed, 1 dropped -> value: packets. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2);
} verdicts SEC(".maps");

static __always_inline void fill6(struct key6 *key, struct draw *draw)
{
	__u64 addr[2];

	next_source6(draw, &addr[0], &addr[1]);
	addr[0] = bpf_cpu_to_be64(addr[0]);
	addr[1] = bpf_cpu_to_be64(addr[1]);
	key->prefixlen = 128;
	__builtin_memcpy(key->addr, addr, sizeof(addr));
}

/* Whether an entry is in force. A lookup is measured with the cheapest clock there is. */
static __always_inline int holds(const __u64 *end, __u64 now)
{
	return end && now < *end;
}

static long step_empty4(__u32 round, struct walk *walk)
{
	__u32 source = bpf_htonl(next_source4(&walk->draw));

	barrier_var(source);
	answer(walk, source == 0);
	return 0;
}

static long step_empty6(__u32 round, struct walk *walk)
{
	struct key6 key;
	__u32 any;

	fill6(&key, &walk->draw);
	any = key.addr[0] | key.addr[1] | key.addr[2] | key.addr[3];
	barrier_var(any);
	answer(walk, any == 0);
	return 0;
}

static long step_lpm4(__u32 round, struct walk *walk)
{
	struct key4 key = {.prefixlen = 32, .addr = bpf_htonl(next_source4(&walk->draw))};

	answer(walk, holds(bpf_map_lookup_elem(&deny4, &key), bpf_jiffies64()));
	return 0;
}

static long step_lpm6(__u32 round, struct walk *walk)
{
	struct key6 key;

	fill6(&key, &walk->draw);
	answer(walk, holds(bpf_map_lookup_elem(&deny6, &key), bpf_jiffies64()));
	return 0;
}

static long step_hash_lpm4(__u32 round, struct walk *walk)
{
	struct key4 key = {.prefixlen = 32, .addr = bpf_htonl(next_source4(&walk->draw))};
	__u64 *end = bpf_map_lookup_elem(&hosts4, &key.addr);

	if (!end)
		end = bpf_map_lookup_elem(&nets4, &key);
	answer(walk, holds(end, bpf_jiffies64()));
	return 0;
}

static long step_hash_lpm6(__u32 round, struct walk *walk)
{
	struct key6 key;
	__u64 *end;

	fill6(&key, &walk->draw);
	end = bpf_map_lookup_elem(&hosts6, key.addr);
	if (!end)
		end = bpf_map_lookup_elem(&nets6, &key);
	answer(walk, holds(end, bpf_jiffies64()));
	return 0;
}

SEC("xdp")
int lookup_empty4(struct xdp_md *ctx)
{
	return time_walk(step_empty4);
}

SEC("xdp")
int lookup_empty6(struct xdp_md *ctx)
{
	return time_walk(step_empty6);
}

SEC("xdp")
int lookup_lpm4(struct xdp_md *ctx)
{
	return time_walk(step_lpm4);
}

SEC("xdp")
int lookup_lpm6(struct xdp_md *ctx)
{
	return time_walk(step_lpm6);
}

SEC("xdp")
int lookup_hash4(struct xdp_md *ctx)
{
	return time_walk(step_hash_lpm4);
}

SEC("xdp")
int lookup_hash6(struct xdp_md *ctx)
{
	return time_walk(step_hash_lpm6);
}

/* Sends the frame on with the next source, or drops it when there is nowhere to send it: that is
 * what generating costs. Frames are used again as they are, so nothing relies on what was in them.
 */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct job *job = this_job();

	if (!job || data + sizeof(*eth) + sizeof(struct ipv6hdr) > end)
		return XDP_ABORTED;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);
		__u32 source = next_source4(&job->draw), sum;

		ip->saddr = bpf_htonl(source);
		sum = job->checksum + (source >> 16) + (source & 0xffff);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		ip->check = bpf_htons(~sum & 0xffff);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);
		struct key6 key;

		fill6(&key, &job->draw);
		__builtin_memcpy(&ip->saddr, key.addr, sizeof(key.addr));
	}
	return job->ifindex ? bpf_redirect(job->ifindex, 0) : XDP_DROP;
}

/* The limit of what any program can do. */
SEC("xdp")
int receive_bare(struct xdp_md *ctx)
{
	return XDP_DROP;
}

static __always_inline int judge4(const struct iphdr *ip)
{
	struct key4 key = {.prefixlen = 32, .addr = ip->saddr};

	if (bpf_map_lookup_elem(&allow4, &key))
		return 0;
	return holds(bpf_map_lookup_elem(&deny4, &key), bpf_ktime_get_boot_ns());
}

static __always_inline int judge6(const struct ipv6hdr *ip)
{
	struct key6 key = {.prefixlen = 128};

	__builtin_memcpy(key.addr, &ip->saddr, sizeof(key.addr));
	if (bpf_map_lookup_elem(&allow6, &key))
		return 0;
	return holds(bpf_map_lookup_elem(&deny6, &key), bpf_ktime_get_boot_ns());
}

/* Drops what it would pass as well, after counting it, like the wrapper of the shipped filter. */
SEC("xdp")
int receive_lpm(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 dropped = 0;
	__u64 *count;

	if (data + sizeof(*eth) > end)
		return XDP_DROP;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if ((void *)(eth + 1) + sizeof(struct iphdr) > end)
			return XDP_DROP;
		dropped = judge4((void *)(eth + 1));
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(eth + 1) + sizeof(struct ipv6hdr) > end)
			return XDP_DROP;
		dropped = judge6((void *)(eth + 1));
	}
	count = bpf_map_lookup_elem(&verdicts, &dropped);
	if (count)
		(*count)++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
