package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// The header of a pcap file: times in nanoseconds, link type Ethernet.
const (
	magicNano    = 0xa1b23c4d
	versionMajor = 2
	versionMinor = 4
	linkEthernet = 1
)

// Writer writes a pcap file, as tcpdump and Wireshark read it. It writes each packet at once and as a
// whole, so that a reader at the other end of a pipe never waits. It belongs to one goroutine.
type Writer struct {
	to      io.Writer
	snaplen int
	buf     []byte
}

// NewWriter begins a file whose packets are cut off at snaplen bytes.
func NewWriter(to io.Writer, snaplen int) (*Writer, error) {
	w := &Writer{to: to, snaplen: snaplen}
	b := binary.LittleEndian.AppendUint32(nil, magicNano)
	b = binary.LittleEndian.AppendUint16(b, versionMajor)
	b = binary.LittleEndian.AppendUint16(b, versionMinor)
	b = binary.LittleEndian.AppendUint64(b, 0) // offset of the time zone and precision: always 0
	b = binary.LittleEndian.AppendUint32(b, uint32(snaplen))
	b = binary.LittleEndian.AppendUint32(b, linkEthernet)
	if _, err := to.Write(b); err != nil {
		return nil, fmt.Errorf("write pcap header: %w", err)
	}
	return w, nil
}

// Write adds a frame that was length bytes long on the wire, of which data is the beginning.
func (w *Writer) Write(at time.Time, length int, data []byte) error {
	data = data[:min(len(data), w.snaplen)]
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(max(length, len(data))))
	w.buf = append(b, data...)
	if _, err := w.to.Write(w.buf); err != nil {
		return fmt.Errorf("write packet to pcap: %w", err)
	}
	return nil
}
