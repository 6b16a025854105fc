// Package journald follows the systemd journal through journalctl. Entries become lines as syslog
// would write them, so that parsers for the label type: syslog read them.
//
// The cursor of the last entry that the engine has done with is saved; the next start goes on
// behind it. The journal itself keeps what is written in between.
package journald

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/source"
	"gabion/userspace/source/ledger"
)

const (
	// DefaultMaxLine is how much of a message is delivered unless configured otherwise.
	DefaultMaxLine = 64 << 10

	// maxEntry bounds the JSON text of one entry; a longer one is passed over and counted.
	maxEntry = 4 << 20

	batchLines = 512
	retryEvery = time.Second     // how often saving is tried again
	stopAfter  = 2 * time.Second // how long journalctl may take to end before it is killed
	keepErrors = 4 << 10         // bytes of its error output
)

// Config is what a Source needs. Zero values stand for the defaults.
type Config struct {
	Filter   []string          // arguments for journalctl that select entries
	Labels   map[string]string // of every line
	StateDir string            // empty: nothing is remembered
	MaxLine  int               // bytes; longer messages are cut
	Command  []string          // instead of journalctl

	Log *slog.Logger
	Now func() time.Time
}

// Source follows the entries that a filter selects.
type Source struct {
	cfg  Config
	name string // of the source in lines and messages

	lines, cut, skipped atomic.Uint64

	mu       sync.Mutex
	state    *ledger.Ledger // of cursors; nil: nothing is remembered
	loaded   bool           // state was read
	position string         // of the last entry handed over
	cursor   string         // of the last entry done with
	tried    time.Time      // when the state was last written anew
	unsaved  error          // why that failed
	failures int            // runs in a row that ended at once with this cursor
}

// New checks the configuration and returns a source that has not started anything yet.
func New(cfg Config) (*Source, error) {
	if _, err := CheckFilter(cfg.Filter); err != nil {
		return nil, err
	}
	if len(cfg.Command) == 0 {
		cfg.Command = []string{"journalctl"}
	}
	if cfg.MaxLine <= 0 {
		cfg.MaxLine = DefaultMaxLine
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{cfg: cfg, name: "journalctl-" + strings.Join(cfg.Filter, ".")}
	if cfg.StateDir != "" {
		sum := sha256.Sum256([]byte(strings.Join(cfg.Filter, "\x00")))
		s.state = ledger.New(filepath.Join(cfg.StateDir, "journal-"+hex.EncodeToString(sum[:8])))
	}
	return s, nil
}

// String names the source by its filter.
func (s *Source) String() string { return s.name }

// Stats says what a source has done since it was made.
type Stats struct {
	Lines   uint64 // delivered
	Cut     uint64 // messages longer than the limit
	Skipped uint64 // entries that could not be read: too long, or no JSON
}

// Stats returns the counters. It is safe for concurrent use.
func (s *Source) Stats() Stats {
	return Stats{Lines: s.lines.Load(), Cut: s.cut.Load(), Skipped: s.skipped.Load()}
}

// Run follows the journal until ctx is done or the engine closes. It returns an error when
// journalctl cannot be started or ends by itself; it may then be called again.
func (s *Source) Run(ctx context.Context, emit source.Emit) error {
	s.restore()
	defer s.stop()
	cmd, cancel := s.command(ctx)
	defer cancel()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start journalctl: %w", err)
	}
	var complaints tailBuffer
	cmd.Stderr = &complaints
	release, err := start(cmd)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not installed: install systemd, or remove the journalctl source: %w", s.cfg.Command[0], err)
	}
	if err != nil {
		return fmt.Errorf("start journalctl: %w", err)
	}
	defer release()
	seen, err := s.follow(out, emit)
	cancel() // the engine may have ended the run, not ctx
	waited := cmd.Wait()
	if ctx.Err() != nil || errors.Is(err, errClosing) {
		return nil
	}
	s.judge(seen)
	return fmt.Errorf("journalctl ended by itself: %w", errors.Join(err, waited, complaints.err()))
}

// errClosing means that the engine takes no more batches.
var errClosing = errors.New("engine is closing")

// follow reads entries until the output ends. seen is whether there were any.
func (s *Source) follow(out io.Reader, emit source.Emit) (seen bool, err error) {
	r := bufio.NewReaderSize(out, 64<<10)
	acks := source.NewAcks(s.done)
	for {
		var events []*event.Event
		var cursor string
		for len(events) < batchLines {
			raw, tooLong, err := readLine(r)
			if err != nil {
				s.deliver(acks, emit, events, cursor)
				if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
					return seen, nil
				}
				return seen, fmt.Errorf("read journal: %w", err)
			}
			seen = true
			if e, c := s.entry(raw, tooLong); c != "" {
				cursor = c
				if e != nil {
					events = append(events, e)
				}
			}
			if !bufferedLine(r) {
				break
			}
		}
		if err := s.deliver(acks, emit, events, cursor); err != nil {
			return seen, err
		}
	}
}

// bufferedLine reports whether the next line can be read without waiting.
func bufferedLine(r *bufio.Reader) bool {
	b, err := r.Peek(r.Buffered())
	return err == nil && bytes.IndexByte(b, '\n') >= 0
}

// readLine reads up to the next newline; what is longer than an entry may be is passed over.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxEntry {
			tooLong = true
			line = line[:0]
		}
		if !tooLong {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

// entry makes an event of the JSON text of an entry; nil when it has no message.
func (s *Source) entry(raw []byte, tooLong bool) (*event.Event, string) {
	if tooLong {
		s.skipped.Add(1)
		return nil, ""
	}
	line, cursor, cut, err := format(raw, s.cfg.MaxLine)
	if err != nil {
		s.skipped.Add(1)
		return nil, ""
	}
	if cut {
		s.cut.Add(1)
	}
	if line == "" {
		return nil, cursor
	}
	now := s.cfg.Now()
	return &event.Event{
		Type: event.Log, ExpectMode: event.Live, Process: true, Time: now,
		Line: event.Line{Raw: line, Src: s.name, Time: now, Labels: s.cfg.Labels, Process: true, Module: "journalctl"},
	}, cursor
}

func (s *Source) deliver(acks *source.Acks[string], emit source.Emit, events []*event.Event, cursor string) error {
	if cursor == "" {
		return nil
	}
	done := acks.Add(cursor)
	if len(events) == 0 {
		done()
		return nil
	}
	if err := emit(source.Batch{Events: events, Done: done}); err != nil {
		return fmt.Errorf("%w: %w", errClosing, err)
	}
	s.lines.Add(uint64(len(events)))
	s.mu.Lock()
	s.position = cursor
	s.mu.Unlock()
	return nil
}

// arguments returns those of journalctl for this run.
func (s *Source) arguments() []string {
	args := append(slices.Clone(s.cfg.Command[1:]),
		"--follow", "--output=json", "--all", "--no-pager", "--quiet",
		"--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.position == "" {
		args = append(args, "--lines=0")
	} else {
		args = append(args, "--no-tail", "--after-cursor="+s.position)
	}
	return append(args, s.cfg.Filter...)
}
