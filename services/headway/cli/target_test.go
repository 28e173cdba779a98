package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/headway/contexts"
)

// seen is an API that notes what each request shows.
type seen struct {
	mu       sync.Mutex
	requests []string // credential and namespace
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+" "+r.Header.Get("X-Namespace"))
	s.mu.Unlock()
	if r.URL.Path == "/readyz" {
		return
	}
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprint(w, `{"status":403,"error":{"type":"role_missing","message":"This needs admin."}}`)
}

func (s *seen) take() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, s.requests = s.requests, nil
	return out
}

// stored makes a file of contexts for a test, and a directory without a headway.yaml.
func stored(t *testing.T, f contexts.File) {
	t.Helper()
	t.Setenv("HEADWAY_CONTEXTS", filepath.Join(t.TempDir(), "contexts.yaml"))
	for _, variable := range []string{"HEADWAY_CONTEXT", "HEADWAY_URL", "HEADWAY_TOKEN", "HEADWAY_TOKEN_FILE", "HEADWAY_NAMESPACE", "HEADWAY_NATS_URL"} {
		t.Setenv(variable, "")
	}
	if err := contexts.Update(func(to *contexts.File) error { *to = f; return nil }); err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, args ...string) (*kong.Context, *Commands, error) {
	t.Helper()
	var c Commands
	parser, err := kong.New(&c, kong.Name("headway"), kong.Vars{"data_dir": t.TempDir()}, kong.Exit(func(int) { t.Fatalf("%v: it ended", args) }))
	if err != nil {
		t.Fatal(err)
	}
	k, err := parser.Parse(args)
	return k, &c, err
}

// Every verb that talks to the API takes the context's address, credential and namespace. A verb that isn't in this table fails the test,
// so a new one can't forget it.
func TestEveryVerbTakesContexts(t *testing.T) {
	const (
		api   = "k1 team-a"
		asked = "k1 " // of no namespace
	)
	events := filepath.Join(t.TempDir(), "events.jsonl")
	line := `{"specversion":"1.0","id":"1","source":"s","type":"dev.headway.batch.v1","subject":"b","time":"2026-01-01T00:00:00Z","data":{"status":"PROCESSING"}}`
	if err := os.WriteFile(events, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	verbs := map[string]struct {
		args []string
		want string // of each request; "": it talks to NATS or Redis only, or to nobody
		why  string // it has no --context
	}{
		"get": {[]string{"b"}, api, ""}, "explain": {[]string{"b"}, api, ""}, "list": {nil, api, ""}, "history": {nil, api, ""}, "runs": {[]string{"p"}, api, ""}, "watch": {[]string{"b", "--lines"}, api, ""},
		"wait": {[]string{"b"}, api, ""}, "demo": {[]string{"--batches", "1", "--speed", "1000"}, api, ""}, "publish": {[]string{events}, api, ""}, "erase": {[]string{"b", "--dry-run"}, api, ""}, "whoami": {nil, asked, ""},
		"keys create": {[]string{"--name", "n", "--namespace", "x", "--role", "reader"}, asked, ""}, "keys list": {nil, asked, ""},
		"keys revoke": {[]string{"id"}, asked, ""}, "keys rotate": {[]string{"id"}, asked, ""}, "doctor": {[]string{"--timeout", "5s"}, api, ""},
		"bundle": {[]string{"b", "--timeout", "5s", "--file", filepath.Join(t.TempDir(), "b.zip")}, api, ""},
		"health": {}, "dlq list": {}, "dlq show": {args: []string{"id"}}, "dlq republish": {args: []string{"id"}}, "attach": {args: []string{"http://127.0.0.1:1"}},
		"streams show": {}, "streams apply": {}, "upgrade status": {}, "upgrade serve": {args: []string{"--fold", "1"}}, "upgrade finish": {},
		"login": {why: "it makes contexts"}, "logout": {why: "it changes one"}, "contexts list": {why: "it lists them"},
		"contexts use": {args: []string{"c"}, why: "it changes them"}, "contexts delete": {args: []string{"c"}, why: "it changes them"},
		"help": {why: "it talks to nobody"}, "completion": {args: []string{"bash"}, why: "it talks to nobody"}, "version": {why: "it talks to nobody"},
		"ready":        {why: "it asks one program, without credentials"},
		"policy check": {args: []string{"f"}, why: "it reads a file"}, "policy show": {why: "it reads a file"},
	}
	server := &seen{}
	h := httptest.NewServer(server)
	defer h.Close()
	stored(t, contexts.File{Current: "other", Contexts: map[string]contexts.Context{
		"c": {URL: h.URL, Namespace: "team-a", Token: "k1"}, "other": {URL: "http://127.0.0.1:1", Token: "k2"},
	}})
	k, _, err := parse(t, "version")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, leaf := range k.Model.Leaves(true) {
		name := strings.TrimSpace(strings.TrimPrefix(leaf.Path(), "headway"))
		verb, is := verbs[name]
		if known++; !is {
			t.Errorf("headway %s: not in this table", name)
			continue
		}
		if verb.why != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			k, _, err := parse(t, append(strings.Fields(name), append(verb.args, "--context", "c")...)...)
			if err != nil {
				t.Fatal(err)
			}
			if verb.want == "" {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			k.BindTo(ctx, (*context.Context)(nil))
			var exit ExitError
			if err := k.Run(); !errors.As(err, &exit) {
				if name != "doctor" && name != "bundle" || err != nil { // which say it in their findings
					t.Errorf("refused, but %v", err)
				}
			} else if exit.Code != exitUnknown || !strings.Contains(fmt.Sprint(exit.Err), "may not do this (403): This needs admin.") {
				t.Errorf("exit code %d: %v", exit.Code, exit.Err)
			}
			got := server.take()
			if len(got) == 0 || slices.ContainsFunc(got, func(r string) bool { return r != verb.want }) {
				t.Errorf("the API saw %q, want %q", got, verb.want)
			}
		})
	}
	if known != len(verbs) {
		t.Errorf("%d verbs, and %d in this table", known, len(verbs))
	}
}

