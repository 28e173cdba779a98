package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// late is a world whose batch b1 has one job PENDING for 10 minutes: it is called stuck 10 minutes later.
func late(t *testing.T) (w *world, at func(time.Duration)) {
	t.Helper()
	w = newWorld(t, func(o *Options) { o.Push.Heartbeat = time.Hour })
	begin := time.Now().Add(-25 * time.Minute)
	at = func(d time.Duration) {
		t.Helper()
		w.shelf.moved(one1, func(f *fence) { f.asOf = begin.Add(d); f.watermark = f.asOf })
		if _, err := w.svc.source.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.shelf.moved(one1, func(f *fence) { f.asOf = begin.Add(10 * time.Minute); f.watermark = f.asOf })
	w.svc.source.newest[partition(one1.Namespace, one1.Name)].Store(nil)
	w.shelf.sayAt(t, one1, "batch", `{"status":"PROCESSING","total_tiers":1}`, begin)
	w.shelf.sayAt(t, one1, "job", `{"tier_num":0,"submission_id":"raysubmit_1","status":"PENDING"}`, begin)
	return w, at
}

// A change that comes with time alone is sent over an open stream without an event: once, when it is due, with an id of its own.
func TestStreamTellsWhatTimeChanges(t *testing.T) {
	w, at := late(t)
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	e := open(t, c, base+stream1)
	e.want("snapshot", `"health":"scaling"`)
	at(20 * time.Minute) // exactly at the limit: only clocks have run on
	at(20*time.Minute + 1)
	name, data := e.next()
	if name != "health" {
		t.Fatalf("got %s %s", name, data)
	}
	var told struct {
		Health string
		View   struct {
			ID string
			At time.Time `json:"as_of"`
		}
	}
	if err := json.Unmarshal([]byte(data), &told); err != nil || told.Health != "stuck" {
		t.Fatalf("%v %+v", err, told)
	}
	r := w.status(w.get(url(one1)), 200)
	if !sameButClocks(t, data, r.Body.String()) {
		t.Fatalf("the stream says\n%s\na GET\n%s", data, r.Body)
	}
	// A client that reconnects gets nothing if it already has the present answer, and otherwise the whole snapshot.
	tag := r.Header().Get("ETag")
	name1 := tag[3 : len(tag)-1]
	again := open(t, c, base+stream1, "Last-Event-ID", name1)
	older := open(t, c, base+stream1, "Last-Event-ID", told.View.ID+".x")
	older.want("snapshot", `"health":"stuck"`)
	w.shelf.say(t, one1, "job", `{"tier_num":0,"submission_id":"raysubmit_1","status":"RUNNING"}`)
	again.want("health", `"job_warming_up`)
	e.want("health", `"job_warming_up`)
}

func sameButClocks(t *testing.T, a, b string) bool {
	t.Helper()
	return hashOf([]byte(a)) == hashOf([]byte(b))
}

// A client that already has the present answer causes no rendering.
func TestNotModifiedRendersNothing(t *testing.T) {
	w, at := late(t)
	tag := w.status(w.get(url(one1)), 200).Header().Get("ETag")
	w.status(w.get(url(one1)), 200) // it is warm now
	f, warm := w.svc.hub.Current(push.Key{Namespace: "default", Name: "b1"})
	if !warm {
		t.Fatal("it isn't warm")
	}
	view := f.Content.(*shown).content
	rendered := view.last.Load()
	for m := 11; m <= 20; m++ {
		at(time.Duration(m) * time.Minute)
		w.status(w.get(url(one1), "If-None-Match", tag), 304)
	}
	if view.last.Load() != rendered {
		t.Fatal("an answer was rendered for a client that has it")
	}
	at(20*time.Minute + 1)
	w.status(w.get(url(one1), "If-None-Match", tag), 200)
}

// The clock keeps one moment for each topic with a stream, and none for other topics.
func TestClockForgets(t *testing.T) {
	w, _ := late(t)
	base, stop := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	for range 3 {
		open(t, c, base+stream1).want("snapshot", "scaling")
	}
	held := func() (n int) {
		for i := range w.svc.source.clock.parts {
			p := &w.svc.source.clock.parts[i]
			p.mu.Lock()
			n += len(p.due) + len(p.of)
			p.mu.Unlock()
		}
		return n
	}
	if n := held(); n != 2 {
		t.Fatalf("%d", n)
	}
	w.svc.source.Unwatch(one1)
	if n := held(); n != 0 {
		t.Fatalf("%d", n)
	}
	c.CloseIdleConnections()
	stop()
}

type verdictOf struct {
	Health        string
	BlockedReason string `json:"blocked_reason"`
}

func (w *world) firstRow() verdictOf {
	w.t.Helper()
	var l struct{ Batches []verdictOf }
	if err := json.Unmarshal(w.status(w.get("/v1/batches"), 200).Body.Bytes(), &l); err != nil || len(l.Batches) == 0 {
		w.t.Fatalf("%v %+v", err, l)
	}
	return l.Batches[0]
}

// A list shows what the snapshot shows, although no event arrives and nothing is announced.
func TestListTellsWhatTimeChanges(t *testing.T) {
	w, at := late(t)
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	e := open(t, c, base+"/v1/batches/stream")
	e.want("snapshot", `"health":"scaling"`)
	at(20 * time.Minute)
	row := w.firstRow()
	if row.Health != "scaling" {
		t.Fatalf("%+v", row)
	}
	at(20*time.Minute + 1)
	e.want("update", `"health":"stuck"`)
	e.want("counts", `"stuck":1`)
	var told verdictOf
	row = w.firstRow()
	body := w.status(w.get(url(one1)), 200).Body.Bytes()
	if err := json.Unmarshal(body, &told); err != nil || row.Health != "stuck" || row.BlockedReason != told.BlockedReason {
		t.Fatalf("the list says %+v, the snapshot %s", row, body)
	}
	if ids, _ := w.list("/v1/batches?health=stuck"); len(ids) != 1 {
		t.Fatal("it isn't found by its health")
	}
	// A row whose view can't be read stays unchanged, and is judged later.
	w.shelf.say(t, one1, "job", `{"tier_num":0,"submission_id":"raysubmit_1","status":"RUNNING"}`)
	e.want("update", `"job_warming_up`)
	e.want("counts", `"scaling":1`)
	var ahead *fence
	w.shelf.moved(one1, func(f *fence) {
		f.asOf = time.Now().Add(time.Hour)
		f.watermark, ahead = f.asOf, f
	})
	w.shelf.mu.Lock()
	w.shelf.err = errors.New("connection refused")
	w.shelf.mu.Unlock()
	w.svc.source.see(partition(one1.Namespace, one1.Name), ahead)
	_ = w.svc.lists.settleAll(t.Context())
	w.shelf.mu.Lock()
	w.shelf.err = nil
	w.shelf.mu.Unlock()
	e.want("update", `"no_progress`)
}

// A stream continues while a job outlives its batch, until the grace has passed, because a client has to learn that the job still
// runs.
func TestStreamEndsWhenNoJobIsLive(t *testing.T) {
	w, at := late(t)
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	e := open(t, c, base+stream1)
	e.want("snapshot", `"health":"scaling"`)
	at(15 * time.Minute)
	begin := time.Now().Add(-25 * time.Minute)
	w.shelf.sayAt(t, one1, "job", `{"tier_num":0,"submission_id":"raysubmit_1","status":"RUNNING"}`, begin.Add(14*time.Minute))
	e.want("update", `"status":"PROCESSING"`)
	w.shelf.sayAt(t, one1, "batch", `{"status":"CANCELED"}`, begin.Add(15*time.Minute))
	e.want("health", `"status":"CANCELED"`)
	at(17 * time.Minute)
	e.want("end", `"status":"CANCELED"`)
	e = open(t, c, base+stream1)
	e.want("snapshot", `"status":"CANCELED"`)
	e.want("end", `"status":"CANCELED"`)

	k := listKey("b2")
	w.shelf.say(t, k, "job", `{"tier_num":0,"submission_id":"raysubmit_2","status":"RUNNING"}`)
	e = open(t, c, base+strings.Replace(stream1, "b1", "b2", 1))
	e.want("snapshot", `"status":"PROCESSING"`)
	w.shelf.say(t, k, "batch", `{"status":"CANCELED"}`)
	e.want("health", `"status":"CANCELED"`)
	w.shelf.say(t, k, "job", `{"tier_num":0,"submission_id":"raysubmit_2","status":"STOPPED"}`)
	e.want("end", `"status":"CANCELED"`)
}

// For a batch that changes all the time, a list keeps one end of a verdict, and drops those that were replaced.
func TestListAwaitsOneEndOfABatch(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, listKey("b1"), "batch", `{"status":"PROCESSING"}`)
	w.list("/v1/batches") // from now on it follows the changes
	for n := range 50 {
		for _, id := range []string{"b1", "b2"} {
			w.shelf.say(t, listKey(id), "tier", fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":90}`, n+1))
		}
	}
	x := w.svc.lists.lookup("default")
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.rows) != 2 || len(x.ends) != 2 {
		t.Fatalf("%d rows, %d ends", len(x.rows), len(x.ends))
	}
}
