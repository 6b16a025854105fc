/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A packet on its way through the meters. It is kept in a map and not on the stack: the verifier
 * does not follow what is in a map, so that all ways in which a packet can have come here are one
 * to it from here on.
 */
#ifndef LOOK_H
#define LOOK_H

#include <linux/bpf.h>

#include "gabion.h"
#include "packet.h"

struct look {
	struct packet pkt; /* for an answer: that which was answered, as far as it matters */
	__u32 outcome;	   /* of the stages before */
	__u32 offset;	   /* of what is behind the header that was parsed last; bytes */
	__u32 first;	   /* 1: the first segment that an accepted connection sends */
	__u32 len;	   /* bytes of the frame */
	__u32 ifindex;
	__u32 marks; /* enum mark */
	struct meter_view view;
	__u64 high; /* the source, IPv4 mapped, in the order of the wire */
	__u64 low;
	__u64 now;	    /* jiffies64 */
	__u64 boot;	    /* ns; only when there is something to report */
	__u32 full;	    /* meters that had no room for the packet */
	__u32 over;	    /* bits: places of meters whose limit is passed */
	__u32 work;	    /* bits: places of meters with something to prove or to report */
	__u32 sum[METERS];  /* units, with this packet, of the meters in work */
	__u32 slot[METERS]; /* where they are: line * SLOTS + slot */

	/* What proof.h asks with: here, because a stack of 512 bytes is for all functions. */
	struct source source;
	struct conn fresh;
	struct bpf_sock_tuple tuple;
};

#endif
