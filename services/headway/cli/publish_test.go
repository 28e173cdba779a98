package cli

import (
	"slices"
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
