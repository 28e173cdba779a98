package diagnostics

import (
	"bytes"
	"testing"
)

func TestParseRefusesCorrupt(t *testing.T) {
	v, _ := commonView()
	whole := v.Append(nil)
	for _, b := range [][]byte{nil, whole[:HeaderSize], whole[:len(whole)-1], append(bytes.Clone(whole), 0)} {
		if _, err := Parse(b); err == nil {
			t.Errorf("%d bytes of %d were read as a view", len(b), len(whole))
		}
	}
}

// FuzzParse checks that Parse never panics, and that encoding what it accepted and parsing it again changes nothing.
func FuzzParse(f *testing.F) {
	v, _ := commonView()
	f.Add(v.Append(nil))
	f.Add(NewView("n", "b").Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(b)
		if err != nil {
			return
		}
		once := v.Append(nil)
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("what was read can't be read again: %v", err)
		}
		if !bytes.Equal(again.Append(nil), once) {
			t.Fatal("not stable")
		}
	})
}
