/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The ABI between the kernel programs and user space: every struct, enum and limit that both sides
 * see. The Go types are generated from these, so nothing is declared twice.
 *
 * Rules for all of it:
 *  - integers are in host byte order unless the type says otherwise (__be16, __be32); addresses are
 *    byte arrays in the order of the wire;
 *  - times are CLOCK_BOOTTIME nanoseconds, which go on while the machine sleeps and never jump, or,
 *    where the packet path compares them, jiffies64 (a clock costs 30 times what reading it does);
 *    the end of a ban is in ticks, which are jiffies64 >> tick_shift, about a second each;
 *  - no hidden padding: the asserts at the end hold every size;
 *  - map keys are zeroed before they are filled.
 *
 * A change of any struct, map type or meaning below raises GABION_ABI: a daemon refuses the pinned
 * maps of another version instead of misreading them.
 */
#ifndef GABION_H
#define GABION_H

#include <linux/types.h>

#include "meter_abi.h"

#define GABION_ABI 8

/* Sizes. Those marked "loader" are defaults that user space replaces when it creates the maps. */
#define CLASSES	     16		   /* ban classes */
#define MAX_BANS     16777216	   /* loader: prefixes, and hosts that found no slot; per family */
#define MAX_ALLOWS   65536	   /* loader: per family */
#define EVENT_RING   (1024 * 1024) /* bytes; power of two, multiple of the page size */
#define SAMPLE_RING  (256 * 1024)  /* bytes; power of two, multiple of the page size */
#define SAMPLE_BYTES 96		   /* of a dropped packet: what a sample holds of it */

/* The ban tables of IPv4 and IPv6 hosts: see struct line4 and struct line6. */
#define SLOTS4	 5 /* per line */
#define SLOTS6	 2
#define PROBES4	 8 /* lines that an entry can be in */
#define PROBES6	 8
#define CHUNK	 8192	   /* lines of one map of hosts4 or hosts6; power of two */
#define CHUNKS	 2048	   /* maps of one table, at most; power of two */
#define LEAVES4	 16	   /* per line of the prefix table: see struct net4 */
#define RULES4	 4	   /* likewise */
#define BLOCK4	 256	   /* leaves: one for each /24 of a /16 */
#define ALL_BITS (1 << 18) /* words of a bitmap that has a bit for each IPv4 /24 */
#define ANY4	 (1 << 18) /* words of one half of any4 */
#define ANY6	 (1 << 18) /* loader: words of one half of any6 */

/* From here on a counter of 32 bits is not raised: each CPU that has just seen less may add one. */
#define HITS4_FULL 0xffff0000

/* The end of a ban, and its class, as packed into a slot: class << CLASS_SHIFT | expiry. */
#define EXPIRY_BITS 28
#define NO_END	    0x0fffffff /* ticks; also the latest end that can be told */
#define CLASS_SHIFT EXPIRY_BITS

/* Bits of allow_bits: the first 2^16 for IPv4, by /16; the others for IPv6, by a hash of the /32.
 */
#define ALLOW_WORDS 2048

/* What is done with a source whose ban is of a class. */
enum class_mode {
	MODE_OFF = 0, /* as if the ban were not there */
	MODE_DROP = 1,
	MODE_SHADOW = 2, /* counted, then passed */
};

/* Who asked for an allow entry. */
enum allow_reason {
	ALLOW_USER = 1, /* the user's allowlist */
	ALLOW_GUARD =
		2, /* what must stay reachable: own addresses, gateways, resolvers, sessions */
};

/* Keys of the prefix tables: prefixlen bits of addr count, the others are zero. */
struct prefix4 {
	__u32 prefixlen; /* 0..32 */
	__u8 addr[4];
};

struct prefix6 {
	__u32 prefixlen; /* 0..128 */
	__u8 addr[16];
};

/* A banned prefix. An entry of all zeros, as typed into bpftool by hand, is valid: class 0, no end.
 * What is put in, changed or taken out by hand is in force at the latest with the daemon's next
 * reconcile, which brings the filters and the prefix table in line.
 */
struct ban {
	__u64 expiry;	   /* ticks; the ban holds while now < expiry. 0: no end */
	__u64 decision_id; /* 0: not written by gabion */
	__u64 hits;	   /* packets dropped or, in shadow, counted; written by the kernel */
	__u8 class;	   /* 0..CLASSES-1 */
	__u8 prefixlen;	   /* that of the key: lets the lookup go on to a shorter prefix */
	__u8 pad[6];
};

