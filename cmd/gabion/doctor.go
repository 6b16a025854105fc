package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gabion/loader/doctor"
	"gabion/userspace/config"
	"gabion/userspace/daemon"
	"gabion/userspace/daemon/inputs"
)

func newDoctorCommand(a *app) *cobra.Command {
	var pins string
	cmd := &cobra.Command{
		Use:   "doctor [INTERFACE...]",
		Short: "Check this machine: kernel, drivers, state directory, log files, configuration",
		Long: `Check this machine and say for each finding what to do. It changes nothing. Without
arguments it looks at the interfaces of the configuration, or of the default route.
The exit code is 1 when something does not work.`,
		Example: `  gabion doctor
  gabion doctor eth0 -o json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			findings := a.examine(args, pins)
			err := a.show(findings, func(w io.Writer) error { return printFindings(w, findings) })
			if err != nil {
				return err
			}
			for _, f := range findings {
				if f.Level == doctor.LevelFail {
					return errReported
				}
			}
			return nil
		},
	}
	pinDirFlag(cmd, &pins)
	return cmd
}

// examine looks at the configuration first: the rest depends on it.
func (a *app) examine(ifaces []string, pins string) []doctor.Finding {
	cfg, err := config.Load(a.config)
	if err != nil {
		f := doctor.Finding{Level: doctor.LevelFail, Subject: "configuration", Detail: err.Error(), Advice: "correct the file; the checks below use the defaults"}
		cfg = config.Default()
		return append([]doctor.Finding{f}, a.examineWith(cfg, ifaces, pins)...)
	}
	return a.examineWith(cfg, ifaces, pins)
}

func (a *app) examineWith(cfg *config.Config, ifaces []string, pins string) []doctor.Finding {
	out := []doctor.Finding{a.checkConfig(cfg), checkStateDir(cfg.StateDir)}
	out = append(out, checkLogs(cfg)...)
	if len(ifaces) == 0 {
		names, err := daemon.Interfaces(cfg)
		if err != nil {
			out = append(out, doctor.Finding{Level: doctor.LevelWarn, Subject: "interfaces", Detail: err.Error()})
		}
		ifaces = names
	}
	out = append(out, doctor.Examine(ifaces, orText(pins, cfg.Kernel.PinDir))...)
	return append(out, doctor.CheckClosing(cfg.Kernel.CloseConnections))
}

func (a *app) checkConfig(cfg *config.Config) doctor.Finding {
	subject := "configuration"
	summary, err := daemon.Check(cfg, slog.New(slog.DiscardHandler), a.now)
	if err != nil {
		return doctor.Finding{Level: doctor.LevelFail, Subject: subject, Detail: err.Error(), Advice: "correct the places named; 'gabion run -t' checks again"}
	}
	return doctor.Finding{Level: doctor.LevelOK, Subject: subject, Detail: fmt.Sprintf("%s: %s, %s",
		orText(cfg.File, "built-in defaults"), plural(summary.Sources, "source"), plural(summary.Scenarios, "scenario"))}
}

// checkStateDir says whether the state directory, or the nearest folder above it that exists, can
// be written.
func checkStateDir(dir string) doctor.Finding {
	subject := "state directory"
	at := dir
	for at != "/" {
		if _, err := os.Stat(at); err == nil {
			break
		}
		at = filepath.Dir(at)
	}
	f, err := os.CreateTemp(at, ".gabion-doctor-*")
	if err != nil {
		return doctor.Finding{
			Level: doctor.LevelFail, Subject: subject, Detail: fmt.Sprintf("%s cannot be written: %v", dir, err),
			Advice: "make it writable for the user that runs gabion, or set state_dir; until then nothing is recorded",
		}
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	return doctor.Finding{Level: doctor.LevelOK, Subject: subject, Detail: dir}
}

// checkLogs says of every log file that the sources name whether it can be read.
func checkLogs(cfg *config.Config) []doctor.Finding {
	logs, err := inputs.Logs(cfg)
	if err != nil {
		return []doctor.Finding{{Level: doctor.LevelFail, Subject: "sources", Detail: err.Error(), Advice: "correct the configuration"}}
	}
	var out []doctor.Finding
	for _, l := range logs {
		f := doctor.Finding{Level: doctor.LevelOK, Subject: "log " + l.Pattern, Detail: plural(l.Count, "file") + " readable"}
		switch {
		case errors.Is(l.Err, inputs.ErrNoLog):
			f.Level, f.Detail = doctor.LevelWarn, l.Err.Error()
		case l.Err != nil:
			f.Level, f.Detail = doctor.LevelFail, l.Err.Error()
		}
		out = append(out, f)
	}
	return out
}

func printFindings(w io.Writer, findings []doctor.Finding) error {
	for _, f := range findings {
		fmt.Fprintf(w, "%-7s  %s: %s\n", f.Level, printable(f.Subject, oneLine), printable(f.Detail, keepLines))
		if f.Advice != "" {
			fmt.Fprintf(w, "         -> %s\n", printable(f.Advice, keepLines))
		}
	}
	return nil
}
