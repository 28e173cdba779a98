package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

func TestStreamFormat(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	for _, q := range []string{"format=", "format=Patch", "format=json", "format=patch&format=full", "format=rows&format=rows", "format=%0a"} {
		r := w.status(w.get("/v1/analytics/performance/batches/b1/diagnostics/stream?"+q), 400)
		if !strings.Contains(r.Body.String(), `"field":"format"`) {
			t.Errorf("%s: the field isn't named: %s", q, r.Body)
		}
	}
}

// The client of patches reads the same snapshots as the one of whole frames, as Go reads them.
func TestPatchedStreamSaysTheSame(t *testing.T) {
	w := newWorld(t)
	base, _ := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	const path = "/v1/analytics/performance/batches/b1/diagnostics/stream"
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING","total_tiers":3}`)
	full, patch := open(t, c, base+path+"?format=full"), open(t, c, base+path+"?format=patch")
	kinds := map[string]int{}
	var doc []byte
	both := func(end bool) {
		t.Helper()
		name, whole := full.next()
		got, data := patch.next()
		kinds[got]++
		if strings.TrimSuffix(got, "-patch") != name {
			t.Fatalf("%s, where the whole is %s", got, name)
		}
		if (name == "end") != end {
			t.Fatalf("got %s", name)
		}
		if !strings.HasSuffix(got, "-patch") {
			doc = []byte(data)
		} else {
			var err error
			if doc, err = jsonpatch.MergePatch(doc, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		if want, have := readAsGo(t, []byte(whole)), readAsGo(t, doc); have != want {
			t.Fatalf("after %s\n got %s\nwant %s", data, have, want)
		}
	}
	both(false)
	for n := range 30 {
		w.shelf.say(t, one1, "tier", fmt.Sprintf(`{"tier_num":%d,"processed_documents":%d,"total_documents":90}`, n/12, n%12*8))
		both(false)
	}
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING","error":"tier 2 is slow","labels":{"team":"search"}}`)
	both(false)
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	both(true)
	if kinds["update-patch"] < 30 {
		t.Fatalf("events were %v", kinds)
	}
}

// The client of rows has after each event exactly what the one of whole frames has, for a batch whose snapshots are far larger than what
// patches are made of.
func TestRowsOfAStreamAddUp(t *testing.T) {
	w := newWorld(t)
	base, _ := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	const path, tiers = "/v1/analytics/performance/batches/b1/diagnostics/stream", 200
	w.shelf.say(t, one1, "batch", fmt.Sprintf(`{"status":"PROCESSING","total_tiers":%d}`, tiers))
	for n := range tiers {
		w.shelf.say(t, one1, "tier", fmt.Sprintf(`{"tier_num":%d,"status":"PROCESSING","processed_documents":5,"total_documents":90}`, n))
	}
	full, rows := open(t, c, base+path), open(t, c, base+path+"?format=rows")
	kinds, bytes := map[string]int{}, map[bool]int{}
	var state []byte
	both := func(want string) {
		t.Helper()
		name, whole := full.next()
		got, data := rows.next()
		kinds[got]++
		if name != want || strings.TrimSuffix(got, "-rows") != name {
			t.Fatalf("%s, where the whole is %s and %s is awaited", got, name, want)
		}
		if strings.HasSuffix(got, "-rows") {
			bytes[true] += len(data)
			bytes[false] += len(whole)
			var err error
			if state, err = headwaytest.ApplyRows(state, []byte(data)); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
		} else {
			state = []byte(data)
		}
		if !sameJSON(t, state, []byte(whole)) {
			t.Fatalf("after %s\n got %s\nwant %s", data, state, whole)
		}
	}
	both("snapshot")
	say := func(kind, data string) {
		t.Helper()
		w.shelf.say(t, one1, kind, data)
		both("update")
	}
	for n := range 20 {
		say("tier", fmt.Sprintf(`{"tier_num":%d,"processed_documents":%d,"total_documents":90}`, n%7, 10+n))
		say("job", fmt.Sprintf(`{"tier_num":%d,"submission_id":"raysubmit_%d","status":"RUNNING","cluster":"c%d"}`, n%3, n%5, n%2))
		say("collection", fmt.Sprintf(`{"collection_id":"col_%d","tier_num":%d,"document_count":%d}`, (n*7)%11, n%4, n+1))
	}
	say("tier", `{"tier_num":3,"status":"COMPLETED"}`)
	say("batch", `{"status":"PROCESSING","error":"tier 2 is slow","labels":{"team":"search"}}`)
	for n := range 20 {
		say("job", fmt.Sprintf(`{"tier_num":%d,"submission_id":"raysubmit_%d","status":"SUCCEEDED","cluster":"c%d"}`, n%3, n%5, n%2))
	}
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	both("end")
	if kinds["update-rows"] < 80 || kinds["update"] > 0 || kinds["end-rows"] != 1 {
		t.Fatalf("events were %v", kinds)
	}
	if bytes[true]*10 > bytes[false] {
		t.Errorf("%d of %d bytes", bytes[true], bytes[false])
	}
	again := open(t, c, base+path+"?format=rows") // a new connection has no event before
	if name, data := again.next(); name != "snapshot" || !sameJSON(t, []byte(data), state) {
		t.Fatalf("after the end: %s %s", name, data)
	}
	if name, data := again.next(); name != "end-rows" || data != `{"set":{},"lists":{}}` {
		t.Fatalf("after a final snapshot: %s %s", name, data)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// readAsGo reads a snapshot into its type and writes it again: absent and null are one then.
func readAsGo(t *testing.T, text []byte) string {
	t.Helper()
	var s diagnostics.Snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}
