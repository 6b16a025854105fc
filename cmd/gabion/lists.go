package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/lists"
	"gabion/userspace/yamlpos"
)

func newListsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lists",
		Short: "Imported lists of bad sources: show, import, remove, switch to shadow or off",
		Long: `Show the imported lists: how many entries each has, how many of them are enforced, and
the packets that met them, as of the last comparison with the kernel (every minute).

A list is enforced beside the decisions of this machine, which come first when there is
no room for all. Each list is switched as a whole: drop, shadow (count and pass) or off.`,
		Example: "  gabion lists\n  gabion lists -o json",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.showLists(cmd.Context()) },
	}
	cmd.AddCommand(newListsImport(a), newListsRemove(a), newListsMode(a))
	return cmd
}

func (a *app) showLists(ctx context.Context) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	all, err := c.Lists(ctx)
	if err != nil {
		return err
	}
	if all == nil {
		all = []client.List{}
	}
	return a.show(all, func(w io.Writer) error {
		var rows [][]string
		for _, l := range all {
			mode, hits := l.Mode, strconv.FormatUint(l.Hits, 10)
			if l.Ended {
				mode, hits = "ended", ""
			}
			rows = append(rows, []string{
				l.Name, mode, strconv.Itoa(l.Entries), strconv.Itoa(l.Enforced), strconv.Itoa(l.NotEnforced),
				strconv.Itoa(l.Protected), hits, localTime(l.ExpiresAt), l.Origin,
			})
		}
		return table(w, "No lists.", []string{"NAME", "MODE", "ENTRIES", "ENFORCED", "NOT ENFORCED", "PROTECTED", "HITS", "UNTIL", "FROM"}, rows)
	})
}

func newListsImport(a *app) *cobra.Command {
	var o client.ListImport
	cmd := &cobra.Command{
		Use:   "import NAME FILE|-",
		Short: "Import a list, in place of the one of that name",
		Long: `Import a list of addresses and prefixes, one per line; what follows # or ; is a comment.
The list is taken as a whole or not at all, and replaces the one of that name in one
step: a source that is on both is dropped all the time.

It ends after --duration unless it is imported again: a list that nobody refreshes any
more must not ban for ever. Own addresses, gateways and what else must not be banned,
and what the allowlist has, are left out.`,
		Example: `  gabion lists import scanners scanners.txt
  curl -s https://example.org/drop.txt | gabion lists import drop - --duration 2d
  gabion lists import new-feed feed.txt --mode shadow`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("expected two arguments, a name and a file (- for standard input), got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importList(cmd.Context(), args[0], args[1], o)
		},
	}
	cmd.Flags().StringVarP(&o.Duration, "duration", "d", "7d", "when it ends unless it is imported again: 24h, 7d")
	cmd.Flags().StringVarP(&o.Mode, "mode", "m", "", "drop, shadow or off (default as it was, drop for a new one)")
	return cmd
}

func (a *app) importList(ctx context.Context, name, file string, o client.ListImport) error {
	if err := lists.CheckName(name); err != nil {
		return usageError{err}
	}
	if d, err := yamlpos.ParseDuration(o.Duration); err != nil || d <= 0 {
		return usagef("--duration %q is not a time span such as 24h or 7d", o.Duration)
	}
	if o.Mode != "" {
		if _, err := decision.ParseMode(o.Mode); err != nil {
			return usagef("--mode: %w", err)
		}
	}
	o.File = file
	text := &progress{r: a.stdin, w: a.stderr, name: name}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("import list %s: %w", name, err)
		}
		defer f.Close()
		text.r = f
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			text.size = info.Size()
		}
	}
	var l *client.List
	err := a.edit(ctx, func(c *client.Client) (err error) {
		l, err = c.ImportList(ctx, name, o, text)
		return err
	})
	if err != nil {
		return err
	}
	return a.show(l, func(w io.Writer) error { return printImport(w, l) })
}

func printImport(w io.Writer, l *client.List) error {
	fmt.Fprintf(w, "List %s imported: %d of %s in force (%s) until %s.\n", l.Name, l.Enforced, entries(l.Entries), l.Mode, localTime(l.ExpiresAt))
	if l.Protected > 0 {
		fmt.Fprintf(w, "Left out, for it must not be banned: %s; the first: %s.\n", entries(l.Protected), printable(l.Because, oneLine))
	}
	if l.NotEnforced > 0 {
		fmt.Fprintf(w, "Not enforced for want of room: %s; 'gabion status' says what to do.\n", entries(l.NotEnforced))
	}
	return nil
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.Itoa(n) + " entries"
}

// progress says now and then how much of a long text has gone by.
type progress struct {
	r    io.Reader
	w    io.Writer
	name string
	size int64 // 0: not known
	done int64
}

// progressEvery is after how many bytes progress says something.
const progressEvery = 8 << 20

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	before := p.done / progressEvery
	p.done += int64(n)
	if p.done/progressEvery > before {
		of := ""
		if p.size > 0 {
			of = fmt.Sprintf(" of %d", p.size>>20)
		}
		fmt.Fprintf(p.w, "%s: %d%s MiB sent\n", p.name, p.done>>20, of)
	}
	return n, err
}

func newListsRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Take a list out of force and forget it",
		Example: "  gabion lists remove scanners",
		Args:    oneArg("the name of a list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := lists.CheckName(args[0]); err != nil {
				return usageError{err}
			}
			var n int
			err := a.edit(cmd.Context(), func(c *client.Client) (err error) {
				n, err = c.RemoveList(cmd.Context(), args[0])
				return err
			})
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("there is no list %s: 'gabion lists' shows those there are", args[0])
			}
			return a.showCount(n, "removed", "list")
		},
	}
}

func newListsMode(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "mode NAME drop|shadow|off",
		Short:   "Switch a whole list: drop, shadow (count and pass) or off",
		Example: "  gabion lists mode scanners shadow",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("expected two arguments, a name and a mode (drop, shadow, off), got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := lists.CheckName(args[0]); err != nil {
				return usageError{err}
			}
			if _, err := decision.ParseMode(args[1]); err != nil {
				return usageError{err}
			}
			err := a.edit(cmd.Context(), func(c *client.Client) error {
				return c.SetListMode(cmd.Context(), args[0], args[1])
			})
			if err != nil {
				return err
			}
			return a.show(client.ListMode{Mode: args[1]}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "List %s: %s.\n", args[0], args[1])
				return err
			})
		},
	}
}

// listsText sums up the lists for the status page; empty without lists.
func listsText(all []client.List) string {
	if len(all) == 0 {
		return ""
	}
	var have, held int
	for _, l := range all {
		have, held = have+l.Entries, held+l.NotEnforced
	}
	text := plural(len(all), "list") + " with " + entries(have)
	if held > 0 {
		text += fmt.Sprintf(", %d of them not enforced: 'gabion lists' shows which", held)
	}
	return text
}
