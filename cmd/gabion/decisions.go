package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/yamlpos"
)

func newDecisionsCommand(a *app) *cobra.Command {
	return group("decisions", "Who is banned: list, add, delete", "  gabion decisions list",
		newDecisionsList(a), newDecisionsAdd(a), newDecisionsDelete(a))
}

func newDecisionsList(a *app) *cobra.Command {
	var ip, prefix, scenario, origin string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the active decisions with the packets each has dropped",
		Example: `  gabion decisions list
  gabion decisions list --ip 192.0.2.1
  gabion decisions list --range 192.0.2.0/24 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d: give a number of decisions, or 0 for all", limit)
			}
			query := url.Values{}
			set(query, "ip", ip)
			set(query, "range", prefix)
			set(query, "scenarios_containing", scenario)
			set(query, "origins", origin)
			query.Set("simulated", "true")
			if limit > 0 {
				query.Set("limit", strconv.Itoa(limit))
			}
			return a.listDecisions(cmd.Context(), query, limit)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&ip, "ip", "i", "", "only those that cover this address")
	flags.StringVarP(&prefix, "range", "r", "", "only those that cover this prefix")
	flags.StringVarP(&scenario, "scenario", "s", "", "only those whose scenario contains this text")
	flags.StringVar(&origin, "origin", "", "only those of this origin (crowdsec, cscli, adopted, bpftool)")
	flags.IntVarP(&limit, "limit", "l", 100, "at most so many; 0 for all")
	return cmd
}

func (a *app) listDecisions(ctx context.Context, query url.Values, limit int) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	list, err := c.Decisions(ctx, query)
	if err != nil {
		return err
	}
	if list == nil {
		list = []client.Decision{}
	}
	return a.show(list, func(w io.Writer) error {
		var rows [][]string
		for _, d := range list {
			rows = append(rows, []string{
				strconv.FormatUint(d.ID, 10), d.Value, decisionType(d), d.Scenario, d.Origin, d.Duration, hits(d.Hits),
			})
		}
		if len(list) == limit {
			defer fmt.Fprintf(w, "The first %d; --limit 0 shows all.\n", limit)
		}
		return table(w, "No active decisions.", []string{"ID", "VALUE", "TYPE", "SCENARIO", "ORIGIN", "LEFT", "DROPPED"}, rows)
	})
}

func newDecisionsAdd(a *app) *cobra.Command {
	var ip, prefix, duration, reason, kind string
	cmd := &cobra.Command{
		Use:   "add --ip ADDRESS | --range PREFIX",
		Short: "Ban an address or a prefix by hand",
		Long: `Ban an address or a prefix by hand.

Without a running daemon the kernel tables and the record are changed directly, by the
daemon's own code: the next daemon knows of it.`,
		Example: `  gabion decisions add --ip 192.0.2.1
  gabion decisions add --range 2001:db8::/48 --duration 7d --reason "scanner"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			alert, err := manualAlert(ip, prefix, duration, reason, kind, a.now())
			if err != nil {
				return err
			}
			return a.addDecision(cmd.Context(), alert)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&ip, "ip", "i", "", "address to ban")
	flags.StringVarP(&prefix, "range", "r", "", "prefix to ban")
	flags.StringVarP(&duration, "duration", "d", "4h", "for how long: 90m, 4h, 7d")
	flags.StringVarP(&reason, "reason", "R", "", `shown as the scenario (default "manual ban")`)
	flags.StringVarP(&kind, "type", "t", decision.TypeBan, "decision type; the kernel enforces ban")
	cmd.MarkFlagsMutuallyExclusive("ip", "range")
	return cmd
}

func (a *app) addDecision(ctx context.Context, alert *client.Alert) error {
	var ids []string
	err := a.edit(ctx, func(c *client.Client) (err error) {
		ids, err = c.PushAlerts(ctx, []client.Alert{*alert})
		return err
	})
	if err != nil {
		return err
	}
	d := alert.Decisions[0]
	result := struct {
		Alerts []string `json:"alerts"`
		Value  string   `json:"value"`
		Type   string   `json:"type"`
		For    string   `json:"duration"`
	}{ids, d.Value, d.Type, d.Duration}
	return a.show(result, func(w io.Writer) error {
		note := ""
		if d.Type != decision.TypeBan {
			note = " The kernel enforces bans only; this one is for clients of the Local API."
		}
		_, err := fmt.Fprintf(w, "Decision added: %s %s for %s.%s\n", printable(d.Type, oneLine), d.Value, d.Duration, note)
		return err
	})
}

// manualAlert is the alert that carries one decision made by hand.
func manualAlert(ip, prefix, duration, reason, kind string, now time.Time) (*client.Alert, error) {
	scope, value := decision.ScopeIP, ip
	if prefix != "" {
		scope, value = decision.ScopeRange, prefix
	}
	if value == "" {
		return nil, usagef("nothing to ban: give --ip ADDRESS or --range PREFIX")
	}
	p, err := decision.ParsePrefix(value)
	if err != nil {
		return nil, usageError{err}
	}
	if scope == decision.ScopeIP && !p.IsSingleIP() {
		return nil, usagef("--ip %s is a prefix: use --range", value)
	}
	value = p.String()
	if scope == decision.ScopeIP {
		value = p.Addr().String()
	}
	d, err := yamlpos.ParseDuration(duration)
	if err != nil {
		return nil, usageError{err}
	}
	if d <= 0 {
		return nil, usagef("--duration %s: a ban must last longer than nothing", duration)
	}
	if reason == "" {
		reason = "manual " + kind
	}
	at := now.UTC().Format(time.RFC3339Nano)
	return &client.Alert{
		Kind: "cscli", Message: reason, Scenario: reason, Leakspeed: "0", EventsCount: 1, Remediation: true,
		StartAt: at, StopAt: at, CreatedAt: at, Events: []client.Event{},
		Source: &client.Source{Scope: scope, Value: value, IP: addressOf(scope, value), Range: prefix},
		Decisions: []client.Decision{{
			Duration: d.String(), Origin: decision.OriginCLI, Scenario: reason, Scope: scope, Type: kind, Value: value,
		}},
	}, nil
}

func addressOf(scope, value string) string {
	if scope == decision.ScopeIP {
		return value
	}
	return ""
}

func newDecisionsDelete(a *app) *cobra.Command {
	var ip, prefix string
	var id uint64
	var all bool
	cmd := &cobra.Command{
		Use:   "delete --ip ADDRESS | --range PREFIX | --id N | --all",
		Short: "End bans: the kernel stops dropping at once",
		Long: `End bans: the kernel stops dropping at once.

Without a running daemon the kernel tables and the record are changed directly, by the
daemon's own code: the next daemon knows of it.`,
		Example: `  gabion decisions delete --ip 192.0.2.1
  gabion decisions delete --id 42
  gabion decisions delete --all`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			switch {
			case ip != "":
				set(query, "ip", ip)
			case prefix != "":
				set(query, "range", prefix)
			case cmd.Flags().Changed("id") && id == 0:
				return usagef("no decision has the id 0: 'gabion decisions list' shows the ids")
			case id == 0 && !all:
				return usagef("nothing to delete: give --ip, --range, --id or --all")
			}
			return a.deleteDecisions(cmd.Context(), id, query)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&ip, "ip", "i", "", "end every decision that covers this address")
	flags.StringVarP(&prefix, "range", "r", "", "end every decision that covers this prefix")
	flags.Uint64Var(&id, "id", 0, "end the decision with this id")
	flags.BoolVar(&all, "all", false, "end all decisions")
	cmd.MarkFlagsMutuallyExclusive("ip", "range", "id", "all")
	return cmd
}

func (a *app) deleteDecisions(ctx context.Context, id uint64, query url.Values) error {
	var n int
	err := a.edit(ctx, func(c *client.Client) (err error) {
		if id != 0 {
			n, err = c.DeleteDecision(ctx, id)
		} else {
			n, err = c.DeleteDecisions(ctx, query)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.showCount(n, "deleted", "decision")
}

// showCount reports how many things a command changed.
func (a *app) showCount(n int, verb, noun string) error {
	return a.show(map[string]int{verb: n}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s.\n", plural(n, noun), verb)
		return err
	})
}

func decisionType(d client.Decision) string {
	switch {
	case d.AllowedBy != "":
		return d.Type + " (allowed)"
	case d.Simulated != nil && *d.Simulated:
		return d.Type + " (simulated)"
	}
	return d.Type
}

func hits(n *uint64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatUint(*n, 10)
}

// set adds a query parameter unless it is empty.
func set(q url.Values, key, value string) {
	if value = strings.TrimSpace(value); value != "" {
		q.Set(key, value)
	}
}
