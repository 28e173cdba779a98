package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/headwayhq/headway/services/headway/contexts"
)

// Every batch is asked for before the first one is erased, an erasure that isn't finished is continued, and without a terminal only --yes
// erases anything.
func TestErase(t *testing.T) {
	stored(t, contexts.File{})
	var asked []string
	tries := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for _, bound := range []string{"from", "to"} { // they depend on the time
			if q.Has(bound) {
				q.Del(bound)
				r.URL.RawQuery = q.Encode()
			}
		}
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		switch {
		case r.URL.Path == "/v1/batches/history":
			_, _ = fmt.Fprint(w, `{"batches":[{"batch_id":"a"},{"batch_id":"old"}],"next_cursor":null}`)
		case r.Method == http.MethodGet:
			_, _ = fmt.Fprint(w, `{"batches":[{"batch_id":"a"},{"batch_id":"c/d"}],"next_cursor":null}`)
		case r.URL.RawQuery == "" && tries > 0:
			tries--
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprint(w, `{"status":503,"error":{"type":"erasing_unfinished","message":"Again."}}`)
		default:
			_, _ = fmt.Fprint(w, `{"batch_id":"a","namespace":"n","events":3}`)
		}
	}))
	defer h.Close()
	run := func(line string) (code int, says string) {
		t.Helper()
		asked = nil
		k, _, err := parse(t, append(strings.Fields("erase --url "+h.URL), strings.Fields(line)...)...)
		if err == nil {
			k.BindTo(t.Context(), (*context.Context)(nil))
			err = k.Run()
		}
		var exit ExitError
		if err = Usage(err); err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", line, err)
		}
		return exit.Code, fmt.Sprint(exit.Err)
	}
	const dry = "?dry_run=true"
	for line, want := range map[string][]string{
		"a b a --dry-run":             {"DELETE /v1/batches/a" + dry, "DELETE /v1/batches/b" + dry},
		"--pipeline p --label k=v -y": {"GET /v1/batches?label=k%3Av&limit=200&pipeline=p", "GET /v1/batches/history?label=k%3Av&limit=200&pipeline=p", "DELETE /v1/batches/a" + dry, "DELETE /v1/batches/c%2Fd" + dry, "DELETE /v1/batches/old" + dry, "DELETE /v1/batches/a", "DELETE /v1/batches/c%2Fd", "DELETE /v1/batches/old"},
		"--status PENDING --dry-run":  {"GET /v1/batches?limit=200&status=PENDING", "DELETE /v1/batches/a" + dry, "DELETE /v1/batches/c%2Fd" + dry},
	} {
		if code, says := run(line); code != 0 || !slices.Equal(asked, want) {
			t.Errorf("%s: %d %s, asked %q", line, code, says, asked)
		}
	}
	tries = 2
	if code, says := run("a --yes"); code != 0 || len(asked) != 4 {
		t.Errorf("unfinished: %d %s, asked %q", code, says, asked)
	}
	for line, part := range map[string]string{
		"a":                        "--yes: is needed where nobody can be asked",
		"":                         "name batches, or choose them with",
		"a --pipeline p":           "leave out their names",
		"a -":                      "-: stands for a list on standard input",
		"--since 1h --until 2h -y": "--until: is before --since",
	} {
		if code, says := run(line); code != exitUsage || !strings.Contains(says, part) {
			t.Errorf("%q: %d %s", line, code, says)
		}
		if slices.ContainsFunc(asked, func(r string) bool { return strings.HasPrefix(r, "DELETE") && !strings.HasSuffix(r, dry) }) {
			t.Errorf("%q erased something: %q", line, asked)
		}
	}
}
