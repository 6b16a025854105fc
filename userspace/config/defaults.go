package config

import (
	"fmt"
	"strings"

	"gabion/userspace/yamlpos"
)

// defaultLog is a place where log files are looked for when the file names no sources.
type defaultLog struct {
	pattern string
	exclude string
	typ     string
	journal bool // journald carries the same lines
}

func defaultLogs() []defaultLog {
	return []defaultLog{
		{pattern: "/var/log/auth.log", typ: "syslog", journal: true},
		{pattern: "/var/log/secure", typ: "syslog", journal: true},
		{pattern: "/var/log/nginx/*.log", exclude: `error\.log$`, typ: "nginx"},
	}
}

// DefaultSources returns the sources of a daemon whose file names none: log files in the usual
// places, journald where it is the only one that has the authentication log, and kernel events.
// matches says whether a pattern names a file; look says whether a program is installed.
func DefaultSources(matches, look func(string) bool) ([]*yamlpos.Document, error) {
	var b strings.Builder
	authLog := false
	for _, l := range defaultLogs() {
		if !matches(l.pattern) {
			continue
		}
		authLog = authLog || l.journal
		fmt.Fprintf(&b, "---\nsource: file\nfilenames: [%s]\nlabels: {type: %s}\n", l.pattern, l.typ)
		if l.exclude != "" {
			fmt.Fprintf(&b, "exclude_regexps: ['%s']\n", l.exclude)
		}
	}
	if !authLog && look("journalctl") {
		b.WriteString("---\nsource: journalctl\njournalctl_filter: [SYSLOG_FACILITY=4, SYSLOG_FACILITY=10]\nlabels: {type: syslog}\n")
	}
	b.WriteString("---\nsource: kernel\nlabels: {type: kernel}\n")
	return yamlpos.Parse("default sources", []byte(b.String()))
}
