package enrich

import (
	"strings"
	"time"
)

// The layouts of dates. Go's rules apply: seconds may have a fraction that the layout does not show,
// a space stands for one or more, and a date without a zone is UTC.
const (
	accessLog    = "02/Jan/2006:15:04:05 -0700"
	ctime        = "Mon Jan 2 15:04:05 2006"
	parisian     = "02-Jan-2006 15:04:05 europe/paris"
	monthFirst   = "01/02/2006 15:04:05"
	zoned        = "2006-01-02 15:04:05.999999999 -0700 MST"
	syslog       = "Jan  2 15:04:05"
	apacheError  = "Mon Jan 02 15:04:05.000000 2006"
	slashDay     = "2006/01/02"
	slashMinutes = "2006/01/02 15:04"
	slashSeconds = "2006/01/02 15:04:05"
	day          = "2006-01-02"
	minutes      = "2006-01-02 15:04"
	seconds      = "2006-01-02 15:04:05"
	noZone       = "2006-01-02T15:04:05"
)

// layouts are all of them in the order in which they count: the first that fits a text wins.
var layouts = []string{
	time.RFC3339, accessLog, ctime, parisian, monthFirst, zoned, syslog, apacheError,
	slashDay, slashMinutes, day, minutes, slashSeconds, seconds, noZone,
}

// Layouts by the shape of a text, each list in the order of layouts.
var (
	onlyRFC3339      = []string{time.RFC3339}
	onlyAccessLog    = []string{accessLog}
	namedWeekday     = []string{ctime, apacheError}
	onlyParisian     = []string{parisian}
	onlyMonthFirst   = []string{monthFirst}
	onlyZoned        = []string{zoned}
	onlySyslog       = []string{syslog}
	onlySlashDay     = []string{slashDay}
	onlySlashMinutes = []string{slashMinutes}
	onlySlashSeconds = []string{slashSeconds}
	onlyDay          = []string{day}
	onlyMinutes      = []string{minutes}
	onlySeconds      = []string{seconds}
	onlyNoZone       = []string{noZone}
)

// dayWidth is how long a day of figures is, which all layouts with a year in front begin with.
const dayWidth = len(day)

// allowed returns the layouts that can fit a text, in the order in which they count: every layout
// that it leaves out wants another character somewhere. Trying one that does not fit costs an error.
func allowed(text string) []string {
	if len(text) < dayWidth {
		return nil
	}
	switch {
	case text[2] == '/':
		if isFigure(text[3]) {
			return onlyMonthFirst
		}
		return onlyAccessLog
	case text[2] == '-':
		return onlyParisian
	case text[3] == ' ':
		if rest := strings.TrimLeft(text[3:], " "); rest != "" && !isFigure(rest[0]) {
			return namedWeekday
		}
		return onlySyslog
	case text[4] == '/':
		return slashed(text[dayWidth:])
	case text[4] == '-':
		return dashed(text[dayWidth:])
	}
	return nil
}

// slashed returns the layouts for a day with slashes and what follows it.
func slashed(rest string) []string {
	if rest == "" {
		return onlySlashDay
	}
	if strings.Count(rest, ":") == 1 {
		return onlySlashMinutes
	}
	return onlySlashSeconds
}

// dashed returns the layouts for a day with dashes and what follows it.
func dashed(rest string) []string {
	switch {
	case rest == "":
		return onlyDay
	case rest[0] == 'T':
		if rest[len(rest)-1] == 'Z' || strings.ContainsAny(rest, "+-") {
			return onlyRFC3339
		}
		return onlyNoZone
	case strings.ContainsAny(rest, "+-"):
		return onlyZoned
	case strings.Count(rest, ":") == 1:
		return onlyMinutes
	}
	return onlySeconds
}

func isFigure(c byte) bool { return '0' <= c && c <= '9' }
