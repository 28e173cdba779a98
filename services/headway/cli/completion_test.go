package cli

import (
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestComplete(t *testing.T) {
	var c Commands
	parser, err := kong.New(&c, kong.Name("headway"), kong.Vars{"data_dir": ""})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ line, want, not string }{
		{"headway ", "watch", "--"},
		{"headway wa", "watch", "list"},
		{"headway dlq ", "list", "watch"},
		{"headway completion ", "zsh", "watch"},
		{"headway completion z", "zsh", "bash"},
		{"headway list --hea", "--health", "--help-"},
		{"headway list --json --hea", "--health", "watch"},
		{"headway list --url=http://x --hea", "--health", "watch"},
		{"headway list --url ", "", "watch"}, // files, if anything
		{"headway list --url http://x --hea", "--health", "watch"},
		{"headway list --h", "--help", "--url"}, // also the flags of all verbs
	} {
		t.Setenv("COMP_LINE", x.line+" and what stands after the cursor")
		t.Setenv("COMP_POINT", strconv.Itoa(len(x.line)))
		var b strings.Builder
		if !Complete(&b, parser.Model) {
			t.Fatal("a shell asked")
		}
		got := "\n" + b.String()
		if x.want == "" && got != "\n" || !strings.Contains(got, "\n"+x.want) || strings.Contains(got, "\n"+x.not) {
			t.Errorf("%q: %q", x.line, strings.Fields(got))
		}
	}
}
