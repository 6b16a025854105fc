package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gabion/bench/lab"
	"gabion/bench/lab/report"
)

// Attackers per attack and family: a few to watch, enough to measure.
const (
	labSources      = 3
	labCheckSources = 110
)

// labFlags are the flags of gabion lab.
type labFlags struct {
	check, json, shell, verbose bool
	chaos, keepLogs             string
	sources                     int
}

func newLabCommand(a *app) *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab [--shell [-- COMMAND ARGS...]]",
		Short: "Watch attacks being detected and dropped, in network namespaces of their own",
		Long: `Build a server, an attacker and a client in network namespaces, run the real daemon on
the server, attack it and show what happens: the first bad line, the ban, the dropped
packets, a flood from 100,000 made-up sources that is shed, and the client that notices
nothing. It touches no interface of this machine and leaves nothing behind. Needs root.`,
		Example: `  gabion lab                          watch
  gabion lab --check --json           measure and check; exit code 1 when something does not hold
  gabion lab --check --chaos kill     kill the daemon in mid-attack
  gabion lab --shell                  a shell on the server once the attackers are banned
  gabion lab --shell -- gabion verify 198.51.100.7`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !f.shell {
				return usagef("unknown argument %q: a command needs --shell -- in front", args[0])
			}
			return a.lab(cmd.Context(), f, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.check, "check", false, "check everything; exit code 1 and a line on stderr for each thing that does not hold")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON (same as -o json)")
	flags.StringVar(&f.chaos, "chaos", "", "what goes wrong meanwhile: kill (the daemon gets SIGKILL in mid-attack)")
	flags.BoolVar(&f.shell, "shell", false, "afterwards run a shell, or the command after --, in the server's namespace")
	flags.IntVar(&f.sources, "attack-sources", 0, fmt.Sprintf("attackers per attack and family, up to %d (default %d, with --check %d)", lab.MaxSources, labSources, labCheckSources))
	flags.StringVar(&f.keepLogs, "keep-logs", "", "copy the daemon's log, its configuration and the services' logs to this directory")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "tell of every attacker, not only of the first of each attack")
	return cmd
}

func (a *app) lab(ctx context.Context, f labFlags, command []string) error {
	if f.json {
		a.output = outputJSON
	}
	o, err := a.labOptions(f, command)
	if err != nil {
		return err
	}
	// SIGPIPE: whoever reads the timeline may stop reading (gabion lab | head).
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	rep, err := lab.Run(ctx, o)
	var exit *lab.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("lab: %w", err)
	}
	if len(command) == 0 {
		if printErr := a.printLab(rep); printErr != nil {
			return printErr
		}
	}
	failed := rep.Check()
	for _, e := range failed {
		fmt.Fprintf(a.stderr, "gabion: lab: %s\n", printable(e.Error(), keepLines))
	}
	if f.check && len(failed) > 0 {
		return errReported
	}
	return err
}

func (a *app) labOptions(f labFlags, command []string) (lab.Options, error) {
	if f.chaos != "" && f.chaos != "kill" {
		return lab.Options{}, usagef("unknown --chaos %q: use kill", f.chaos)
	}
	if f.sources == 0 {
		f.sources = labSources
		if f.check {
			f.sources = labCheckSources
		}
	}
	if f.sources < 1 || f.sources > lab.MaxSources {
		return lab.Options{}, usagef("--attack-sources %d: use 1 to %d", f.sources, lab.MaxSources)
	}
	self, err := os.Executable()
	if err != nil {
		return lab.Options{}, fmt.Errorf("find own program: %w", err)
	}
	o := lab.Options{Binary: self, Sources: f.sources, Chaos: f.chaos == "kill", Now: a.now, Timeline: a.labTimeline(f)}
	if f.keepLogs != "" {
		if o.KeepLogs, err = filepath.Abs(f.keepLogs); err != nil {
			return lab.Options{}, fmt.Errorf("keep logs: %w", err)
		}
	}
	if f.shell {
		o.Shell = &lab.Shell{Command: command, Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr}
	}
	return o, nil
}

// labTimeline prints moments: on stdout for people, on stderr when stdout is for a program and
// somebody still wants to watch.
func (a *app) labTimeline(f labFlags) func(lab.Moment) {
	w := a.stdout
	if a.output == outputJSON || f.shell {
		w = a.stderr
	}
	quiet := (a.output == outputJSON || f.shell && !a.terminal) && !f.verbose
	return func(m lab.Moment) {
		if quiet || m.Detail && !f.verbose {
			return
		}
		fmt.Fprintf(w, "%7.3fs  %-22s %s\n", m.At.Round(time.Millisecond).Seconds(), m.Who, printable(m.Text, oneLine))
	}
}

func (a *app) printLab(rep *report.Report) error {
	if a.output == outputHuman {
		return rep.Print(a.stdout)
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(rep); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
