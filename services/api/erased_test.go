package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
)

// An erased batch is 410 for everybody, ends its streams and leaves the lists. What comes later doesn't bring it back.
func TestErasedIsGone(t *testing.T) {
	w := newWorld(t)
	base, _ := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	two := push.Key{Namespace: "default", Name: "b2"}
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING","name":"secret","pipeline":"p"}`)
	w.shelf.say(t, two, "batch", `{"status":"PROCESSING","pipeline":"p"}`)
	path := base + "/v1/analytics/performance/batches/b1/diagnostics"
	var open1 []*events
	for _, format := range []string{"full", "patch", "rows"} {
		e := open(t, c, path+"/stream?format="+format)
		e.want("snapshot", "secret")
		open1 = append(open1, e)
	}
	rows := open(t, c, base+"/v1/batches/stream")
	rows.want("snapshot", "secret")

	w.shelf.say(t, one1, "batch.erased", `{}`)
	for _, e := range open1 {
		e.want("problem", `"urn:headway:problem:erased"`)
		if n, _ := e.next(); n != "" {
			t.Fatal("the stream goes on with ", n)
		}
	}
	rows.want("removed", `"batch_id":"b1"`)
	rows.want("counts", `"total":1`)
	for range 2 { // a straggler changes nothing
		for _, target := range []string{url(one1), strings.Replace(url(one1), "?", "/explain?", 1), strings.Replace(url(one1), "?", "/stream?", 1)} {
			if r := w.status(w.get(target), 410); w.problem(r) != "erased" || strings.Contains(r.Body.String(), "secret") || !strings.Contains(r.Body.String(), `"erased_at":"`) {
				t.Fatal(target, r.Body)
			}
		}
		if ids, _ := w.list("/v1/batches?q=b"); len(ids) != 1 || ids[0] != "b2" {
			t.Fatal(ids)
		}
		for _, target := range []string{"/v1/batches", "/v1/batches?sort=need", "/v1/batches?sort=name", "/v1/batches/groups?by=pipeline"} {
			if body := w.status(w.get(target), 200).Body.String(); strings.Contains(body, "secret") || strings.Contains(body, `"b1"`) || strings.Contains(body, `"total":2`) || strings.Contains(body, `"count":2`) {
				t.Fatal(target, body)
			}
		}
		w.shelf.say(t, one1, "job", `{"tier_num":0,"submission_id":"j","status":"RUNNING"}`)
	}
	w.shelf.say(t, two, "batch", `{"status":"COMPLETED"}`)
	for n, d := rows.next(); n != "update"; n, d = rows.next() { // of the straggler this stand-in writes the row again
		if n != "removed" {
			t.Fatal(n, d)
		}
	}
}

// Nobody can send an erasure like an event.
func TestErasureIsNoEventOfProducers(t *testing.T) {
	w := newWorld(t)
	body := strings.NewReader(string(eventJSON("e", "b1", "batch.erased", `{}`, time.Now())))
	r := w.status(w.do(http.MethodPost, "/v1/events", body, "Content-Type", structuredType), 400)
	if w.problem(r) != "invalid_events" || !strings.Contains(r.Body.String(), "DELETE /v1/batches") || len(w.log.kept) != 0 {
		t.Fatal(r.Body)
	}
}

// A request that fails at any step says so, and the next one completes it without a second event (rule 28).
func TestRule28ErasingIsResumed(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	w.log.held = eventlog.Held{Events: 3, History: 4, Health: 1, Dead: 2}
	target := "/v1/batches/b1"
	remove := func(target string, status int) (out Erasure, kind string) {
		t.Helper()
		r := w.status(w.do(http.MethodDelete, target, nil), status)
		if status != 200 {
			return out, w.problem(r)
		}
		if err := json.Unmarshal(r.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return out, ""
	}
	whole := func(out Erasure, dry bool) {
		t.Helper()
		if out.Events != 3 || out.History != 4 || out.Health != 1 || out.Dead != 2 || out.DryRun != dry || out.BatchID != "b1" || out.Namespace != "default" || (out.ErasedAt == nil) != dry {
			t.Fatalf("%+v", out)
		}
	}
	out, _ := remove(target+"?dry_run=true", 200)
	if whole(out, true); len(w.log.kept) != 0 {
		t.Fatal("a dry run stored an event")
	}
	for bad, field := range map[string]string{"?dry_run=yes": "dry_run: must be", "?dryrun=true": "dryrun: isn't a parameter of this route; dry_run?"} {
		if r := w.status(w.do(http.MethodDelete, target+bad, nil), 400); !strings.Contains(r.Body.String(), field) {
			t.Error(bad, r.Body)
		}
	}

	w.log.err = eventlog.ErrUnavailable // the event can't be stored
	if _, kind := remove(target, 503); kind != "erasing_unfinished" {
		t.Fatal(kind)
	}
	w.log.err = nil
	w.log.folds = func(m message) { go w.shelf.say(t, one1, "batch.erased", `{}`) }
	w.log.failed = errors.New("no history now")
	if _, kind := remove(target, 503); kind != "erasing_unfinished" || len(w.log.kept) != 1 || w.log.kept[0].subject != "headway.events.default.b1.erase" {
		t.Fatal(kind, w.log.kept)
	}
	w.log.failed = errors.New("no log now")
	if _, kind := remove(target, 503); kind != "erasing_unfinished" {
		t.Fatal(kind)
	}
	out, _ = remove(target, 200)
	whole(out, false)
	at := *out.ErasedAt
	if out, _ = remove(target, 200); out.Events+out.Health+out.Dead != 0 || !out.ErasedAt.Equal(at) {
		t.Fatalf("again: %+v", out)
	}
	if len(w.log.kept) != 1 {
		t.Fatal(w.log.kept)
	}
	for _, tombstone := range w.log.tombstones {
		v, err := diagnostics.Parse(tombstone.Value)
		if err != nil || tombstone.Namespace+"."+tombstone.Batch != "default.b1" || tombstone.Fold == 0 || tombstone.Identity == "" {
			t.Fatal(tombstone, err)
		}
		if erased, is := v.ErasedAt(); !is || !erased.Equal(at) {
			t.Error(erased, at)
		}
	}
	if len(w.log.tombstones) != 2 {
		t.Error(w.log.tombstones)
	}
	if _, kind := remove("/v1/batches/b9", 404); kind != "not_found" {
		t.Fatal(kind)
	}
}

// The paths below /v1/batches that aren't batches have no DELETE.
func TestOnlyBatchesAreErased(t *testing.T) {
	w := newWorld(t)
	if r := w.status(w.do(http.MethodDelete, "/v1/batches/history/days?from=", nil), http.StatusMethodNotAllowed); r.Header().Get("Allow") == "" {
		t.Error(r.Header())
	}
}
