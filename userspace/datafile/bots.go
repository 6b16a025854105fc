package datafile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Bot is one row of a file of type bots: how a well-behaved robot is recognised.
type Bot struct {
	Name   string
	agent  *regexp.Regexp   // nil: any user agent
	paths  []*regexp.Regexp // none: any path
	ips    []netip.Addr
	ranges []netip.Prefix
	rdns   []*regexp.Regexp
}

// botRow is a row as it is written.
type botRow struct {
	Name      string   `json:"name"`
	UserAgent string   `json:"user_agent"`
	Paths     []string `json:"paths"`
	IPs       []string `json:"ips"`
	Ranges    []string `json:"ranges"`
	RDNS      []string `json:"rdns"`
}

// Asks reports whether a request with this user agent and path looks like the bot's.
func (b *Bot) Asks(agent, path string) bool {
	return (b.agent == nil || b.agent.MatchString(agent)) && (len(b.paths) == 0 || anyMatches(b.paths, path))
}

// Owns reports whether the bot is known to come from an address.
func (b *Bot) Owns(addr netip.Addr) bool {
	for _, ip := range b.ips {
		if ip == addr {
			return true
		}
	}
	for _, r := range b.ranges {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

// HasNames reports whether a confirmed name of its address can tell the bot.
func (b *Bot) HasNames() bool { return len(b.rdns) > 0 }

// Named reports whether a confirmed name of an address, without its final dot, is the bot's.
func (b *Bot) Named(name string) bool { return anyMatches(b.rdns, name) }

func anyMatches(list []*regexp.Regexp, text string) bool {
	for _, re := range list {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

// loadBots loads rows of JSON. A file with a faulty row is not loaded: whom it lets pass would depend
// on which row is missing.
func loadBots(d *files, file string, data []byte) error {
	bots := []*Bot{}
	err := eachLine(file, data, func(line string) error {
		b, err := readBot(line)
		if err == nil {
			bots = append(bots, b)
		}
		return err
	})
	if err == nil {
		d.bots = with(d.bots, file, bots)
	}
	return err
}

func readBot(line string) (*Bot, error) {
	var row botRow
	dec := json.NewDecoder(strings.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&row); err != nil {
		return nil, fmt.Errorf("row is no JSON object of a bot: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if rest := bytes.TrimSpace([]byte(line[dec.InputOffset():])); len(rest) > 0 {
		return nil, errors.New("row has more than one JSON object")
	}
	switch {
	case row.Name == "":
		return nil, errors.New(`row lacks "name"`)
	case len(row.IPs)+len(row.Ranges)+len(row.RDNS) == 0:
		return nil, errors.New(`row needs "ips", "ranges" or "rdns", or anybody could pass for the bot`)
	}
	return newBot(row)
}

func newBot(row botRow) (b *Bot, err error) {
	b = &Bot{Name: row.Name}
	if row.UserAgent != "" {
		if b.agent, err = foldedPattern(row.UserAgent); err != nil {
			return nil, fmt.Errorf("user_agent: %w", err)
		}
	}
	if b.paths, err = foldedPatterns("paths", row.Paths); err != nil {
		return nil, err
	}
	if b.rdns, err = foldedPatterns("rdns", row.RDNS); err != nil {
		return nil, err
	}
	for _, text := range row.IPs {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("ips: %q is no address", text)
		}
		b.ips = append(b.ips, addr.Unmap())
	}
	for _, text := range row.Ranges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("ranges: %q is no range of addresses, such as 192.0.2.0/24", text)
		}
		b.ranges = append(b.ranges, prefix)
	}
	return b, nil
}

func foldedPatterns(key string, list []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for _, text := range list {
		re, err := foldedPattern(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out = append(out, re)
	}
	return out, nil
}

// foldedPattern compiles a pattern that does not tell upper from lower case.
func foldedPattern(text string) (*regexp.Regexp, error) { return regexp.Compile("(?i)" + text) }
