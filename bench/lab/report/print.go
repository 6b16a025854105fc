package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ATTACK\tFAMILY\tBANNED\tLINE TO DROP p50 / p99 / max\tDROPPED\tLEAKED AFTER BAN\tSCENARIOS")
	for _, a := range r.Attacks {
		fmt.Fprintf(tw, "%s\t%s\t%d of %d\t%s\t%d\t%d\t%s\n", a.Name, a.Family, a.BannedSources, a.Sources,
			a.timesText(), a.DroppedPackets, a.LeakedAfterBan, strings.Join(a.Scenarios, ", "))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe client asked for %d pages meanwhile and did not get %d of them", r.Client.Requests, r.Client.Failed)
	if d := r.Client.LatencyMS; d != nil {
		fmt.Fprintf(w, " (p50 %s ms, p99 %s ms)", short(d.P50), short(d.P99))
	}
	fmt.Fprintf(w, ".\nXDP mode: %s. Left behind: %s.\n", r.XDPMode, leftText(r))
	if f := r.SYNFlood; f != nil {
		fmt.Fprintf(w, "Made-up sources: %d, %.0f SYNs a second; %d of %d shed in the kernel, %d bans; the client's pages took %s ms meanwhile, %s ms before (median).\n",
			f.Sources, f.Rate, f.Shed, f.Sent, f.Bans, median(f.Flood), median(f.Calm))
	}
	if c := r.Chaos; c != nil {
		fmt.Fprintf(w, "The daemon was dead for %s ms: %d packets dropped meanwhile, short ban expired on time: %t; afterwards %d of %d bans in place (%d restored, %d adopted).\n",
			short(c.DeadMS), c.DroppedWhileDead, c.ExpiredWhileDead, c.BannedAfter, c.BannedBefore, c.Restored, c.Adopted)
	}
	_, err := fmt.Fprint(w, `
To protect a real interface of this machine:  make run IFACE=eth0
To look around inside the lab:                gabion lab --shell
`)
	return err
}

func (a Attack) timesText() string {
	d, suffix := a.LineToDropMS, ""
	if d == nil {
		d, suffix = a.EventsToDropMS, " (from connection)"
	}
	if d == nil {
		return "-"
	}
	return fmt.Sprintf("%s / %s / %s ms%s", short(d.P50), short(d.P99), short(d.Max), suffix)
}

func median(c Client) string {
	if c.LatencyMS == nil {
		return "no"
	}
	return short(c.LatencyMS.P50)
}

func leftText(r *Report) string {
	if r.Leftovers.Total() == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%+v", r.Leftovers)
}

func short(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
