package engine

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
)

const (
	// maxLine bounds the length of a replayed line; the rest of a longer one is cut off.
	maxLine = 1 << 20

	// lineBlock is how much of a log is read at a time. Lines are slices of what was read at once.
	lineBlock = 64 << 10

	// emptyReads is how often a reader may give nothing without saying why.
	emptyReads = 100
)

// lineReader cuts a log into lines. Memory is bounded by the longest line that it keeps.
type lineReader struct {
	r     io.Reader
	block string // lines to be given out; the last one may lack its end
	buf   []byte // what was read after them: the beginning of a line
	err   error  // of r, once it came
	skip  bool   // inside a line of which the beginning was given out
	cut   uint64 // lines that were too long
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: r} }

// next returns the next line that is not empty, without its end (\n or \r\n). The last line may
// lack one. At the end of the input the error is io.EOF.
func (l *lineReader) next() (string, error) {
	for {
		for l.block != "" {
			line, rest, _ := strings.Cut(l.block, "\n")
			l.block = rest
			if len(line) > maxLine {
				line = line[:maxLine]
				l.cut++
			}
			if line = strings.TrimSuffix(line, "\r"); line != "" {
				return line, nil
			}
		}
		if l.err != nil && len(l.buf) == 0 {
			return "", l.err
		}
		l.fill()
	}
}

// fill reads until there is a block, or until the log ends: the rest is then a line.
func (l *lineReader) fill() {
	for empty := 0; l.block == "" && l.err == nil; {
		if len(l.buf) == cap(l.buf) {
			l.buf = slices.Grow(l.buf, lineBlock)
		}
		fresh := len(l.buf)
		n, err := l.r.Read(l.buf[fresh:cap(l.buf)])
		l.buf, l.err = l.buf[:fresh+n], err
		if empty++; n > 0 {
			empty = 0
		} else if empty == emptyReads && err == nil {
			l.err = io.ErrNoProgress
		}
		l.split(fresh)
	}
	if l.block == "" {
		l.take(len(l.buf))
	}
}

// split makes the whole lines of the buffer the block; those bytes are new that begin at fresh.
func (l *lineReader) split(fresh int) {
	if l.skip {
		_, rest, ended := bytes.Cut(l.buf, []byte{'\n'})
		l.buf, l.skip, fresh = append(l.buf[:0], rest...), !ended, 0
	}
	end := bytes.LastIndexByte(l.buf[fresh:], '\n')
	switch {
	case end >= 0:
		l.take(fresh + end + 1)
	case len(l.buf) > maxLine:
		l.take(len(l.buf))
		l.skip = true
	}
}

// take makes the first n bytes of the buffer the block.
func (l *lineReader) take(n int) {
	l.block = string(l.buf[:n])
	if rest := l.buf[n:]; cap(l.buf) > 2*lineBlock && len(rest) < lineBlock { // a long line has gone by
		l.buf = append(make([]byte, 0, lineBlock), rest...)
	} else {
		l.buf = append(l.buf[:0], rest...)
	}
}

// Lines yields the lines of a log that are not empty, as a replay reads them: without their ends,
// cut at 1 MiB. An error of the reader comes last.
func Lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for lines := newLineReader(r); ; {
			line, err := lines.next()
			if errors.Is(err, io.EOF) || !yield(line, err) || err != nil {
				return
			}
		}
	}
}
