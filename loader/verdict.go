package loader

import (
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// Verdict is what the loaded program does with a packet.
type Verdict struct {
	Action string // "pass" or "drop"
	Reason string // the counter that the packet raised, such as "dropped", "allowed" or "passed"; "" when unknown
}

// Values of Verdict.Action.
const (
	ActionPass = "pass"
	ActionDrop = "drop"
)

// Return codes of XDP programs (enum xdp_action).
const (
	xdpDrop = 1
	xdpPass = 2
)

// minFrame is the least that the kernel takes for a test run: an Ethernet header.
const minFrame = 14

// reasonTries is how often Verdict looks for a moment without other packets.
const reasonTries = 50

// Verdict runs the loaded XDP program on a frame that nobody receives. The packet counts like any
// other, in the counters and in the ban's hits. Under so much traffic that its own count cannot be
// told apart the reason stays empty; the action is always certain.
func (p *Plane) Verdict(frame []byte) (Verdict, error) {
	if len(frame) < minFrame {
		return Verdict{}, fmt.Errorf("run test packet: %d bytes are no Ethernet frame", len(frame))
	}
	var v Verdict
	for range reasonTries {
		before, err := p.Stats()
		if err != nil {
			return v, err
		}
		ret, err := p.xdp.Run(&ebpf.RunOptions{Data: frame})
		if err != nil {
			return v, fmt.Errorf("run test packet: %w", err)
		}
		if v.Action, err = action(ret); err != nil {
			return v, err
		}
		after, err := p.Stats()
		if err != nil {
			return v, err
		}
		after.add(before, -1)
		if after.Received == 1 {
			v.Reason = after.outcome()
			return v, nil
		}
	}
	return v, nil
}

func action(ret uint32) (string, error) {
	switch ret {
	case xdpDrop:
		return ActionDrop, nil
	case xdpPass:
		return ActionPass, nil
	}
	return "", fmt.Errorf("run test packet: program answered %d, which is neither pass nor drop", ret)
}

// outcome names the counter that stands for the outcome of the only packet counted.
func (s Stats) outcome() string {
	for _, c := range s.Counters() {
		switch c.Name {
		case "received", "received_bytes":
			continue
		}
		if c.Value > 0 {
			return c.Name
		}
	}
	return ""
}

// ProbePacket returns a TCP SYN from src to dst, as Verdict takes it. dst may be the zero Addr: the
// filter does not look at it.
func ProbePacket(src, dst netip.Addr, port uint16) ([]byte, error) {
	src = src.Unmap()
	switch {
	case !src.IsValid():
		return nil, fmt.Errorf("make probe packet: no source address")
	case !dst.IsValid() && src.Is4():
		dst = netip.AddrFrom4([4]byte{192, 0, 2, 254})
	case !dst.IsValid():
		dst = netip.MustParseAddr("2001:db8::fe")
	case dst.Unmap().Is4() != src.Is4():
		return nil, fmt.Errorf("make probe packet: %s and %s are of different families", src, dst)
	}
	dst = dst.Unmap()
	const (
		v4Header = 20
		v6Header = 40
		tcpSize  = 20
	)
	frame := make([]byte, minFrame, minFrame+v6Header+tcpSize)
	if src.Is4() {
		frame[12], frame[13] = 0x08, 0x00
		ip := make([]byte, v4Header)
		ip[0], ip[3], ip[8], ip[9] = 0x45, v4Header+tcpSize, 64, 6
		copy(ip[12:], src.AsSlice())
		copy(ip[16:], dst.AsSlice())
		frame = append(frame, ip...)
	} else {
		frame[12], frame[13] = 0x86, 0xdd
		ip := make([]byte, v6Header)
		ip[0], ip[5], ip[6], ip[7] = 0x60, tcpSize, 6, 64
		copy(ip[8:], src.AsSlice())
		copy(ip[24:], dst.AsSlice())
		frame = append(frame, ip...)
	}
	tcp := make([]byte, tcpSize)
	tcp[0], tcp[1] = 0xc0, 0x00 // port 49152
	tcp[2], tcp[3] = byte(port>>8), byte(port)
	tcp[12], tcp[13] = tcpSize/4<<4, 0x02 // SYN
	return append(frame, tcp...), nil
}
