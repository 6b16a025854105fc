package doctor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/loader"
)

// nativeMTU is the largest MTU that drivers take for an XDP program without fragments: a page less
// headroom and the tail that the kernel needs. Some take a little more.
const nativeMTU = 3498

// nativeDrivers returns drivers known to run XDP themselves (mainline, as of Linux 6.12).
func nativeDrivers() []string {
	return []string{
		"bnxt_en", "cpsw", "dpaa2-eth", "ena", "enetc", "fsl_dpa", "gve", "hv_netvsc", "i40e", "iavf", "ice", "igb", "igc",
		"ixgbe", "ixgbevf", "lan966x-switch", "mana", "mlx4_en", "mlx5_core", "mtk_soc_eth", "mvneta", "mvpp2", "netsec",
		"nfp", "octeontx2-nicpf", "qede", "rvu_nicpf", "sfc", "stmmaceth", "st_gmac", "tsnep", "tun", "veth", "virtio_net",
		"vmxnet3", "xen-netfront",
	}
}

// checkInterface looks at one of the interfaces ifaces.
func checkInterface(ifname string, ifaces []string, attached []loader.Attachment) []Finding {
	l, err := netlink.LinkByName(ifname)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			return []Finding{{LevelFail, ifname, "there is no such interface", "ip link shows those that exist"}}
		}
		return []Finding{{LevelFail, ifname, err.Error(), "check that netlink is allowed here"}}
	}
	attrs := l.Attrs()
	if attrs.EncapType != "ether" && attrs.EncapType != "loopback" {
		return []Finding{{LevelFail, ifname, fmt.Sprintf("has no Ethernet header (%s)", attrs.EncapType),
			"protect the interface its packets arrive on"}}
	}
	mode := modeOn(attrs.Index, attached)
	out := []Finding{checkUp(attrs)}
	if own, others := checkStack(l, ifaces, attached); own {
		out = append(out, others...)
	} else {
		out = append(out, checkDriver(ifname, driverOf(ifname, l.Type()), mode), checkMTU(attrs), checkQueues(attrs))
		out = append(out, others...)
	}
	return append(out, checkForeign(attrs, mode))
}

func checkUp(nic *netlink.LinkAttrs) Finding {
	if nic.RawFlags&unix.IFF_UP == 0 {
		return Finding{LevelWarn, nic.Name, "the interface is down", "ip link set " + nic.Name + " up"}
	}
	return okay(nic.Name, "up")
}

// driverOf asks the driver for its name; the kind of link stands in for virtual ones without.
func driverOf(ifname, kind string) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return kind
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, ifname)
	if err != nil {
		return kind
	}
	return unix.ByteSliceToString(info.Driver[:])
}

func checkDriver(ifname, driver string, mode loader.Mode) Finding {
	subject := ifname + " driver"
	switch {
	case mode == loader.ModeNative:
		return okay(subject, "%s runs the filter natively", driver)
	case slices.Contains(nativeDrivers(), driver):
		return okay(subject, "%s is known to run XDP natively", driver)
	}
	f := unknown(subject, "whether %s runs XDP natively", driver)
	f.Advice = "gabion run tries it and says; generic XDP or tc works too, at a higher cost per dropped packet"
	return f
}

func checkMTU(nic *netlink.LinkAttrs) Finding {
	subject := nic.Name + " MTU"
	if nic.MTU <= nativeMTU || nic.EncapType == "loopback" {
		return okay(subject, "%d", nic.MTU)
	}
	if features.HaveProgramHelper(ebpf.XDP, asm.FnXdpGetBuffLen) == nil {
		return Finding{LevelWarn, subject, fmt.Sprintf("%d needs a driver that runs XDP on several buffers", nic.MTU),
			fmt.Sprintf("if native XDP is refused: ip link set %s mtu %d", nic.Name, nativeMTU)}
	}
	return Finding{LevelWarn, subject, fmt.Sprintf("%d is more than native XDP takes before Linux 5.18", nic.MTU),
		fmt.Sprintf("ip link set %s mtu %d, or a newer kernel", nic.Name, nativeMTU)}
}

func checkQueues(nic *netlink.LinkAttrs) Finding {
	subject := nic.Name + " queues"
	if nic.NumRxQueues <= 1 {
		return Finding{LevelWarn, subject, "one receive queue: one CPU does all the filtering",
			fmt.Sprintf("if the hardware has more: ethtool -L %s combined N", nic.Name)}
	}
	return okay(subject, "%d receive queues", nic.NumRxQueues)
}

// checkForeign takes the program on an interface for gabion's when a live attachment says so: an
// interface takes only one.
func checkForeign(nic *netlink.LinkAttrs, mode loader.Mode) Finding {
	subject := nic.Name + " XDP"
	switch {
	case nic.Xdp == nil || !nic.Xdp.Attached:
		return okay(subject, "no program attached")
	case mode == loader.ModeNative || mode == loader.ModeGeneric:
		return okay(subject, "gabion's program (id %d)", nic.Xdp.ProgId)
	}
	return Finding{LevelWarn, subject, fmt.Sprintf("another program (id %d) holds the hook; gabion leaves it alone and uses tc", nic.Xdp.ProgId),
		fmt.Sprintf("bpftool prog show id %d says whose it is; ip link set %s xdp off removes it", nic.Xdp.ProgId, nic.Name)}
}

// modeOn returns the mode of the live attachment to an interface; empty when there is none.
func modeOn(ifindex int, attached []loader.Attachment) loader.Mode {
	for _, a := range attached {
		if a.Ifindex == ifindex && !a.Stale {
			return a.Mode
		}
	}
	return ""
}
