// Package folding folds the messages of the event log into views: which of them count, and what position they give a view. Ingest
// does it as they arrive, and the api to answer about a past moment, so both read the log in the same way.
package folding

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// Refused is what a rejection adds to the view of the message's batch. An unexpected failure of our own code
// adds nothing, because the producer didn't cause it.
func Refused(m *eventlog.Message, rejection *diagnostics.Rejection) (diagnostics.Refusal, bool) {
	if rejection.Field == internalField {
		return diagnostics.Refusal{}, false
	}
	return diagnostics.NewRefusal(Message(m), rejection)
}

// Refusal folds a refusal, like Into folds an event.
func Refusal(v *diagnostics.View, r diagnostics.Refusal, seq uint64) (changed bool) {
	before := v.Header
	outcome := diagnostics.FoldRefused(v, r)
	if outcome == diagnostics.Applied {
		v.Revision = max(v.Revision, seq)
	}
	return outcome == diagnostics.Applied || v.Header != before
}

const internalField = "internal"

// Internal is the rejection of an event on which our own code fails.
func Internal(reason string) *diagnostics.Rejection {
	return &diagnostics.Rejection{Field: internalField, Reason: "internal: " + reason}
}

// Decode decodes a message. A panic counts as a rejection of that event.
func Decode(d *diagnostics.Decoder, m *eventlog.Message) (event *diagnostics.Event, rejection *diagnostics.Rejection) {
	defer func() {
		if r := recover(); r != nil {
			*d = diagnostics.Decoder{}
			event, rejection = nil, Internal(fmt.Sprintf("decoding panicked: %v", r))
		}
	}()
	if event, rejection = d.Decode(Message(m)); rejection == nil {
		rejection = notOurs(event)
	}
	return event, rejection
}

// notOurs refuses events of types that no producer may send. A change of health that isn't the detector's would count as announced:
// no reader would hear of the change that the detector announces under the same ordinal. An erasure can't be taken back.
func notOurs(e *diagnostics.Event) *diagnostics.Rejection {
	switch {
	case e.Type == diagnostics.TypeHealth && e.Source != diagnostics.DetectorSource:
		return &diagnostics.Rejection{Field: "source", Reason: "must be " + diagnostics.DetectorSource + ": only Headway's detector announces changes of health"}
	case e.Type == diagnostics.TypeErase && e.Source != diagnostics.EraseSource:
		return &diagnostics.Rejection{Field: "source", Reason: "must be " + diagnostics.EraseSource + ": only an operator erases a batch, with DELETE /v1/batches/{batch_id}"}
	}
	return nil
}

// Into folds an event and updates the header. changed reports whether the stored value differs from
// before. Sequences never go back, because after a crash events that are folded already may be folded again.
func Into(fold func(*diagnostics.View, *diagnostics.Event) diagnostics.Outcome, v *diagnostics.View, event *diagnostics.Event, seq uint64) (outcome diagnostics.Outcome, changed bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("folding panicked: %v", r)
		}
	}()
	before := v.Header
	switch outcome = fold(v, event); outcome {
	case diagnostics.Applied:
		v.Revision = max(v.Revision, seq)
	case diagnostics.Rejected:
		return outcome, false, errors.New("the event was folded into another batch's view")
	}
	if event.Type == diagnostics.TypeHealth {
		v.HealthSeq = max(v.HealthSeq, seq)
	}
	return outcome, outcome == diagnostics.Applied || v.Header != before, nil
}

// Message is a stored message as the decoder reads it.
func Message(m *eventlog.Message) diagnostics.Message {
	out := diagnostics.Message{Subject: m.Subject, Data: m.Data, Stored: m.Stored}
	if len(m.Header) > 0 {
		out.Attribute = attributes(m.Header)
	}
	return out
}

// attributes reads CloudEvents attributes from NATS headers, whose names may have any case.
func attributes(h nats.Header) func(string) string {
	return func(name string) string {
		want := "ce-" + name
		if name == "content-type" {
			want = name
		}
		for k, v := range h {
			if len(v) > 0 && strings.EqualFold(k, want) {
				return v[0]
			}
		}
		return ""
	}
}
