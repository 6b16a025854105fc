package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/decision"
)

func newKernelCommand(a *app) *cobra.Command {
	return group("kernel", "What is in the kernel: status, dump, remove", "  gabion kernel status",
		newKernelStatus(a), newKernelDump(a), newKernelRemove(a))
}

// kernelState is everything that is pinned, decoded.
type kernelState struct {
	PinDir      string             `json:"pin_dir"`
	Attachments []kernelAttachment `json:"attachments"`
	Classes     []kernelClass      `json:"classes"`
	Counters    []kernelCounter    `json:"counters"`
	Meters      []kernelMeter      `json:"meters"`
	Bans        []kernelBan        `json:"bans,omitempty"`
	Allows      []kernelAllow      `json:"allows,omitempty"`
	BanCount    int                `json:"ban_count"`
	AllowCount  int                `json:"allow_count"`
}

type kernelAttachment struct {
	Interface string `json:"interface"`
	Ifindex   int    `json:"ifindex"`
	Mode      string `json:"mode"`
	Stale     bool   `json:"stale"`
}

type kernelClass struct {
	Class int    `json:"class"`
	Name  string `json:"name"`
	Mode  string `json:"mode"`
}

type kernelCounter struct {
	Name   string `json:"name"`
	Family string `json:"family,omitempty"`
	Value  uint64 `json:"value"`
	help   string
}

// kernelMeter is a meter in force and what it did.
type kernelMeter struct {
	Name    string `json:"name"`
	Matched uint64 `json:"matched"` // packets
	Shed    uint64 `json:"shed"`    // packets
	Events  uint64 `json:"events"`
}

type kernelBan struct {
	Prefix     netip.Prefix `json:"prefix"`
	Class      string       `json:"class"`
	DecisionID uint64       `json:"decision_id"`
	Until      time.Time    `json:"until"`
	Expired    bool         `json:"expired"`
	Hits       uint64       `json:"hits"`
}

type kernelAllow struct {
	Prefix netip.Prefix `json:"prefix"`
	Reason string       `json:"reason"`
	Hits   uint64       `json:"hits"`
}

func newKernelStatus(a *app) *cobra.Command {
	var pins string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show where the filter runs and what it counted, also without a daemon",
		Example: "  gabion kernel status\n  gabion kernel status --pin-dir /sys/fs/bpf/gabion-test -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			st, err := a.readKernel(pins)
			if err != nil {
				return err
			}
			st.Bans, st.Allows = nil, nil
			return a.show(st, func(w io.Writer) error { return printKernelStatus(w, st) })
		},
	}
	pinDirFlag(cmd, &pins)
	return cmd
}

func newKernelDump(a *app) *cobra.Command {
	var pins string
	cmd := &cobra.Command{
		Use:     "dump",
		Short:   "Decode every kernel map: bans with decision, end and hits, allow entries, classes, counters",
		Example: "  gabion kernel dump\n  gabion kernel dump -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			st, err := a.readKernel(pins)
			if err != nil {
				return err
			}
			return a.show(st, func(w io.Writer) error { return printKernelDump(w, st, a.now()) })
		},
	}
	pinDirFlag(cmd, &pins)
	return cmd
}

// openPins opens the pinned maps for reading.
func (a *app) openPins(flag string) (*loader.Plane, string, error) {
	dir, err := a.pinDir(flag)
	if err != nil {
		return nil, "", err
	}
	plane, err := loader.OpenReadOnly(dir)
	return plane, dir, err
}

func (a *app) readKernel(pins string) (*kernelState, error) {
	plane, dir, err := a.openPins(pins)
	if err != nil {
		return nil, err
	}
	defer plane.Close()
	st := &kernelState{PinDir: dir, Attachments: []kernelAttachment{}, Meters: []kernelMeter{}}
	attached, err := plane.Attachments()
	if err != nil {
		return nil, err
	}
	for _, at := range attached {
		st.Attachments = append(st.Attachments, kernelAttachment{at.Interface, at.Ifindex, string(at.Mode), at.Stale})
	}
	modes, err := plane.ClassModes()
	if err != nil {
		return nil, err
	}
	for i, m := range modes {
		st.Classes = append(st.Classes, kernelClass{i, className(decision.Class(i)), m.String()})
	}
	stats, err := plane.Stats()
	if err != nil {
		return nil, err
	}
	for _, c := range stats.Counters() {
		st.Counters = append(st.Counters, kernelCounter{c.Name, c.Family, c.Value, c.Help})
	}
	meters, err := plane.MeterStats()
	if err != nil {
		return nil, err
	}
	for _, m := range meters {
		st.Meters = append(st.Meters, kernelMeter{m.Name, m.Matched, m.Shed, m.Events})
	}
	return st, st.readTables(plane, a.now())
}

func (st *kernelState) readTables(plane *loader.Plane, now time.Time) error {
	for r, err := range plane.Bans() {
		if err != nil {
			return err
		}
		st.Bans = append(st.Bans, kernelBan{
			Prefix: r.Prefix, Class: className(r.Class), DecisionID: r.DecisionID,
			Until: r.Until.UTC().Round(time.Millisecond), Expired: !r.Until.IsZero() && !r.Until.After(now), Hits: r.Hits,
		})
	}
	for al, err := range plane.Allows() {
		if err != nil {
			return err
		}
		st.Allows = append(st.Allows, kernelAllow{al.Prefix, al.Reason.String(), al.Hits})
	}
	st.BanCount, st.AllowCount = len(st.Bans), len(st.Allows)
	return nil
}

