package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"gabion/loader"
	"gabion/userspace/client"
)

// Ports and sizes of verify.
const (
	probePort = 443
	maxProbes = 1000 // bans tested when no address is given
)

// verdict is what one test packet showed.
type verdict struct {
	Address  netip.Addr `json:"address"`
	Verdict  string     `json:"verdict"` // of the loaded program
	Reason   string     `json:"reason,omitempty"`
	Expected string     `json:"expected"` // by the desired set
	Because  string     `json:"because"`
	Agree    bool       `json:"agree"`
}

// verification is the result of a run.
type verification struct {
	Desired  string    `json:"desired"` // where the desired set came from: daemon or kernel
	Active   int       `json:"active"`  // bans in force
	Tested   int       `json:"tested"`
	Disagree int       `json:"disagree"`
	Results  []verdict `json:"results"` // all when one address was asked for, else those that disagree
}

func newVerifyCommand(a *app) *cobra.Command {
	var pins string
	cmd := &cobra.Command{
		Use:   "verify [ADDRESS]",
		Short: "Prove with a test packet that the kernel does what the decisions say",
		Long: `Prove that the kernel does what the decisions say: a packet from the address is run
through the loaded program, and its verdict is compared with that of the desired set.
Nothing is sent on any network; the counters count the packet like any other. Without
an address every active ban is tested, up to 1000 of them. The exit code is 1 when a
verdict differs.

Without a running daemon the desired set is what the kernel tables say.`,
		Example: `  gabion verify 192.0.2.1
  gabion verify
  gabion verify -o json`,
		Args: maxOneArg("an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var addr netip.Addr
			if len(args) == 1 {
				var err error
				if addr, err = parseAddr(args[0]); err != nil {
					return err
				}
			}
			return a.verify(cmd.Context(), addr, pins)
		},
	}
	pinDirFlag(cmd, &pins)
	return cmd
}

func (a *app) verify(ctx context.Context, addr netip.Addr, pins string) error {
	plane, want, err := a.desired(ctx, pins)
	if err != nil {
		return err
	}
	defer plane.Close()
	v := &verification{Desired: want.from, Active: len(want.prefixes), Results: []verdict{}}
	addrs := []netip.Addr{addr}
	if !addr.IsValid() {
		addrs = want.sample(maxProbes)
	}
	for _, at := range addrs {
		r, err := probe(plane, want, at)
		if err != nil {
			return err
		}
		v.Tested++
		if !r.Agree {
			v.Disagree++
		}
		if !r.Agree || addr.IsValid() {
			v.Results = append(v.Results, r)
		}
	}
	if err := a.show(v, func(w io.Writer) error { return printVerification(w, v, addr.IsValid()) }); err != nil {
		return err
	}
	if v.Disagree > 0 {
		return errReported
	}
	return nil
}

// desired opens the pins and finds the desired set: the daemon's, or without it the kernel's own.
func (a *app) desired(ctx context.Context, pins string) (*loader.Plane, *desiredSet, error) {
	c, err := a.client()
	if err != nil {
		return nil, nil, err
	}
	status, err := c.Status(ctx)
	if err == nil && pins == "" {
		if status.PinDir == "" {
			return nil, nil, errors.New("the daemon runs with kernel.mode off: nothing is enforced, so there is nothing to verify")
		}
		pins = status.PinDir
	}
	if err != nil && !errors.Is(err, client.ErrNotRunning) {
		return nil, nil, err
	}
	plane, _, openErr := a.openPins(pins)
	if openErr != nil {
		return nil, nil, openErr
	}
	var want *desiredSet
	if err == nil {
		want, err = desiredFromDaemon(ctx, c)
	} else {
		want, err = desiredFromKernel(plane, a.now())
	}
	if err != nil {
		return nil, nil, errors.Join(err, plane.Close())
	}
	return plane, want, nil
}

func probe(plane *loader.Plane, want *desiredSet, addr netip.Addr) (verdict, error) {
	frame, err := loader.ProbePacket(addr, netip.Addr{}, probePort)
	if err != nil {
		return verdict{}, err
	}
	got, err := plane.Verdict(frame)
	if err != nil {
		return verdict{}, err
	}
	expected, because := want.verdict(addr)
	return verdict{
		Address: addr, Verdict: got.Action, Reason: got.Reason,
		Expected: expected, Because: because, Agree: got.Action == expected,
	}, nil
}

func printVerification(w io.Writer, v *verification, one bool) error {
	if !one {
		fmt.Fprintf(w, "%d of %s tested: %d as decided, %d not.\n", v.Tested, plural(v.Active, "active ban"), v.Tested-v.Disagree, v.Disagree)
	}
	for _, r := range v.Results {
		mark := "agrees"
		if !r.Agree {
			mark = "DISAGREES"
		}
		reason := ""
		if r.Reason != "" {
			reason = " (" + r.Reason + ")"
		}
		fmt.Fprintf(w, "%s: the kernel says %s%s, the %s says %s (%s): %s\n", r.Address, r.Verdict, reason, v.Desired, r.Expected, r.Because, mark)
	}
	if v.Disagree > 0 {
		fmt.Fprintln(w, "The daemon repairs differences every minute; if they stay, see 'gabion status' and its log.")
	}
	return nil
}
