package file

import "strings"

// cutter cuts a block of text into lines. A line without its newline is left in the block; one
// that is longer than max is given out cut, and the rest of it is skipped, also in later blocks.
type cutter struct {
	text string
	max  int
	used int  // bytes of text that are dealt with
	skip bool // inside a line that was given out cut
	long int  // lines cut
}

// next returns the next line without its line end; false when the block holds no further one.
// Empty lines are passed over.
func (c *cutter) next() (string, bool) {
	for {
		rest := c.text[c.used:]
		end := strings.IndexByte(rest, '\n')
		switch {
		case c.skip && end < 0:
			c.used = len(c.text)
			return "", false
		case c.skip:
			c.used += end + 1
			c.skip = false
		case end < 0 && len(rest) <= c.max+1: // one more: it may be a carriage return
			return "", false
		case end < 0:
			c.used = len(c.text)
			c.skip = true
			c.long++
			return rest[:c.max], true
		default:
			c.used += end + 1
			if line := c.trim(rest[:end]); line != "" {
				return line, true
			}
		}
	}
}

// last returns what is left of the block as a line: nothing will be added to it.
func (c *cutter) last() (string, bool) {
	rest := c.text[c.used:]
	c.used = len(c.text)
	if c.skip {
		return "", false
	}
	line := c.trim(rest)
	return line, line != ""
}

func (c *cutter) trim(line string) string {
	line = strings.TrimSuffix(line, "\r")
	if len(line) > c.max {
		c.long++
		line = line[:c.max]
	}
	return line
}
