// Package repo has no code of its own: its tests hold the rules that every other package keeps,
// such as which layer may import which.
package repo
