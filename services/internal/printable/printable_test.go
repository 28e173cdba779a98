package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// evil has what controls a terminal (a title sequence, C1's CSI as a character and as a byte, DEL, line breaks and an override of
// the writing direction), and text that must stay unchanged.
const evil = "a\x1b]0;t\a\u009b2J\x9b\x7f\r\n\t\u202e\u2066\U000e0001 é\u00a0日本 👩\u200d🔬 می\u200cخواهم"

func TestText(t *testing.T) {
	want := `a\x1b]0;t\x07\x9b2J\x9b\x7f\r\n\t\u202e\u2066\U000e0001 é` + "\u00a0日本 👩\u200d🔬 می\u200cخواهم"
	if got := Text(evil); got != want {
		t.Errorf("%q\n%q", got, want)
	}
	if got := Lines("a\n\tb\x1b"); got != "a\n\tb\\x1b" {
		t.Errorf("%q", got)
	}
}

// Whatever a string contains, nothing but visible text reaches the terminal.
func FuzzText(f *testing.F) {
	f.Add(evil)
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Text(s) {
			if !unicode.IsGraphic(r) && !strings.ContainsRune(joiners, r) || r == '\n' {
				t.Fatalf("%q lets %U through", s, r)
			}
		}
	})
}

func TestJSONKeepsItsMeaning(t *testing.T) {
	valid := strings.ToValidUTF8(evil, "\ufffd")
	in, err := json.Marshal(map[string]string{"text": valid})
	if err != nil {
		t.Fatal(err)
	}
	out := JSON(append(in, '\n'))
	if strings.ContainsAny(string(out), "\u009b\x7f\u202e\x1b\U000e0001") {
		t.Errorf("%q", out)
	}
	var back map[string]string
	if err := json.Unmarshal(out, &back); err != nil || back["text"] != valid {
		t.Errorf("%v: %q", err, back["text"])
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"nats://u:p@h:4222":                   "nats://h:4222",
		"nats://token@h:4222, nats://u:p@i:1": "nats://h:4222,nats://i:1",
		"u:p@h:4222":                          "h:4222",
		"redis://:p@h:6379/0?x=p":             "redis://h:6379/0",
		"unix:///run/redis.sock":              "unix:///run/redis.sock",
		"http://h\x1b[2J":                     `http://h\x1b[2J`,
		"nats://u:p%zz@h":                     "h",
		"nats://u:p@%zz@h":                    "h",
	} {
		if got := Address(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
