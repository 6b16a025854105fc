package search

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFirstTakesTheLeftmostAndThenTheFirstGiven(t *testing.T) {
	for _, tt := range []struct {
		words []string
		text  string
		fold  bool
		want  int
	}{
		{[]string{"b", "a"}, "xab", false, 1},
		{[]string{"abcd", "ab"}, "abcd", false, 0},
		{[]string{"ab", "abcd"}, "abcd", false, 0},
		{[]string{"bc", "abcd"}, "abcd", false, 1},
		{[]string{"bc", "abcd"}, "abcx", false, 0},
		{[]string{"c", "bcx", "abcde"}, "abcdx", false, 0},
		{[]string{"a", "a"}, "a", false, 0},
		{[]string{"a"}, "", false, -1},
		{[]string{"", "a"}, "ba", false, 0},
		{[]string{"a", ""}, "ab", false, 0},
		{[]string{"a", ""}, "ba", false, 1},
		{[]string{""}, "", false, 0},
		{nil, "a", false, -1},
		{[]string{"ABC"}, "xabc", true, 0},
		{[]string{"abc"}, "xABC", true, 0},
		{[]string{"abc"}, "xABC", false, -1},
		{[]string{"é"}, "É", true, -1},
	} {
		if got := New(tt.words, tt.fold).First(tt.text); got != tt.want {
			t.Errorf("%q in %q: got %d, want %d", tt.words, tt.text, got, tt.want)
		}
	}
}

func TestEachFindsWordsInWords(t *testing.T) {
	var got []int
	New([]string{"he", "she", "hers", "his", "e"}, false).Each("ushers", func(word, end int) bool {
		got = append(got, word, end)
		return true
	})
	if want := []int{1, 4, 0, 4, 4, 4, 2, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestManyWords goes beyond the dense table.
func TestManyWords(t *testing.T) {
	var words []string
	for i := range 100_000 {
		words = append(words, "word"+strconv.Itoa(i*7919)+"/")
	}
	w := New(words, false)
	if len(w.dense) >= len(w.states)*int(w.width) {
		t.Fatal("all states are dense")
	}
	for _, i := range []int{0, 1, 5000, 99_999} {
		if got := w.First("wor" + words[i] + "d"); got != i {
			t.Errorf("%s is found as %d", words[i], got)
		}
	}
	if got := w.First(strings.Repeat("word79", 1000)); got != -1 {
		t.Errorf("found %d", got)
	}
}

func TestWordsOfAllBytes(t *testing.T) {
	var words []string
	for c := range 256 {
		words = append(words, string([]byte{byte(c), byte(255 - c)}))
	}
	w := New(words, false)
	for c := range 256 {
		if got := w.First(words[c]); got != c {
			t.Errorf("byte %d is found as %d", c, got)
		}
	}
}

// firstSlowly says what First means.
func firstSlowly(words []string, text string) int {
	start, best := len(text)+1, -1
	for i, word := range words {
		if at := strings.Index(text, word); at >= 0 && at < start {
			start, best = at, i
		}
	}
	return best
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func FuzzWords(f *testing.F) {
	f.Add("he,she,hers,his,e", "ushers", false)
	f.Add("aaa,aa,aaaab,", "aaaaaaaaab", false)
	f.Add("AbC,bC,c", "xaBCc", true)
	f.Fuzz(func(t *testing.T, list, text string, fold bool) {
		words := strings.Split(list, ",")
		if len(words) > 50 {
			return
		}
		w := New(words, fold)
		if fold {
			text = asciiLower(text)
			for i := range words {
				words[i] = asciiLower(words[i])
			}
		}
		if got, want := w.First(text), firstSlowly(words, text); got != want {
			t.Errorf("First(%q) of %q = %d, want %d", text, words, got, want)
		}
		found := map[string]bool{}
		w.Each(text, func(word, end int) bool {
			if !strings.HasSuffix(text[:end], words[word]) {
				t.Errorf("Each(%q) says that %q ends at %d", text, words[word], end)
			}
			found[words[word]] = true
			return true
		})
		for _, word := range words {
			if word != "" && found[word] != strings.Contains(text, word) {
				t.Errorf("Each(%q) of %q: %q found: %v", text, words, word, found[word])
			}
		}
	})
}

func BenchmarkFirst(b *testing.B) {
	var words []string
	for i := range 600 {
		words = append(words, "/admin"+strconv.Itoa(i*31)+"/login")
	}
	w := New(words, false)
	text := "/static/images/2024/products/a-typical-path-of-some-length.png?size=large"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if w.First(text) != -1 {
			b.Fatal("found")
		}
	}
}
