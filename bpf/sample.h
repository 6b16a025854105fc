/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Samples of dropped packets, for whoever follows them: off unless somebody does, within a budget
 * per CPU, and only ever on the way of a packet that is dropped already.
 *
 * Each hook has a global function that takes a sample. The verifier proves such a function once, by
 * itself, whatever number of paths lead to it. Its arguments are the context and plain numbers,
 * because kernels before 5.12 know no others.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "maps.h"
#include "packet.h"
#include "report.h"

/* What is known of a dropped packet, in the form of arguments. All zeros: no sample is wanted. */
struct drop {
	__u64 source[2]; /* as in struct drop_sample */
	__u64 cause;	 /* enum drop_reason << 16 | class << 8 | family */
};

static __always_inline struct drop drop_of(const struct packet *pkt, enum drop_reason reason,
					   __u8 class)
{
	union {
		__u64 half[2];
		__u32 word[4];
	} source = {};

	if (pkt->family == 4) {
		source.word[2] = bpf_htonl(0xffff);
		source.word[3] = pkt->saddr4;
	} else if (pkt->family == 6) {
		__builtin_memcpy(&source, pkt->saddr, sizeof(source));
	}
	return (struct drop){
		.source = {source.half[0], source.half[1]},
		.cause = reason << 16 | class << 8 | pkt->family,
	};
}

/* All that a dropped packet costs while nobody follows. */
static __always_inline int is_sampling(void)
{
	__u32 zero = 0;
	struct sampling *on = bpf_map_lookup_elem(&sampling, &zero);

	return on && on->until;
}

/* Copies the beginning of a frame. Returns how many bytes there were. */
static __always_inline __u8 copy_head(__u8 *to, const struct frame *frame)
{
	const __u8 *from = frame->data;

	for (__u32 i = 0; i < SAMPLE_BYTES; i++) {
		if ((void *)(from + i + 1) > frame->end)
			return i;
		to[i] = from[i];
	}
	return SAMPLE_BYTES;
}

/* Writes one sample. A follower that was killed no longer renews its request: the first packet that
 * sees it end switches sampling off. */
static __always_inline int sample(const struct frame *frame, const struct drop *drop, __u64 now)
{
	__u32 zero = 0;
	struct sampling *on = bpf_map_lookup_elem(&sampling, &zero);
	struct stats *st = bpf_map_lookup_elem(&stats, &zero);
	__u32 reason = drop->cause >> 16; /* each has a share: a flood that is shed hides no ban */
	struct drop_sample *sample;

	if (!on || !st)
		return 0;
	if (now >= on->until) {
		on->until = 0;
		return 0;
	}
	if (!within_budget(&sampled, reason, now, on->budget)) {
		st->samples_over_budget++;
		return 0;
	}
	sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
	if (!sample) {
		st->samples_full++;
		return 0;
	}
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->time = now;
	__builtin_memcpy(sample->source, drop->source, sizeof(sample->source));
	sample->len = frame->len;
	sample->ifindex = frame->ifindex;
	sample->reason = reason;
	sample->class = drop->cause >> 8;
	sample->family = drop->cause;
	sample->captured = copy_head(sample->data, frame);
	st->samples++;
	bpf_ringbuf_submit(sample, 0);
	return 1;
}

#endif
