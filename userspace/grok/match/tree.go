package match

import (
	"regexp/syntax"
	"slices"

	"gabion/userspace/grok/char"
)

// captures says whether re has a group that is needed: one with a slot.
func captures(re *syntax.Regexp, slots map[int]int) bool {
	if _, needed := slots[re.Cap]; re.Op == syntax.OpCapture && needed {
		return true
	}
	return slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return captures(sub, slots) })
}

// composite says whether re is more than characters and their repetition one after another.
func composite(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAlternate, syntax.OpQuest:
		return true
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		_, one := char.Single(re.Sub[0])
		return !one || re.Op == syntax.OpRepeat
	}
	return slices.ContainsFunc(re.Sub, composite)
}

// begins returns the bytes that re can begin with and whether it can match nothing.
func begins(re *syntax.Regexp) (bytes char.Bytes, empty bool) {
	if ranges, ok := char.Single(re); ok {
		return char.NewClass(ranges).Bytes, false
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return bytes, false
	case syntax.OpLiteral:
		return char.NewClass(char.RuneRanges(re.Rune[0], re.Flags)).Bytes, false
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			s, e := begins(sub)
			bytes.Add(&s)
			empty = empty || e
		}
		return bytes, empty
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			s, e := begins(sub)
			bytes.Add(&s)
			if !e {
				return bytes, false
			}
		}
		return bytes, true
	case syntax.OpCapture, syntax.OpPlus:
		return begins(re.Sub[0])
	case syntax.OpQuest, syntax.OpStar:
		bytes, _ = begins(re.Sub[0])
		return bytes, true
	case syntax.OpRepeat:
		bytes, empty = begins(re.Sub[0])
		return bytes, empty || re.Min == 0
	}
	return bytes, true
}

// assertion returns what an operator asserts, 0 when it is none that does.
func assertion(o syntax.Op) syntax.EmptyOp {
	switch o {
	case syntax.OpBeginLine:
		return syntax.EmptyBeginLine
	case syntax.OpEndLine:
		return syntax.EmptyEndLine
	case syntax.OpBeginText:
		return syntax.EmptyBeginText
	case syntax.OpEndText:
		return syntax.EmptyEndText
	case syntax.OpWordBoundary:
		return syntax.EmptyWordBoundary
	case syntax.OpNoWordBoundary:
		return syntax.EmptyNoWordBoundary
	}
	return 0
}
