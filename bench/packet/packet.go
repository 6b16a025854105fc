// Package packet builds the Ethernet frames that tests and benchmarks send through the kernel program
// or over a link. It is the only package that imports gopacket.
//
// Lengths and checksums are right, MAC addresses are locally administered ones. Source and
// destination must be of one family: anything else is a programming error and panics.
package packet

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Flags are the TCP flags of a segment.
type Flags uint8

// TCP flags, as on the wire.
const (
	SYN Flags = 0x02
	ACK Flags = 0x10
)

// Option changes a frame that is being built.
type Option func(*frame)

// VLAN puts 802.1Q tags in front of the IP header, the outermost first. With more than one tag the
// outer ones are 802.1ad service tags.
func VLAN(ids ...uint16) Option { return func(f *frame) { f.vlans = ids } }

type frame struct {
	src, dst netip.Addr
	proto    layers.IPProtocol
	vlans    []uint16
}

// TCP returns a TCP segment.
func TCP(src, dst netip.AddrPort, flags Flags, opts ...Option) []byte {
	f := newFrame(src.Addr(), dst.Addr(), layers.IPProtocolTCP, opts)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), Seq: 1, Window: 65535,
		SYN: flags&SYN != 0, ACK: flags&ACK != 0,
	}
	return f.build(func(n gopacket.NetworkLayer) []gopacket.SerializableLayer {
		must(tcp.SetNetworkLayerForChecksum(n))
		return []gopacket.SerializableLayer{tcp}
	})
}

// UDP returns an empty UDP datagram.
func UDP(src, dst netip.AddrPort, opts ...Option) []byte {
	f := newFrame(src.Addr(), dst.Addr(), layers.IPProtocolUDP, opts)
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	return f.build(func(n gopacket.NetworkLayer) []gopacket.SerializableLayer {
		must(udp.SetNetworkLayerForChecksum(n))
		return []gopacket.SerializableLayer{udp}
	})
}

func newFrame(src, dst netip.Addr, proto layers.IPProtocol, opts []Option) *frame {
	f := &frame{src: src, dst: dst, proto: proto}
	if src.Is4() != dst.Is4() {
		panic(fmt.Sprintf("packet from %s to %s: addresses of two families", src, dst))
	}
	for _, o := range opts {
		o(f)
	}
	return f
}

// build serializes the frame; transport returns the layers above IP and is given the IP header for
// its checksum.
func (f *frame) build(transport func(gopacket.NetworkLayer) []gopacket.SerializableLayer) []byte {
	var network gopacket.NetworkLayer
	var header gopacket.SerializableLayer
	etherType := layers.EthernetTypeIPv6
	if f.src.Is4() {
		etherType = layers.EthernetTypeIPv4
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: f.proto, SrcIP: f.src.AsSlice(), DstIP: f.dst.AsSlice()}
		network, header = ip, ip
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: f.proto, SrcIP: f.src.AsSlice(), DstIP: f.dst.AsSlice()}
		network, header = ip, ip
	}
	stack := append(f.link(etherType), header)
	stack = append(stack, transport(network)...)
	buf := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...))
	return buf.Bytes()
}

// link returns the Ethernet header and the VLAN tags in front of a payload of type last.
func (f *frame) link(last layers.EthernetType) []gopacket.SerializableLayer {
	tagType := func(i int) layers.EthernetType {
		switch {
		case i >= len(f.vlans):
			return last
		case i < len(f.vlans)-1:
			return layers.EthernetTypeQinQ
		}
		return layers.EthernetTypeDot1Q
	}
	out := []gopacket.SerializableLayer{&layers.Ethernet{
		SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: tagType(0),
	}}
	for i, id := range f.vlans {
		out = append(out, &layers.Dot1Q{VLANIdentifier: id, Type: tagType(i + 1)})
	}
	return out
}

// must is for errors that only a wrong use of gopacket can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
