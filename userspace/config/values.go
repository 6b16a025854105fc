package config

import (
	"fmt"
	"log/slog"
	"net/netip"

	"gabion/userspace/decision"
	"gabion/userspace/yamlpos"
)

// Mode says how interfaces are protected.
type Mode string

// Modes. Auto tries native XDP, then generic XDP, then tc; Off runs detection without a kernel side.
const (
	ModeAuto    Mode = "auto"
	ModeNative  Mode = "native"
	ModeGeneric Mode = "generic"
	ModeTC      Mode = "tc"
	ModeOff     Mode = "off"
)

// DecodeText implements yamlpos.TextDecoder. A YAML 1.1 "off" is a boolean, but its text is kept.
func (m *Mode) DecodeText(t yamlpos.Text) error {
	switch v := Mode(t.Text); v {
	case ModeAuto, ModeNative, ModeGeneric, ModeTC, ModeOff:
		*m = v
		return nil
	}
	return fmt.Errorf("unknown mode %q: use auto, native, generic, tc or off", t.Text)
}

// Level is a log level.
type Level string

// DecodeText implements yamlpos.TextDecoder.
func (l *Level) DecodeText(t yamlpos.Text) error {
	switch t.Text {
	case "debug", "info", "warn", "error":
		*l = Level(t.Text)
		return nil
	}
	return fmt.Errorf("unknown log level %q: use debug, info, warn or error", t.Text)
}

// Slog returns the level as slog has it.
func (l Level) Slog() slog.Level {
	switch l {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Format is the format of log messages: text or json.
type Format string

// DecodeText implements yamlpos.TextDecoder.
func (f *Format) DecodeText(t yamlpos.Text) error {
	if t.Text != "text" && t.Text != "json" {
		return fmt.Errorf("unknown log format %q: use text or json", t.Text)
	}
	*f = Format(t.Text)
	return nil
}

// Prefix is an address or a prefix.
type Prefix struct{ netip.Prefix }

// DecodeText implements yamlpos.TextDecoder.
func (p *Prefix) DecodeText(t yamlpos.Text) error {
	v, err := decision.ParsePrefix(t.Text)
	if err != nil {
		return err
	}
	if v.Bits() == 0 {
		return fmt.Errorf("%s covers every address: nothing could be banned", t.Text)
	}
	p.Prefix = v
	return nil
}
