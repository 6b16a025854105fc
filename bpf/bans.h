/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ban lookup: is the source of a packet banned, and what is done about it. */
#ifndef BANS_H
#define BANS_H

#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "maps.h"
#include "packet.h"

#define COVERING 8 /* bans of one source looked at, from the longest prefix to shorter ones */

/* Reads a clock, ns of CLOCK_BOOTTIME. The hooks pass the kernel's; the test object its own. It is
 * called only once a table has a hit, because a clock costs more than a lookup. */
typedef __u64 (*clock_fn)(void);

/* What the bans say about a packet. */
enum judgement {
	CLEAN = 0,
	BANNED,	  /* would be dropped */
	SHADOWED, /* would be dropped if its class did more than count */
	EXPIRED,  /* bans matched, but none holds any more */
	DISABLED, /* bans matched, but their class is off */
};

static __always_inline enum class_mode mode_of(const struct ban *ban)
{
	__u32 class = ban->class;
	struct class *entry = bpf_map_lookup_elem(&classes, &class);

	return entry ? entry->mode : MODE_OFF; /* no such class: treated as one that is off */
}

static __always_inline struct ban *longest_ban(const struct packet *pkt, __u32 prefixlen)
{
	struct prefix4 key4 = {};
	struct prefix6 key6 = {};

	if (pkt->family == 4) {
		key4.prefixlen = prefixlen;
		__builtin_memcpy(key4.addr, &pkt->saddr4, sizeof(key4.addr));
		return bpf_map_lookup_elem(&bans4, &key4);
	}
	key6.prefixlen = prefixlen;
	__builtin_memcpy(key6.addr, pkt->saddr, sizeof(key6.addr));
	return bpf_map_lookup_elem(&bans6, &key6);
}

/* Looks for a ban that drops the packet. An entry that is over, off or only counts must not hide a
 * shorter prefix that is banned, so the search goes on behind it; the longest match says what the
 * packet is when none drops it. The ban that decides is counted here, except for a drop: the caller
 * counts that one, since an allow entry may still win. */
static __always_inline enum judgement judge(const struct packet *pkt, clock_fn clock,
					    struct ban **by)
{
	__u32 prefixlen = pkt->family == 4 ? 32 : 128;
	enum judgement result = CLEAN, found;
	struct ban *ban;
	__u64 now;

	ban = longest_ban(pkt, prefixlen);
	if (!ban)
		return CLEAN;
	now = clock();
	for (int i = 0; i < COVERING; i++) {
		switch (mode_of(ban)) {
		case MODE_DROP:
			found = BANNED;
			break;
		case MODE_SHADOW:
			found = SHADOWED;
			break;
		default:
			found = DISABLED;
		}
		if (found != DISABLED && ban->expiry && now >= ban->expiry)
			found = EXPIRED;
		if (found == BANNED) {
			*by = ban;
			return BANNED;
		}
		if (found == SHADOWED && result != SHADOWED)
			__sync_fetch_and_add(&ban->hits, 1);
		if (result == CLEAN || found == SHADOWED)
			result = found;
		/* An entry made by hand may say 0 or too much: then there is nothing to go on with.
		 */
		if (ban->prefixlen == 0 || ban->prefixlen > prefixlen)
			break;
		prefixlen = ban->prefixlen - 1;
		ban = longest_ban(pkt, prefixlen);
		if (!ban)
			break;
	}
	return result;
}

#endif
