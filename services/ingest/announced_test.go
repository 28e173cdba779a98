package ingest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/folding"
)

// An announcement is the same event with the header for its content type and without it, as older detectors published it.
func TestAnnouncementWithAndWithoutItsHeader(t *testing.T) {
	const text = `{"specversion":"1.0","id":"b.health.0","source":"headway/detector","type":"dev.headway.batch.health.changed.v1","subject":"b","time":"2026-03-01T12:00:00Z",` +
		`"data":{"ordinal":0,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"a-1-1","as_of":"2026-03-01T12:00:00Z","cause_to":"IMAGE:PULL_FAILED"}}`
	var events []diagnostics.Event
	for _, h := range []nats.Header{nil, eventlog.Structured(), {"Content-Type": {"application/cloudevents+json"}}} {
		m := folding.Message(&eventlog.Message{Subject: "headway.log.0.n.b.health", Data: []byte(text), Header: h, Stored: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC)})
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

// A change of health of somebody else is a dead letter. It isn't folded, so that the detector announces under the ordinal that it claims.
func TestHealthOfSomebodyElse(t *testing.T) {
	s := newStand(t)
	s.start(nil)
	s.job("b", "j", 1)
	forged := s.say("b", "health", diagnostics.TypeHealthV1,
		`{"ordinal":0,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"a-1-1","as_of":"2026-03-01T12:00:00Z"}`)
	s.eventually("one dead letter", func() error {
		if all := s.letters(); len(all) != 1 || all[0].Seq != forged || all[0].Field != "source" {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
	want := s.offline()
	s.eventually("whole", func() error { return s.whole(want) })
	if v := want[viewstore.Key{Namespace: "n", Batch: "b"}]; v.HealthSeq != 0 || v.LastAnnounced() != diagnostics.HealthOK {
		t.Errorf("it counts as announced: %d, %v", v.HealthSeq, v.LastAnnounced())
	}
}