func className(c decision.Class) string {
	switch c {
	case decision.ClassBan:
		return "ban"
	case decision.ClassShadow:
		return "shadow"
	}
	return "list " + strconv.Itoa(int(c))
}

func printKernelStatus(w io.Writer, st *kernelState) error {
	err := fields(w, "Pinned at", st.PinDir, "Bans", strconv.Itoa(st.BanCount), "Allow entries", strconv.Itoa(st.AllowCount))
	if err != nil {
		return err
	}
	var rows [][]string
	for _, at := range st.Attachments {
		state := "running"
		if at.Stale {
			state = "stale: the interface is gone or lost the filter"
		}
		rows = append(rows, []string{at.Interface, strconv.Itoa(at.Ifindex), at.Mode, state})
	}
	fmt.Fprintln(w)
	if err := table(w, "No interface is protected.", []string{"INTERFACE", "INDEX", "MODE", "STATE"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printMeters(w, st.Meters); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printCounters(w, st.Counters)
}

func printMeters(w io.Writer, meters []kernelMeter) error {
	var rows [][]string
	for _, m := range meters {
		rows = append(rows, []string{m.Name, strconv.FormatUint(m.Matched, 10), strconv.FormatUint(m.Shed, 10), strconv.FormatUint(m.Events, 10)})
	}
	return table(w, "No meters are in force.", []string{"METER", "MATCHED", "SHED", "EVENTS"}, rows)
}

func printCounters(w io.Writer, counters []kernelCounter) error {
	var rows [][]string
	for _, c := range counters {
		if c.Value > 0 {
			rows = append(rows, []string{c.Name, c.Family, strconv.FormatUint(c.Value, 10), c.help})
		}
	}
	return table(w, "All counters are zero.", []string{"COUNTER", "FAMILY", "VALUE", "MEANING"}, rows)
}

func printKernelDump(w io.Writer, st *kernelState, now time.Time) error {
	var bans, allows, classes [][]string
	for _, b := range st.Bans {
		id := "-" // ids of hosts are the daemon's: gabion decisions list shows them
		if b.DecisionID != 0 {
			id = strconv.FormatUint(b.DecisionID, 10)
		}
		bans = append(bans, []string{b.Prefix.String(), b.Class, id,
			localTime(b.Until), left(b.Until, now), strconv.FormatUint(b.Hits, 10)})
	}
	for _, al := range st.Allows {
		allows = append(allows, []string{al.Prefix.String(), al.Reason, strconv.FormatUint(al.Hits, 10)})
	}
	for _, c := range st.Classes {
		if c.Mode != decision.ModeOff.String() {
			classes = append(classes, []string{strconv.Itoa(c.Class), c.Name, c.Mode})
		}
	}
	for _, part := range []struct {
		title, empty string
		header       []string
		rows         [][]string
	}{
		{"Bans", "No bans.", []string{"PREFIX", "CLASS", "DECISION", "UNTIL", "LEFT", "HITS"}, bans},
		{"Allow entries", "No allow entries.", []string{"PREFIX", "REASON", "HITS"}, allows},
		{"Classes that are on", "All classes are off.", []string{"CLASS", "NAME", "MODE"}, classes},
	} {
		fmt.Fprintf(w, "%s (%s)\n", part.title, st.PinDir)
		if err := table(w, part.empty, part.header, part.rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return printCounters(w, st.Counters)
}

func newKernelRemove(a *app) *cobra.Command {
	var pins string
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Take the filter off every interface and forget all bans in the kernel",
		Long: `Take the filter off every interface and forget all bans in the kernel. The daemon must
not run; at its next start it restores the bans it has on record.`,
		Example: "  gabion kernel remove --yes",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !yes {
				return usagef("this ends all protection until the daemon starts again: say --yes")
			}
			dir, err := a.pinDir(pins)
			if err != nil {
				return err
			}
			return a.removeKernel(dir)
		},
	}
	pinDirFlag(cmd, &pins)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// removeKernel is content when there is nothing to remove.
func (a *app) removeKernel(dir string) error {
	text := "Removed: " + dir + "."
	removed := []string{dir}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		text, removed = "Nothing is pinned at "+dir+".", []string{}
	} else if err := loader.Remove(dir); err != nil {
		return err
	}
	return a.show(map[string][]string{"removed": removed}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, text)
		return err
	})
}

// whyFromKernel answers `why` from the pinned maps when the daemon does not; asked is why it did not.
func (a *app) whyFromKernel(addr netip.Addr, pins string, asked error) error {
	if !errors.Is(asked, client.ErrNotRunning) {
		return asked
	}
	plane, dir, err := a.openPins(pins)
	if errors.Is(err, loader.ErrNotLoaded) {
		return fmt.Errorf("nothing is pinned at %s either, so nothing is dropped, and %w", dir, asked)
	}
	if err != nil {
		return errors.Join(asked, err)
	}
	defer plane.Close()
	want, err := desiredFromKernel(plane, a.now())
	if err != nil {
		return err
	}
	why := want.why(addr)
	return a.show(why, func(w io.Writer) error {
		fmt.Fprintln(a.stderr, "The daemon is not running: this is what the kernel knows; it does not know log lines.")
		return printWhy(w, why)
	})
}
