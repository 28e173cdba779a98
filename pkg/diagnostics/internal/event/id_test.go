package event

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestIDs(t *testing.T) {
	for original, id := range map[string]string{
		"nightly-42_B":                      "nightly-42_B",
		"train.v1.2":                        "train=2Ev1=2E2",
		"manual__2026-11-27T00:00:00+00:00": "manual__2026-11-27T00=3A00=3A00=2B00=3A00",
		"a/b":                               "a=2Fb",
		"a=b":                               "a=3Db",
		"a=2fb":                             "a=3D2fb", // not as EncodeID writes it
		"a=41":                              "a=3D41",  // A is written as it is
		"=":                                 "=3D",
		"ü *>":                              "=C3=BC=20=2A=3E",
		strings.Repeat("ü", 64):             strings.Repeat("=C3=BC", 64),
		strings.Repeat("=2E", 128):          strings.Repeat("=2E", 128), // written so already
		strings.Repeat("x", 128):            strings.Repeat("x", 128),
	} {
		got, ok := EncodeID(original)
		if !ok || got != id {
			t.Errorf("%q became %q, %v, want %q", original, got, ok, id)
		}
		if again, _ := EncodeID(got); again != got {
			t.Errorf("%q, encoded again, became %q", got, again)
		}
		if back := DecodeID(got); back != original && original != id {
			t.Errorf("%q became %q", got, back)
		}
	}
	for _, bad := range []string{"", "a\nb", "a\x00", "\x7f", "\xff", strings.Repeat("x", 129), strings.Repeat("ü", 65), strings.Repeat("=2E", 129)} {
		if id, ok := EncodeID(bad); ok {
			t.Errorf("%q became the id %q", bad, id)
		}
	}
	for _, bad := range []string{"=", "a=", "=2", "=00", "=FF", "=41", "a.b", "a/b", "=2f", "a b", "*"} {
		if ValidID(bad) {
			t.Errorf("%q is taken for one of ours", bad)
		}
	}
}

// An accepted id can't break out of a subject, and decoding it gives the original.
func FuzzID(f *testing.F) {
	for _, seed := range []string{"a/b", "=2E", "=3D2E", "ü", "\xc3", "a.b=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, original string) {
		id, ok := EncodeID(original)
		if !ok {
			return
		}
		if !ValidID(id) || strings.ContainsAny(id, " .*>/%\r\n") || !utf8.ValidString(id) {
			t.Fatalf("%q became %q", original, id)
		}
		if back := DecodeID(id); back != original && id != original {
			t.Fatalf("%q became %q and then %q", original, id, back)
		}
	})
}
