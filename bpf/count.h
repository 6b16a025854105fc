/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Counting one packet in one meter: which window runs, where the key's slot is, what is added. */
#ifndef COUNT_H
#define COUNT_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "look.h"
#include "maps.h"
#include "match.h"
#include "scan.h"
#include "slots.h"

#define NUMBER_BITS 24 /* of meter.running: the window's number */

/* Returns the meter's running window, and begins it when it is new. CPUs that do so at once write
 * the same. */
static __always_inline __u64 running_window(struct meter *meter, __u64 now)
{
	__u64 running = *(volatile __u64 *)&meter->running, number;

	if (now < running >> NUMBER_BITS)
		return running;
	number = now / meter->window;
	running = (number + 1) * meter->window << NUMBER_BITS;
	running |= number & ((1ULL << NUMBER_BITS) - 1);
	*(volatile __u64 *)&meter->running = running;
	return running;
}

/* A frame whose length is no multiple of a large unit is rounded up or down at random. */
static __always_inline __u32 units_of(const struct meter *meter, const struct look *look)
{
	__u32 rest = (1U << (meter->shift & 31)) - 1;

	if (meter->unit != UNIT_BYTES)
		return 1;
	if (meter->shift > 4)
		rest &= bpf_get_prandom_u32();
	return (look->len + rest) >> (meter->shift & 31);
}

/*
 * Takes one off a count that was above 0 a moment ago. CPUs that do so at once can take more than
 * there is: what is missing is borrowed from the number of the window, and 2047 windows later the
 * slot would be found for its key with all bits of the count set. So each of them looks again, and
 * gives one back where the count is below 0. It does not stay there, since whoever takes it below
 * looks after that. What they give back is at most one each, by which the key counts too much until
 * its window ends. In between it is not found and gets another slot.
 */
static __always_inline void count_off(__u64 *slot)
{
	__sync_fetch_and_add(slot, -1ULL);
	if ((*(volatile __u64 *)slot & SLOT_COUNT) > SLOT_COUNT - HEADROOM / 2)
		__sync_fetch_and_add(slot, 1ULL);
}

/* Where a key is counted. */
struct place {
	__u64 tag;   /* fingerprint and window */
	__u32 line;  /* key of meter_slots */
	__u32 index; /* of the slot in its line */
};

static __always_inline struct meter_line *place_of(struct meter *meter, const struct look *look,
						   __u32 at, struct place *place)
{
	__u64 running = running_window(meter, look->now), hash;
	struct key key = key_of(meter, look);

	hash = hash_key16(key.high, key.low, meter->id);
	place->tag = hash << 1 >> (SLOT_PRINT + 1) << SLOT_PRINT;
	place->tag |= (running & WINDOWS) << SLOT_WINDOW;
	place->line = at * METER_LINES + (hash & meter->lines & (METER_LINES - 1));
	return bpf_map_lookup_elem(&meter_slots, &place->line);
}

static __always_inline __u32 new_ports(const struct meter *meter, const struct look *look,
				       const struct place *place, int fresh)
{
	__u32 line = place->line & meter->lines;

	return enter_port(meter->sketch + line * SLOTS + place->index, bpf_ntohs(look->pkt.dport),
			  fresh);
}

/* Counts the packet and returns its key's slot afterwards; 0 when the key found no room. */
static __always_inline __u64 count_up(struct meter *meter, const struct look *look, __u32 at,
				      struct place *place)
{
	struct meter_line *line = place_of(meter, look, at, place);
	__u32 units = units_of(meter, look), lost;
	__u64 *slot;

	if (!line)
		return 0;
	place->index = find_slot(line, place->tag);
	if (place->index) {
		place->index &= SLOTS - 1;
		if (meter->unit == UNIT_PORTS)
			units = new_ports(meter, look, place, 0);
		slot = slot_at(line, place->index);
		if ((*slot & SLOT_COUNT) <= SLOT_COUNT - HEADROOM)
			__sync_fetch_and_add(slot, units);
		return *(volatile __u64 *)slot;
	}
	place->index = weakest_slot(line, place->tag, &lost);
	if (!admit(units, lost))
		return 0;
	if (meter->unit == UNIT_PORTS)
		units = new_ports(meter, look, place, 1);
	*(volatile __u64 *)slot_at(line, place->index) = place->tag | units;
	return place->tag | units;
}

#endif
