package journald

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// selecting are the options of journalctl that select entries, with a value or without. Those that
// change the output, the place in the journal, or the journal itself are ours or nobody's.
var (
	selectingWithValue = []string{
		"-u", "--unit", "--user-unit", "-t", "--identifier", "-p", "--priority", "--facility", "-g", "--grep",
		"-M", "--machine", "-D", "--directory", "--file", "--root", "--image", "--namespace",
		"-T", "--exclude-identifier",
	}
	selecting = []string{"-k", "--dmesg", "-m", "--merge", "--system", "--user", "-b", "--boot", "--case-sensitive"}
)

// CheckFilter checks arguments that are to select journal entries. With an error it returns the
// index of the argument at fault.
func CheckFilter(args []string) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("empty filter: name what to follow, such as _SYSTEMD_UNIT=ssh.service")
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, _, hasValue := strings.Cut(arg, "=")
		switch {
		case strings.ContainsRune(arg, 0):
			return i, errors.New("argument holds a NUL byte")
		case arg == "+" || strings.HasPrefix(arg, "/"):
		case !strings.HasPrefix(arg, "-"):
			if !hasValue || !isFieldName(name) {
				return i, fmt.Errorf("%q is no match: write FIELD=value, such as _SYSTEMD_UNIT=ssh.service", arg)
			}
		case slices.Contains(selecting, name):
		case slices.Contains(selectingWithValue, name):
			if !hasValue {
				if i++; i == len(args) {
					return i - 1, fmt.Errorf("option %s lacks its value", arg)
				}
			}
		case len(arg) > 2 && arg[1] != '-' && slices.Contains(selectingWithValue, arg[:2]):
		default:
			return i, fmt.Errorf("option %s of journalctl does not select entries and is not allowed here", arg)
		}
	}
	return 0, nil
}

// isFieldName reports whether a name can be that of a journal field.
func isFieldName(name string) bool {
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}