// A flag outweighs the environment, that outweighs the current context, and that the default. A credential is only for the address of its
// own context.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, env string
		want      string // address, namespace and credential
	}{
		{"", "", "http://a A ka"},
		{"--context b", "", "http://b B kb"},
		{"", "HEADWAY_CONTEXT=b", "http://b B kb"},
		{"--context a", "HEADWAY_CONTEXT=b", "http://a A ka"},
		{"--namespace x --token t", "", "http://a x t"},
		{"", "HEADWAY_NAMESPACE=x HEADWAY_TOKEN=t", "http://a x t"},
		{"--context b", "HEADWAY_NAMESPACE=x HEADWAY_TOKEN=t HEADWAY_URL=http://c", "http://b B kb"},
		{"", "HEADWAY_CONTEXT=b HEADWAY_NAMESPACE=x", "http://b x kb"},
		{"--url http://c", "", "http://c  "}, // not with the credential of another Headway
		{"--url http://a/", "", "http://a/ A ka"},
		{"", "HEADWAY_URL=http://c", "http://c  "},
		{"", "HEADWAY_URL=http://c HEADWAY_TOKEN=t", "http://c  t"},
		{"--url http://c", "HEADWAY_CONTEXT=b", "http://c  "},
		{"--token-file " + file, "HEADWAY_TOKEN=t", "http://a A from-file"},
		{"--token t", "HEADWAY_TOKEN_FILE=" + file, "http://a A t"},
		{"", "HEADWAY_TOKEN=t HEADWAY_TOKEN_FILE=" + file, "http://a A from-file"},
		{"--context b --token t", "", "http://b B t"},
		{"--context b --url http://c", "", "80 --url"},
		{"", "HEADWAY_CONTEXT=b HEADWAY_URL=http://c", "80 HEADWAY_URL"},
		{"--context nope", "", "80 --context"},
		{"", "HEADWAY_CONTEXT=nope", "80 HEADWAY_CONTEXT"},
	} {
		stored(t, contexts.File{Current: "a", Contexts: map[string]contexts.Context{
			"a": {URL: "http://a", Namespace: "A", Token: "ka"}, "b": {URL: "http://b", Namespace: "B", Token: "kb"},
		}})
		for _, pair := range strings.Fields(c.env) {
			name, value, _ := strings.Cut(pair, "=")
			t.Setenv(name, value)
		}
		_, verbs, err := parse(t, append([]string{"get", "batch"}, strings.Fields(c.args)...)...)
		got := ""
		var exit ExitError
		if errors.As(err, &exit) {
			source, _, _ := strings.Cut(exit.Err.Error(), ":")
			got = fmt.Sprint(exit.Code, " ", source)
		} else if err == nil {
			s, token := verbs.Get.shared, ""
			if s.in.credential.token != nil {
				if token, err = s.in.credential.token(t.Context()); err != nil {
					t.Error(err)
				}
			}
			got = s.URL + " " + s.Namespace + " " + token
		}
		if got != c.want {
			t.Errorf("%s %s: got %q, want %q (%v)", c.env, c.args, got, c.want, err)
		}
	}
}

