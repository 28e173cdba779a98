package ingest

import (
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// An announcement is the same event with the header for its content type and without it, as older detectors published it.
func TestAnnouncementWithAndWithoutItsHeader(t *testing.T) {
	const text = `{"specversion":"1.0","id":"b.health.0","source":"headway/detector","type":"dev.headway.batch.health.changed.v1","subject":"b","time":"2026-03-01T12:00:00Z",` +
		`"data":{"ordinal":0,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"a-1-1","as_of":"2026-03-01T12:00:00Z","cause_to":"IMAGE:PULL_FAILED"}}`
	var events []diagnostics.Event
	for _, h := range []nats.Header{nil, eventlog.Structured(), {"Content-Type": {"application/cloudevents+json"}}} {
		m := message(&eventlog.Message{Subject: "headway.log.0.n.b.health", Data: []byte(text), Header: h, Stored: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC)})
		var d diagnostics.Decoder
		e, refusal := d.Decode(m)
		if refusal != nil {
			t.Fatalf("%v: %v", h, refusal)
		}
		events = append(events, *e)
	}
	if e := events[0]; e.Type != diagnostics.TypeHealth || e.HealthFacts.CauseTo.V != "IMAGE:PULL_FAILED" || !reflect.DeepEqual(e, events[1]) || !reflect.DeepEqual(e, events[2]) {
		t.Errorf("%+v", events)
	}
}
