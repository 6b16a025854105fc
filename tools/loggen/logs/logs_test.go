package logs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func mustWrite(t *testing.T, kind string, o Options) []byte {
	t.Helper()
	k, err := Named(kind)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := k.Write(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	for _, tt := range []struct {
		kind string
		seed uint64
		want string // the beginning of the SHA-256 of 20,000 lines
	}{
		{"auth", 1, "7a5e85500491f885"},
		{"auth", 2, "1195e0c20083fede"},
		{"nginx", 1, "d7bdb0e6415a3e87"},
		{"nginx", 2, "73c27d32d589e96c"},
		{"stubborn", 1, "641fcadc9018c066"},
		{"crowd", 1, "1507a28252a0d24b"},
	} {
		sum := sha256.Sum256(mustWrite(t, tt.kind, Options{Lines: 20_000, Seed: tt.seed}))
		if got := hex.EncodeToString(sum[:8]); got != tt.want {
			t.Errorf("%s with seed %d: hash %s, want %s", tt.kind, tt.seed, got, tt.want)
		}
	}
}

func TestALogHasTheLinesAndAttackersThatWereAskedFor(t *testing.T) {
	const lines = 100_000
	attacker := regexp.MustCompile(`\b198\.18\.\d+\.\d+\b|\b24\d\.\d+\.\d+\.\d+\b|\b2001:db8:a:[0-9a-f:]+`)
	for _, tt := range []struct {
		kind             string
		sources, hostile int
	}{
		{"auth", 5_000, 300}, {"auth", 100, 10}, {"nginx", 2_000, 50}, {"stubborn", 1, 1000}, {"crowd", lines, 1000},
	} {
		text := mustWrite(t, tt.kind, Options{Lines: lines, Sources: tt.sources, Hostile: tt.hostile, Seed: 3})
		if n := bytes.Count(text, []byte("\n")); n != lines {
			t.Errorf("%s: %d lines, want %d", tt.kind, n, lines)
		}
		hostile := 0
		from := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if a := attacker.FindString(line); a != "" {
				hostile++
				from[a] = true
			}
		}
		want := lines * tt.hostile / 1000
		if hostile < want*95/100 || hostile > want*105/100 {
			t.Errorf("%s: %d hostile lines, want about %d", tt.kind, hostile, want)
		}
		if len(from) > tt.sources || len(from) < tt.sources*98/100 {
			t.Errorf("%s: %d attackers, want %d", tt.kind, len(from), tt.sources)
		}
	}
}

func TestNoTwoAttackersHaveTheSameAddress(t *testing.T) {
	seen := map[string]int{}
	for i := range 200_000 {
		a := attacker(i).String()
		if other, ok := seen[a]; ok {
			t.Fatalf("attackers %d and %d both have %s", other, i, a)
		}
		seen[a] = i
	}
}

func TestOptionsThatMakeNoLogAreRefused(t *testing.T) {
	for _, o := range []Options{{Lines: -1}, {Sources: -1}, {Span: -1}, {Hostile: 1001}, {Hostile: -1}, {Sources: maxSources + 1}, {Lines: 2_000_000_000}} {
		if err := Kinds()[0].Write(&bytes.Buffer{}, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := Named("apache"); err == nil {
		t.Error("a kind that does not exist was found")
	}
}

// full takes so many bytes.
type full struct{ room int }

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestALogThatCannotBeWrittenEndsWithTheReason(t *testing.T) {
	for _, k := range Kinds() {
		if err := k.Write(&full{room: 100_000}, Options{Lines: 10_000}); !errors.Is(err, errFull) {
			t.Errorf("%s: error %v, want %v", k.Name, err, errFull)
		}
	}
}
