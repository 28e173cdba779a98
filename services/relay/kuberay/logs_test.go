package kuberay

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/proof"
)

const headLog = "api/v1/namespaces/search/pods/nightly-a-head-9k/log"

// lookAt returns what a source that may read logs sees of a state, look by look.
func lookAt(t *testing.T, api *standIn, state *state, may func(relay.Observation) bool) (*Source, func(after time.Duration) []*relay.Lines) {
	t.Helper()
	api.putState(*state)
	now := state.now(t)
	s := New(Options{HTTP: http.DefaultClient, URL: api.URL, Now: func() time.Time { return now }})
	s.ReadLogsIf(may)
	return s, func(after time.Duration) (lines []*relay.Lines) {
		now = now.Add(after)
		seen, err := s.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range seen {
			if o.Lines != nil {
				lines = append(lines, o.Lines)
			}
		}
		return lines
	}
}

func anybody(relay.Observation) bool { return true }

// Of a container that ends again and again its last lines are read: those of the one that ended, cut, without secrets, and seldom.
func TestLastLinesOfACrashLoop(t *testing.T) {
	api := newStandIn(t)
	api.answers[headLog] = strings.Repeat("step\n", 100) + "HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz\n\x1b[31mKeyError: 'embed'\x1b[0m\n"
	_, look := lookAt(t, api, &stories(t)["container"][2], anybody)
	lines := look(0)
	if len(lines) != 1 || lines[0].Process != "driver" || !strings.Contains(lines[0].Name, "head pod nightly-a-head-9k, container ray-head, which ended at 10:03:30Z") {
		t.Fatalf("%+v", lines)
	}
	text := lines[0].Text
	if !strings.HasSuffix(text, "KeyError: 'embed'") || strings.Contains(text, "hf_abc") || strings.Count(text, "\n") != proof.MaxLines-1 {
		t.Errorf("%q", text)
	}
	query := api.queries[headLog]
	if query.Get("previous") != "true" || query.Get("container") != "ray-head" || query.Get("tailLines") != "40" || query.Get("limitBytes") == "" {
		t.Errorf("asked with %v", query)
	}
	if again := look(time.Minute); len(again) > 0 {
		t.Errorf("read again after a minute: %+v", again)
	}
	if later := look(logsRest); len(later) != 1 {
		t.Errorf("not read after %v", logsRest)
	}
}

// What may not be read is said, with the right that is missing. The rest goes on.
func TestLogsThatMayNotBeRead(t *testing.T) {
	api := newStandIn(t)
	api.refuse["log"] = http.StatusForbidden
	_, look := lookAt(t, api, &stories(t)["container"][2], anybody)
	if lines := look(0); len(lines) != 1 || lines[0].Text != "" || lines[0].Unavailable != "The log can't be read: the right to get pods/log in namespace search is missing." {
		t.Errorf("%+v", lines)
	}
}

// Without the namespace's consent nothing is asked for.
func TestLogsAreOptIn(t *testing.T) {
	for name, may := range map[string]func(relay.Observation) bool{
		"never asked for": nil,
		"refused":         func(o relay.Observation) bool { return o.Metadata["headway.batch_id"] != "btch_1" },
	} {
		api := newStandIn(t)
		api.answers[headLog] = "a secret"
		_, look := lookAt(t, api, &stories(t)["container"][2], may)
		if lines := look(0); len(lines) > 0 || api.queries[headLog] != nil {
			t.Errorf("%s: %+v, asked with %v", name, lines, api.queries[headLog])
		}
	}
}

// A submitter's end is that of the program, whose last lines its log has.
func TestLastLinesOfASubmitter(t *testing.T) {
	api := newStandIn(t)
	api.answers["api/v1/namespaces/search/pods/nightly-7fq2c/log"] = "ValueError: no documents"
	_, look := lookAt(t, api, &stories(t)["submitter"][1], anybody)
	if lines := look(0); len(lines) != 1 || lines[0].Text != "ValueError: no documents" || api.queries["api/v1/namespaces/search/pods/nightly-7fq2c/log"].Get("previous") != "false" {
		t.Errorf("%+v", lines)
	}
}

// Run reads them too, while it watches.
func TestRunReadsLogs(t *testing.T) {
	state := stories(t)["container"][2]
	api := newStandIn(t)
	api.answers[headLog] = "KeyError: 'embed'"
	api.putState(state)
	now := state.now(t)
	source := New(Options{HTTP: http.DefaultClient, URL: api.URL, Now: func() time.Time { return now }, Tick: time.Millisecond})
	source.ReadLogsIf(anybody)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read := ""
	err := source.Run(ctx, func(_ context.Context, seen ...relay.Observation) error {
		for _, o := range seen {
			if o.Lines != nil {
				read = o.Lines.Text
				cancel()
			}
		}
		return nil
	})
	if err != nil || read != "KeyError: 'embed'" {
		t.Errorf("%v: %q", err, read)
	}
}
