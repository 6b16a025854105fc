package datafile

import (
	"hash/maphash"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"

	"gabion/userspace/recent"
	"gabion/userspace/search"
)

const (
	rememberedTexts = 4096 // results remembered of one file
	maxAlternatives = 16   // words of one pattern, of which a text must contain one
)

// patterns are the regular expressions of a file. Most texts contain none of the words without which
// no pattern matches, so that one pass over the text answers for all of them.
type patterns struct {
	list   []*regexp.Regexp
	words  *search.Words
	owners [][]int32 // by word: the patterns that need it
	plain  [][]plain // by word: the patterns that are hardly more than it
	always []int32   // patterns without a word

	seed    maphash.Seed
	results *recent.Cache[uint64, bool] // by hash of the text, with a seed that nobody outside knows
}

func newPatterns(list []*regexp.Regexp) *patterns {
	p := &patterns{list: list, seed: maphash.MakeSeed(), results: recent.New[uint64, bool](rememberedTexts)}
	var words []string
	numbers := map[string]int{}
	number := func(word string) int {
		n, ok := numbers[word]
		if !ok {
			n = len(words)
			numbers[word] = n
			words, p.owners, p.plain = append(words, word), append(p.owners, nil), append(p.plain, nil)
		}
		return n
	}
	for i, re := range list {
		if pl, ok := plainPattern(re.String()); ok {
			n := number(lower(pl.word))
			p.plain[n] = append(p.plain[n], pl)
			continue
		}
		needed := neededWords(re.String())
		if len(needed) == 0 {
			p.always = append(p.always, int32(i))
		}
		for _, word := range needed {
			n := number(word)
			p.owners[n] = append(p.owners[n], int32(i))
		}
	}
	p.words = search.New(words, true)
	return p
}

// match reports whether a pattern matches the text.
func (p *patterns) match(text string) bool {
	key := maphash.String(p.seed, text)
	if match, ok := p.results.Get(key); ok {
		return match
	}
	match := p.search(text)
	p.results.Put(key, match)
	return match
}

func (p *patterns) search(text string) bool {
	for _, i := range p.always {
		if p.list[i].MatchString(text) {
			return true
		}
	}
	tried := make([]bool, len(p.owners))
	match := false
	p.words.Each(text, func(word, end int) bool {
		for i := range p.plain[word] {
			if match = p.plain[word][i].matches(text, end); match {
				return false
			}
		}
		if tried[word] {
			return true
		}
		tried[word] = true
		for _, i := range p.owners[word] {
			if match = p.list[i].MatchString(text); match {
				return false
			}
		}
		return true
	})
	return match
}

// neededWords returns words, in lower case, one of which every text that the pattern matches
// contains, A to Z counting as a to z. It returns none when there are none to find.
func neededWords(pattern string) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	return needed(re)
}

func needed(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if word := surePart(re); word != "" {
			return []string{word}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return needed(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return needed(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if words := needed(sub); shortest(words) > shortest(best) {
				best = words
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			words := needed(sub)
			if len(words) == 0 || len(all)+len(words) > maxAlternatives {
				return nil
			}
			all = append(all, words...)
		}
		return all
	}
	return nil
}

// shortest returns the length of the shortest word, which tells how rare a hit will be.
func shortest(words []string) int {
	if len(words) == 0 {
		return 0
	}
	n := len(words[0])
	for _, w := range words[1:] {
		n = min(n, len(w))
	}
	return n
}

// surePart returns the longest part of a literal whose bytes are certain, but for the case of A to Z.
func surePart(re *syntax.Regexp) string {
	best, at := "", 0
	for at < len(re.Rune) {
		end := at
		for end < len(re.Rune) && sure(re.Rune[end], re.Flags&syntax.FoldCase != 0) {
			end++
		}
		if part := string(re.Rune[at:end]); len(part) > len(best) {
			best = part
		}
		at = end + 1
	}
	return lower(best)
}

// lower changes A to Z, and nothing else.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// sure reports whether a rune of a pattern stands for its own bytes, or for the two cases of a letter
// from A to Z. With fold, k and s have a third, outside ASCII; without, the replacement character
// also stands for a byte that is no UTF-8.
func sure(r rune, fold bool) bool {
	if !fold {
		return r != unicode.ReplacementChar
	}
	if r > unicode.MaxASCII {
		return false
	}
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		if next > unicode.MaxASCII {
			return false
		}
	}
	return true
}
