/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The ABI between the kernel programs and user space: every struct, enum and limit that both sides
 * see. The Go types are generated from these, so nothing is declared twice.
 *
 * Rules for all of it:
 *  - integers are in host byte order unless the type says otherwise (__be16, __be32); addresses are
 *    byte arrays in the order of the wire;
 *  - times are CLOCK_BOOTTIME nanoseconds, which go on while the machine sleeps and never jump, or,
 *    where the packet path compares them, jiffies64 (reading it costs a load, a clock 30 times
 * that); the end of a ban is in ticks, which are jiffies64 >> tick_shift, about a second each;
 *  - no hidden padding: the asserts at the end hold every size;
 *  - map keys are zeroed before they are filled.
 *
 * A change of any struct, map type or meaning below raises GABION_ABI: a daemon refuses the pinned
 * maps of another version instead of misreading them.
 */
#ifndef GABION_H
#define GABION_H

#include <linux/types.h>

#define GABION_ABI 4

/* Sizes. Those marked "loader" are defaults that user space replaces when it creates the maps. */
#define CLASSES	      16	    /* ban classes */
#define MAX_BANS      16777216	    /* loader: prefixes, and hosts that found no slot; per family */
#define MAX_ALLOWS    65536	    /* loader: per family */
#define MAX_CONNS     16384	    /* sources near a limit of connections, at once */
#define MAX_CLAIMS    4096	    /* reports of the running windows */
#define SUSPECT_CELLS 4096	    /* power of two */
#define EVENT_RING    (1024 * 1024) /* bytes; power of two, multiple of the page size */
#define FLOWS	      8		    /* power of two, at most 8: connections sampled per source */
#define SAMPLE_RING   (256 * 1024)  /* bytes; power of two, multiple of the page size */
#define SAMPLE_BYTES  96	    /* of a dropped packet: what a sample holds of it */

/* The ban tables of IPv4 and IPv6 hosts: see struct line4 and struct line6. */
#define SLOTS4	 8 /* per line */
#define SLOTS6	 2
#define PROBES4	 4 /* lines that an entry can be in */
#define PROBES6	 8
#define TABLES	 32	   /* sizes of a host table: 2^0 .. 2^31 lines */
#define ALL_BITS (1 << 18) /* words of a bitmap that has a bit for each IPv4 /24 */
#define ANY6	 (1 << 18) /* loader: words of one half of any6 */

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
 * It is in force once its bit in cidr_bits4 or any6 is set, which the daemon's next reconcile does.
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
 * One cache line of the table of banned IPv4 hosts. A table of n lines is followed by n / 2 lines
 * of counters: slot s of line l has hits[(l & 1) * SLOTS4 + s] in line n + l / 2.
 *
 * A slot is address << 32 | class << CLASS_SHIFT | expiry, the address in host order; one 8-byte
 * store writes it. An entry is in the line that its hash names or in one of the next PROBES4 - 1; a
 * line whose last slot is 0 is the last to look into. So the last slot, once used, is never 0
 * again: without an entry its class is 15 and its expiry 0. The address 0.0.0.0 is never in here.
 */
