package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/client"
)

func newMetricsCommand(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "metrics [WORD]",
		Short: "Show the daemon's counters, all or those whose name contains WORD",
		Example: `  gabion metrics
  gabion metrics kernel --all
  gabion metrics -o json`,
		Args: maxOneArg("a word of the metric's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Metrics(cmd.Context())
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(m client.Metric) bool {
				return len(args) == 1 && !strings.Contains(m.Name, args[0])
			})
			if list == nil {
				list = []client.Metric{}
			}
			own := "gabion_"
			if all || len(args) == 1 {
				own = ""
			}
			return a.show(list, func(w io.Writer) error { return printMetrics(w, list, own, all) })
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also those that are zero, and those of the Go runtime")
	return cmd
}

// printMetrics leaves out zeros unless all are wanted, and names that do not begin with prefix.
func printMetrics(w io.Writer, list []client.Metric, prefix string, all bool) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No metric has that word in its name; 'gabion metrics --all' shows those there are.")
		return err
	}
	var rows [][]string
	for _, m := range list {
		if m.Value == 0 && !all || !strings.HasPrefix(m.Name, prefix) {
			continue
		}
		rows = append(rows, []string{m.Name + labelText(m.Labels), number(m.Value), m.Help})
	}
	return table(w, "No counters above zero; --all shows the others.", []string{"METRIC", "VALUE", "MEANING"}, rows)
}

// labelText prints labels as Prometheus does: {kind="tcp"}.
func labelText(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	var parts []string
	for k, v := range labels {
		parts = append(parts, k+"="+strconv.Quote(v))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
