package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// eventually waits for a condition; it says why it isn't met.
func eventually(t testing.TB, what string, condition func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		why := condition()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, why)
		}
	}
}

func serve(t *testing.T, s *viewstore.Store) {
	t.Helper()
	now, err := s.Serving(t.Context())
	if err == nil {
		now, err = s.Serve(t.Context(), now)
	}
	if err != nil || now.Fold != s.Fold() {
		t.Fatalf("%+v %v", now, err)
	}
}

// Rule 17: streams, answers and lists follow the fold version that serves. Where this version hasn't reached what was shown, the
// previous one answers, so nothing goes back or is missing.
func TestRule17ReadersFollow(t *testing.T) {
	first, err := viewstore.Open(t.Context(), viewstore.Options{Client: redisServer(t), Identity: "abc_0", Fold: 1, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	second := first.WithFold(2)
	late := "b2" // in another partition than b1
	for i := 3; partition("default", late) == partition("default", "b1"); i++ {
		late = fmt.Sprint("b", i)
	}
	old, next := newWorker(t, first), newWorker(t, second)
	serve(t, first)
	w := &world{t: t, log: &eventLog{}}
	w.svc = New(Options{
		Log: w.log, Store: first, Policies: policies{}, Partition: partition, Folds: []int{1, 2},
		Identity: func(context.Context) (string, error) { return "abc_0", nil },
	})
	base, _ := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	old.say("default", "b1", "batch", `{"status":"PROCESSING","name":"as one sees it"}`)
	next.say("default", "b1", "batch", `{"status":"PROCESSING","name":"as two sees it"}`)
	old.say("default", late, "batch", `{"status":"PROCESSING","name":"as one sees it"}`)
	diagnostics := func(batch string) string { return "/v1/analytics/performance/batches/" + batch + "/diagnostics" }
	e := open(t, c, base+diagnostics("b1")+"/stream")
	e.want("snapshot", `"id":"abc_0-1-1"`)
	rows := open(t, c, base+"/v1/batches/stream")
	rows.want("snapshot", "as one sees it")
	w.status(w.get(diagnostics(late)), 200)

	serve(t, second)
	e.want("update", `"id":"abc_0-2-1"`)
	names := func() (all []string) {
		body := w.status(w.get("/v1/batches"), 200).Body.String()
		for _, part := range strings.Split(body, `"batch_id":"`)[1:] {
			id, rest, _ := strings.Cut(part, `"`)
			_, name, _ := strings.Cut(rest, `"batch_name":"`)
			all = append(all, id+" "+name[:len("as one")])
		}
		slices.Sort(all)
		return all
	}
	list := func(what string, want ...string) {
		t.Helper()
		eventually(t, what, func() string {
			if got := names(); !slices.Equal(got, want) {
				return fmt.Sprint(got)
			}
			return ""
		})
	}
	list("the list has b1 as two sees it, and what two hasn't come to", "b1 as two", late+" as one")
	for range 3 { // not warm, then warm
		if got := w.status(w.get(diagnostics(late)), 200).Body.String(); !containsID(got, "abc_0-1-2") {
			t.Errorf("what two hasn't come to is shown as %s", got)
		}
	}
	next.say("default", late, "batch", `{"status":"PROCESSING","name":"as two sees it"}`)
	list("and then all as two sees it", "b1 as two", late+" as two")
	eventually(t, "the answer follows", func() string {
		if got := w.status(w.get(diagnostics(late)), 200).Body.String(); !containsID(got, "abc_0-2-2") {
			return got
		}
		return ""
	})
	old.seq = 2
	old.say("default", "b1", "batch", `{"name":"one folds on"}`) // nobody hears of it
	next.say("default", "b1", "batch", `{"name":"as two sees it again"}`)
	e.want("update", `"id":"abc_0-2-3"`)

	// An operator goes back.
	serve(t, first)
	e.want("update", `"id":"abc_0-1-3"`)
}

// An api that can't read the version that serves reports this in /readyz, and continues to show the version that it can read.
func TestRule17UnreadableVersion(t *testing.T) {
	first, err := viewstore.Open(t.Context(), viewstore.Options{Client: redisServer(t), Identity: "abc_0", Fold: 1, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, first.WithFold(2))
	w := &world{t: t, log: &eventLog{}}
	w.svc = New(Options{Log: w.log, Store: first, Policies: policies{}, Partition: partition})
	w.listen()
	eventually(t, "not ready, and both reasons are told", func() string {
		r := w.get("/readyz")
		if body := r.Body.String(); r.Code != 503 || !strings.Contains(body, "4 of 4 partitions") || !strings.Contains(body, "Fold version 2 serves") {
			return body
		}
		return ""
	})
	newWorker(t, first).say("default", "b1", "batch", `{"status":"PROCESSING"}`)
	eventually(t, "ready, with a warning", func() string {
		r := w.get("/readyz")
		if body := r.Body.String(); r.Code != 200 || !strings.Contains(body, "Fold version 2 serves, which this api can't read") {
			return body
		}
		return ""
	})
	w.status(w.get(url(one1)), 200)
}
