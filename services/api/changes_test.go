package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// Two namespaces get their own changes as they happen, each as the whole event that was published.
func TestChangesLive(t *testing.T) {
	a := newAnnouncements(t)
	a.say("teamA", "before", "stuck", "")
	a.stored(1)
	_, base, stop := a.api()
	defer stop()
	one, two := follow(t, base+changesPath, "X-Namespace", "teamA"), follow(t, base+changesPath+"?namespace=teamB")
	only := follow(t, base+changesPath+"?namespace=teamA&health=stuck&code=IMAGE:PULL_FAILED,QUOTA:CPU")
	for _, f := range []*follower{one, two, only} {
		f.position("now")
	}
	var of [2][]string
	for i := range 6 {
		of[i%2] = append(of[i%2], a.say([]string{"teamA", "teamB"}[i%2], "b"+fmt.Sprint(i%3), "ok", ""))
	}
	wanted := a.say("teamA", "b9", "stuck", "IMAGE:PULL_FAILED")
	wantIDs(t, one.changes(3), of[0])
	wantIDs(t, two.changes(3), of[1])
	wantIDs(t, only.changes(1), []string{wanted})

	s, err := a.js.Stream(t.Context(), eventlog.HealthStream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 8)
	if err != nil {
		t.Fatal(err)
	}
	if name, data := one.read(); name != "health" || data != string(m.Data) {
		t.Errorf("%s: %s\nstored %s", name, data, m.Data)
	}
	if got := m.Header["content-type"]; !slices.Equal(got, []string{structuredType}) {
		t.Errorf("on NATS it has the headers %v", m.Header)
	}
}

// A client that resumes after any id gets everything after it once: from memory, from the log, and from an api that was started
// meanwhile.
func TestChangesResume(t *testing.T) {
	a := newAnnouncements(t)
	_, base, stop := a.api(func(o *Options) { o.Limits.Changes = 5 })
	f := follow(t, base+changesPath+"?namespace=n")
	f.position("now")
	begin := f.lastID
	var said []string
	ids := []string{begin}
	for i := range 30 {
		said = append(said, a.say("n", "b"+fmt.Sprint(i%4), "stuck", ""))
		a.say("other", "b", "stuck", "")
		wantIDs(t, f.changes(1), said[i:])
		ids = append(ids, f.lastID)
	}
	resume := func(base string) {
		t.Helper()
		for i, id := range ids {
			f := follow(t, base+changesPath+"?namespace=n&lastEventId="+id)
			if i%2 == 0 {
				f = follow(t, base+changesPath+"?namespace=n&lastEventId=none", "Last-Event-ID", id)
			}
			wantIDs(t, f.changes(len(said)-i), said[i:])
			_ = f.r.Body.Close()
		}
	}
	resume(base)
	stop()
	said = append(said, a.say("n", "b", "ok", ""))
	a.stored(61)
	_, base, stop = a.api(func(o *Options) { o.Limits.Changes = 5 })
	defer stop()
	resume(base)
	// The consumers that were created for reading are removed from the server.
	eventually(t, "consumers removed", func() string {
		s, err := a.js.Stream(t.Context(), eventlog.HealthStream)
		if err != nil {
			return err.Error()
		}
		for c := range s.ListConsumers(t.Context()).Info() {
			if c.Config.FilterSubject != "headway.health.>" {
				return c.Config.FilterSubject
			}
		}
		return ""
	})
}

// While clients connect and disconnect during changes, no change is lost or sent twice.
func TestChangesResumeWhileTheyCome(t *testing.T) {
	a := newAnnouncements(t)
	_, base, stop := a.api(func(o *Options) { o.Limits.Changes = 3 })
	defer stop()
	first := follow(t, base+changesPath+"?namespace=n")
	first.position("now")
	const n = 200
	said := make(chan []string, 1)
	go func() {
		var ids []string
		for range n {
			ids = append(ids, a.say("n", "b", "stuck", ""))
		}
		said <- ids
	}()
	last, got := first.lastID, []string(nil)
	_ = first.r.Body.Close()
	for len(got) < n {
		f := follow(t, base+changesPath+"?namespace=n", "Last-Event-ID", last)
		for len(got) < n {
			name, data := f.read()
			if name == "" { // too slow for three changes in memory
				break
			}
			if got, last = append(got, eventID(t, []byte(data))), f.lastID; len(got)%7 == 0 {
				break
			}
		}
		_ = f.r.Body.Close()
	}
	wantIDs(t, got, <-said)
}

