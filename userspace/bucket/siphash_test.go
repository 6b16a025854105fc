package bucket

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

func TestSipHashGivesTheValuesOfItsReference(t *testing.T) {
	var b [hasherSize]byte
	for i := range b {
		b[i] = byte(i)
	}
	text := make([]byte, 64)
	for i := range text {
		text[i] = byte(i)
	}
	for n, want := range map[int]string{ // of the authors' list for keys and texts that count up
		0: "a3817f04ba25a8e66df67214c7550293",
		1: "da87c1d86b99af44347659119b22fc45",
		2: "8177228da4a45dc7fca38bdef60affe4",
		8: "3b62a9ba6258f5610f83e264f31497b4",
	} {
		lo, hi := sipHash(hasherOf(b[:]).key, string(text[:n]))
		got := hex.EncodeToString(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, lo), hi))
		if got != want {
			t.Errorf("hash of %d bytes = %s, want %s", n, got, want)
		}
	}
}
