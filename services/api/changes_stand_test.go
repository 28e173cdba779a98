package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

const changesPath = "/v1/health-events"

// announcements is a real log, into which changes of health are written as the detector does.
type announcements struct {
	t    *testing.T
	nats *headwaytest.NATSServer
	log  *eventlog.Log
	js   jetstream.JetStream
	last map[string]uint64
	said int
}

func newAnnouncements(t *testing.T) *announcements {
	t.Helper()
	a := &announcements{t: t, nats: headwaytest.NATS(t), last: map[string]uint64{}}
	nc := a.nats.Conn()
	var err error
	if a.log, err = eventlog.Open(t.Context(), nc, eventlog.Config{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	if a.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return a
}

// say announces a change and returns the event's id.
func (a *announcements) say(ns, batch, to, code string, padding ...string) (id string) {
	a.t.Helper()
	a.said++
	id = fmt.Sprintf("%s.health.%d", batch, a.said)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	event, _ := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "headway/detector", "type": "dev.headway.batch.health.changed.v1", "subject": batch, "time": now,
		"data": map[string]any{
			"ordinal": a.said, "batch_id": batch, "namespace": ns, "from": "ok", "to": to, "revision": "a-1-1", "as_of": now,
			"changed": []string{"cause", "health"}, "cause_from": nil, "cause_to": code, "blocked_reason": "x: " + strings.Join(padding, ""),
		},
	})
	seq, err := a.log.PublishHealth(a.t.Context(), ns, batch, a.last[ns+"."+batch], event)
	if err != nil {
		a.t.Fatal(err)
	}
	a.last[ns+"."+batch] = seq
	return id
}

// stored waits until the stream of health has n messages more than removed ones.
func (a *announcements) stored(n uint64) {
	a.t.Helper()
	eventually(a.t, "changes stored", func() string {
		info, err := a.log.HealthInfo(a.t.Context())
		if err == nil && info.Last >= n {
			return ""
		}
		return fmt.Sprint(info.Last, err)
	})
}

// api starts an api that reads this log.
func (a *announcements) api(change ...func(*Options)) (w *world, base string, stop func()) {
	a.t.Helper()
	w = newWorld(a.t, append(change, func(o *Options) { o.Log = a.log })...)
	base, end := w.listen()
	return w, base, func() { end() }
}

// follower is a client that resumes as EventSource does.
type follower struct {
	*events
	lastID string
}

func follow(t testing.TB, target string, header ...string) *follower {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(c.CloseIdleConnections)
	return &follower{events: open(t, c, target, append(header, "Accept", "text/event-stream")...)}
}

// read is the next event; an empty name means that the stream ended, and data is then its last comment.
func (f *follower) read() (name, data string) {
	f.t.Helper()
	var id, comment string
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			return "", comment
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, ":"):
			comment = line
		case strings.HasPrefix(line, "id: "):
			id = line[4:]
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "" && name != "":
			conformsEvent(f.t, changesPath, name, data)
			f.lastID = id
			return name, data
		}
	}
}

// changes reads the next n changes and returns their ids.
func (f *follower) changes(n int) (ids []string) {
	f.t.Helper()
	for range n {
		name, data := f.read()
		if name != "health" {
			f.t.Fatalf("got %q %s after %v", name, data, ids)
		}
		ids = append(ids, eventID(f.t, []byte(data)))
	}
	return ids
}

func (f *follower) position(reason string) {
	f.t.Helper()
	if name, data := f.read(); name != "position" || !strings.Contains(data, `"reason":"`+reason+`"`) {
		f.t.Fatalf("got %q %s, want the position because of %s", name, data, reason)
	}
}

func eventID(t testing.TB, data []byte) string {
	t.Helper()
	var e struct{ ID string }
	if err := json.Unmarshal(data, &e); err != nil || e.ID == "" {
		t.Fatalf("%v: %s", err, data)
	}
	return e.ID
}

func wantIDs(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