struct line4 {
	union {
		__u64 slot[SLOTS4];
		__u32 hits[2 * SLOTS4]; /* packets dropped or, in shadow, counted */
	};
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

/* What a family's tables hold; each costs the packet path something. */
enum view_flag {
	VIEW_PREFIXES = 1,   /* the trie is not empty */
	VIEW_MIDDLE = 2,     /* IPv6: there are entries from /32 to /47 */
	VIEW_WIDE = 4,	     /* IPv6: there are entries shorter than /32 */
	VIEW_ALLOW_WIDE = 8, /* IPv6: there are allow entries shorter than /32 */
};

/* How a family's tables are to be read. All of it changes with one 8-byte store, so that what is
 * read belongs together: a new bitmap, or a larger table, is filled first and then shown. */
struct view {
	__u8 scale; /* IPv4: bits of an address that its bit in any4 leaves out. IPv6: log2 of the
		       words of any6 in use */
	__u8 half;  /* of any4 or any6 that is in use: 0 or 1 */
	__u8 table; /* log2 of the lines of the host table in use, its index in hosts4 or hosts6 */
	__u8 flags; /* enum view_flag */
	__u32 pad;
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

/* The meters and their tables. */
#define METERS	     16	  /* in force at once */
#define METER_LINES  4096 /* lines of slots for each; power of two */
#define SLOTS	     8	  /* per line */
#define SCANS	     4	  /* of the meters, those that count ports */
#define SCAN_LINES   512  /* lines that each of these uses; power of two */
#define SKETCH_WORDS 8
#define PROVEN_LINES 8192 /* power of two */
#define PORT_RANGES  4
#define METER_NAME   80

/* What is known of a packet when it is compared with a meter: one word, so that one comparison
 * under a mask does. */
enum mark {
	MARK_FLAGS = 0xff, /* the flags of the TCP header */
	MARK_TCP = 1 << 8,
	MARK_UDP = 1 << 9,
	MARK_ICMP = 1 << 10,	  /* of either version */
	MARK_HEADER = 1 << 11,	  /* the header of these three is here */
	MARK_CLOSED = 1 << 12,	  /* sent by this machine: nobody listens here */
	MARK_HALF_OPEN = 1 << 13, /* sent by this machine: the first answer to a connection */
	MARK_TYPES = 1 << 14,	  /* never in a packet: the meter wants certain ICMP types */
};

/* What a meter adds up. */
enum meter_unit {
	UNIT_PACKETS = 0,
	UNIT_BYTES = 1,
	UNIT_CONNECTIONS = 2,
	UNIT_PORTS = 3, /* bits of a sketch: see struct sketch */
};

/* Ports first .. first + span. */
struct port_range {
	__u16 first;
	__u16 span;
};

/*
 * A meter: what it counts, for whom, up to what. Made by the loader, which alone knows the fields
 * behind "running". A place without a meter has marks that no packet has.
 *
 * A key is 16 bytes: the source, IPv4 mapped, under a mask; or protocol << 16 | port in the low
 * half.
 */
struct meter {
	__u32 mask;			     /* of enum mark: those that are compared */
	__u32 marks;			     /* what they must be; MARK_TYPES: types holds */
	struct port_range port[PORT_RANGES]; /* any of them */
	__u8 types[4];			     /* any of them */
	__u32 id;			     /* names its slots and events; not 0 */
	__u64 key_high;	   /* masks of the source's halves, bytes in the order of the wire */
	__u64 key_low[2];  /* of IPv4, IPv6 */
	__u32 key_port;	   /* mask of protocol << 16 | port */
	__u32 limit;	   /* units, up to SLOT_COUNT / 2; above it is over */
	__u32 window;	   /* jiffies */
	__u32 lines;	   /* of slots that it uses, minus 1 */
	__u32 sketch;	   /* UNIT_PORTS: its first entry of sketches */
	__u8 unit;	   /* enum meter_unit */
	__u8 shift;	   /* UNIT_BYTES: a unit is 1 << shift bytes */
	__u8 prefixlen[2]; /* of the key, IPv4 and IPv6; 0: no source */
	__u64 running;	   /* jiffies at which the running window ends << 24 | its number */
	__u64 window_ns;
	__u64 wanted; /* the limit as it was asked for */
	__u64 options; /* the loader's own: what meter_view says of it */
	char name[METER_NAME];
};

/* Bits of meter_view.flags. */
enum meter_flag {
	METERS_HALF = 1,    /* the half of the places that is in use */
	METERS_ANSWERS = 2, /* some count what this machine answers */
};

/* Which meters are in force. Changes with one 8-byte store: new meters are written to the half that
 * is not in use, then shown. */
struct meter_view {
	__u8 count; /* places to look at; 0: nothing is metered */
	__u8 flags; /* enum meter_flag */
	/* bits: places of meters that ... */
	__u16 shed;  /* drop what is above the limit */
	__u16 spare; /* of these, pass sources that are proven */
	__u16 proof; /* count SYNs of a source, which can be proven real */
};

/*
 * One cache line of counters. A slot is
 *
 *	reported 1 | fingerprint of the key 24 | number of the window 11 | count 28
 *
 * so that adding to the count is adding to the word, on any kernel and CPU; "reported" is the top
 * bit because there a sum of two such bits does not carry into anything. A slot of another window is
 * free.
 */
struct meter_line {
	__u64 slot[SLOTS];
};

#define SLOT_COUNT    0x0fffffffULL
#define SLOT_WINDOW   28 /* first bit of */
#define SLOT_PRINT    39
#define SLOT_REPORTED (1ULL << 63)

/* The distinct ports of the slot of the same place, as a set of hashes: of n ports about
 * m * (1 - exp(-n / m)) bits are set, of m = 512. */
struct sketch {
	__u64 bits[SKETCH_WORDS];
};

/* Sources that completed a handshake: fingerprint 36 | tick of the latest packet to it 28. */
struct proven_line {
	__u64 slot[SLOTS];
};

/* What a meter did, one copy per CPU. */
struct meter_counts {
	__u64 matched; /* packets */
	__u64 shed;    /* packets */
	__u64 events;
};

/* An address as the key of the sample that may prove it real: IPv4 is mapped into ::ffff:0:0/96. */
struct source {
	__u8 addr[16];
	__u32 meter; /* its id */
	__u32 pad;
};

/* One connection attempt of the sample that may prove its source real (see meter.h). */
struct flow {
	__u32 daddr; /* destination: IPv4 as on the wire, IPv6 folded by xor */
	__be16 sport;
	__be16 dport;
};

/* New connections of one source near its limit. */
struct conn {
	__u64 running; /* the window, as in struct meter */
	__u32 count;
	__u8 sampled;  /* bits: entries of flow in use */
	__u8 proven;   /* bits: entries of flow whose handshake was completed */
	__u8 reported; /* enum report: event this window has had, or must not have */
	__u8 pad;
	struct flow flow[FLOWS];
};

/* What a key is reported for; one event each per window. */
enum report {
	REPORT_UNPROVEN = 1,
	REPORT_ESTABLISHED = 2,
};

/* Names one report, so that CPUs that cross the limit at the same time write one event. */
struct claim {
	__u8 key[16];
	__u64 running; /* the window, as in struct meter */
	__u32 meter;   /* its id */
	__u32 kind;    /* enum report */
};

/* Reports or samples that one CPU has written in the running second. */
struct budget {
	__u64 start; /* ns */
	__u64 used;
};

/* A key is above a meter's limit: at most one of each kind (established or not) per window. */
struct meter_event {
	__u64 time;	 /* ns, when it was written */
	__u64 window;	 /* ns */
	__u64 limit;	 /* as it was asked for */
	__u8 source[16]; /* of the packet that led to the event; IPv4-mapped for IPv4 */
	__u32 count;	 /* units so far in this window */
	__u32 meter;	 /* its id */
	__u32 ifindex;
	__u16 dst_port;	  /* of that packet, or of the one that was answered */
	__u8 family;	  /* 4 or 6 */
	__u8 prefixlen;	  /* so many bits of the source are the key; 0: the port is */
	__u8 unit;	  /* enum meter_unit */
	__u8 shift;	  /* UNIT_BYTES: a unit is 1 << shift bytes */
	__u8 established; /* 1: the sampled handshakes were completed. 0: the address may be forged
			   */
	__u8 protocol; /* IPPROTO_* of that packet */
	__u8 pad[4];
};

/* What dropped a packet. */
enum drop_reason {
	DROPPED_BAN = 1,  /* a ban of its source */
	DROPPED_TAGS = 2, /* more VLAN tags than are walked: its source is hidden on purpose */
	DROPPED_SHED = 3, /* the limit of a meter */
};

/* The request for samples of dropped packets, renewed while somebody follows them. */
struct sampling {
	__u64 until;  /* ns; samples are taken before it. 0: off, and all a dropped packet costs */
	__u32 budget; /* samples per CPU and second */
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
	__u64 metered_full;    /* not counted: sources with more had the room */
	__u64 spared;	       /* passed above a limit: the source is proven */
	__u64 events;	       /* reports written */
	__u64 events_unproven; /* of these, with established = 0 */
	__u64 events_full;     /* not written, ring full; tried again with the next packet */
	__u64 events_over_budget; /* not written, this CPU's budget is used up; likewise */
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
_Static_assert(sizeof(struct meter) == 192, "meter");
_Static_assert(sizeof(struct meter_view) == 8, "meter_view");
_Static_assert(sizeof(struct meter_line) == 64, "meter_line");
_Static_assert(sizeof(struct sketch) == 64, "sketch");
_Static_assert(sizeof(struct proven_line) == 64, "proven_line");
_Static_assert(sizeof(struct meter_counts) == 24, "meter_counts");
_Static_assert(sizeof(struct source) == 24, "source");
_Static_assert(sizeof(struct conn) == 80, "conn");
_Static_assert(sizeof(struct claim) == 32, "claim");
_Static_assert(sizeof(struct meter_event) == 64, "meter_event");
_Static_assert(sizeof(struct sampling) == 16, "sampling");
_Static_assert(sizeof(struct drop_sample) == 40 + SAMPLE_BYTES, "drop_sample");
_Static_assert(sizeof(struct stats) == 31 * 8, "stats");
_Static_assert(sizeof(struct abi) == 48, "abi");
_Static_assert(sizeof(struct line4) == 64, "line4");
_Static_assert(sizeof(struct line6) == 64, "line6");
_Static_assert(sizeof(struct view) == 8, "view");

#endif
