package kernel

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"gabion/bench/kernel/traffic"
	"gabion/bench/packet"
)

// generator sends frames. It owns the jobs map between prepare and the end of a run.
type generator struct {
	thread *pinned // in the generator's namespace
	prog   *ebpf.Program
	jobs   *ebpf.Map
	set    traffic.Set
}

// send runs n frames towards the interface of that index, or drops them at once when it is 0, and
// moves draw on. It returns what one frame took in ns, including all that the receiving end does with
// it: that end is polled on this CPU after each batch. The kernel's own measurement is used, since
// around it every run waits for other CPUs to forget the program. It is in whole ns.
func (g *generator) send(frame []byte, ifindex, n int, draw *traffic.Draw) (ns float64, err error) {
	job := jobOf(g.set, draw)
	job.Ifindex = uint32(ifindex)
	job.Checksum = headerSum(frame)
	if err := g.jobs.Put(uint32(0), &job); err != nil {
		return 0, err
	}
	err = g.thread.do(func() error {
		var err error
		ns, err = runLive(g.prog, frame, n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("send frames: %w", err)
	}
	if err := g.jobs.Lookup(uint32(0), &job); err != nil {
		return 0, err
	}
	draw.State = job.Draw.State
	return ns, nil
}

// runLive is BPF_PROG_TEST_RUN with live frames. The library has it too, but keeps the time to
// itself.
func runLive(prog *ebpf.Program, frame []byte, n int) (ns float64, err error) {
	attr := struct {
		progFD, result, sizeIn, sizeOut uint32
		in, out                         unsafe.Pointer
		repeat, duration                uint32
		contextSizeIn, contextSizeOut   uint32
		contextIn, contextOut           unsafe.Pointer
		flags, cpu, batch, _            uint32
	}{
		progFD: uint32(prog.FD()), in: unsafe.Pointer(&frame[0]), sizeIn: uint32(len(frame)),
		repeat: uint32(n), flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return 0, errno
	}
	return float64(attr.duration), nil
}

// minFrame is the shortest Ethernet frame, without its checksum.
const minFrame = 60

// frameTo returns a UDP datagram to a link address, as short as Ethernet allows.
func frameTo(f traffic.Family, mac net.HardwareAddr) []byte {
	source, target := "192.0.2.1", "198.51.100.1"
	if f == traffic.IPv6 {
		source, target = "2001:db8::1", "2001:db8:1::1"
	}
	frame := packet.UDP(netip.AddrPortFrom(netip.MustParseAddr(source), 4242), netip.AddrPortFrom(netip.MustParseAddr(target), 53))
	copy(frame, mac)
	for len(frame) < minFrame {
		frame = append(frame, 0)
	}
	return frame
}

// headerSum adds up the words of the IPv4 header but its checksum and source. For IPv6 it is 0.
func headerSum(frame []byte) (sum uint32) {
	const etherLen, checksum, source, headerLen = 14, 10, 12, 20
	if frame[12] != 0x08 {
		return 0
	}
	ip := frame[etherLen : etherLen+headerLen]
	for i := 0; i < headerLen; i += 2 {
		if i != checksum && i != source && i != source+2 {
			sum += uint32(ip[i])<<8 | uint32(ip[i+1])
		}
	}
	return sum
}
