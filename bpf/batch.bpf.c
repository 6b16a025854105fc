// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Test-only object: the stages of filter.h many times per run, for the tests that need millions of
 * packets. It is apart from test.bpf.c because it asks for more of the kernel: loops (5.17) and
 * stores into the packet (5.18).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "config.h"
#include "filter.h"

#define TRIALS	    2048
#define TRIAL_BYTES 240
#define TARGETS	    131072
#define OUTCOMES    18 /* counters from stats.passed_v4 to stats.dropped_tags */
#define DROPS	    5  /* of them the last, counters of what is dropped */

_Static_assert(__builtin_offsetof(struct stats, dropped_tags) -
			       __builtin_offsetof(struct stats, passed_v4) ==
		       (OUTCOMES - 1) * sizeof(__u64),
	       "outcomes");

/* What became of a trial besides the index of a counter. */
enum {
	NO_COUNTER = 100, /* none or several were raised, or the action contradicts it */
	NOT_RUN = 101,	  /* the packet could not be made */
};

/* A frame to be judged. Written by the test but for the outcome. */
struct trial {
	__u64 now;     /* jiffies64 that the test says it is */
	__u32 len;     /* 14..TRIAL_BYTES */
	__u32 outcome; /* which counter was raised: 0 is passed_v4; or one of the above */
	__u8 data[TRIAL_BYTES];
};

/* key: position in the batch -> value: trial. Written by the test, the outcome by test_batch(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct trial);
	__uint(max_entries, TRIALS);
	__uint(map_flags, BPF_F_MMAPABLE);
} trials SEC(".maps");

/* A source that is banned from before the readers start until they have ended, or never. */
struct target {
	struct source source; /* IPv4-mapped for IPv4 */
	__u32 family;	      /* 4 or 6 */
	__u32 banned;	      /* 1: throughout; 0: never */
};

/* key: position -> value: target. Written by the test before it reads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct target);
	__uint(max_entries, TARGETS);
} targets SEC(".maps");

/* What a reader saw. missed and found are violations. */
struct tally {
	__u64 lookups4;
	__u64 lookups6;
	__u64 missed;	   /* a banned source was not dropped */
	__u64 found;	   /* a source that is not banned was not just passed */
	__u32 last;	   /* target of the last violation */
	__u32 last_result; /* enum outcome of it */
};

/* The only entry is this CPU's tally. Written by test_read(), read by the test. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct tally);
	__uint(max_entries, 1);
} tallies SEC(".maps");

/* Entries of the two arrays that are in use. Set by the test before loading. */
const volatile __u32 target_count = 0;
/* Lookups of one run of test_read(). Set by the test before loading. */
const volatile __u32 reads = 65536;

/* Samples of this run. Set by the test before each run of test_batch(). */
__u32 trial_count = 0;
/* jiffies64 that the trial being judged says it is. */
__u64 trial_now = 0;
/* The outcome counters before the trial. */
__u64 before[OUTCOMES];

static __always_inline __u64 trial_clock(enum clock which)
{
	return trial_now;
}

/* The trials are about bans: no meter is in force. */
static __always_inline int no_meters(void *ctx, __u32 offset)
{
	return 0;
}

/* Gives the packet the trial's length and bytes. */
static __always_inline int load_trial(struct xdp_md *ctx, const struct trial *trial)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 have = end - data;
	__u32 len = trial->len;

	barrier_var(have); /* "32-bit pointer arithmetic prohibited" */
	if (len < ETH_HLEN || len > TRIAL_BYTES)
		return -1;
	if (bpf_xdp_adjust_tail(ctx, (int)len - (int)have))
		return -1;
	return bpf_xdp_store_bytes(ctx, 0, (void *)trial->data, len);
}

/* Says which outcome counter rose since "before" was filled. */
static __always_inline __u32 raised(const __u64 *outcomes, enum verdict verdict)
{
	__u32 which = NO_COUNTER, n = 0;

	for (__u32 i = 0; i < OUTCOMES; i++) {
		if (outcomes[i] == before[i])
			continue;
		which = i;
		n += outcomes[i] - before[i];
	}
	if (n != 1 || (which >= OUTCOMES - DROPS) != (verdict == DROP))
		return NO_COUNTER;
	return which;
}

static long judge_trial(__u64 i, struct xdp_md **at)
{
	struct xdp_md *ctx = *at;
	struct frame frame = {};
	struct drop drop = {};
	struct trial *trial;
	struct stats *st;
	__u32 key = i, zero = 0;

	trial = bpf_map_lookup_elem(&trials, &key);
	st = bpf_map_lookup_elem(&stats, &zero);
	if (!trial || !st)
		return 1;
	trial->outcome = NOT_RUN;
	if (load_trial(ctx, trial))
		return 0;
	trial_now = trial->now;
	frame.data = (void *)(long)ctx->data;
	frame.end = (void *)(long)ctx->data_end;
	frame.len = frame.end - frame.data;
	__builtin_memcpy(before, &st->passed_v4, sizeof(before));
	trial->outcome = raised(&st->passed_v4, filter(ctx, &frame, trial_clock, no_meters, &drop));
	return 0;
}

/* Judges the first trial_count trials. Only one run at a time. */
SEC("xdp")
int test_batch(struct xdp_md *ctx)
{
	bpf_loop(trial_count, judge_trial, &ctx, 0);
	return XDP_PASS;
}

static long read_target(__u64 i, __u32 *start)
{
	__u32 zero = 0, key = (*start + i) % (target_count ?: 1);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &zero);
	struct target *target = bpf_map_lookup_elem(&targets, &key);
	struct packet pkt = {};
	enum outcome outcome;

	if (!tally || !target)
		return 1;
	pkt.family = target->family;
	if (pkt.family == 4) {
		__builtin_memcpy(&pkt.saddr4, &target->source.addr[12], sizeof(pkt.saddr4));
		tally->lookups4++;
	} else {
		__builtin_memcpy(pkt.saddr, target->source.addr, sizeof(pkt.saddr));
		tally->lookups6++;
	}
	outcome = inspect_source(&pkt, system_clock) & ((1 << OUTCOME_BITS) - 1);
	if (outcome == (target->banned ? O_DROPPED : O_PASSED))
		return 0;
	if (target->banned)
		tally->missed++;
	else
		tally->found++;
	tally->last = key;
	tally->last_result = outcome;
	return 0;
}

/* Looks up targets one after the other, from one that differs from run to run. */
SEC("xdp")
int test_read(struct xdp_md *ctx)
{
	__u32 start = bpf_get_prandom_u32() & (TARGETS - 1);

	bpf_loop(reads, read_target, &start, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
