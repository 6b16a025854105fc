// Package model is a second opinion on the kernel programs: it says what the filter must do with a
// frame, written from the documentation in bpf/ alone and made to be obviously right, not fast. Tests
// compare the programs with it.
package model
