package logs

import (
	"strconv"
	"time"
)

// expand appends a template: $i is the session's address, $u its user, $p its port, $n a number of
// five digits that is its own, $x a random word of hexadecimal digits, $d a random number below 1000.
func (s *scene) expand(b []byte, template string, on *session) []byte {
	for k := 0; k < len(template); k++ {
		c := template[k]
		if c != '$' || k+1 == len(template) {
			b = append(b, c)
			continue
		}
		k++
		switch template[k] {
		case 'i':
			b = on.from.AppendTo(b)
		case 'u':
			b = append(b, on.user...)
		case 'p':
			b = strconv.AppendInt(b, int64(on.port), 10)
		case 'n':
			b = strconv.AppendInt(b, int64(on.pid), 10)
		case 'x':
			b = strconv.AppendUint(b, s.next(), 16)
		case 'd':
			b = strconv.AppendInt(b, int64(s.below(1000)), 10)
		default:
			b = append(b, '$', template[k])
		}
	}
	return b
}

// syslog appends the beginning of a syslog line: date and host.
func (s *scene) syslog(b []byte) []byte {
	b = time.Unix(s.now, 0).UTC().AppendFormat(b, time.Stamp)
	return append(b, " gate "...)
}
