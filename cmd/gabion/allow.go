package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/yamlpos"
)

func newAllowCommand(a *app) *cobra.Command {
	return group("allow", "Who is never banned: add, list, remove", "  gabion allow add 192.0.2.0/24 --comment office",
		newAllowAdd(a), newAllowList(a), newAllowRemove(a))
}

func newAllowAdd(a *app) *cobra.Command {
	var comment, duration string
	cmd := &cobra.Command{
		Use:   "add ADDRESS|PREFIX",
		Short: "Never ban an address or a prefix; a ban of it stops dropping at once",
		Example: `  gabion allow add 192.0.2.10 --comment "my office"
  gabion allow add 2001:db8::/32 --duration 30d`,
		Args: oneArg("an address or a prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := decision.ParsePrefix(args[0]); err != nil {
				return usageError{err}
			}
			if duration != "" {
				d, err := yamlpos.ParseDuration(duration)
				if err != nil {
					return usageError{err}
				}
				if d <= 0 {
					return usagef("--duration %s: an entry must last longer than nothing", duration)
				}
			}
			var al *client.Allow
			err := a.edit(cmd.Context(), func(c *client.Client) (err error) {
				al, err = c.AddAllow(cmd.Context(), client.AllowRequest{Value: args[0], Comment: comment, Duration: duration})
				return err
			})
			if err != nil {
				return err
			}
			return a.show(al, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Allowed: %s.\n", al.Prefix)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&comment, "comment", "", "why, for those who read the list later")
	cmd.Flags().StringVarP(&duration, "duration", "d", "", "for how long (default until removed)")
	return cmd
}

func newAllowList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List what is never banned, with the packets it saved from a ban",
		Example: "  gabion allow list -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Allows(cmd.Context())
			if err != nil {
				return err
			}
			if list == nil {
				list = []client.Allow{}
			}
			return a.show(list, func(w io.Writer) error { return printAllows(w, list) })
		},
	}
}

func printAllows(w io.Writer, list []client.Allow) error {
	var rows [][]string
	for _, al := range list {
		rows = append(rows, []string{
			al.Prefix, al.Reason, al.Origin, expiry(al.ExpiresAt), strconv.FormatUint(al.Hits, 10), al.Comment,
		})
	}
	return table(w, "Nothing is allowed explicitly.", []string{"PREFIX", "REASON", "ORIGIN", "UNTIL", "SAVED", "COMMENT"}, rows)
}

func expiry(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return localTime(*t)
}

func newAllowRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove ADDRESS|PREFIX",
		Short:   "Remove an entry that 'allow add' made; bans of it drop again",
		Example: "  gabion allow remove 192.0.2.10",
		Args:    oneArg("an address or a prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := decision.ParsePrefix(args[0]); err != nil {
				return usageError{err}
			}
			var n int
			err := a.edit(cmd.Context(), func(c *client.Client) (err error) {
				n, err = c.RemoveAllow(cmd.Context(), args[0])
				return err
			})
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("%s is not in the allowlist: 'gabion allow list' shows what is", args[0])
			}
			return a.showCount(n, "removed", "prefix")
		},
	}
}
