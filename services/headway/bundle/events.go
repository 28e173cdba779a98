package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/internal/folding"
)

// Stored is one message of a batch, as a line of EventsName.
type Stored struct {
	Seq     uint64          `json:"sequence"`
	Stored  time.Time       `json:"stored"`
	Subject string          `json:"subject"`
	Event   json.RawMessage `json:"event,omitempty"` // in structured mode, whatever mode it was sent in
	// Unreadable is why it isn't an event. Then there is no Event, as nobody can tell what in it is secret.
	Unreadable string `json:"unreadable,omitempty"`
	Bytes      int    `json:"bytes,omitempty"`
}

// Events reads a batch's messages from the log, at most so many, as the content of EventsName. Errors besides those of eventlog.Log: some
// are missing, and why.
func Events(ctx context.Context, l *eventlog.Log, namespace, batch string, most int) ([]byte, error) {
	info, err := l.Info(ctx)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	n := 0
	err = l.ReadBatch(ctx, eventlog.BatchOptions{
		Partition: l.Partition(namespace, batch), Namespace: namespace, Batch: batch, From: max(1, info.First), To: info.Last, Identity: info.Identity,
	}, func(m eventlog.Message) error {
		if n++; n > most {
			return errMany
		}
		return encoder.Encode(stored(&m))
	})
	switch {
	case errors.Is(err, errMany):
		return out.Bytes(), fmt.Errorf("only the first %d events are there: --max-events takes more", most)
	case err != nil && n == 0:
		return nil, err
	case err != nil:
		return out.Bytes(), fmt.Errorf("only the first %d events are there: %w", n, err)
	case n == 0:
		return nil, errors.New("the log has no event of this batch")
	}
	return out.Bytes(), nil
}

var errMany = errors.New("too many events")

func stored(m *eventlog.Message) Stored {
	s := Stored{Seq: m.Seq, Stored: m.Stored.UTC(), Subject: m.Subject}
	var decoder diagnostics.Decoder
	if _, no := decoder.Decode(folding.Message(m)); no != nil {
		s.Unreadable, s.Bytes = no.Error(), len(m.Data)
		return s
	}
	s.Event = structured(m)
	return s
}

// structured is an event that can be decoded as one JSON object, its data in the open.
func structured(m *eventlog.Message) json.RawMessage {
	event := map[string]json.RawMessage{}
	if kind := attribute(m.Header, "ce-type"); kind != "" && !strings.HasPrefix(attribute(m.Header, "content-type"), "application/cloudevents") {
		for name := range m.Header {
			if own, is := strings.CutPrefix(strings.ToLower(name), "ce-"); is {
				event[own] = quoted(attribute(m.Header, name))
			}
		}
		event["data"] = m.Data
	} else if json.Unmarshal(m.Data, &event) != nil {
		return nil // it was decoded before
	}
	var inside []byte
	if encoded, is := event["data_base64"]; is && json.Unmarshal(encoded, &inside) == nil && json.Valid(inside) {
		event["data"] = inside
		delete(event, "data_base64")
	}
	out, err := json.Marshal(event)
	if err != nil {
		return nil
	}
	return out
}

func attribute(h nats.Header, name string) string {
	for is, all := range h {
		if strings.EqualFold(is, name) && len(all) > 0 {
			if plain, err := url.PathUnescape(all[0]); err == nil { // CloudEvents escapes what a header can't have
				return plain
			}
			return all[0]
		}
	}
	return ""
}

func quoted(text string) json.RawMessage {
	out, err := json.Marshal(text)
	if err != nil {
		return nil // a string always can be
	}
	return out
}

// Scenario is a batch that can be played back.
type Scenario struct {
	Taken            time.Time
	Namespace, Batch string
	Messages         bool     // the texts of producers are there
	Cut              []string // why events may be missing

	events  []json.RawMessage
	leftOut int
}

// Read reads the scenario of an archive.
func Read(archive []byte) (*Scenario, error) {
	content, err := files(archive, ManifestName, EventsName)
	if err != nil {
		return nil, fmt.Errorf("isn't an archive of headway bundle: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(content[ManifestName], &m); err != nil || m.Format == 0 {
		return nil, errors.New("isn't an archive of headway bundle: it has no " + ManifestName)
	}
	switch {
	case m.Format > format:
		return nil, fmt.Errorf("its format is %d, and this program knows %d: use a newer headway", m.Format, format)
	case content[EventsName] == nil:
		return nil, errors.New("it has no events: it was made without a batch, or the log couldn't be read; its " + ManifestName + " says why")
	}
	s := &Scenario{Taken: m.Taken, Namespace: m.Namespace, Batch: m.Batch, Messages: m.Messages == "kept"}
	for _, missing := range m.Missing {
		if missing.Name == EventsName {
			s.Cut = append(s.Cut, missing.Why)
		}
	}
	for line := range bytes.Lines(content[EventsName]) {
		var one Stored
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", EventsName, err)
		}
		var of struct{ Source string }
		if one.Event == nil || json.Unmarshal(one.Event, &of) != nil || of.Source == diagnostics.DetectorSource {
			s.leftOut++
			continue
		}
		s.events = append(s.events, one.Event)
	}
	return s, nil
}

// At returns the events as they are if the moment at which the archive was made is now, in a namespace: every time in them is moved by as
// much. left counts those that aren't sent: Headway makes them itself, or nobody can read them.
func (s *Scenario) At(now time.Time, namespace string) (events []simulator.Event, left int, err error) {
	by, left := now.Sub(s.Taken), s.leftOut
	var decoder diagnostics.Decoder
	for _, event := range s.events {
		moved, is := move(values("event.json", event)[0], "", by).(map[string]any) // it was parsed before
		if !is {
			left++
			continue
		}
		moved["subject"] = s.Batch // over HTTP the batch is taken from here
		data, err := json.Marshal(moved)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", EventsName, err)
		}
		e, no := decoder.Decode(diagnostics.Message{Namespace: namespace, Data: data, Stored: now})
		if no != nil {
			left++
			continue
		}
		events = append(events, simulator.Event{Namespace: namespace, Batch: s.Batch, Subject: e.Subject(), Data: data})
	}
	if len(events) == 0 {
		return nil, 0, errors.New(EventsName + " has no event that can be sent")
	}
	return events, left, nil
}

// foreign are members in which producers write what they like.
var foreign = []string{"labels", "submission_params", "demand", "offered", "resources"}

func move(v any, name string, by time.Duration) any {
	switch x := v.(type) {
	case map[string]any:
		for key, value := range x {
			if !slices.Contains(foreign, key) {
				x[key] = move(value, key, by)
			}
		}
	case []any:
		for i := range x {
			x[i] = move(x[i], name, by)
		}
	case string:
		if name != "time" && name != "since" && name != "at" && !strings.HasSuffix(name, "_at") && !strings.HasSuffix(name, "_since") {
			return x
		}
		if at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(x)); err == nil {
			return at.Add(by).UTC().Format(time.RFC3339Nano)
		}
	}
	return v
}
