package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// evil has what names and texts of events may contain: sequences that control a terminal, and characters that change the writing
// direction.
const evil = "\x1b]0;t\a\u009b2J\x7f\r\n\x00\u202eb"

// evilCause is a cause in which every text is evil.
func evilCause() *client.Cause {
	text := evil
	list, err := json.Marshal([]any{evil, map[string]any{evil: evil, "many": []string{evil}}})
	if err != nil {
		panic(err)
	}
	return &client.Cause{
		Code: evil, Certainty: evil, WhoActs: &text, WaitingHelps: &text, Sentence: evil, Detail: &text,
		Holders: list, Fixes: list, Asked: list, Evidence: []string{evil},
	}
}

// Whatever the texts contain, each is shown on one line and controls nothing.
func TestNothingSteersTheTerminal(t *testing.T) {
	text, at := evil, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	snapshot := client.Snapshot{
		BatchID: evil, BatchName: evil + "2", Status: evil, BlockedReason: &text, Error: &text, NextActions: []string{evil},
		ETA:   &diagnostics.ETA{Confidence: evil, Method: evil},
		Cause: evilCause(), Doubts: []client.Cause{*evilCause()},
		Tiers:    []diagnostics.TierDiagnostic{{Status: evil, Error: &text, RayJobID: &text, RayJobStatus: &text}},
		Insights: []diagnostics.Insight{{Message: evil}}, Actions: []diagnostics.Action{{Label: evil, Command: &text}},
	}
	explanation := client.Explanation{
		BatchID: evil, Status: evil, Rule: evil, Steps: []diagnostics.Step{{Says: evil, Events: []diagnostics.EventStamp{{ID: evil, Source: evil, Time: at}}}},
		NextCheck: &diagnostics.Change{At: at, Because: evil, Cause: &text}, Cause: evilCause(), Doubts: []client.Cause{*evilCause()}, NotTaken: []diagnostics.Alternative{{Because: evil}},
	}
	offer := relay.Offer{Cluster: evil, Address: evil, Ray: evil, Jobs: []rayapi.Job{{SubmissionID: evil, Status: evil}}}
	r, err := relay.New(relay.Options{Publisher: relay.NewLog(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(io.Writer){
		"get":     func(w io.Writer) { paper{width: 60, colours: false}.snapshot(w, &snapshot, at, "") },
		"explain": func(w io.Writer) { writeExplanation(w, &explanation, at) },
		"list": func(w io.Writer) {
			_ = paper{}.rows(w, []client.Row{{BatchID: evil, Status: evil, BlockedReason: &text, Cause: &text, Pipeline: &text, Owner: &text}}, true, at)
		},
		"attach":           func(w io.Writer) { writeOffer(w, r, &offer) },
		"a dead letter":    func(w io.Writer) { _ = showEvent(w, []byte(evil), true) },
		"one that is JSON": func(w io.Writer) { _ = showEvent(w, []byte(`{"a":"`+"\u009b\u202e"+`"}`), true) },
		"JSON":             func(w io.Writer) { _ = writeJSON(w, snapshot.AppendJSON(nil)) },
	} {
		var b bytes.Buffer
		write(&b)
		if strings.ContainsAny(b.String(), "\x1b\x07\u009b\x7f\r\x00\u202e") {
			t.Errorf("%s: %q", name, b.String())
		}
	}
}

// A dead letter is written to a file or a pipe as it arrived, and escaped JSON has the same meaning.
func TestDeadLetterIsShownAsItArrived(t *testing.T) {
	event := []byte(`{"a":"` + "\u009b\u202e" + `"}`)
	var raw, shown bytes.Buffer
	if err := showEvent(&raw, event, false); err != nil || !bytes.Equal(raw.Bytes(), append(bytes.Clone(event), '\n')) {
		t.Errorf("%v %q", err, raw.Bytes())
	}
	if err := showEvent(&shown, event, true); err != nil {
		t.Fatal(err)
	}
	var x map[string]string
	if err := json.Unmarshal(shown.Bytes(), &x); err != nil || x["a"] != "\u009b\u202e" {
		t.Errorf("%v %q", err, shown.Bytes())
	}
}
