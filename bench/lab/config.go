package lab

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// The lab's limits. Per source: far above what log attacks and browsing open, far below a flood. Per
// port: above what all attacks and the client open, far below what made-up sources send.
const (
	floodLimit    = 50
	floodWindow   = 500 * time.Millisecond
	spoofedLimit  = 1000
	spoofedWindow = 500 * time.Millisecond
)

// files are the paths that the daemon and the lab share.
type files struct {
	config, state, socket, key string
	rules, meter               string // the folder of the lab's own rules, and its file
	daemonLog, authLog, webLog string
}

func filesIn(dir string) files {
	state := filepath.Join(dir, "state")
	return files{
		config: filepath.Join(dir, "gabion.yaml"), state: state,
		socket: filepath.Join(dir, "gabion.sock"), key: filepath.Join(state, "api.key"),
		rules: filepath.Join(dir, "rules"), meter: filepath.Join(dir, "rules", "syn-flood.yaml"),
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
rules: {embedded: true, dirs: [%q]}
api: {socket: %q, listen: "127.0.0.1:8480"}
kernel: {pin_dir: %q, mode: auto, connection_limit: {count: %d, window: %s}}
log: {level: info, format: text}
`, f.state, strings.Join(interfaces, ", "), f.authLog, f.webLog, f.rules, f.socket, pins, floodLimit, floodWindow)
}

// meterText returns the shipped meter of SYN floods with the lab's numbers.
func meterText() string {
	return fmt.Sprintf(`# Written by gabion lab: it replaces the shipped meter of this name.
type: meter
name: gabion/syn-flood
description: New TCP connections to one port, from everywhere
match: {protocol: tcp}
count: connections
per: port
limit: %d
window: %s
action: shed
spare: proven
`, spoofedLimit, spoofedWindow)
}
