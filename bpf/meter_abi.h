/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The part of the ABI (gabion.h, whose rules hold here) that is about the meters. */
#ifndef METER_ABI_H
#define METER_ABI_H

#include <linux/types.h>

/* The meters and their tables. */
#define MAX_CONNS     16384 /* sources near a limit of connections, at once */
#define MAX_CLAIMS    4096  /* reports of the running windows */
#define SUSPECT_CELLS 4096  /* power of two */
#define FLOWS	      8	    /* power of two, at most 8: connections sampled per source */
#define METERS	      16    /* in force at once */
#define METER_LINES   4096  /* lines of slots for each; power of two */
#define SLOTS	      8	    /* per line */
#define SCANS	      4	    /* of the meters, those that count ports */
#define SCAN_LINES    512   /* lines that each of these uses; power of two */
#define SKETCH_WORDS  8
#define PROVEN_LINES  8192 /* power of two */
#define PORT_RANGES   4
#define METER_NAME    80

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
	__u64 wanted;  /* the limit as it was asked for */
	__u64 options; /* the loader's own: what meter_view says of it */
	char name[METER_NAME];
};

/* Bits of meter_view.flags. */
enum meter_flag {
	METERS_HALF = 1,    /* the half of the places that is in use */
	METERS_ANSWERS = 2, /* some count what this machine answers */
	/* What arrives and none of them counts, so that it need not be looked at: */
	METERS_NO_UDP = 4,
	METERS_NO_SEGMENTS = 8, /* of TCP, without SYN */
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
 * bit because there a sum of two such bits does not carry into anything. A slot of another window
 * is free.
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

/* Sources that completed a handshake: fingerprint of the network, which for IPv4 is the address, 12
 * | of the address 24 | tick of the latest packet to it 28. */
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

/* One connection attempt of the sample that may prove its source real (see proof.h). */
struct flow {
	__u32 daddr; /* destination: IPv4 as on the wire, IPv6 hashed */
	__be16 sport;
	__be16 dport;
};

/* New connections of one source near its limit. */
struct conn {
	__u64 running; /* the window, as in struct meter */
	__u32 count;
	__u8 proven;   /* bits: entries of flow whose handshake was completed */
	__u8 reported; /* enum report: event this window has had, or must not have */
	__u8 pad[2];
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
	__u8 protocol;	  /* IPPROTO_* of that packet */
	__u8 pad[4];
};

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

#endif
