// Package scenarios embeds the parsers and scenarios that gabion ships, one directory per service.
//
// A directory holds parser.yaml (how its log lines are read), one file per scenario, a README and
// txtar files: log lines in, decisions out. The base directory holds what every service needs:
// the syslog envelope and dates.
package scenarios

import (
	"embed"
	"io/fs"
)

//go:embed base ssh nginx kernel
var content embed.FS

// FS returns the shipped rule files. They cannot be changed.
func FS() fs.FS { return content }
