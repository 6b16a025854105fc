package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/bench/lab/topology"
)

// network is a namespace for the generator, one for each receiver and a veth pair to each.
type network struct {
	top *topology.Topology
}

// port is a receiver's end of its veth pair.
type port struct {
	ns   *topology.Namespace
	far  int              // index of the generator's end, in its namespace
	near int              // index of the receiver's end
	name string           // of the receiver's end
	mac  net.HardwareAddr // of the receiver's end
}

// newNetwork makes namespaces and links for so many receivers.
func newNetwork(receivers int) (*network, error) {
	if _, err := topology.RemoveStale(); err != nil {
		return nil, err
	}
	var plan topology.Plan
	for i := range receivers {
		plan.Spokes = append(plan.Spokes, topology.Spoke{Role: role(i)})
	}
	top, err := topology.Build(plan)
	if err != nil {
		return nil, err
	}
	return &network{top: top}, nil
}

func role(i int) string { return fmt.Sprintf("receiver%d", i) }

func (n *network) close() error {
	err := n.top.Close()
	n.top.Release()
	return err
}

// port returns the i-th receiver's end. Nothing but the generator's frames arrives there.
func (n *network) port(i int) (*port, error) {
	p := &port{ns: n.top.Spokes[role(i)]}
	farName := n.top.Interfaces[i]
	err := n.top.Server.Do(func() error {
		// Or the kernel itself says something through the link now and then.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+farName+"/disable_ipv6", []byte("1"), 0o644); err != nil {
			return err
		}
		l, err := netlink.LinkByName(farName)
		if err == nil {
			p.far = l.Attrs().Index
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", farName, err)
	}
	return p, p.ns.Do(func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("list links: %w", err)
		}
		for _, l := range links {
			if l.Type() == "veth" {
				p.name, p.near, p.mac = l.Attrs().Name, l.Attrs().Index, l.Attrs().HardwareAddr
				return nil
			}
		}
		return errors.New("no veth in the receiver's namespace")
	})
}

// received returns how many frames have arrived, whatever became of them.
func (p *port) received() (packets uint64, err error) {
	err = p.ns.Do(func() error {
		l, err := netlink.LinkByIndex(p.near)
		if err != nil {
			return fmt.Errorf("read counters of %s: %w", p.name, err)
		}
		packets = l.Attrs().Statistics.RxPackets
		return nil
	})
	return packets, err
}

// poll makes the receiving end take redirected frames without an XDP program: veth has its own
// polling only with one, or with generic receive offload.
func (p *port) poll() error {
	return p.ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("turn on GRO of %s: %w", p.name, err)
		}
		defer unix.Close(fd)
		value := struct{ cmd, on uint32 }{unix.ETHTOOL_SGRO, 1}
		request := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte // the kernel reads a whole struct ifreq
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], p.name)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return fmt.Errorf("turn on GRO of %s: %w", p.name, errno)
		}
		return nil
	})
}

// run runs a tool in a namespace and returns what it prints. The error quotes what it complains of.
func run(ctx context.Context, ns *topology.Namespace, stdin io.Reader, tool string, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	err := ns.Do(func() error {
		cmd := exec.CommandContext(ctx, tool, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &complaint
		return cmd.Run()
	})
	if err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
		return "", fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, text)
	}
	return out.String(), nil
}
