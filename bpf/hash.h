/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Hashes of the tables, keyed with the secret multipliers. The high bits are the good ones.
 * loader/table computes the same: what it writes is looked for here.
 */
#ifndef HASH_H
#define HASH_H

#include <linux/types.h>

#include "config.h"

static __always_inline __u64 hash4(__u32 addr)
{
	__u64 x = (__u64)addr * hash_key[0];

	x ^= x >> 32;
	return x * hash_key[1];
}

/* The bit of an address in the high half of its word of any4. */
static __always_inline __u32 hash4_bit(__u32 addr)
{
	return (__u64)addr * hash_key[0] >> 59;
}

static __always_inline __u64 hash6(__u64 high, __u64 low)
{
	__u64 x = high * hash_key[0] + low * hash_key[1];

	x ^= x >> 32;
	x *= hash_key[0];
	x ^= x >> 29;
	return x * hash_key[1];
}

/* For the Bloom filter: the low bits are good as well. */
static __always_inline __u64 hash_item(__u64 item)
{
	__u64 x = item * hash_key[0];

	x ^= x >> 32;
	x *= hash_key[1];
	return x ^ x >> 29;
}

#endif
