package cli

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

func TestReached(t *testing.T) {
	for _, x := range []struct {
		status string
		health diagnostics.Health
		by     string // of completed, stuck and over
	}{
		{"PROCESSING", diagnostics.HealthOK, ""},
		{"PROCESSING", diagnostics.HealthStuck, "stuck"},
		{"COMPLETED", diagnostics.HealthOK, "completed over"},
		{"SKIPPED", diagnostics.HealthOK, "completed over"},
		{"COMPLETED_WITH_ERRORS", diagnostics.HealthDegraded, "over"},
		{"FAILED", diagnostics.HealthDegraded, "over"},
		{"CANCELED", diagnostics.HealthOK, "over"},
		{"UNKNOWN", diagnostics.HealthOK, ""},
	} {
		var by []string
		for _, what := range []string{"completed", "stuck", "over"} {
			if reached(what, &client.Snapshot{Status: x.status, Health: x.health}) {
				by = append(by, what)
			}
		}
		if got := strings.Join(by, " "); got != x.by {
			t.Errorf("%s %v: %q, want %q", x.status, x.health, got, x.by)
		}
	}
}

// A report is well-formed XML whatever the texts contain, and counts as CI systems do.
func TestReport(t *testing.T) {
	code := "PROGRAM:FAILED"
	var b strings.Builder
	if err := writeReport(&b, "team-a", moment, []outcome{
		{Batch: "a", Outcome: outcomeReached, Says: "COMPLETED", Seconds: 61},
		{Batch: "b", Outcome: outcomeEnded, Says: "FAILED <" + plain(evil) + `">`, Cause: &code, Seconds: 2, next: []string{evil, "Fix & retry."}},
		{Batch: "c", Outcome: outcomeTimeout, Says: "not completed"},
		{Batch: evil, Outcome: outcomeUnknown, Says: "unreachable"},
	}); err != nil {
		t.Fatal(err)
	}
	var suite suiteXML
	if err := xml.Unmarshal([]byte(b.String()), &suite); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if suite.Tests != 4 || suite.Failures != 2 || suite.Errors != 1 || suite.Time != 61 || suite.Cases[1].Failure.Type != code ||
		!strings.HasSuffix(suite.Cases[1].Failure.Text, "\nFix & retry.") || suite.Cases[0].Out != "COMPLETED" || suite.Cases[3].Error == nil || suite.Cases[2].Class != "team-a" {
		t.Errorf("%+v\n%s", suite, b.String())
	}
}
