package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

type listed struct {
	Batches []struct {
		BatchID string `json:"batch_id"`
		Status  string
	}
	NextCursor *string `json:"next_cursor"`
	Incomplete bool
}

func (w *world) list(target string) (ids []string, next string) {
	w.t.Helper()
	var l listed
	if err := json.Unmarshal(w.status(w.get(target), 200).Body.Bytes(), &l); err != nil {
		w.t.Fatal(err)
	}
	for _, b := range l.Batches {
		ids = append(ids, b.BatchID)
	}
	if l.NextCursor != nil {
		next = *l.NextCursor
	}
	return ids, next
}

func TestListPages(t *testing.T) {
	w := newWorld(t)
	begin := time.Now().Add(-time.Hour)
	var want []string
	for i := range 250 {
		id := fmt.Sprintf("b%03d", i)
		status := "PROCESSING"
		if i%5 == 0 {
			status = "FAILED"
		}
		w.shelf.sayAt(t, push.Key{Namespace: "default", Name: id}, "batch", `{"status":"`+status+`"}`, begin.Add(time.Duration(i/2)*time.Second))
		want = append(want, id)
	}
	slices.SortStableFunc(want, func(a, b string) int { // newest first; of equal times by id
		var i, j int
		_, _ = fmt.Sscanf(a, "b%d", &i)
		_, _ = fmt.Sscanf(b, "b%d", &j)
		return j/2 - i/2
	})
	for _, limit := range []int{1, 7, 50, 200} {
		var got []string
		next := ""
		for {
			ids, cursor := w.list(fmt.Sprintf("/v1/batches?limit=%d&cursor=%s", limit, next))
			got = append(got, ids...)
			if next = cursor; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("limit %d: %v", limit, got)
		}
	}
	failed, next := w.list("/v1/batches?status=FAILED&limit=40")
	rest, end := w.list("/v1/batches?status=failed&limit=40&cursor=" + next)
	if len(failed) != 40 || len(rest) != 10 || end != "" {
		t.Fatal(len(failed), len(rest), end)
	}
	if scaling, _ := w.list("/v1/batches?health=scaling"); len(scaling) != 0 {
		t.Fatal(scaling)
	}
	w.status(w.get("/v1/batches?cursor="+next), 400) // of another filter
	for _, q := range []string{"limit=0", "limit=201", "limit=x", "status=NOPE", "health=fine", "cursor=%25%25", "cursor=AAAA", "cursor=" + strings.Repeat("A", 5000)} {
		w.status(w.get("/v1/batches?"+q), 400)
	}
}

func TestListIsKeptTrue(t *testing.T) {
	w := newWorld(t)
	a, b := push.Key{Namespace: "default", Name: "a"}, push.Key{Namespace: "default", Name: "b"}
	w.shelf.say(t, a, "batch", `{"status":"PROCESSING"}`)
	if ids, _ := w.list("/v1/batches"); !slices.Equal(ids, []string{"a"}) {
		t.Fatal(ids)
	}
	w.shelf.say(t, b, "batch", `{"status":"PROCESSING"}`)
	if ids, _ := w.list("/v1/batches"); !slices.Equal(ids, []string{"b", "a"}) {
		t.Fatal(ids)
	}
	w.shelf.say(t, a, "batch", `{"created_at":"`+time.Now().Add(time.Minute).UTC().Format(time.RFC3339)+`","status":"COMPLETED"}`)
	if ids, _ := w.list("/v1/batches"); !slices.Equal(ids, []string{"a", "b"}) { // its order changed
		t.Fatal(ids)
	}
	w.shelf.mu.Lock()
	w.shelf.mute = true
	w.shelf.mu.Unlock()
	w.shelf.say(t, b, "batch", `{"status":"FAILED"}`) // the hint is lost
	if _, err := w.svc.source.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.lists.lookup("default").repair(t.Context(), w.svc.lists); err != nil {
		t.Fatal(err)
	}
	if ids, _ := w.list("/v1/batches?status=FAILED"); !slices.Equal(ids, []string{"b"}) {
		t.Fatal(ids)
	}
}

func TestListIsFreedAfterDisuse(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	w.list("/v1/batches")
	w.svc.lists.sweep(time.Now().Add(listLinger - time.Second))
	if w.svc.lists.len() != 1 {
		t.Fatal("freed too early")
	}
	w.svc.lists.sweep(time.Now().Add(listLinger + time.Second))
	w.shelf.mu.Lock()
	defer w.shelf.mu.Unlock()
	if w.svc.lists.len() != 0 || len(w.shelf.lists) != 0 {
		t.Fatal("not freed")
	}
}

// A namespace without batches costs neither channels nor reads, whoever asks for it. A page that was opened before its first
// event is filled once that arrives.
func TestUnknownNamespaces(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	w.list("/v1/batches")
	for i := range 2000 {
		if ids, _ := w.list(fmt.Sprint("/v1/batches?namespace=none", i)); len(ids) != 0 {
			t.Fatal(ids)
		}
	}
	w.shelf.mu.Lock()
	channels, asked := len(w.shelf.lists), w.shelf.counted
	w.shelf.mu.Unlock()
	if w.svc.lists.len() != 1 || channels != 1 || asked > 20 { // once in a second, however long this takes
		t.Fatalf("%d lists, %d with channels, the store was asked %d times", w.svc.lists.len(), channels, asked)
	}

	base, _ := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	early := open(t, c, base+"/v1/batches/stream?namespace=new")
	early.want("snapshot", `"batches":[]`)
	w.shelf.mu.Lock()
	if w.shelf.lists["new"] {
		t.Error("an unknown namespace has channels")
	}
	w.shelf.mu.Unlock()
	w.shelf.say(t, push.Key{Namespace: "new", Name: "first"}, "batch", `{"status":"PROCESSING"}`)
	early.want("update", `"batch_id":"first"`)
	early.want("counts", `"total":1`)
	w.shelf.say(t, push.Key{Namespace: "new", Name: "second"}, "batch", `{"status":"PROCESSING"}`)
	early.want("update", `"batch_id":"second"`)
	early.want("counts", `"total":2`)

	w.shelf.mu.Lock()
	w.shelf.mute = true // the hint of a first row is lost: it is noticed by the number of namespaces
	w.shelf.mu.Unlock()
	late := open(t, c, base+"/v1/batches/stream?namespace=unheard")
	late.want("snapshot", `"batches":[]`)
	w.shelf.say(t, push.Key{Namespace: "unheard", Name: "first"}, "batch", `{"status":"PROCESSING"}`)
	late.want("update", `"batch_id":"first"`)
}

func TestCursorIsBoundToItsNamespace(t *testing.T) {
	w := newWorld(t)
	for _, ns := range []string{"a", "b"} {
		for i := range 3 {
			w.shelf.say(t, push.Key{Namespace: ns, Name: fmt.Sprint("b", i)}, "batch", `{"status":"PROCESSING"}`)
		}
	}
	_, next := w.list("/v1/batches?namespace=a&limit=1")
	w.list("/v1/batches?namespace=a&limit=1&cursor=" + next)
	w.status(w.get("/v1/batches?namespace=b&limit=1&cursor="+next), 400)
	w.status(w.get("/v1/batches?limit=1&cursor="+next), 400)
}
