/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * All maps. Each is pinned by the loader under its own name. Writers: "loader" is the daemon or,
 * while none runs, a command line under the same lock; "kernel" is the packet path.
 */
#ifndef MAPS_H
#define MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "look.h"

/* How the tables are to be read, and what is done about each class of bans: a map of one entry
 * that is reached as a variable, because a lookup in a map is a dozen instructions more and every
 * packet needs this. Written by the loader; read per packet, the classes for banned ones. */
struct control control SEC(".data.control") __attribute__((aligned(8)));

/* A filter in front of the IPv4 tables, the only thing that the packets of most clean sources look
 * at. The highest bits of an address name a word; an address that is banned has two bits in it, one
 * of the low half by its next five bits, one of the high half by a hash. A prefix has all bits of
 * the high half in its words. There are 16 to 32 bits for each ban as far as there is room. Two
 * halves: a new size is filled in the one that is not in use. key: word -> value: 64 bits. Written
 * by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2 * ANY4);
} any4 SEC(".maps");

/* A bit for each /24, set when an entry of bans4 touches it. Written by the loader, read for
 * sources that any4 does not clear and hosts4 does not hold. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, ALL_BITS);
} cidr_bits4 SEC(".maps");

/* What any4 is for IPv4, as a Bloom filter of which each key has three bits in one word. Keys: the
 * /48 of an entry of at least that length, else its /32. Bits are never cleared: the loader fills
 * the other half anew. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2 * ANY6);
} any6 SEC(".maps");

/* Without these the compiler leaves them out of BTF, and a map of them has no size. */
struct line4 *line4_type __attribute__((unused));
struct line6 *line6_type __attribute__((unused));
struct net4 *net4_type __attribute__((unused));

/* The tables of banned hosts, in two halves: one is in use, the other is where the next one is
 * made. A table is a row of maps that are all of one size, since only then a lookup in them is no
 * call (array_map_gen_lookup in kernel/bpf/arraymap.c). key: half * CHUNKS + line / CHUNK -> value:
 * map, whose keys are line % CHUNK. A table of less than CHUNK lines uses the first of its map.
 * Written by the loader, the hits by the kernel. Full: the loader fills a larger one in the other
 * half and shows it in control; a host that finds no slot within PROBES goes to the trie. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 2 * CHUNKS);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_MMAPABLE);
			__type(key, __u32);
			__type(value, struct line4);
			__uint(max_entries, CHUNK);
		});
} hosts4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 2 * CHUNKS);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_MMAPABLE);
			__type(key, __u32);
			__type(value, struct line6);
			__uint(max_entries, CHUNK);
		});
} hosts6 SEC(".maps");

/* Banned prefixes, longest match first, and hosts that found no slot. key: prefix -> value: ban.
 * Written by the loader, the hits by the kernel; read for sources that the filters do not clear.
 * Full: the loader reports which bans are not in force; the packet path is unaffected. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix4);
	__type(value, struct ban);
	__uint(max_entries, MAX_BANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} bans4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix6);
	__type(value, struct ban);
	__uint(max_entries, MAX_BANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} bans6 SEC(".maps");

/* Prefixes that are never dropped or reported. key: prefix -> value: allow. Written by the loader,
 * the hits by the kernel; read only for a packet that would be dropped and before a report.
 * Full: the loader fails, loudly. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix4);
	__type(value, struct allow);
	__uint(max_entries, MAX_ALLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} allow4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix6);
	__type(value, struct allow);
	__uint(max_entries, MAX_ALLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} allow6 SEC(".maps");

/* The table that answers for bans4 while that holds many prefixes. key: 0 -> value: the table in
 * use, whose keys are lines; none: the trie is asked. It says of a source which prefix drops it,
 * and leaves all else to the trie, which holds everything. Written by the loader, the hits by the
 * kernel. Full: what has no room goes by the trie until the loader has made a larger one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 1);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
			__type(key, __u32);
			__type(value, struct net4);
			__uint(max_entries, 1);
		});
} nets4 SEC(".maps");

/* A bit for each part of the address space that an allow entry touches, so that most drops need not
 * ask the trie. key: word -> value: 64 bits. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, ALLOW_WORDS);
} allow_bits SEC(".maps");

/* The only entry holds all counters. Written by the kernel, read by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 1);
} stats SEC(".maps");

/* key: half * METERS + place -> value: meter. Written by the loader, "running" by the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct meter);
	__uint(max_entries, 2 * METERS);
} meters SEC(".maps");

/* key: place of a meter -> value: what it did. Written by the kernel, reset by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct meter_counts);
	__uint(max_entries, METERS);
} meter_counts SEC(".maps");

/* What the meters count, shared by all CPUs: a source's packets come in on several, and its limit
 * is one. key: place * METER_LINES + line, the line by a hash of the key -> value: slots. Written
 * by the kernel. Full: whoever has least gives way (see slots.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins at a page, so that a line is a line */
	__type(key, __u32);
	__type(value, struct meter_line);
	__uint(max_entries, METERS *METER_LINES);
} meter_slots SEC(".maps");

