// Package loader puts gabion's programs into the kernel and is the only way to their maps.
//
// The way is one direction: the embedded object gives a spec (pure, the same on every machine), the
// spec is sized and loaded, and what is loaded is pinned below one directory of bpffs, so that bans
// go on dropping and expiring while no daemon runs. A Plane is that directory, opened: it attaches to
// interfaces, edits bans and allow entries, and reads counters and events. One process at a time
// holds a Plane for writing; any number may read.
//
// Bans end by the kernel's jiffies, in ticks of about a second. These stand still while the machine
// sleeps, so that a ban ends later by that. Other times in the kernel are CLOCK_BOOTTIME nanoseconds;
// everything exported here is time.Time.
package loader

//go:generate go tool bpf2go -go-package loader -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem gabion -type meter_event -type drop_sample -type drop_reason -type meter_unit -type mark -type meter_flag -type meter_view bpf ../bpf/gabion.bpf.c -- -O2 -mcpu=v3 -isystem /usr/include/x86_64-linux-gnu -isystem /usr/include/aarch64-linux-gnu -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member
//go:generate go tool bpf2go -go-package loader -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem gabion -output-suffix _test testbpf ../bpf/test.bpf.c -- -O2 -mcpu=v3 -isystem /usr/include/x86_64-linux-gnu -isystem /usr/include/aarch64-linux-gnu -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member
//go:generate go tool bpf2go -go-package loader -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem batch -output-suffix _test batchbpf ../bpf/batch.bpf.c -- -O2 -mcpu=v3 -isystem /usr/include/x86_64-linux-gnu -isystem /usr/include/aarch64-linux-gnu -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member
