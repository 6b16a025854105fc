package file

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cutAll feeds a text in blocks to a cutter, as a file that grows would.
func cutAll(text string, most int, blocks []int) []string {
	var out []string
	read, skip := 0, false
	for at := 0; ; {
		if len(blocks) > 0 {
			read = min(len(text), read+blocks[0])
			blocks = blocks[1:]
		} else {
			read = len(text)
		}
		c := &cutter{text: text[at:read], max: most, skip: skip}
		for line, ok := c.next(); ok; line, ok = c.next() {
			out = append(out, line)
		}
		if read == len(text) {
			if line, ok := c.last(); ok {
				out = append(out, line)
			}
			return out
		}
		at += c.used
		skip = c.skip
	}
}

// lineByLine says in the plainest way what the cutter has to give.
func lineByLine(text string, most int) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line = line[:min(len(line), most)]; line != "" {
			out = append(out, line)
		}
	}
	return out
}

func TestLinesAreCut(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"two lines", "a\nb\n", []string{"a", "b"}},
		{"carriage returns", "a\r\nb\r\n", []string{"a", "b"}},
		{"empty lines", "\n\r\n\na\n\n", []string{"a"}},
		{"no newline at the end", "a\nb", []string{"a", "b"}},
		{"a line as long as allowed", "12345678\r\n9\n", []string{"12345678", "9"}},
		{"a line too long", "123456789abcdef\nnext\n", []string{"12345678", "next"}},
		{"zero bytes and invalid UTF-8", "\x00\xff\xfe\n\x00\n", []string{"\x00\xff\xfe", "\x00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.text); size++ {
				got := cutAll(tt.text, 8, slices.Repeat([]int{size}, len(tt.text)))
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("blocks of %d differ (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

func FuzzLinesAreTheSameWhereverBlocksEnd(f *testing.F) {
	f.Add("a\nb\r\nlonger than allowed\r\n", []byte{1, 2, 30})
	f.Add("\x00\xff\n\r\r\n", []byte{0, 1})
	f.Add(strings.Repeat("x", 17)+"\r\n", []byte{9, 1, 7, 1})
	f.Fuzz(func(t *testing.T, text string, sizes []byte) {
		var blocks []int
		for _, size := range sizes {
			blocks = append(blocks, int(size))
		}
		if diff := cmp.Diff(lineByLine(text, 8), cutAll(text, 8, blocks)); diff != "" {
			t.Errorf("lines differ (-want +got):\n%s", diff)
		}
	})
}