/* The ports behind the slots of meters that count ports. key: meter.sketch + slot -> value: sketch.
 * Written by the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sketch);
	__uint(max_entries, SCANS *SCAN_LINES *SLOTS);
} sketches SEC(".maps");

/* Sources that completed a handshake lately. key: hash of the source -> value: slots. Written by
 * the kernel when this machine sends on an established connection. Full: the one that was sent to
 * longest ago gives way, of the same IPv6 network when that has its share (see proven.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct proven_line);
	__uint(max_entries, PROVEN_LINES);
} proven SEC(".maps");

/* The only entry is the packet that this CPU is looking at (see meter.h). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct look);
	__uint(max_entries, 1);
} looks SEC(".maps");

/* The sample of connections of sources near a limit. key: source and meter -> value: conn. Written
 * by the kernel. Full: the source seen longest ago makes room. Forged sources do not get here: each
 * would have to send half a limit. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct source);
	__type(value, struct conn);
	__uint(max_entries, MAX_CONNS);
} conns SEC(".maps");

/* key: hash of a source -> value: bits of the places of meters whose limit of connections a source
 * of that hash has come near. It spares the packets of everybody else the lookup in conns. Written
 * by the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SUSPECT_CELLS);
} suspects SEC(".maps");

/* Reports written. key: key of a meter and window -> value: unused. Inserting a key that exists
 * fails, which is an atomic claim on kernels without compare-and-exchange (before 5.12). Written by
 * the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct claim);
	__type(value, __u64);
	__uint(max_entries, MAX_CLAIMS);
} claims SEC(".maps");

/* key: place of a meter, or METERS for the proven sources of all -> value: this CPU's reports of
 * the running second. Written by the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct budget);
	__uint(max_entries, METERS + 1);
} budgets SEC(".maps");

/* struct meter_event. Written by the kernel, read by the daemon. Full, for what is not proven half
 * full: the report is counted as events_full and tried again with the next packet. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_RING);
} events SEC(".maps");

/* The only entry asks for samples of dropped packets. Written by whoever follows them, one process
 * at a time; the kernel writes "off" when the request has ended. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sampling);
	__uint(max_entries, 1);
} sampling SEC(".maps");

/* key: enum drop_reason -> value: this CPU's samples of the running second. Written by the kernel.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct budget);
	__uint(max_entries, DROP_REASONS);
} sampled SEC(".maps");

/* struct drop_sample. Written by the kernel, read by whoever follows. Full: the sample is counted
 * as samples_full and lost. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SAMPLE_RING);
} samples SEC(".maps");

/* The only entry says which version made these maps. Written once by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct abi);
	__uint(max_entries, 1);
} abi SEC(".maps");

#endif
