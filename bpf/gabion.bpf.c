// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The hooks. Each turns its context into a frame, runs the stages of filter.h and translates the
 * verdict; everything else is the same on all of them.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "config.h"
#include "egress.h"
#include "filter.h"

#define HEADERS 256 /* bytes made contiguous in an skb whose headers are in several pieces */

/* Takes a sample of a packet that gabion_xdp drops. */
__noinline int sample_xdp(struct xdp_md *ctx, __u64 source_high, __u64 source_low, __u64 cause)
{
	struct frame frame = xdp_frame(ctx);
	struct drop drop = {.source = {source_high, source_low}, .cause = cause};

	return sample(&frame, &drop, system_clock(CLOCK_BOOT));
}

/* See meter.h. */
__noinline int prove_xdp(struct xdp_md *ctx, __u32 at)
{
	return prove_meter(ctx, at);
}

__noinline int ports_xdp(struct xdp_md *ctx, __u32 offset)
{
	struct frame frame = xdp_frame(ctx);

	return look_at_ports(&frame, offset);
}

__noinline int tiny_xdp(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);

	return look_at_tiny(&frame);
}

__noinline int meter_xdp(struct xdp_md *ctx, __u32 offset)
{
	const struct meter_fns call = {
		.ports = (void *)ports_xdp,
		.tiny = (void *)tiny_xdp,
		.prove = (prove_fn)prove_xdp,
	};

	return meter_packet(ctx, offset, system_clock, &call);
}

/* In the driver, or right behind it when the driver cannot (generic mode). */
SEC("xdp")
int gabion_xdp(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);
	struct drop drop = {};

	if (filter(ctx, &frame, system_clock, (meter_fn)meter_xdp, &drop) == PASS)
		return XDP_PASS;
	if (drop.cause)
		sample_xdp(ctx, drop.source[0], drop.source[1], drop.cause);
	return XDP_DROP;
}

static __always_inline struct frame tc_frame(struct __sk_buff *skb)
{
	return (struct frame){
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.len = skb->len,
		.ifindex = skb->ingress_ifindex,
	};
}

/* Takes a sample of a packet that gabion_tc drops. */
__noinline int sample_tc(struct __sk_buff *skb, __u64 source_high, __u64 source_low, __u64 cause)
{
	struct frame frame = tc_frame(skb);
	struct drop drop = {.source = {source_high, source_low}, .cause = cause};

	return sample(&frame, &drop, system_clock(CLOCK_BOOT));
}

/* See meter.h. */
__noinline int prove_tc(struct __sk_buff *skb, __u32 at)
{
	return prove_meter(skb, at);
}

__noinline int ports_tc(struct __sk_buff *skb, __u32 offset)
{
	struct frame frame = tc_frame(skb);

	return look_at_ports(&frame, offset);
}

__noinline int tiny_tc(struct __sk_buff *skb)
{
	struct frame frame = tc_frame(skb);

	return look_at_tiny(&frame);
}

__noinline int meter_tc(struct __sk_buff *skb, __u32 offset)
{
	const struct meter_fns call = {
		.ports = (void *)ports_tc,
		.tiny = (void *)tiny_tc,
		.prove = (prove_fn)prove_tc,
	};

	return meter_packet(skb, offset, system_clock, &call);
}

/* Behind the allocation of the packet buffer: where XDP cannot run or another program holds the
 * hook. "Unspecified" lets the next tc program decide; it is TCX_NEXT as well. */
SEC("tc")
int gabion_tc(struct __sk_buff *skb)
{
	struct frame frame;
	struct drop drop = {};
	__u32 head = skb->data_end - skb->data;

	if (head < HEADERS && head < skb->len)
		bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
	frame = tc_frame(skb);
	if (filter(skb, &frame, system_clock, (meter_fn)meter_tc, &drop) == PASS)
		return TC_ACT_UNSPEC;
	if (drop.cause)
		sample_tc(skb, drop.source[0], drop.source[1], drop.cause);
	return TC_ACT_SHOT;
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
	return watch_answer(marks, system_clock);
}

__noinline int connected_egress(struct __sk_buff *skb)
{
	return watch_connected(skb, system_clock);
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

/* What leaves. It always goes on to the next program. */
SEC("tc")
int gabion_egress(struct __sk_buff *skb)
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

/* Tells user space the kernel's clocks, in the first 16 bytes of a test packet: nothing else shows
 * jiffies64. Never attached. */
SEC("xdp")
int gabion_clock(struct xdp_md *ctx)
{
	__u64 *clocks = (void *)(long)ctx->data;

	if ((void *)(clocks + 2) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	clocks[0] = bpf_jiffies64();
	clocks[1] = bpf_ktime_get_ns();
	return XDP_PASS;
}

/* Tells the loader which ABI this object was built for. */
const volatile __u32 abi_version = GABION_ABI;

/* Nothing else makes the compiler describe the ring buffers' records in BTF. */
struct meter_event *event_type __attribute__((unused));
struct drop_sample *sample_type __attribute__((unused));
enum drop_reason *reason_type __attribute__((unused));
enum meter_unit *unit_type __attribute__((unused));
enum meter_flag *flag_type __attribute__((unused));
enum mark *mark_type __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
