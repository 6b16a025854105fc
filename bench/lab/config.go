package lab

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// The lab's connection limit: far above what log attacks and browsing open, far below a flood.
const (
	floodLimit  = 50
	floodWindow = 500 * time.Millisecond
)

// files are the paths that the daemon and the lab share.
type files struct {
	config, state, socket, key string
	daemonLog, authLog, webLog string
}

func filesIn(dir string) files {
	state := filepath.Join(dir, "state")
	return files{
		config: filepath.Join(dir, "gabion.yaml"), state: state,
		socket: filepath.Join(dir, "gabion.sock"), key: filepath.Join(state, "api.key"),
		daemonLog: filepath.Join(dir, "daemon.log"),
		authLog:   filepath.Join(dir, "auth.log"), webLog: filepath.Join(dir, "access.log"),
	}
}

// configText returns the daemon's file.
func configText(f files, pins string, interfaces []string) string {
	return fmt.Sprintf(`# Written by gabion lab.
state_dir: %q
interfaces: [%s]
sources:
  - source: file
    filenames: [%q]
    labels: {type: syslog}
  - source: file
    filenames: [%q]
    labels: {type: nginx}
  - source: kernel
    labels: {type: kernel}
rules: {embedded: true, dirs: []}
api: {socket: %q, listen: "127.0.0.1:8480"}
kernel: {pin_dir: %q, mode: auto, connection_limit: {count: %d, window: %s}}
log: {level: info, format: text}
`, f.state, strings.Join(interfaces, ", "), f.authLog, f.webLog, f.socket, pins, floodLimit, floodWindow)
}
