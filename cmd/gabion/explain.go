package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/explain"
)

// explainFlags are the flags of gabion explain.
type explainFlags struct {
	ruleFlags
	all, failing, live bool
	only               string
}

func newExplainCommand(a *app) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain --type TYPE LINE|FILE|-",
		Short: "Say what the rules make of a log line: what parsers set, which scenarios count it and why not",
		Long: `Say what the rules make of a log line, or of each line of a file: which parsers take it and
what they set, which scenarios count it and why the others do not, how full their buckets
are, what overflows and which decisions follow. Nothing is banned and no daemon is needed.

Lines are taken one after the other, so buckets fill as they would in a daemon. They happen
at the time that they say; with --live, now.

Marks: + took the line, - did not. Parsers and scenarios that a line is not for are only
counted; --all lists them, each with the part of its filter that is not true.`,
		Example: `  gabion explain --type syslog 'Feb 12 14:10:10 h sshd[1]: Invalid user a from 192.0.2.1 port 1'
  gabion explain --type nginx --rules ./my-rules access.log     every line of a file
  gabion explain --type syslog --rule my/scenario auth.log      why does this rule not see it?
  journalctl -o short -u ssh -n 1 | gabion explain --type syslog --all -`,
		Args: oneArg("a log line, a file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.explain(cmd.Context(), &f, args[0]) },
	}
	f.register(a, cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&f.all, "all", "a", false, "also parsers and scenarios that a line is not for, and why")
	flags.BoolVarP(&f.failing, "verbose", "v", false, "also patterns that do not match")
	flags.StringVar(&f.only, "rule", "", "only what this parser or scenario makes of it, and why not")
	flags.BoolVar(&f.live, "live", false, "lines happen now, as in a daemon, and not at the time they say")
	return cmd
}

func (a *app) explain(ctx context.Context, f *explainFlags, what string) error {
	in, name, err := a.lines(what)
	if err != nil {
		return err
	}
	defer in.Close()
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	book, labels, err := f.load(a, log)
	if err != nil {
		return err
	}
	x := explain.New(explain.Config{
		Rules: book.Rules, Profiles: book.Profiles, Compiler: book.Compiler, Now: a.now, Log: log,
		Labels: labels, File: name, Live: f.live, All: f.all || f.only != "", Stuck: f.failing || f.only != "",
	})
	defer x.Close()
	if f.only != "" && !x.Has(f.only) {
		return fmt.Errorf("no parser or scenario is called %s: see 'gabion rules list'", f.only)
	}
	totals := map[explain.Outcome]int{}
	lines, overflows := 0, 0
	for line, err := range x.Lines(in) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if f.only != "" {
			line.Only(f.only)
		}
		if err := a.showLine(line, f.failing || f.only != ""); err != nil {
			return err
		}
		lines++
		totals[line.Outcome]++
		overflows += len(line.Overflows)
	}
	if lines == 0 {
		return errors.New("there is no line to explain")
	}
	if lines > 1 && a.output == outputHuman {
		fmt.Fprintf(a.stdout, "%s: %d parsed, %d not, %d whitelisted; %s.\n", plural(lines, "line"),
			totals[explain.Parsed], totals[explain.Unparsed], totals[explain.Whitelisted], plural(overflows, "overflow"))
	}
	return nil
}

// showLine prints one line's explanation: as text, or as one JSON object on a line of its own.
func (a *app) showLine(line *explain.Line, failing bool) error {
	if a.output == outputJSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(line)
	}
	detail := explain.Brief
	if failing {
		detail = explain.Failing
	}
	var text bytes.Buffer
	if err := line.WriteText(&text, detail); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.stdout, printable(text.String(), keepLines))
	return err
}

// lines opens what an argument means: standard input, a file, or the line that it is. The name is
// that which rules see.
func (a *app) lines(what string) (in io.ReadCloser, name string, err error) {
	looksLikeLine := strings.ContainsAny(what, " \t{")
	if _, err := os.Stat(what); what != "-" && err != nil && looksLikeLine {
		return io.NopCloser(strings.NewReader(what)), "-", nil
	} else if what != "-" && errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("there is no file %s, and a log line would hold blanks", what)
	}
	log, err := newLogInput(a, []string{what})
	if err != nil {
		return nil, "", err
	}
	log.wanted = false // what is explained shows how far it is
	return log, what, nil
}