/*
 * One cache line of the table of banned IPv4 hosts, with what its entries count: dropping a packet
 * touches no other line of the table than finding its ban.
 *
 * A slot is address << 32 | class << CLASS_SHIFT | expiry, the address in host order; one 8-byte
 * store writes it, and 0 is a free one. An entry is in the line that its hash names or in one of
 * the next PROBES4 - 1, and then the lines before have "more" set, for as long as the table is in
 * use. The address 0.0.0.0 is never in here.
 */
struct line4 {
	__u64 slot[SLOTS4];
	__u32 hits[SLOTS4]; /* packets dropped or, in shadow, counted: up to HITS4_FULL */
	__u32 more;	    /* 1: the next line may have entries that belong here */
};

/*
 * A banned IPv6 host. The low 32 bits of meta are class and expiry as above, the high ones change
 * whenever the slot gets another address: a reader that finds them changed after it has compared
 * the address has compared two halves of different ones. meta is 0 while the slot was never used,
 * and its expiry is 0 while it holds no entry.
 */
struct slot6 {
	__u64 high; /* of the address, host order */
	__u64 low;
	__u64 meta;
	__u64 hits; /* packets dropped or, in shadow, counted */
};

/* One cache line of the table of banned IPv6 hosts. The next line is looked into only when the last
 * slot of this one was ever used. */
struct line6 {
	struct slot6 slot[SLOTS6];
};

/* A banned IPv4 prefix of at most 24 bits in the prefix table. */
struct rule4 {
	__u64 state; /* address >> 8 << 40 | length << 32 | class << CLASS_SHIFT | expiry */
	__u64 hits;  /* packets dropped by way of the table; written by the kernel */
};

/*
 * One cache line of the table of banned IPv4 prefixes: 16 leaves or 4 rules. A leaf says of a part
 * of the address space what its longest prefix of at most 24 bits is: the number of the rule that
 * the table has for it, counted from the table's beginning, or 0 when there is none.
 *
 * The table begins with 2^16 leaves, one for each /16; then come the rules, and from the end
 * backwards blocks of BLOCK4 leaves, one for each /24 of a /16 whose parts differ.
 */
struct net4 {
	union {
		__u32 leaf[LEAVES4];
		struct rule4 rule[RULES4];
	};
};

#define NET_ASK	  (1U << 31) /* in a leaf: there are longer prefixes, only the trie knows */
#define NET_BLOCK (1U << 30) /* in one of the first leaves: the rest is the number of a block */

/* What a family's tables hold; each costs the packet path something. */
enum view_flag {
	VIEW_PREFIXES = 1,   /* the trie is not empty */
	VIEW_MIDDLE = 2,     /* IPv6: there are entries from /32 to /47 */
	VIEW_WIDE = 4,	     /* IPv6: there are entries shorter than /32 */
	VIEW_ALLOW_WIDE = 8, /* IPv6: there are allow entries shorter than /32 */
};

/* How a family's tables are to be read. All of it changes with one 8-byte store, so that what is
 * read belongs together: a new filter, or a larger table, is filled first and then shown. */
struct view {
	__u8 scale;  /* log2 of the words of any4 or any6 in use */
	__u8 half;   /* of any4 or any6 that is in use: 0 or 1 */
	__u8 table;  /* half of hosts4 or hosts6 that is in use: 0 or 1 */
	__u8 flags;  /* enum view_flag */
	__u32 lines; /* of the host table in use: 1..CHUNK * CHUNKS */
};

enum view_key {
	VIEW4 = 0,
	VIEW6 = 1,
	VIEWS,
};

/* An allowed prefix: it wins over every ban. */
struct allow {
	__u64 hits;   /* packets that a ban would have dropped; written by the kernel */
	__u32 reason; /* enum allow_reason */
	__u32 pad;
};

/* A class of bans. */
struct class
{
	__u32 mode;   /* enum class_mode */
	__u32 origin; /* number of the list it was filled from; 0: this machine's own decisions */
};

/* What every lookup reads first, and changes with one 8-byte store each. */
struct control {
	struct view view[VIEWS];     /* by enum view_key */
	struct class class[CLASSES]; /* switching a whole list is one store */
	struct meter_view meters;
};

/* Reports or samples that one CPU has written in the running second. */
struct budget {
	__u64 start; /* ns */
	__u64 used;
};

/* What dropped a packet. */
enum drop_reason {
	DROPPED_BAN = 1,  /* a ban of its source */
	DROPPED_TAGS = 2, /* more VLAN tags than are walked: its source is hidden on purpose */
	DROPPED_SHED = 3, /* the limit of a meter */
	DROP_REASONS,
};

