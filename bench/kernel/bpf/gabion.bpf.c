// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The shipped code under measurement: the ban lookup in a loop, and the whole filter with its
 * verdict turned into a drop. The tables are those of a plane that the loader has filled; nothing
 * here writes them but what the shipped code writes itself.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../../../bpf/config.h"
#include "../../../bpf/filter.h"
#include "traffic.h"
#include "walk.h"

/* The question is the one that the other layouts answer: is there a ban of this source in force?
 * What the filter does for a packet that is dropped, the allow lookup and the counters, is part of
 * what receiving costs. */
static long step_lookup4(__u32 round, struct walk *walk)
{
	__u32 addr = next_source4(&walk->draw);
	struct view view = view_of(load_view(VIEW4));
	struct ruling by = {};

	answer(walk, marked4(addr, view) && judge4(addr, bpf_jiffies64(), &view, &by) == BANNED);
	return 0;
}

static long step_lookup6(__u32 round, struct walk *walk)
{
	struct view view = view_of(load_view(VIEW6));
	struct ruling by = {};
	struct address6 addr;

	next_source6(&walk->draw, &addr.high, &addr.low);
	answer(walk, marked6(addr, view) && judge6(addr, bpf_jiffies64(), &view, &by) == BANNED);
	return 0;
}

SEC("xdp")
int lookup_gabion4(struct xdp_md *ctx)
{
	return time_walk(step_lookup4);
}

SEC("xdp")
int lookup_gabion6(struct xdp_md *ctx)
{
	return time_walk(step_lookup6);
}

__noinline int sample_drop(struct xdp_md *ctx, __u64 source_high, __u64 source_low, __u64 cause)
{
	struct frame frame = xdp_frame(ctx);
	struct drop drop = {.source = {source_high, source_low}, .cause = cause};

	return sample(&frame, &drop, system_clock(CLOCK_BOOT));
}

__noinline int prove(struct xdp_md *ctx, __u32 at)
{
	return prove_meter(ctx, at);
}

__noinline int ports(struct xdp_md *ctx, __u32 offset)
{
	struct frame frame = xdp_frame(ctx);

	return look_at_ports(&frame, offset);
}

__noinline int tiny(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);

	return look_at_tiny(&frame);
}

__noinline int meter(struct xdp_md *ctx, __u32 offset)
{
	const struct meter_fns call = {
		.ports = (void *)ports,
		.tiny = (void *)tiny,
		.prove = (prove_fn)prove,
	};

	return meter_packet(ctx, offset, system_clock, &call);
}

/* gabion_xdp(), but what the filter passes is dropped as well, after it was counted: the stack
 * behind is not measured. */
SEC("xdp")
int receive_gabion(struct xdp_md *ctx)
{
	struct frame frame = xdp_frame(ctx);
	struct drop drop = {};

	if (filter(ctx, &frame, system_clock, (meter_fn)meter, &drop) == DROP && drop.cause)
		sample_drop(ctx, drop.source[0], drop.source[1], drop.cause);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
