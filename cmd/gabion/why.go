package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
)

func newWhyCommand(a *app) *cobra.Command {
	var pins string
	cmd := &cobra.Command{
		Use:   "why ADDRESS",
		Short: "Say why an address is dropped: scenario, log lines, until when, how many packets",
		Long: `Say why an address is dropped, or why not: the decisions that cover it with the log
lines that led to them, the meters whose limits it was above, and the allowlist and
guard entries that protect it.

Without a running daemon it reads the pinned kernel maps, which know the ban, its end
and its packets, but not the log lines.`,
		Example: `  gabion why 192.0.2.1
  gabion why 2001:db8::1 -o json`,
		Args: oneArg("an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := parseAddr(args[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			why, err := c.Why(cmd.Context(), addr)
			if err != nil {
				return a.whyFromKernel(addr, pins, err)
			}
			return a.show(why, func(w io.Writer) error { return printWhy(w, why) })
		},
	}
	pinDirFlag(cmd, &pins)
	return cmd
}

func printWhy(w io.Writer, why *client.Why) error {
	fmt.Fprintf(w, "%s: %s\n", why.IP, headline(why))
	for _, b := range why.Bans {
		if err := printWhyBan(w, b); err != nil {
			return err
		}
	}
	for _, m := range why.Meters {
		fmt.Fprintf(w, "\n%s\n", printable(whyMeterLine(m), oneLine))
	}
	for _, al := range why.Allows {
		fmt.Fprintf(w, "\nNever banned: %s (%s, %s)", al.Prefix, al.Reason, printable(al.Origin, oneLine))
		if al.Comment != "" {
			fmt.Fprintf(w, ": %s", printable(al.Comment, oneLine))
		}
		fmt.Fprintf(w, "; it saved %s from a ban\n", count(al.Hits, "packet"))
	}
	if len(why.Past) > 0 {
		fmt.Fprintln(w, "\nEarlier:")
	}
	for _, p := range why.Past {
		fmt.Fprintf(w, "  %s  %s  %s\n", localTime(p.CreatedAt), printable(p.Value, oneLine), printable(p.Scenario, oneLine))
	}
	return nil
}

// whyMeterLine says what a meter that the address was above does about it.
func whyMeterLine(m client.WhyMeter) string {
	rule, then := orText(m.Rule, "a meter that is no longer in force"), "it was reported"
	if m.Sheds {
		then = "what is above is dropped until the window ends"
	}
	line := fmt.Sprintf("Above the limit at %s: %s (%s): %s", localTime(m.At), m.Name, rule, then)
	if !m.Established {
		line += "; too few of its handshakes were completed, so the address may be forged"
	}
	return line
}

func headline(why *client.Why) string {
	switch why.Verdict {
	case client.VerdictBanned:
		return "banned; its packets are dropped in the kernel"
	case client.VerdictShadow:
		return "banned in simulation; its packets are counted and pass"
	case client.VerdictAllowed:
		return "allowed; its packets pass whatever else is decided"
	}
	return "not banned"
}

func printWhyBan(w io.Writer, b client.WhyBan) error {
	fmt.Fprintln(w)
	until := wireTime(b.Until)
	if b.Duration != "" {
		until += " (" + b.Duration + " left)"
	}
	inKernel := "yes"
	if !b.InKernel {
		inKernel = "NO: the daemon repairs this at its next check"
	}
	id := ""
	if b.ID != 0 {
		id = fmt.Sprint(b.ID)
	}
	err := fields(w,
		"Decision", id,
		"Covers", b.Value,
		"Type", decisionType(b.Decision),
		"Scenario", b.Scenario,
		"Origin", b.Origin,
		"Since", wireTime(b.CreatedAt),
		"Until", until,
		"Dropped", hits(b.Hits),
		"In kernel", inKernel,
		"Message", b.Message,
	)
	if err != nil {
		return err
	}
	if len(b.Lines) > 0 {
		fmt.Fprintf(w, "Log lines (%d of %s):\n  %s\n", len(b.Lines), plural(int(b.Events), "event"), strings.Join(printableAll(b.Lines), "\n  "))
	}
	return nil
}

func printableAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = printable(l, oneLine)
	}
	return out
}

func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, usagef("%q is not an address: write it like 192.0.2.1 or 2001:db8::1", s)
	}
	return addr.Unmap(), nil
}

func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func pinDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "pin-dir", "", "where the kernel maps are pinned (default from the daemon's file)")
}
