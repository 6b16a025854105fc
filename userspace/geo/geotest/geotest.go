// Package geotest writes small address databases in the MaxMind format, for tests.
package geotest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"slices"
)

// Record is what a database says of a prefix: values are string, bool, float64, uint32, Record,
// map[string]string and []Record.
type Record map[string]any

// Write writes a database of IPv4 and IPv6 prefixes that do not overlap.
func Write(path, kind string, records map[netip.Prefix]Record) error {
	b := &builder{nodes: [][2]int{{empty, empty}}}
	for _, prefix := range slices.SortedFunc(maps.Keys(records), netip.Prefix.Compare) {
		offset := b.data.Len()
		b.value(records[prefix])
		if err := b.insert(prefix.Masked(), offset); err != nil {
			return fmt.Errorf("write address database: %w", err)
		}
	}
	if err := os.WriteFile(path, b.file(kind), 0o600); err != nil {
		return fmt.Errorf("write address database: %w", err)
	}
	return nil
}

// Entries of a node: the number of the next node, empty, or -2-offset for data.
const (
	empty   = -1
	dataMax = -2
)

// dataGap separates the tree from the data, in bytes.
const dataGap = 16

type builder struct {
	nodes [][2]int
	data  bytes.Buffer
}

func (b *builder) insert(p netip.Prefix, offset int) error {
	addr, bits := p.Addr().As16(), p.Bits()
	if p.Addr().Is4() {
		v4 := p.Addr().As4()
		addr, bits = [16]byte{}, bits+96 // IPv4 lies below ::/96
		copy(addr[12:], v4[:])
	}
	if bits == 0 {
		return fmt.Errorf("prefix %s is everything", p)
	}
	node := 0
	for i := range bits - 1 {
		next := &b.nodes[node][bit(addr, i)]
		if *next <= dataMax {
			return fmt.Errorf("prefix %s overlaps another", p)
		}
		if *next == empty {
			*next = len(b.nodes)
			node = *next
			b.nodes = append(b.nodes, [2]int{empty, empty})
			continue
		}
		node = *next
	}
	last := &b.nodes[node][bit(addr, bits-1)]
	if *last != empty {
		return fmt.Errorf("prefix %s overlaps another", p)
	}
	*last = dataMax - offset
	return nil
}

func bit(addr [16]byte, i int) int { return int(addr[i/8]>>(7-i%8)) & 1 }

// file puts tree, data and metadata together.
func (b *builder) file(kind string) []byte {
	var out bytes.Buffer
	for _, node := range b.nodes {
		for _, entry := range node {
			switch {
			case entry == empty:
				entry = len(b.nodes)
			case entry <= dataMax:
				entry = len(b.nodes) + dataGap + dataMax - entry
			}
			out.Write([]byte{byte(entry >> 16), byte(entry >> 8), byte(entry)})
		}
	}
	out.Write(make([]byte, dataGap))
	out.Write(b.data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	meta := &builder{}
	meta.value(Record{
		"binary_format_major_version": uint32(2), "binary_format_minor_version": uint32(0), "build_epoch": uint32(1),
		"database_type": kind, "ip_version": uint32(6), "node_count": uint32(len(b.nodes)), "record_size": uint32(24),
	})
	out.Write(meta.data.Bytes())
	return out.Bytes()
}

// Types of values in the data section.
const (
	typeString = 2
	typeDouble = 3
	typeUint32 = 6
	typeMap    = 7
	typeArray  = 11
	typeBool   = 14
)

func (b *builder) value(v any) {
	switch v := v.(type) {
	case string:
		b.head(typeString, len(v))
		b.data.WriteString(v)
	case float64:
		b.head(typeDouble, 8)
		b.data.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case uint32:
		b.head(typeUint32, 4)
		b.data.Write(binary.BigEndian.AppendUint32(nil, v))
	case bool:
		size := 0
		if v {
			size = 1
		}
		b.head(typeBool, size)
	case []Record:
		b.head(typeArray, len(v))
		for _, r := range v {
			b.value(r)
		}
	case map[string]string:
		r := Record{}
		for key, text := range v {
			r[key] = text
		}
		b.value(r)
	case Record:
		b.head(typeMap, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b.value(key)
			b.value(v[key])
		}
	default:
		panic(fmt.Sprintf("geotest cannot write a %T", v))
	}
}

// head writes the control byte of a value. Sizes from 29 on follow in a byte of their own.
func (b *builder) head(typ, size int) {
	const extended, long = 8, 29
	if size >= long+256 {
		panic("geotest writes no value of that size")
	}
	first := byte(min(size, long))
	if typ >= extended {
		b.data.Write([]byte{first, byte(typ - extended + 1)})
	} else {
		b.data.WriteByte(byte(typ)<<5 | first)
	}
	if size >= long {
		b.data.WriteByte(byte(size - long))
	}
}
