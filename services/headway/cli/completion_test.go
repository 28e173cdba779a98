package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/services/headway/contexts"
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
		if !Complete(&b, parser) {
			t.Fatal("a shell asked")
		}
		got := "\n" + b.String()
		if x.want == "" && got != "\n" || !strings.Contains(got, "\n"+x.want) || strings.Contains(got, "\n"+x.not) {
			t.Errorf("%q: %q", x.line, strings.Fields(got))
		}
	}
}

// Batches, namespaces and contexts are those of the Headway that the line names.
func TestCompleteAsks(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("X-Namespace")+" "+r.URL.Path+" "+r.URL.Query().Get("q"))
		if r.URL.Path == "/v1/namespaces" {
			_, _ = io.WriteString(w, `{"namespaces":[{"namespace":"team-a"},{"namespace":"ops"}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"batches":[{"batch_id":"nightly-1"},{"batch_id":"nightly-2"},{"batch_id":"not nightly"},{"batch_id":"night ly"}]}`)
	}))
	defer server.Close()
	stored(t, contexts.File{Current: "here", Contexts: map[string]contexts.Context{"here": {URL: server.URL, Namespace: "team-a"}, "away": {URL: "http://127.0.0.1:1"}}})
	var c Commands
	parser, err := kong.New(&c, kong.Name("headway"), kong.Vars{"data_dir": ""})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ line, want, asked string }{
		{"headway get night", "nightly-1 nightly-2", "team-a /v1/batches night"},
		{"headway watch nightly-1 night", "nightly-1 nightly-2", "team-a /v1/batches night"},
		{"headway wait -n ops --for stuck nightly-2", "nightly-2", "ops /v1/batches nightly-2"},
		{"headway health --batch night", "nightly-1 nightly-2", "team-a /v1/batches night"},
		{"headway health --batch=night", "nightly-1 nightly-2", "team-a /v1/batches night"},
		{"headway get nightly-1 --namespace t", "team-a", "team-a /v1/namespaces "},
		{"headway get --context a", "away", ""},
		{"headway get --context away night", "", ""},
		{"headway get nightly-1 night", "", ""},
		{"headway get --frob night", "", ""},
	} {
		asked = nil
		t.Setenv("COMP_LINE", x.line)
		t.Setenv("COMP_POINT", strconv.Itoa(len(x.line)))
		var b strings.Builder
		if Complete(&b, parser); strings.Join(strings.Fields(b.String()), " ") != x.want || strings.Join(asked, "; ") != x.asked {
			t.Errorf("%q: %q, asked %q", x.line, b.String(), asked)
		}
	}
}
