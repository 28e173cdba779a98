package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// A line with a field that its type doesn't have is sent, and the field is named.
func TestPublishNamesUnknownFields(t *testing.T) {
	p := Publish{shared: shared{Namespace: "default"}}
	var d diagnostics.Decoder
	line := `{"specversion":"1.0","id":"1","source":"s","type":"dev.headway.tier.v1","subject":"b","time":"2026-01-01T00:00:00Z",
		"data":{"tier_num":0,"procesed_documents":5}}`
	subject, hints, rejection := p.subject(&d, []byte(line))
	if rejection != nil || subject != "headway.events.default.b.tier.0" ||
		!slices.Equal(hints, []string{"procesed_documents isn't a field; processed_documents?"}) {
		t.Fatal(subject, hints, rejection)
	}
}

// A line that is no event is named by what stands there, and by what may have happened.
func TestPublishExplainsWhatIsNoEvent(t *testing.T) {
	p := Publish{shared: shared{Namespace: "default"}}
	var d diagnostics.Decoder
	for line, says := range map[string]string{
		`status=PROCESSING`:      `isn't JSON: "status=PROCESSING"`,
		`{`:                      `doesn't end in the same line: "{"; write each event on one line, as jq -c . FILE does`,
		`{"specversion": "1.0",`: `doesn't end in the same line`,
		`"id": "1",`:             `isn't JSON: "\"id\": \"1\","`,
		`}`:                      `isn't JSON: "}"`,
		`[{"id":"1"}]`:           `is an array: `,
		`null`:                   `is no object: "null"`,
		`{'a':1}`:                `isn't JSON from byte 2 on: "{'a':1}"`,
		strings.Repeat("ü", 50):  `isn't JSON: "` + strings.Repeat("ü", 40) + `…"`,
		"\x1b[2J\xff":            `isn't JSON: "\x1b[2J\xff"`,
	} {
		_, _, rejection := p.subject(&d, []byte(line))
		if rejection == nil || rejection.Field != "event" || !strings.Contains(rejection.Reason, says) {
			t.Errorf("%q: %v, want %q", line, rejection, says)
		}
	}
}
