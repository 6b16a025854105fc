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
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run the daemon: read logs and kernel events, ban attackers, drop them in the kernel.

Without a file it protects the interfaces of the default route and reads the log files
it finds. SIGHUP reloads rules, profiles and allowlist; SIGTERM stops it, and what is
banned stays banned until its time is up.`,
		Example: `  gabion run
  gabion run -c /etc/gabion/gabion.yaml
  gabion run -t                        check configuration, rules and profiles`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(a.config)
			if err != nil {
				return err
			}
			if test {
				return a.testConfig(cfg)
			}
			return a.runDaemon(cmd.Context(), cfg)
		},
	}
	cmd.Flags().BoolVarP(&test, "test", "t", false, "check everything the daemon would load, then exit")
	return cmd
}

// testConfig loads what the daemon would load and prints every fault.
func (a *app) testConfig(cfg *config.Config) error {
	summary, err := daemon.Check(cfg, logger(io.Discard, cfg.Log), a.now)
	if err != nil {
		return err
	}
	return a.show(summary, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, %s, %s: no errors.\n", orText(cfg.File, "built-in defaults"),
			plural(summary.Sources, "source"), plural(summary.Scenarios, "scenario"), plural(summary.Profiles, "profile"))
		return err
	})
}

func (a *app) runDaemon(ctx context.Context, cfg *config.Config) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	return daemon.Run(ctx, daemon.Options{
		Config:  cfg,
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