// Without any context everything is as if there were none.
func TestWithoutContexts(t *testing.T) {
	stored(t, contexts.File{})
	_, verbs, err := parse(t, "get", "b")
	if err != nil || verbs.Get.URL != defaultURL || verbs.Get.in.credential.token != nil || verbs.Get.known() != "default" {
		t.Errorf("%+v, %v", verbs.Get, err)
	}
}

// What the API refuses is told by name, with whose credential it was and what to do.
func TestRefusals(t *testing.T) {
	none := target{URL: "http://h"}
	flag := target{URL: "http://h", in: chosen{credential: givenCredential("k", "HEADWAY_TOKEN", "", "", false)}}
	of := target{URL: "http://h", in: chosen{context: "prod", credential: ofContext("prod", contexts.Context{Token: "k"})}}
	command := target{URL: "http://h", in: chosen{context: "prod", credential: ofContext("prod", contexts.Context{Command: "c"})}}
	for _, c := range []struct {
		t    target
		e    client.StatusError
		says string
	}{
		{none, client.StatusError{Status: 401, Kind: client.KindMissing, Detail: "This needs a credential."}, "http://h needs a credential (401): headway login --url http://h signs in; --token-file and HEADWAY_TOKEN give a key without that."},
		{flag, client.StatusError{Status: 401, Kind: client.KindInvalid, Detail: "It isn't known here."}, "HEADWAY_TOKEN: the API refused its credential (401): It isn't known here. Give the present credential."},
		{of, client.StatusError{Status: 401, Kind: client.KindExpired, Detail: "It expired at noon."}, "the context prod: the API refused its credential (401): It expired at noon. headway login --context prod signs in again."},
		{command, client.StatusError{Status: 401, Kind: client.KindEnded, Detail: "It was revoked."}, "It was revoked. The command of the context has to print the present credential."},
		{of, client.StatusError{Status: 403, Kind: client.KindRole, Detail: "The key k has the role reader. This needs writer or admin."}, "the context prod: its credential may not do this (403): The key k has the role reader. This needs writer or admin. An administrator"},
		{of, client.StatusError{Status: 403, Kind: client.KindNamespaces, Detail: "This needs a key for *."}, "the API refused this (403): This needs a key for *."},
		{of, client.StatusError{Status: 410, Kind: client.KindErased, Detail: "This batch was erased by an operator at noon."}, "This batch was erased by an operator at noon."},
		{of, client.StatusError{Status: 421, Kind: client.KindMisdirected, Detail: "Give it this name with --allowed-host."}, "--url: http://h isn't a name of this Headway (421): Give it this name with --allowed-host."},
		{of, client.StatusError{Status: 429, Kind: "too_many_streams", Detail: "Too many streams.", RetryAfter: 5 * time.Second}, "http://h answers 429: Too many streams. Try again in 5 s."},
		{of, client.StatusError{Status: 503, Kind: client.KindUnchecked, Detail: "Credentials can't be checked.", RetryAfter: 2 * time.Second}, "http://h answers 503: Credentials can't be checked. Try again in 2 s."},
	} {
		var exit ExitError
		if err := c.t.refused(&c.e); !errors.As(err, &exit) || exit.Code != exitUnknown || !strings.Contains(exit.Err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
	}
}

// The command of a context runs once for all that need its credential, and again only for one that was refused.
func TestCommand(t *testing.T) {
	counted := filepath.Join(t.TempDir(), "runs")
	c := command{line: "echo run >> " + counted + "; echo key-$(wc -l < " + counted + ")", context: "c"}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := c.token(t.Context()); err != nil || got != "key-1" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer key-2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	s := shared{target: target{URL: server.URL, in: chosen{credential: credential{token: c.token}}}}
	r, err := s.reader(nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Me(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if runs, err := os.ReadFile(counted); err != nil || strings.Count(string(runs), "run") != 2 {
		t.Errorf("%q, %v", runs, err)
	}
	for line, says := range map[string]string{"exit 3": "failed: exit status 3", "true": "is empty", "echo two words": "one credential", "printf 'a\\nb'": "one credential"} {
		bad := command{line: line, context: "c"}
		_, err := bad.token(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "the context c") || strings.Contains(err.Error(), "words") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
