package kinds

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/source/file"
	"gabion/userspace/source/kernel"
	"gabion/userspace/yamlpos"
)

func TestASourceIsMadeOfItsYAML(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"a file", "source: file\nfilename: /var/log/auth.log\nlabels: {type: syslog}\n", "file:/var/log/auth.log"},
		{"files without their kind", "filenames: [/var/log/nginx/*.log, /var/log/a.log]\nlabels: {type: nginx}\n", "file:/var/log/nginx/*.log,/var/log/a.log"},
		{"a file with every key", `source: file
name: web
mode: tail
filenames: [/var/log/nginx/*.log]
exclude_regexps: ['\.gz$']
poll_without_inotify: yes
max_buffer_size: 1000
from: start
poll_interval: 2s
max_files: 10
force_inotify: true
discovery_poll_enable: true
discovery_poll_interval: 30s
labels: {type: nginx, external_format: json}
`, "file:/var/log/nginx/*.log"},
		{"the journal", "journalctl_filter: [_SYSTEMD_UNIT=ssh.service, -u, nginx]\nlabels:\n  type: syslog\n", "journalctl-_SYSTEMD_UNIT=ssh.service.-u.nginx"},
		{"the kernel", "source: kernel\n", "kernel"},
		{"the kernel with labels", "source: kernel\nlabels: {type: kernel, host: a}\n", "kernel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Decode(mustParse(t, tt.yaml), Deps{
				StateDir: t.TempDir(), Offsets: file.NewOffsets(""), Now: func() time.Time { return time.Time{} },
				KernelEvents: func(context.Context, func(kernel.Event)) error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			if s.String() != tt.want {
				t.Errorf("source is %s, want %s", s, tt.want)
			}
			if err := Check(mustParse(t, tt.yaml)); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func TestEverythingWrongWithASourceIsSaidWithItsPlace(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"an unknown kind", "source: journald\n", `f.yaml:1:9: unknown source "journald": did you mean "journalctl"? There are file, journalctl, kernel`},
		{"a kind unlike any", "source: kinesis\n", `f.yaml:1:9: unknown source "kinesis": there are file, journalctl, kernel`},
		{"no kind", "labels: {type: syslog}\n", `f.yaml:1:1: the source does not say of which kind it is: write source: and one of file, journalctl, kernel`},
		{"no type", "source: file\nfilename: /a\nlabels: {program: x}\n", `f.yaml:3:1: label "type" is missing: it says which parsers read the lines, for example labels: {type: syslog}`},
		{"no file", "source: file\nlabels: {type: a}\n", `f.yaml:1:1: no file to follow: name some under filenames`},
		{"many things at once", "source: file\nfilenams: [/a]\nfilenames: [\"/b/[\"]\nexclude_regexps: [\"(\"]\nfrom: middle\nmode: cat\nmax_files: -1\n",
			`f.yaml:1:1: label "type" is missing: it says which parsers read the lines, for example labels: {type: syslog}
f.yaml:2:1: unknown key "filenams": did you mean "filename"?
f.yaml:3:14: bad pattern "/b/[": write a path, with *, ? and [abc] for what varies
f.yaml:4:20: bad regular expression: error parsing regexp: missing closing ): ` + "`(`" + `
f.yaml:5:7: from is "middle", want end or start
f.yaml:6:7: mode "cat" is not supported: a source is followed (tail); a finished log is read with gabion replay
f.yaml:7:1: max_files is negative`},
		{"an option that does not select", "journalctl_filter:\n  - -u\n  - ssh\n  - --vacuum-size=1\nlabels: {type: syslog}\n",
			`f.yaml:4:5: option --vacuum-size=1 of journalctl does not select entries and is not allowed here`},
		{"an empty filter", "journalctl_filter: []\nlabels: {type: syslog}\n",
			`f.yaml:1:1: empty filter: name what to follow, such as _SYSTEMD_UNIT=ssh.service`},
		{"another type of the kernel", "source: kernel\nlabels: {type: syslog}\n", `f.yaml:2:1: label "type" of a kernel source is always kernel`},
		{"no mapping", "- a\n", `f.yaml:1:1: want a mapping, found a list`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Check(mustParse(t, tt.yaml))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("error differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKernelSourceNeedsADataPlane(t *testing.T) {
	_, err := Decode(mustParse(t, "source: kernel\n"), Deps{})
	if err == nil || !strings.Contains(err.Error(), "f.yaml:1:1: no stream of kernel events") {
		t.Errorf("error %v", err)
	}
}

func mustParse(t *testing.T, text string) *yamlpos.Document {
	t.Helper()
	docs, err := yamlpos.Parse("f.yaml", []byte(text))
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, error %v", len(docs), err)
	}
	return docs[0]
}