// If the stream isn't the one that the client knows, or has lost its beginning, the client is told, and starts again.
func TestChangesSayWhatIsMissing(t *testing.T) {
	a := newAnnouncements(t)
	for range 6 {
		a.say("n", "b", "stuck", "")
	}
	a.stored(6)
	_, base, stop := a.api(func(o *Options) { o.Limits.Changes = 1 })
	defer stop()
	w := newWorld(t, func(o *Options) { o.Log = a.log })
	page := w.status(w.get(changesPath+"?namespace=n&limit=2"), 200)
	second := page.Header().Get("Last-Event-ID")
	s, err := a.js.Stream(t.Context(), eventlog.HealthStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(5)); err != nil {
		t.Fatal(err)
	}
	f := follow(t, base+changesPath+"?namespace=n", "Last-Event-ID", second)
	f.position("expired")
	wantIDs(t, f.changes(2), []string{"b.health.5", "b.health.6"})
	f = follow(t, base+changesPath+"?namespace=n&lastEventId=nonsense")
	f.position("unknown_id")
	if kind := w.problem(w.status(w.get(changesPath+"?namespace=n&cursor="+second), 410)); kind != "cursor_gone" {
		t.Error(kind)
	}

	if err := a.js.DeleteStream(t.Context(), eventlog.HealthStream); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stream recreated", func() string { return fault(a.log.EnsureStreams(t.Context())) })
	if name, why := f.read(); name != "" || !strings.Contains(why, "Connect again with Last-Event-ID: ") {
		t.Errorf("the stream continued on another log: %q %s", name, why)
	}
	f = follow(t, base+changesPath+"?namespace=n", "Last-Event-ID", second)
	f.position("recreated")
	wantIDs(t, f.changes(1), []string{"b.health.1"})
}

func TestChangesPages(t *testing.T) {
	a := newAnnouncements(t)
	var said []string
	var at []time.Time
	s, err := a.js.Stream(t.Context(), eventlog.HealthStream)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		said = append(said, a.say("n", "b"+fmt.Sprint(i), []string{"ok", "stuck"}[i%2], ""))
		a.say("other", "b", "stuck", "")
		a.stored(uint64(2*i + 2))
		m, err := s.GetMsg(t.Context(), uint64(2*i+1))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, m.Time)
	}
	// Messages that anybody may publish on these subjects aren't taken for changes of health.
	if _, err := a.log.Publish(t.Context(), "headway.events.n.junk.health", nil, []byte("{\n}")); err != nil {
		t.Fatal(err)
	}
	a.stored(41)
	w := newWorld(t, func(o *Options) { o.Log = a.log })
	all := func(query neturl.Values) (ids []string, last string) {
		t.Helper()
		query.Set("namespace", "n")
		for target := changesPath + "?" + query.Encode(); target != ""; {
			r := w.status(w.get(target), 200)
			if r.Header().Get("Content-Type") != batchType {
				t.Fatal(r.Header())
			}
			var events []json.RawMessage
			if err := json.Unmarshal(r.Body.Bytes(), &events); err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				ids = append(ids, eventID(t, e))
			}
			last = r.Header().Get("Last-Event-ID")
			target, _, _ = strings.Cut(strings.TrimPrefix(r.Header().Get("Link"), "<"), ">")
		}
		return ids, last
	}
	stamp := func(i int) string { return at[i].Format(time.RFC3339Nano) }
	for _, x := range []struct {
		query neturl.Values
		want  []string
	}{
		{neturl.Values{}, said},
		{neturl.Values{"limit": {"3"}}, said},
		{neturl.Values{"from": {stamp(4)}, "limit": {"3"}}, said[4:]},
		{neturl.Values{"to": {stamp(4)}}, said[:4]},
		{neturl.Values{"from": {stamp(4)}, "to": {stamp(11)}, "limit": {"1"}}, said[4:11]},
		{neturl.Values{"from": {at[19].Add(time.Minute).Format(time.RFC3339)}}, nil},
		{neturl.Values{"from": {stamp(16)}, "health": {"stuck"}}, []string{said[17], said[19]}},
		{neturl.Values{"code": {"NOT:THIS"}}, nil},
	} {
		got, _ := all(x.query)
		wantIDs(t, got, x.want)
	}
	_, last := all(neturl.Values{"limit": {"7"}})
	_, base, stop := a.api()
	defer stop()
	f := follow(t, base+changesPath+"?namespace=n", "Last-Event-ID", last)
	then := a.say("n", "b", "ok", "")
	wantIDs(t, f.changes(1), []string{then})
	f = follow(t, base+changesPath+"?namespace=n&from="+neturl.QueryEscape(stamp(18)))
	f.position("now")
	wantIDs(t, f.changes(3), append(slices.Clone(said[18:]), then))

	for _, bad := range []string{"limit=0", "limit=201", "cursor=x", "from=yesterday", "to=1", "health=well", "helth=ok", "lastEventId=a-1"} {
		w.status(w.get(changesPath+"?"+bad), 400)
	}
	w.status(w.get(changesPath+"?to="+stamp(1), "Accept", "text/event-stream"), 400)
}

