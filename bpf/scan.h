/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Port fan-out: how many different ports has a key tried in the window. Each port is a bit of a set
 * of 512, by a hash, and what is counted in the slot are the bits: user space asks for a limit in
 * bits and translates back (linear counting; the standard error is below 6 % up to 1500 ports).
 *
 * Two CPUs that set bits of the same word at once may lose one: its port then counts again.
 */
#ifndef SCAN_H
#define SCAN_H

#include <bpf/bpf_helpers.h>

#include "config.h"
#include "gabion.h"
#include "hash.h"
#include "maps.h"

#define SKETCH_BITS_LOG 9

/* Enters a port. Returns 1 when its bit is new, or the sketch is: fresh empties it first. */
static __always_inline __u32 enter_port(__u32 index, __u16 port, int fresh)
{
	struct sketch *sketch = bpf_map_lookup_elem(&sketches, &index);
	__u32 hash = hash4(port) >> (64 - SKETCH_BITS_LOG), word = hash / 64;
	__u64 bit = 1ULL << (hash & 63), before;

	if (!sketch)
		return 0;
	if (fresh) {
#pragma unroll
		for (int i = 0; i < SKETCH_WORDS; i++)
			sketch->bits[i] = 0;
	}
	barrier_var(word);
	word &= SKETCH_WORDS - 1; /* see slot_at() */
	before = sketch->bits[word];
	if (before & bit)
		return 0;
	sketch->bits[word] = before | bit;
	return 1;
}

#endif
