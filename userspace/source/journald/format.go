package journald

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// fields are those of a journal entry that a line is made of. A value is a string, or an array of
// bytes when it is binary, or an array of these when the field is there several times, or null.
type fields struct {
	Cursor     string          `json:"__CURSOR"`
	Time       string          `json:"__REALTIME_TIMESTAMP"`
	Message    json.RawMessage `json:"MESSAGE"`
	Identifier json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	Command    json.RawMessage `json:"_COMM"`
	PID        json.RawMessage `json:"_PID"`
	SyslogPID  json.RawMessage `json:"SYSLOG_PID"`
	Host       json.RawMessage `json:"_HOSTNAME"`
}

// format makes a syslog line of the JSON text of an entry, as journalctl's short output would, but
// on one line whatever the message holds: nobody can forge a line of another program with a
// newline. The line is empty when the entry has no message.
func format(raw []byte, most int) (line, cursor string, cut bool, err error) {
	var f fields
	if err := json.Unmarshal(raw, &f); err != nil {
		return "", "", false, fmt.Errorf("decode journal entry: %w", err)
	}
	if !isCursor(f.Cursor) {
		return "", "", false, errors.New("journal entry has no cursor")
	}
	message := text(f.Message)
	if message == "" {
		return "", f.Cursor, false, nil
	}
	if cut = len(message) > most; cut {
		message = message[:most]
	}
	micros, err := strconv.ParseInt(f.Time, 10, 64)
	if err != nil {
		return "", "", false, fmt.Errorf("decode time of journal entry: %w", err)
	}
	var b strings.Builder
	b.WriteString(time.UnixMicro(micros).Format(time.Stamp))
	b.WriteByte(' ')
	b.WriteString(word(text(f.Host), "localhost"))
	b.WriteByte(' ')
	b.WriteString(word(text(f.Identifier), word(text(f.Command), "unknown")))
	if pid := word(text(f.PID), text(f.SyslogPID)); pid != "" {
		b.WriteString("[" + pid + "]")
	}
	b.WriteString(": ")
	b.WriteString(message)
	return strings.TrimRight(breaks.Replace(b.String()), " "), f.Cursor, cut, nil
}

var breaks = strings.NewReplacer("\n", " ", "\r", " ")

func word(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// text returns the value of a field; of several values the first.
func text(raw json.RawMessage) string {
	if len(raw) == 0 || raw[0] == 'n' {
		return ""
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return ""
	}
	if c := list[0][0]; c < '0' || c > '9' {
		return text(list[0])
	}
	out := make([]byte, 0, len(list))
	for _, n := range list {
		b, err := strconv.ParseUint(string(n), 10, 8)
		if err != nil {
			return ""
		}
		out = append(out, byte(b))
	}
	return string(out)
}
