package api

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// redisServer starts a Redis for the test: a child process where one is installed, else miniredis.
func redisServer(t *testing.T) *redis.Client {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Log("redis: miniredis")
		c := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	t.Log("redis: redis-server")
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for c.Ping(t.Context()).Err() != nil {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("redis-server doesn't answer")
		}
	}
	return c
}

// worker folds and commits as ingest does, one event at a time.
type worker struct {
	t      *testing.T
	store  *viewstore.Store
	views  map[viewstore.Key]*diagnostics.View
	fences [partitions]viewstore.Fence
	seq    uint64
}

func newWorker(t *testing.T, store *viewstore.Store) *worker {
	t.Helper()
	w := &worker{t: t, store: store, views: map[viewstore.Key]*diagnostics.View{}}
	for p := range partitions {
		next := viewstore.Fence{Identity: store.Identity(), Fold: store.Fold(), Token: fmt.Sprint("t", p)}
		f, err := store.Claim(t.Context(), p, viewstore.Record{}, next, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		w.fences[p] = f
		w.commit(p)
	}
	return w
}

func (w *worker) commit(p int, writes ...viewstore.Write) {
	w.t.Helper()
	now := time.Now().UnixNano()
	next := w.fences[p].Advance(viewstore.Progress{Cursor: w.seq, CursorTime: now, Watermark: now, Complete: true, EndSeen: w.seq}, time.Minute)
	f, err := w.store.Commit(w.t.Context(), p, w.fences[p], next, time.Minute, writes)
	if err != nil {
		w.t.Fatal(err)
	}
	w.fences[p] = f
}

func (w *worker) say(ns, batch, kind, data string) {
	w.t.Helper()
	k := viewstore.Key{Namespace: ns, Batch: batch}
	w.seq++
	var d diagnostics.Decoder
	e, no := d.Decode(diagnostics.Message{Namespace: ns, Data: eventJSON(fmt.Sprint("e", w.seq), batch, kind, data, time.Now())})
	if no != nil {
		w.t.Fatal(no)
	}
	v := w.views[k]
	if v == nil {
		v = diagnostics.NewView(ns, batch)
		w.views[k] = v
	}
	diagnostics.Fold(v, e)
	v.Revision = w.seq
	row := diagnostics.NewRow(v, time.Now(), diagnostics.DefaultPolicy())
	w.commit(partition(ns, batch), viewstore.Write{Key: k, Value: v.Append(nil), Revision: w.seq, Row: row.AppendJSON(nil)})
}

func TestOverRedis(t *testing.T) {
	client := redisServer(t)
	open1 := func(identity string) *viewstore.Store {
		s, err := viewstore.Open(t.Context(), viewstore.Options{Client: client, Identity: identity, Fold: 1, Partitions: partitions})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	identity := make(chan string, 1)
	identity <- "abc_0"
	store := open1("abc_0")
	w := &world{t: t, log: &eventLog{}}
	w.svc = New(Options{
		Log: w.log, Store: store, Policies: policies{}, Partition: partition,
		Identity: func(context.Context) (string, error) { id := <-identity; identity <- id; return id, nil },
	})
	base, stop := w.listen()
	w.status(w.get(url(one1)), 503) // nobody has folded anything
	fold := newWorker(t, store)
	w.status(w.get(url(one1)), 404)
	fold.say("default", "b1", "batch", `{"status":"PROCESSING"}`)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	path := base + "/v1/analytics/performance/batches/b1/diagnostics/stream"
	e := open(t, c, path)
	rows := open(t, c, base+"/v1/batches/stream")
	e.want("snapshot", `"id":"abc_0-1-1"`)
	rows.want("snapshot", `"batch_id":"b1"`)
	fold.say("default", "b1", "tier", `{"tier_num":0,"processed_documents":3,"total_documents":9}`)
	e.want("health", `"id":"abc_0-1-2"`)
	rows.want("update", `"revision":2`)

	// A view that is too large to be pushed whole is read.
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 'x'
	}
	for i := range 40 {
		fold.say("default", "b1", "job", fmt.Sprintf(`{"tier_num":0,"submission_id":"j%d","status":"RUNNING","message":%q}`, i, long))
	}
	for last := ""; last != `"id":"abc_0-1-42"`; {
		name, data := e.next()
		if name == "" {
			t.Fatal("the stream ended")
		}
		if i := len(`{"batch_id":"b1"`); len(data) < i {
			t.Fatal(data)
		}
		if containsID(data, "abc_0-1-42") {
			last = `"id":"abc_0-1-42"`
		}
	}

	// Redis loses everything: clients keep what they have, and one that has seen the newest state is shown nothing older.
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	current := open(t, c, path, "Last-Event-ID", e.id)
	w.status(w.get("/v1/analytics/performance/batches/unknown/diagnostics"), 503)
	seq := fold.seq
	again := newWorker(t, store)
	again.seq, again.views = seq, fold.views
	again.say("default", "b1", "batch", `{"name":"rebuilt"}`)
	e.want("update", `"id":"abc_0-1-43"`)
	current.want("update", `"id":"abc_0-1-43"`)

	// The stream itself is recreated, and its new views are shown.
	next := newWorker(t, open1("abd_0"))
	next.say("default", "b1", "batch", `{"status":"COMPLETED"}`)
	<-identity
	identity <- "abd_0"
	e.want("end", `"id":"abd_0-1-1"`)
	if took := stop(); took > time.Second {
		t.Fatalf("shutdown took %v", took)
	}
}

func containsID(data, id string) bool {
	want := `"id":"` + id + `"`
	for i := 0; i+len(want) <= len(data); i++ {
		if data[i:i+len(want)] == want {
			return true
		}
	}
	return false
}
