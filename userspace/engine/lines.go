package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// maxLine bounds the length of a replayed line; the rest of a longer one is cut off.
const maxLine = 1 << 20

// lineReader cuts a log into lines. Memory is bounded by the longest line that it keeps.
type lineReader struct {
	r   *bufio.Reader
	buf []byte
	cut uint64 // lines that were too long
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line that is not empty, without its end (\n or \r\n). The last line may
// lack one. At the end of the input the error is io.EOF.
func (l *lineReader) next() (string, error) {
	for {
		line, err := l.read()
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > 0 {
			return string(line), nil // an error comes again with the next call
		}
		if err != nil {
			return "", err
		}
	}
}

// read returns one line up to \n, cut to maxLine bytes. The slice is valid until the next call.
func (l *lineReader) read() ([]byte, error) {
	l.buf = l.buf[:0]
	tooLong := false
	for {
		chunk, err := l.r.ReadSlice('\n')
		ended := err == nil
		if ended {
			chunk = chunk[:len(chunk)-1]
			if len(l.buf) == 0 && !tooLong {
				return chunk, nil
			}
		}
		if room := maxLine - len(l.buf); len(chunk) > room {
			chunk, tooLong = chunk[:room], true
		}
		l.buf = append(l.buf, chunk...)
		if ended || !errors.Is(err, bufio.ErrBufferFull) {
			if tooLong {
				l.cut++
			}
			return l.buf, err
		}
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
