// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Test-only object: the stages of filter.h with a clock that stands where the test puts it, and the
 * parser alone with its result shown.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "config.h"
#include "egress.h"
#include "filter.h"

/* What the parser found. Written by test_parse(), read by the test. */
struct parse_result {
	__u32 outcome; /* enum parsed */
	__u32 ext_limit;
	__u32 tiny;
	struct packet pkt;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct parse_result);
	__uint(max_entries, 1);
} results SEC(".maps");

/* key: enum clock -> value: what that clock shows. Written by the test. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2);
} clocks SEC(".maps");

static __always_inline __u64 test_clock(enum clock which)
{
	__u32 key = which;
	__u64 *now = bpf_map_lookup_elem(&clocks, &key);

	return now ? *now : 0;
}

__noinline int test_sample(struct xdp_md *ctx, __u64 source_high, __u64 source_low, __u64 cause)
{
	struct frame frame = xdp_frame(ctx);
	struct drop drop = {.source = {source_high, source_low}, .cause = cause};

	return sample(&frame, &drop, test_clock(CLOCK_BOOT));
}

__noinline int prove_test(struct xdp_md *ctx, __u32 at)
{
	return prove_meter(ctx, at);
}

__noinline int ports_test(struct xdp_md *ctx, __u32 offset)
{
	struct frame frame = xdp_frame(ctx);

	return look_at_ports(&frame, offset);
}

__noinline int tiny_test(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);

	return look_at_tiny(&frame);
}

__noinline int meter_test(struct xdp_md *ctx, __u32 offset)
{
	const struct meter_fns call = {
		.ports = (void *)ports_test,
		.tiny = (void *)tiny_test,
		.prove = (prove_fn)prove_test,
	};

	return meter_packet(ctx, offset, test_clock, &call);
}

SEC("xdp")
int test_filter(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);
	struct drop drop = {};

	if (filter(ctx, &frame, test_clock, (meter_fn)meter_test, &drop) == PASS)
		return XDP_PASS;
	if (drop.cause)
		test_sample(ctx, drop.source[0], drop.source[1], drop.cause);
	return XDP_DROP;
}

static __always_inline struct frame egress_frame(struct __sk_buff *skb)
{
	return (struct frame){
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.len = skb->len,
		.ifindex = skb->ifindex,
	};
}

/* See egress.h. */
__noinline int answer_egress(__u32 marks)
{
	return watch_answer(marks, test_clock);
}

__noinline int connected_egress(struct __sk_buff *skb)
{
	return watch_connected(skb, test_clock);
}

__noinline int answered_egress(struct __sk_buff *skb, __u32 offset)
{
	struct frame frame = egress_frame(skb);

	return look_at_answered(&frame, offset);
}

__noinline int transport_egress(struct __sk_buff *skb, __u32 offset)
{
	struct frame frame = egress_frame(skb);

	return look_at_transport(&frame, offset);
}

SEC("tc")
int test_egress(struct __sk_buff *skb)
{
	const struct watchers call = {
		.transport = transport_egress,
		.answered = answered_egress,
		.answer = answer_egress,
		.connected = connected_egress,
	};
	struct frame frame = egress_frame(skb);

	watch(skb, &frame, &call);
	return TC_ACT_UNSPEC;
}

/* Notes the source of a packet as proven, as if this machine had sent something to it on a
 * connected socket. */
SEC("xdp")
int test_learn(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);
	struct cursor cur = {.pos = frame.data, .end = frame.end};
	struct look *look = this_look();
	struct packet pkt = {};

	if (!look || parse_source(&cur, &pkt) != PARSED)
		return XDP_ABORTED;
	begin_look(look, &pkt, &frame);
	set_source(look);
	look->now = test_clock(CLOCK_JIFFIES);
	learn_proven(look);
	return XDP_PASS;
}

/* Takes one off the first slot of all, whatever its count is. */
SEC("xdp")
int test_count_off(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct meter_line *line = bpf_map_lookup_elem(&meter_slots, &zero);

	if (!line)
		return XDP_ABORTED;
	count_off(&line->slot[0]);
	return XDP_PASS;
}

SEC("xdp")
int test_parse(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);
	struct cursor cur = {.pos = frame.data, .end = frame.end};
	struct parse_result *result;
	struct packet pkt = {};
	__u32 zero = 0;

	result = bpf_map_lookup_elem(&results, &zero);
	if (!result)
		return XDP_ABORTED;
	result->ext_limit = 0;
	result->outcome = parse_source(&cur, &pkt);
	if (result->outcome == PARSED && parse_ports(&cur, &pkt) < 0)
		result->ext_limit = 1;
	result->tiny = result->outcome == PARSED && pkt.more &&
		       parse_tiny(&frame, cur.pos - frame.data, &pkt);
	result->pkt = pkt;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
