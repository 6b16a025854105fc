package meter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gabion/userspace/yamlpos"
)

// The words of each enumeration, by value.
var (
	protocols = []string{"any", "tcp", "udp", "icmp"}
	answers   = []string{"", "closed", "half-open"}
	counts    = []string{"packets", "bytes", "connections", "ports"}
	keys      = []string{"source", "network", "port"}
	flagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"}
)

// icmpNames are the messages whose numbers mean nothing else in the other version: each stands for
// its number in ICMP and for that in ICMPv6.
var icmpNames = map[string][]uint8{
	"echo-request": {8, 128}, "echo-reply": {0, 129}, "redirect": {5, 137},
	"router-solicitation": {10, 133}, "router-advertisement": {9, 134},
	"neighbor-solicitation": {135}, "neighbor-advertisement": {136},
	"timestamp-request": {13}, "timestamp-reply": {14}, "address-mask-request": {17},
}

func word[T ~uint8](words []string, v T) string {
	if int(v) < len(words) {
		return words[v]
	}
	return fmt.Sprintf("unknown (%d)", v)
}

// pick stores the value that a word stands for.
func pick[T ~uint8](to *T, t yamlpos.Text, words []string) error {
	i := slices.Index(words, t.Text)
	if i < 0 || t.Text == "" {
		return fmt.Errorf("unknown value %.64q: %s", t.Text, wanted(t.Text, words))
	}
	*to = T(i)
	return nil
}

// wanted says which word was probably meant, or which there are.
func wanted(have string, words []string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	if near := yamlpos.Nearest(have, slices.Values(words)); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	last := len(words) - 1
	if last == 0 {
		return "want " + words[0]
	}
	return "want " + strings.Join(words[:last], ", ") + " or " + words[last]
}

// DecodeText implements yamlpos.TextDecoder.
func (p *Protocol) DecodeText(t yamlpos.Text) error { return pick(p, t, protocols) }

// DecodeText implements yamlpos.TextDecoder.
func (a *Answer) DecodeText(t yamlpos.Text) error { return pick(a, t, answers) }

// DecodeText implements yamlpos.TextDecoder.
func (c *Count) DecodeText(t yamlpos.Text) error { return pick(c, t, counts) }

// DecodeText implements yamlpos.TextDecoder.
func (p *Per) DecodeText(t yamlpos.Text) error { return pick(p, t, keys) }

// DecodeText implements yamlpos.TextDecoder: 80 or 80-443.
func (r *PortRange) DecodeText(t yamlpos.Text) error {
	first, last, isRange := strings.Cut(t.Text, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	switch {
	case errA != nil || errB != nil:
		return fmt.Errorf("invalid port %.64q: write a port from 0 to 65535 or a range such as 80-443", t.Text)
	case a > b:
		return fmt.Errorf("the range %s is empty: write %d-%d", t.Text, b, a)
	}
	*r = PortRange{First: uint16(a), Last: uint16(b)}
	return nil
}

// icmpTypes are the numbers that one value of icmp_type stands for.
type icmpTypes []uint8

// DecodeText implements yamlpos.TextDecoder: a number or a name.
func (ts *icmpTypes) DecodeText(t yamlpos.Text) error {
	n, err := strconv.ParseUint(t.Text, 10, 8)
	if err == nil {
		*ts = icmpTypes{uint8(n)}
		return nil
	}
	found, ok := icmpNames[t.Text]
	if !ok {
		words := slices.Sorted(maps.Keys(icmpNames))
		return fmt.Errorf("unknown ICMP type %.64q: write a number from 0 to 255, or a name: %s", t.Text, wanted(t.Text, words))
	}
	*ts = found
	return nil
}

// flag is one value of flags: a bit, wanted or, with an exclamation mark, unwanted.
type flag struct{ set, clear uint8 }

// DecodeText implements yamlpos.TextDecoder.
func (f *flag) DecodeText(t yamlpos.Text) error {
	name, unwanted := strings.CutPrefix(t.Text, "!")
	i := slices.Index(flagNames, name)
	switch {
	case i < 0:
		return fmt.Errorf("unknown TCP flag %.64q: %s", t.Text, wanted(name, flagNames))
	case unwanted:
		f.clear = 1 << i
	default:
		f.set = 1 << i
	}
	return nil
}

// errEmpty says what an empty value would mean, so that nobody matches everything by mistake.
var errEmpty = errors.New("the value is empty: leave the key out to match all")

// values decodes one value, or each value of a list. What does not decode is left out and noted.
func values[T any](doc *yamlpos.Document, errs *yamlpos.Errors) []T {
	if doc == nil {
		return nil
	}
	items := doc.Items()
	if len(items) == 0 {
		errs.Add(doc.Pos(), errEmpty)
	}
	var out []T
	for _, item := range items {
		var v T
		err := item.Decode(&v)
		if len(item.Items()) == 0 { // null decodes to what was there before
			err = errEmpty
		}
		if err != nil {
			errs.Add(item.Pos(), err)
			continue
		}
		out = append(out, v)
	}
	return out
}
