package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// logInput reads logs one after the other, unpacks those that gzip has packed, and says how far it is.
type logInput struct {
	app   *app
	files []string // those not opened yet; "-" is standard input
	total int64    // bytes of all files, 0 when it is not known

	open   io.Closer
	from   io.Reader // the open log, unpacked
	taken  int64     // bytes read of files
	shown  time.Time // when progress was
	wanted bool      // progress is shown
}

// newLogInput returns the logs of the given names. The caller closes it.
func newLogInput(a *app, files []string) (*logInput, error) {
	in := &logInput{app: a, files: files, wanted: a.terminal && a.output == outputHuman, shown: a.now()}
	for _, name := range files {
		if name == "-" {
			in.total = 0
			return in, nil
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", pathless(err, name))
		}
		if info.IsDir() {
			return nil, fmt.Errorf("read log: %s is a folder", name)
		}
		in.total += info.Size()
	}
	return in, nil
}

// pathless turns an error about a file into one that says open, as reading it would.
func pathless(err error, name string) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("open %s: %w", name, p.Err)
	}
	return err
}

// Read implements io.Reader.
func (in *logInput) Read(b []byte) (int, error) {
	for {
		if in.from == nil {
			if len(in.files) == 0 {
				return 0, io.EOF
			}
			if err := in.next(); err != nil {
				return 0, err
			}
		}
		n, err := in.from.Read(b)
		in.progress()
		switch {
		case err == nil || n > 0:
			return n, nil // an error comes again
		case !errors.Is(err, io.EOF):
			return 0, err
		}
		in.from = nil
		if err := in.Close(); err != nil {
			return 0, err
		}
		if len(b) > 0 && len(in.files) > 0 { // the last line of a log may lack its end
			b[0] = '\n'
			return 1, nil
		}
	}
}

// next opens the next log.
func (in *logInput) next() error {
	name := in.files[0]
	in.files = in.files[1:]
	var raw io.Reader = in.app.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		in.open, raw = f, f
	}
	const window = 64 << 10
	from := bufio.NewReaderSize(&countingReader{raw, &in.taken}, window)
	if magic, _ := from.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		unpacked, err := gzip.NewReader(from)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		in.from = unpacked
		return nil
	}
	in.from = from
	return nil
}

// Close closes the open log.
func (in *logInput) Close() error {
	if in.open == nil {
		return nil
	}
	err := in.open.Close()
	in.open = nil
	return err
}

// progress says at most once a second how far reading is, on a terminal.
func (in *logInput) progress() {
	if !in.wanted {
		return
	}
	now := in.app.now()
	if now.Sub(in.shown) < time.Second {
		return
	}
	in.shown = now
	if in.total > 0 {
		fmt.Fprintf(in.app.stderr, "\r%3d %% of %d MiB read", in.taken*100/in.total, in.total>>20)
		return
	}
	fmt.Fprintf(in.app.stderr, "\r%d MiB read", in.taken>>20)
}

// clear removes the last progress from the terminal.
func (in *logInput) clear() {
	if in.wanted {
		fmt.Fprint(in.app.stderr, "\r\x1b[K")
	}
}

// countingReader counts what is read.
type countingReader struct {
	io.Reader
	n *int64
}

// Read implements io.Reader.
func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.n += int64(n)
	return n, err
}
