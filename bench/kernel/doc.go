// Package kernel measures the data path: what a lookup costs, what receiving a packet costs and what
// loading a ban set costs, for gabion and, in the same run, for what others use.
//
// # Lookup
//
// A program runs a lookup in a loop over sources it makes up as it goes (package traffic); each
// answer goes into the choice of the next source, so that two lookups overlap only as far as the
// processor foresees the answer, which it does for all layouts alike. The time of a loop that only
// makes sources, run right before, is subtracted. All layouts answer one question, whether a ban of the
// source is in force; what follows for a packet, the allow check and the counters, is part of what
// receiving costs. The layouts:
//
//   - gabion: the lookup of bpf/bans.h as it is shipped, on tables that a loader.Plane has filled:
//     filter, hosts, networks, class and end;
//   - lpm: one LPM trie of hosts and networks, and a comparison of the end with jiffies, no class;
//   - hash_lpm: a preallocated hash table of hosts, on a miss an LPM trie of networks, likewise.
//
// All of them hold traffic.Networks networks beside the hosts.
//
// # Receive
//
// A program rewrites the source (and the IPv4 checksum) of live frames and redirects them into a
// veth pair. All is pinned to one CPU, so the receiving end is polled by the same CPU right after
// each batch and nothing can be lost; that every frame was received, and that the receiver dropped
// exactly those that it should, is checked for each sample. The cost is the time of a run less the
// time of one in which the generator drops its own frames. Every verdict ends in a drop, so that the
// network stack is not measured:
//
//   - bare: XDP_DROP and nothing else, the limit of what any program can do;
//   - gabion: filter() of bpf/filter.h as it is shipped, with the knobs and on the tables of a
//     loader.Plane; behind it a drop also of what it passes;
//   - lpm: XDP: an allow trie, a deny trie, a clock for the end, a counter: what most projects do;
//   - xdp-filter: that project's own program for denied addresses with its table made larger than it
//     comes. What it passes is addressed to another machine, which the stack notices first thing and
//     drops; so its clean packets cost a packet buffer, but no more than that;
//   - nft-ingress, nft-prerouting: a set in a netdev ingress chain and in an inet prerouting chain
//     at priority raw. The next rule drops what the set does not;
//   - ipset-raw: an ipset matched by iptables in the raw table. The next rule drops the rest.
//
// gabion and lpm hold the networks and eight allow entries beside the hosts, the others hosts only.
// All but bare count what they drop.
//
// # Load
//
// The clock runs from a list of addresses as text to a set in force: reading the text and filling
// the maps (through the loader, for gabion), or the run of ipset restore or nft -f on a file in
// their own form. Memory is by how much the kernel's unreclaimable slab, vmalloc and per-CPU memory
// grow, the same for all, since what BPF says of its own maps leaves out the nodes of a trie. For
// gabion the filters in front of the tables are added, which stand before the load. Other work on the
// machine is in that number as well: below some 100,000 entries it means little, and a note says when
// it did not stand still. Loads are repeated three times at most, and those of millions not at all.
package kernel

//go:generate go tool bpf2go -go-package kernel -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem gabion -no-global-types gabion bpf/gabion.bpf.c -- -O2 -mcpu=v3 -isystem /usr/include/x86_64-linux-gnu -isystem /usr/include/aarch64-linux-gnu -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member
//go:generate go tool bpf2go -go-package kernel -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem peers -no-global-types -type job peers bpf/peers.bpf.c -- -O2 -mcpu=v3 -isystem /usr/include/x86_64-linux-gnu -isystem /usr/include/aarch64-linux-gnu -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member
