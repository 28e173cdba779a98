package simulator

import (
	"reflect"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

func config() Config {
	return Config{Seed: 7, Batches: 18, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Namespaces: []string{"a", "b", "c"}, Dirty: RealisticDirt()}
}

func TestSeeded(t *testing.T) {
	if !reflect.DeepEqual(Events(config()), Events(config())) {
		t.Error("equal configurations give different events")
	}
	other := config()
	other.Seed++
	if reflect.DeepEqual(Events(config()), Events(other)) {
		t.Error("another seed gives the same events")
	}
}

// Clean events are accepted, invalid ones are refused, and no event has a time later than when it is sent.
func TestDecodes(t *testing.T) {
	c := config()
	var d diagnostics.Decoder
	poison, size, n := 0, 0, 0
	for _, e := range Events(c) {
		sent := c.Start.Add(e.At)
		got, rejection := d.Decode(diagnostics.Message{Subject: e.Subject, Data: e.Data, Stored: sent})
		switch {
		case e.Poison:
			poison++
			if rejection == nil {
				t.Errorf("poison was accepted: %s", e.Data)
			}
		case rejection != nil:
			t.Fatalf("%s: %v\n%s", e.Subject, rejection, e.Data)
		case got.Time > sent.UnixNano():
			t.Errorf("sent before it was true: %s", e.Data)
		}
		size, n = size+len(e.Data), n+1
	}
	if poison == 0 {
		t.Error("no poison")
	}
	t.Logf("%d events, %d bytes each", n, size/n)
}

// Each scenario ends as its name says.
func TestScenarios(t *testing.T) {
	for s, want := range map[Scenario]string{
		Healthy: "COMPLETED", Retry: "COMPLETED", SlowStart: "COMPLETED", OutOfMemory: "FAILED", PartialFailures: "COMPLETED_WITH_ERRORS",
		Stuck: "PROCESSING", NodeNeverComes: "PROCESSING", JobsOnly: "PROCESSING",
	} {
		c := config()
		c.Batches, c.Scenarios = 1, []Scenario{s}
		var d diagnostics.Decoder
		var v *diagnostics.View
		for _, e := range Events(c) {
			if e.Poison {
				continue
			}
			got, rejection := d.Decode(diagnostics.Message{Subject: e.Subject, Data: e.Data, Stored: c.Start.Add(e.At)})
			if rejection != nil {
				t.Fatal(rejection)
			}
			if v == nil {
				v = diagnostics.NewView(e.Namespace, e.Batch)
			}
			diagnostics.Fold(v, got)
		}
		got := diagnostics.Render(v, c.Start.Add(24*time.Hour), diagnostics.DefaultPolicy(), diagnostics.Meta{})
		if got.Status != want {
			t.Errorf("%s ends %s, want %s", s, got.Status, want)
		}
		if hangs := s == Stuck || s == NodeNeverComes; hangs != (got.Health == diagnostics.HealthStuck) {
			t.Errorf("%s is %v", s, got.Health)
		}
	}
}