// If NATS is away for a moment, a page is answered with 503, and a stream only waits.
func TestChangesWhileTheLogIsAway(t *testing.T) {
	a := newAnnouncements(t)
	w, base, stop := a.api(func(o *Options) { o.Limits.Heartbeat = 20 * time.Millisecond })
	defer stop()
	f := follow(t, base+changesPath+"?namespace=n")
	f.position("now")
	wantIDs(t, []string{a.say("n", "b", "stuck", "")}, f.changes(1))
	a.nats.Shutdown()
	w.status(w.get(changesPath+"?namespace=n"), 503)
	again := follow(t, base+changesPath+"?namespace=n", "Last-Event-ID", f.lastID)
	other := follow(t, base+changesPath+"?namespace=n&from=2026-01-01T00:00:00Z")
	for _, f := range []*follower{f, again, other} {
		if f.r.StatusCode != 200 {
			t.Fatal(f.r.Status)
		}
		f.comment()
	}
	a.nats.Restart()
	var id string
	eventually(t, "NATS back", func() string { _, err := a.log.HealthInfo(t.Context()); return fault(err) })
	id = a.say("n", "b", "ok", "")
	wantIDs(t, f.changes(1), []string{id})
	wantIDs(t, again.changes(1), []string{id})
	other.position("now")
	if got := other.changes(2); got[1] != id {
		t.Error(got)
	}
}

// pausing is a client that reads nothing for a while.
type pausing struct {
	http.ResponseWriter
	out     io.Writer
	stopped atomic.Bool
	held    chan struct{} // one for each write that waits
	goOn    chan struct{}
}

func (p *pausing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *pausing) Write(b []byte) (int, error) {
	if p.stopped.Load() {
		select {
		case p.held <- struct{}{}:
		default:
		}
		<-p.goOn
	}
	return p.out.Write(b)
}

// A client that is too slow is disconnected once its changes have left memory, and is told how to resume. Other clients aren't
// affected, nor is a quiet client while another namespace is busy.
func TestChangesSlowClient(t *testing.T) {
	a := newAnnouncements(t)
	w, base, stop := a.api(func(o *Options) { o.Limits.Changes = 4 })
	defer stop()
	quick, quiet := follow(t, base+changesPath+"?namespace=n"), follow(t, base+changesPath+"?namespace=quiet")
	quick.position("now")
	quiet.position("now")
	in, out := io.Pipe()
	p := &pausing{out: out, held: make(chan struct{}, 1), goOn: make(chan struct{})}
	p.ResponseWriter = httptest.NewRecorder()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, changesPath+"?namespace=n", nil)
		r.Header.Set("Accept", "text/event-stream")
		w.svc.Handler().ServeHTTP(p, r)
		_ = out.Close()
	}()
	slow := &follower{events: &events{t: t, in: bufio.NewReader(in), r: nil}}
	slow.position("now")
	p.stopped.Store(true)
	var said []string
	for range 30 {
		id := a.say("n", "b", "stuck", "")
		said = append(said, id)
		wantIDs(t, quick.changes(1), []string{id})
	}
	<-p.held
	p.stopped.Store(false)
	close(p.goOn)
	var got []string
	var name, why string
	for name, why = slow.read(); name == "health"; name, why = slow.read() {
		got = append(got, eventID(t, []byte(why)))
	}
	wantIDs(t, got, said[:len(got)])
	_, last, told := strings.Cut(why, "Connect again with Last-Event-ID: ")
	if name != "" || !told || len(got) == len(said) {
		t.Fatalf("after %d changes it was told %q %q", len(got), name, why)
	}
	wantIDs(t, follow(t, base+changesPath+"?namespace=n", "Last-Event-ID", last).changes(len(said)-len(got)), said[len(got):])
	id := a.say("quiet", "b", "stuck", "")
	wantIDs(t, quiet.changes(1), []string{id})
}

func fault(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}
