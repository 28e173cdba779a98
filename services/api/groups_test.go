package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// fillHouse says something of 40 batches: 25 that fail alike, 5 that fail otherwise, and 10 that run.
func fillHouse(t *testing.T, w *world) {
	t.Helper()
	begin := time.Now().Add(-time.Hour)
	for i := range 40 {
		k := push.Key{Namespace: "default", Name: fmt.Sprintf("b%02d", i)}
		at := begin.Add(time.Duration(i) * time.Second)
		owner := []string{`,"owner":"ana"`, `,"owner":"Bo"`, ""}[i%3]
		w.shelf.sayAt(t, k, "batch", `{"status":"PROCESSING","pipeline":"p`+fmt.Sprint(i%2)+`"`+owner+`,"started_at":"`+at.Format(time.RFC3339Nano)+`"}`, at)
		if i >= 30 {
			continue
		}
		kind := "OutOfMemoryError"
		if i >= 25 {
			kind = "ValueError"
		}
		w.shelf.sayAt(t, k, "tier", `{"tier_num":0,"status":"FAILED","error":"worker `+fmt.Sprint(i)+` ended","error_type":"`+kind+`"}`, at.Add(time.Second))
		w.shelf.sayAt(t, k, "batch", `{"status":"FAILED"}`, at.Add(time.Duration(2+i)*time.Second))
	}
}

type groupsAnswer struct {
	Groups []batchGroup
	Total  int
}

func (w *world) groups(target string) (a groupsAnswer) {
	w.t.Helper()
	if err := json.Unmarshal(w.status(w.get(target), 200).Body.Bytes(), &a); err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestBatchesWithTheSameCauseAreOneGroup(t *testing.T) {
	w := newWorld(t)
	fillHouse(t, w)
	a := w.groups("/v1/batches/groups?by=cause&status=FAILED")
	if len(a.Groups) != 2 || a.Total != 2 {
		t.Fatalf("%+v", a)
	}
	first := a.Groups[0]
	if first.Count != 25 || *first.Cause != "PROGRAM:FAILED" || *first.Alike != "a tier failed (OutOfMemoryError)" || first.Health["degraded"] != 25 || first.BatchID != "b24" || first.Pipeline != nil {
		t.Errorf("%+v", first)
	}
	one := strings.NewReplacer(" ", "%20").Replace("/v1/batches?limit=20&cause=" + *first.Cause + "&alike=" + *first.Alike)
	ids, next := w.list(one)
	more, end := w.list(one + "&cursor=" + next)
	if len(ids) != 20 || len(more) != 5 || end != "" {
		t.Errorf("its batches are %d and %d", len(ids), len(more))
	}
	if a := w.groups("/v1/batches/groups?status=FAILED&limit=1"); len(a.Groups) != 1 || a.Total != 2 {
		t.Errorf("limited: %+v", a)
	}
	if a := w.groups("/v1/batches/groups?q=b25"); len(a.Groups) != 1 || a.Groups[0].Count != 1 {
		t.Errorf("filtered: %+v", a)
	}
	w.status(w.get("/v1/batches/groups?by=name"), 400)
	w.status(w.get("/v1/batches/groups?sort=need"), 400)
}

func TestGroupsByOwner(t *testing.T) {
	w := newWorld(t)
	fillHouse(t, w)
	a := w.groups("/v1/batches/groups?by=owner")
	got := map[string]int{}
	for _, g := range a.Groups {
		name := "nobody"
		if g.Owner != nil {
			name = *g.Owner
		}
		got[name] = g.Count
	}
	if want := map[string]int{"ana": 14, "Bo": 13, "nobody": 13}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if ids, _ := w.list("/v1/batches?owner="); len(ids) != 13 {
		t.Errorf("%d batches of nobody", len(ids))
	}
}

// Each column sorts in both directions, over all pages; rows without a value come last in both.
func TestListSortsByEachColumn(t *testing.T) {
	w := newWorld(t)
	fillHouse(t, w)
	all := func(order string) (out []string) {
		for next := ""; ; {
			ids, cursor := w.list("/v1/batches?limit=7&sort=" + order + "&cursor=" + next)
			out = append(out, ids...)
			if next = cursor; next == "" {
				return out
			}
		}
	}
	for _, order := range sorts {
		if ids := all(order); len(ids) != 40 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 40 {
			t.Errorf("%s: %d batches: %v", order, len(ids), ids)
		}
	}
	for order, want := range map[string][2]string{
		"name": {"b00", "b39"}, "-name": {"b39", "b00"}, "started": {"b00", "b39"}, "-started": {"b39", "b00"},
		"owner": {"b39", "b02"}, "-owner": {"b37", "b02"}, "-took": {"b29", "b30"},
	} {
		if ids := all(order); ids[0] != want[0] || ids[39] != want[1] {
			t.Errorf("%s: %s … %s, want %v", order, ids[0], ids[39], want)
		}
	}
	w.status(w.get("/v1/batches?sort=colour"), 400)
}
