package exprlib

import (
	"net/netip"
	"slices"

	"gabion/userspace/datafile"
	"gabion/userspace/expr"
)

// maxBotNames is how many names of an address are asked for the way back to it.
const maxBotNames = 3

func (l *Lib) nameFunctions() []expr.Function {
	return []expr.Function{
		sure1("LookupHost", func(host string) []string {
			return append([]string{}, l.deps.DNS.Addresses(host)...)
		}),
		{Name: "MatchKnownBot", Types: []any{new(func(string, string, string, ...string) bool)}, Call: l.callKnownBot},
	}
}

func (l *Lib) callKnownBot(args ...any) (any, error) {
	s, err := texts(args, 0)
	if err != nil {
		return nil, err
	}
	return l.knownBot(s[0], s[1], s[2], s[3:]), nil
}

// knownBot reports whether a request is one of the robots in files: it looks like the robot's, and it
// comes from an address that is known to be the robot's or whose confirmed name is. Names are asked
// for only when no file knows the address.
func (l *Lib) knownBot(source, agent, path string, files []string) bool {
	addr := parseSource(source)
	if !addr.IsValid() {
		return false
	}
	var named []*datafile.Bot
	for _, file := range files {
		bots, ok := l.data.Bots(file)
		l.unknownUnless(ok, "MatchKnownBot", file)
		for _, b := range bots {
			switch {
			case !b.Asks(agent, path):
			case b.Owns(addr):
				return true
			case b.HasNames():
				named = append(named, b)
			}
		}
	}
	if len(named) == 0 {
		return false
	}
	return l.deps.DNS.Confirmed(addr, maxBotNames, func(name string) bool {
		return slices.ContainsFunc(named, func(b *datafile.Bot) bool { return b.Named(name) })
	})
}

// parseSource reads an address with or without a port.
func parseSource(s string) netip.Addr {
	if a := parseAddr(s); a.IsValid() {
		return a
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Addr().Zone() != "" {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}
