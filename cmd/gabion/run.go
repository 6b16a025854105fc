package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"gabion/userspace/config"
	"gabion/userspace/daemon"
)

func newRunCommand(a *app) *cobra.Command {
	var test bool
	var interfaces []string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run the daemon: read logs and kernel events, ban attackers, drop them in the kernel.

Without a file it protects the interfaces of the default route and reads the log files
it finds. SIGHUP reloads rules, profiles and allowlist; SIGTERM stops it, and what is
banned stays banned until its time is up.`,
		Example: `  gabion run
  gabion run -c /etc/gabion/gabion.yaml
  gabion run --interface eth0          protect this one, whatever the file says
  gabion run -t                        check configuration, rules and profiles`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (*config.Config, error) { return loadOver(a.config, interfaces) }
			if test {
				return a.testConfig(load)
			}
			return a.runDaemon(cmd.Context(), load)
		},
	}
	cmd.Flags().BoolVarP(&test, "test", "t", false, "check everything the daemon would load, then exit")
	cmd.Flags().StringArrayVarP(&interfaces, "interface", "i", nil, "interface to protect, may be given again (default those of the file, then of the default route)")
	return cmd
}

// loadOver reads the file at path and puts the interfaces, if any are given, in place of its own.
func loadOver(path string, interfaces []string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil || len(interfaces) == 0 {
		return cfg, err
	}
	if err := config.CheckInterfaces(interfaces); err != nil {
		return nil, usageError{fmt.Errorf("--interface: %w", err)}
	}
	cfg.Interfaces = interfaces
	return cfg, nil
}

// testConfig loads what the daemon would load and prints every fault.
func (a *app) testConfig(load func() (*config.Config, error)) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	summary, err := daemon.Check(cfg, logger(io.Discard, cfg.Log), a.now)
	if err != nil {
		return err
	}
	return a.show(summary, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, %s, %s, %s: no errors.\n", orText(cfg.File, "built-in defaults"),
			plural(summary.Sources, "source"), plural(summary.Scenarios, "scenario"), plural(summary.Meters, "meter"), plural(summary.Profiles, "profile"))
		return err
	})
}

func (a *app) runDaemon(ctx context.Context, load func() (*config.Config, error)) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	return daemon.Run(ctx, daemon.Options{
		Config:  cfg,
		Load:    load,
		Version: versionText(),
		Hangup:  hangup,
		Now:     a.now,
		Log:     logger(a.stderr, cfg.Log),
	})
}

func logger(w io.Writer, l config.Log) *slog.Logger {
	opts := &slog.HandlerOptions{Level: l.Level.Slog()}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
