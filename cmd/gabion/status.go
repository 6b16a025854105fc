package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
)

func newStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show what the daemon reads, runs and protects, and what does not work",
		Example: "  gabion status -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			st, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(st, func(w io.Writer) error { return printStatus(w, st) })
		},
	}
}

func printStatus(w io.Writer, st *client.Status) error {
	err := fields(w,
		"Version", st.Version,
		"Process", strconv.Itoa(st.PID),
		"Started", localTime(st.StartedAt),
		"Config", st.Config,
		"State", st.StateDir,
		"Pins", st.PinDir,
		"Scenarios", ruleCount(st.Rules),
		"Decisions", strconv.Itoa(st.Decisions),
		"Lists", listsText(st.Lists),
		"Drift", driftText(st.Drift),
	)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Interfaces:")
	if len(st.Interfaces) == 0 {
		fmt.Fprintln(w, "  none: nothing is dropped")
	}
	for _, i := range st.Interfaces {
		fmt.Fprintf(w, "  %s\n", printable(i.Name+" "+interfaceText(i), oneLine))
	}
	fmt.Fprintln(w, "Sources:")
	for _, s := range st.Sources {
		line := s.Name + ": " + plural(int(s.Events), "event")
		if s.Error != "" {
			line += " (" + s.Error + ")"
		}
		fmt.Fprintf(w, "  %s\n", printable(line, oneLine))
	}
	fmt.Fprintln(w, "Meters:")
	if len(st.Meters) == 0 {
		fmt.Fprintln(w, "  none: nothing is shed")
	}
	for _, m := range st.Meters {
		fmt.Fprintf(w, "  %s\n", printable(meterLine(m), oneLine))
	}
	if len(st.Problems) == 0 {
		fmt.Fprintln(w, "No problems.")
	}
	for _, p := range st.Problems {
		fmt.Fprintf(w, "PROBLEM: %s\n", printable(p, oneLine))
	}
	return nil
}

func meterLine(m client.MeterStatus) string {
	return fmt.Sprintf("%s: %s: %s, %d shed, %s", m.Name, m.Rule, count(m.Matched, "packet"), m.Shed, count(m.Events, "event"))
}

func ruleCount(r client.RulesStatus) string {
	if r.Errors == 0 {
		return strconv.Itoa(r.Scenarios)
	}
	return fmt.Sprintf("%d, and rules left out for %s: 'gabion run -t' names each", r.Scenarios, plural(r.Errors, "fault"))
}

func driftText(d client.DriftStatus) string {
	if d.CheckedAt.IsZero() {
		return "not checked yet"
	}
	if d.Error != "" {
		return d.Error
	}
	if d.Missing+d.Extra+d.Wrong+d.Adopted == 0 {
		return "none at " + localTime(d.CheckedAt)
	}
	return fmt.Sprintf("%d missing, %d extra, %d wrong, %d adopted at %s; repaired", d.Missing, d.Extra, d.Wrong, d.Adopted, localTime(d.CheckedAt))
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// interfaceText says how an interface is protected.
func interfaceText(i client.InterfaceStatus) string {
	switch {
	case i.Mode == "":
		return "not protected: " + i.Error
	case i.Through != "":
		return i.Mode + ", through " + i.Through
	}
	return i.Mode
}
