package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
)

func newAlertsCommand(a *app) *cobra.Command {
	return group("alerts", "What was detected: list, inspect", "  gabion alerts list --since 24h",
		newAlertsList(a), newAlertsInspect(a))
}

func newAlertsList(a *app) *cobra.Command {
	var ip, scenario, since string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List alerts, latest first",
		Example: `  gabion alerts list
  gabion alerts list --ip 192.0.2.1 --since 7d -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d: give a number of alerts, or 0 for all", limit)
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			set(query, "ip", ip)
			set(query, "scenario", scenario)
			set(query, "since", since)
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Alerts(cmd.Context(), query)
			if err != nil {
				return err
			}
			if list == nil {
				list = []client.Alert{}
			}
			return a.show(list, func(w io.Writer) error { return printAlerts(w, list) })
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&ip, "ip", "i", "", "only those with a decision that covers this address")
	flags.StringVarP(&scenario, "scenario", "s", "", "only those of this scenario")
	flags.StringVar(&since, "since", "", "only those younger than this: 4h, 7d")
	flags.IntVarP(&limit, "limit", "l", 50, "at most so many; 0 for all")
	return cmd
}

func printAlerts(w io.Writer, list []client.Alert) error {
	var rows [][]string
	for _, al := range list {
		rows = append(rows, []string{
			strconv.FormatInt(al.ID, 10), wireTime(al.CreatedAt), sourceName(al.Source), al.Scenario,
			strconv.Itoa(int(al.EventsCount)), decisionSummary(al.Decisions),
		})
	}
	return table(w, "No alerts.", []string{"ID", "TIME", "SOURCE", "SCENARIO", "EVENTS", "DECISIONS"}, rows)
}

func newAlertsInspect(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "inspect ID",
		Short:   "Show one alert with its log lines",
		Example: "  gabion alerts inspect 42",
		Args:    oneArg("the alert's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("%q is not an alert id: take one from 'gabion alerts list'", args[0])
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			al, err := c.Alert(cmd.Context(), id)
			var answer *client.Error
			if errors.As(err, &answer) && answer.Status == http.StatusNotFound {
				return fmt.Errorf("there is no alert %d on record: 'gabion alerts list' shows those there are", id)
			}
			if err != nil {
				return fmt.Errorf("inspect alert %d: %w", id, err)
			}
			return a.show(al, func(w io.Writer) error { return printAlert(w, al) })
		},
	}
}

func printAlert(w io.Writer, al *client.Alert) error {
	err := fields(w,
		"Alert", strconv.FormatInt(al.ID, 10),
		"Time", wireTime(al.CreatedAt),
		"Source", sourceName(al.Source),
		"Scenario", al.Scenario,
		"Message", al.Message,
		"Events", fmt.Sprintf("%d, from %s to %s", al.EventsCount, wireTime(al.StartAt), wireTime(al.StopAt)),
	)
	if err != nil {
		return err
	}
	for _, m := range al.Meta {
		fmt.Fprintf(w, "  %s = %s\n", printable(m.Key, oneLine), printable(m.Value, oneLine))
	}
	if len(al.Decisions) > 0 {
		fmt.Fprintln(w, "Decisions:")
	}
	for _, d := range al.Decisions {
		fmt.Fprintf(w, "  %d  %s %s, %s\n", d.ID, printable(decisionType(d), oneLine), printable(d.Value, oneLine), remaining(d))
	}
	if len(al.Events) > 0 {
		fmt.Fprintln(w, "Lines:")
	}
	for _, ev := range al.Events {
		fmt.Fprintf(w, "  %s\n", printable(eventLine(ev), oneLine))
	}
	return nil
}

// remaining says how long a decision still holds.
func remaining(d client.Decision) string {
	if left, err := time.ParseDuration(d.Duration); err == nil && left <= 0 {
		return "over"
	}
	return printable(d.Duration, oneLine) + " left"
}

// eventLine is the raw line of an event, or its metadata when there is no line.
func eventLine(ev client.Event) string {
	if ev.Line != "" {
		return ev.Line
	}
	parts := []string{ev.Timestamp}
	for _, m := range ev.Meta {
		parts = append(parts, m.Key+"="+m.Value)
	}
	return strings.Join(parts, " ")
}

func sourceName(s *client.Source) string {
	if s == nil {
		return "-"
	}
	return s.Scope + " " + s.Value
}

// decisionSummary counts the decisions of each type: "ban:1".
func decisionSummary(ds []client.Decision) string {
	if len(ds) == 0 {
		return "-"
	}
	var order []string
	count := map[string]int{}
	for _, d := range ds {
		name := decisionType(d)
		if count[name] == 0 {
			order = append(order, name)
		}
		count[name]++
	}
	for i, name := range order {
		order[i] = name + ":" + strconv.Itoa(count[name])
	}
	return strings.Join(order, " ")
}
