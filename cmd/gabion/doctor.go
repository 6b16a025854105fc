package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gabion/loader/doctor"
	"gabion/userspace/config"
	"gabion/userspace/daemon"
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
			out = append(out, doctor.Finding{Level: doctor.LevelWarn, Subject: "interfaces", Detail: err.Error(), Advice: "name interfaces in the configuration"})
		}
		ifaces = names
	}
	return append(out, doctor.Examine(ifaces, orText(pins, cfg.Kernel.PinDir))...)
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
	docs, err := daemon.SourceDocs(cfg)
	if err != nil {
		return []doctor.Finding{{Level: doctor.LevelFail, Subject: "sources", Detail: err.Error(), Advice: "correct the configuration"}}
	}
	var out []doctor.Finding
	for _, doc := range docs {
		var keys map[string]any
		if doc.Decode(&keys) != nil {
			continue // checkConfig says so
		}
		for _, pattern := range patterns(keys) {
			out = append(out, checkLog(pattern))
		}
	}
	return out
}

// patterns returns the file names of a source, none for other kinds.
func patterns(keys map[string]any) []string {
	var out []string
	if s, ok := keys["filename"].(string); ok {
		out = append(out, s)
	}
	list, _ := keys["filenames"].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func checkLog(pattern string) doctor.Finding {
	subject := "log " + pattern
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return doctor.Finding{
			Level: doctor.LevelWarn, Subject: subject, Detail: "no such file",
			Advice: "it is read as soon as it appears; if it never will, take it out of the configuration",
		}
	}
	var bad []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		_ = f.Close()
	}
	if len(bad) > 0 {
		return doctor.Finding{
			Level: doctor.LevelFail, Subject: subject, Detail: strings.Join(bad, "; "),
			Advice: "let the user that runs gabion read it (root, or the group adm)",
		}
	}
	return doctor.Finding{Level: doctor.LevelOK, Subject: subject, Detail: plural(len(files), "file") + " readable"}
}

func printFindings(w io.Writer, findings []doctor.Finding) error {
	for _, f := range findings {
		fmt.Fprintf(w, "%-4s  %s: %s\n", f.Level, printable(f.Subject, oneLine), printable(f.Detail, keepLines))
		if f.Advice != "" {
			fmt.Fprintf(w, "      -> %s\n", printable(f.Advice, keepLines))
		}
	}
	return nil
}
