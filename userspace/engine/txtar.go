package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"gabion/userspace/decision"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
)

// wantFile is the file of a rule test that holds the expected lines.
const wantFile = "want"

// RunTxtar runs a rule test: the comment of the archive says what it shows and, in a line such as
// "type: syslog", what its logs are; every file but "want" is a log. The logs are replayed in the
// order of the archive, and what DecisionLines gives for each alert is compared with the lines of "want". A
// line of "want" that leaves out the time fits at any time.
//
// It returns how the results differ, "" when they do not. Undated lines happen at now.
func RunTxtar(ctx context.Context, set *rules.Set, profiles *profile.Profiles, data []byte, now time.Time) (diff string, err error) {
	archive := txtar.Parse(data)
	typ, err := logType(archive)
	if err != nil {
		return "", err
	}
	var want, got []string
	var log bytes.Buffer
	found := false
	for _, f := range archive.Files {
		if f.Name != wantFile {
			log.Write(f.Data)
			continue
		}
		found = true
		for line := range strings.Lines(string(f.Data)) {
			if line = strings.TrimSpace(line); line != "" {
				want = append(want, line)
			}
		}
	}
	if !found {
		return "", fmt.Errorf("run rule test: no file %q: add what is expected", wantFile)
	}
	for alert, err := range Replay(ctx, set, profiles, &log, ReplayOptions{Type: typ, File: archive.Files[0].Name, Now: now}) {
		if err != nil {
			return "", err
		}
		got = append(got, DecisionLines(alert)...)
	}
	return difference(want, got), nil
}

// logType returns the type of the logs of a rule test.
func logType(archive *txtar.Archive) (string, error) {
	for line := range strings.Lines(string(archive.Comment)) {
		if typ, ok := strings.CutPrefix(strings.TrimSpace(line), "type:"); ok {
			return strings.TrimSpace(typ), nil
		}
	}
	return "", errors.New(`run rule test: the comment has no line such as "type: syslog"`)
}

// DecisionLines returns one line for each decision of an alert: when it was taken, what it does, to whom,
// for how long and why, as in "14:10:26 ban 192.0.2.1 4h gabion/ssh-bruteforce". An alert without
// decisions gives one line, as in "14:10:26 alert root gabion/user-watch".
func DecisionLines(a *decision.Alert) []string {
	at := a.StopAt.UTC().Format(time.TimeOnly)
	if len(a.Decisions) == 0 {
		return []string{fmt.Sprintf("%s alert %s %s", at, a.GetValue(), a.Scenario)}
	}
	var out []string
	for _, d := range a.Decisions {
		out = append(out, fmt.Sprintf("%s %s %s %s %s", at, d.Type, d.Value, shortDuration(d.Duration), d.Scenario))
	}
	return out
}

// shortDuration is Go's form of a duration without units that are zero: 4h, 1h30m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// difference lists what is missing (-) and what was not expected (+), or "".
func difference(want, got []string) string {
	if slices.EqualFunc(want, got, fits) {
		return ""
	}
	var out strings.Builder
	rest := slices.Clone(got)
	for _, w := range want {
		if i := slices.IndexFunc(rest, func(g string) bool { return fits(w, g) }); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		fmt.Fprintf(&out, "- %s\n", w)
	}
	for _, g := range rest {
		fmt.Fprintf(&out, "+ %s\n", g)
	}
	if out.Len() == 0 {
		fmt.Fprintf(&out, "in another order:\n%s\n", strings.Join(got, "\n"))
	}
	return out.String()
}

// fits reports whether a result is what a line of "want" says, with or without its time.
func fits(want, got string) bool {
	_, untimed, _ := strings.Cut(got, " ")
	return want == got || want == untimed
}
