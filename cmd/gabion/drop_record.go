package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gabion/loader"
	"gabion/userspace/capture"
	"gabion/userspace/client"
)

// dropRecord is one dropped packet as `drops` shows it.
type dropRecord struct {
	Time       time.Time        `json:"time"`
	Interface  string           `json:"interface"`
	Ifindex    int              `json:"ifindex"`
	Source     string           `json:"source,omitempty"` // empty when it is hidden
	Dest       string           `json:"destination,omitempty"`
	Protocol   string           `json:"protocol,omitempty"`
	SourcePort *uint16          `json:"source_port,omitempty"`
	DestPort   *uint16          `json:"destination_port,omitempty"`
	TCPFlags   string           `json:"tcp_flags,omitempty"`
	ICMPType   *uint8           `json:"icmp_type,omitempty"`
	VLANTags   int              `json:"vlan_tags"`
	Length     int              `json:"length"`
	Reason     string           `json:"reason"`
	Class      *int             `json:"class,omitempty"`
	ClassName  string           `json:"class_name,omitempty"`
	Decision   *client.Decision `json:"decision,omitempty"`
	Data       string           `json:"data"` // the first bytes, in hexadecimal digits
	packet     string           // what the headers say, in a few words
}

func recordOf(s loader.Sample, d *client.Decision) dropRecord {
	h := capture.Read(s.Data)
	r := dropRecord{
		Time: s.Time.UTC(), Interface: s.Interface, Ifindex: s.Ifindex, Protocol: h.Protocol, TCPFlags: h.Flags.String(),
		VLANTags: h.Tags, Length: s.Length, Reason: s.Reason.String(), Decision: d, Data: hex.EncodeToString(s.Data),
		packet: h.String(),
	}
	if s.Source.IsValid() {
		r.Source = s.Source.String()
	}
	if h.Destination.IsValid() {
		r.Dest = h.Destination.String()
	}
	if h.Ports {
		r.SourcePort, r.DestPort = &h.SourcePort, &h.DestPort
	}
	if h.ICMP {
		r.ICMPType = &h.Type
	}
	if s.Reason == loader.DroppedByBan {
		class := int(s.Class)
		r.Class, r.ClassName = &class, className(s.Class)
	}
	return r
}

func dropColumns() []string {
	return []string{"TIME", "INTERFACE", "SOURCE", "PACKET", "REASON", "CLASS", "DECISION", "SCENARIO", "UNTIL"}
}

// dropWidths are the widths that most cells of these columns fit into; no interface name is longer.
func dropWidths() []int { return []int{15, 15, 15, 26, 6, 5, 8, 21, 19} }

func (r dropRecord) cells() []string {
	cells := []string{
		r.Time.Local().Format("15:04:05.000000"), orText(r.Interface, strconv.Itoa(r.Ifindex)), r.Source, r.packet,
		r.Reason, r.ClassName, "", "", "",
	}
	if d := r.Decision; d != nil {
		if d.ID != 0 {
			cells[6] = strconv.FormatUint(d.ID, 10)
		}
		cells[7], cells[8] = d.Scenario, wireTime(d.Until)
	}
	return cells
}

// jsonDrops prints one object a line.
func jsonDrops(w io.Writer) func(dropRecord) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(r dropRecord) error {
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		return nil
	}
}

// listDrops keeps what it is shown and prints it as a table at the end.
func listDrops(w io.Writer) (show func(dropRecord) error, end func() error) {
	var rows [][]string
	show = func(r dropRecord) error {
		rows = append(rows, r.cells())
		return nil
	}
	end = func() error {
		return table(w, fmt.Sprintf("No packet was dropped within %s; --follow waits for them.", lookFor), dropColumns(), rows)
	}
	return show, end
}

// followDrops prints lines as they come, under a header that is there at once.
func followDrops(w io.Writer) (show func(dropRecord) error, err error) {
	widths := dropWidths()
	print := func(cells []string) error {
		if _, err := io.WriteString(w, line(cells, widths)); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		return nil
	}
	return func(r dropRecord) error { return print(r.cells()) }, print(dropColumns())
}

// line pads cells to widths, which grow to those of the longest cells yet.
func line(cells []string, widths []int) string {
	var b strings.Builder
	for i, cell := range cells {
		cell = printable(orText(cell, "-"), oneLine)
		b.WriteString(cell)
		if i == len(cells)-1 {
			break
		}
		n := utf8.RuneCountInString(cell)
		widths[i] = max(widths[i], n)
		b.WriteString(strings.Repeat(" ", widths[i]-n+2))
	}
	b.WriteByte('\n')
	return b.String()
}