/* The request for samples of dropped packets, renewed while somebody follows them. */
struct sampling {
	__u64 until;  /* ns; samples are taken before it. 0: off, and all a dropped packet costs */
	__u32 budget; /* samples per CPU, second and reason */
	__u32 pad;
};

/* A packet that was dropped. */
struct drop_sample {
	__u64 time;	 /* ns */
	__u8 source[16]; /* IPv4-mapped for IPv4; zeros when family is 0 */
	__u32 len;	 /* bytes, as received */
	__u32 ifindex;
	__u8 reason;   /* enum drop_reason */
	__u8 class;    /* DROPPED_BAN: of the ban */
	__u8 family;   /* 4 or 6; 0: the source is not known */
	__u8 captured; /* bytes of data in use, 0..SAMPLE_BYTES */
	__u8 pad[4];
	__u8 data[SAMPLE_BYTES]; /* the frame from its Ethernet header on */
};

/*
 * Counters, one copy per CPU. Every packet counts in "received" and in exactly one of the outcomes
 * passed ... dropped_tags; what follows counts on top.
 */
struct stats {
	__u64 received;
	__u64 received_bytes;

	__u64 passed_v4; /* no ban of any kind matched */
	__u64 passed_v6;
	__u64 passed_non_ip; /* neither IPv4 nor IPv6 */
	__u64 truncated;     /* passed: ends before its source address */
	__u64 malformed;     /* passed: its IP header is one that the stack discards */
	__u64 disabled_v4;   /* passed: the ban's class is off */
	__u64 disabled_v6;
	__u64 expired_v4; /* passed: the ban is over, but still in the table */
	__u64 expired_v6;
	__u64 shadowed_v4; /* passed: the ban's class only counts */
	__u64 shadowed_v6;
	__u64 allowed_v4; /* passed: banned, but an allow entry wins */
	__u64 allowed_v6;
	__u64 dropped_v4;
	__u64 dropped_v6;
	__u64 shed_v4; /* dropped: above the limit of a meter */
	__u64 shed_v6;
	__u64 dropped_tags; /* more VLAN tags than are walked: its source is hidden on purpose */

	__u64 dropped_bytes;
	__u64 ext_limit;       /* IPv6 with more extension headers than are walked: not metered */
	__u64 tiny_fragments;  /* first fragments without all of the TCP header: metered as SYNs */
	__u64 metered_full;    /* not counted: sources with more had the room */
	__u64 spared;	       /* passed above a limit: the source is proven */
	__u64 events;	       /* reports written */
	__u64 events_unproven; /* of these, with established = 0 */
	__u64 events_full;     /* not written, ring full; tried again with the next packet */
	__u64 events_over_budget;  /* not written, this CPU's budget is used up; likewise */
	__u64 samples;		   /* samples of dropped packets written */
	__u64 samples_full;	   /* not written, ring full */
	__u64 samples_over_budget; /* not written, this CPU's budget is used up */
};

/* Who made the maps, and for which program. What the programs need to know of it, they have as
 * knobs. */
struct abi {
	__u32 version; /* GABION_ABI; 0: not finished */
	__u32 classes;
	__u32 max_bans;	  /* entries of the tries, per family */
	__u32 max_allows; /* entries per family */
	__u64 hash_key[2];
	__u32 hz; /* jiffies a second */
	__u32 tick_shift;
	__u32 any6_words; /* of one half */
	__u32 pad;
};

_Static_assert(sizeof(struct prefix4) == 8, "prefix4");
_Static_assert(sizeof(struct prefix6) == 20, "prefix6");
_Static_assert(sizeof(struct ban) == 32, "ban");
_Static_assert(sizeof(struct allow) == 16, "allow");
_Static_assert(sizeof(struct class) == 8, "class");
_Static_assert(sizeof(struct sampling) == 16, "sampling");
_Static_assert(sizeof(struct drop_sample) == 40 + SAMPLE_BYTES, "drop_sample");
_Static_assert(sizeof(struct stats) == 32 * 8, "stats");
_Static_assert(sizeof(struct abi) == 48, "abi");
_Static_assert(sizeof(struct line4) == 64, "line4");
_Static_assert(sizeof(struct line6) == 64, "line6");
_Static_assert(sizeof(struct net4) == 64, "net4");
_Static_assert(sizeof(struct view) == 8, "view");
_Static_assert(sizeof(struct control) == 8 * (VIEWS + CLASSES + 1), "control");

#endif
