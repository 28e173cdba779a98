package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

func TestStreamFormat(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	for _, q := range []string{"format=", "format=Patch", "format=json", "format=patch&format=full", "format=%0a"} {
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

// BenchmarkPatch makes the patch of one tier's progress and reports its size beside that of the whole.
func BenchmarkPatch(b *testing.B) {
	for _, tiers := range []int{1, 3, 10, 30, 100} {
		b.Run(fmt.Sprint("tiers=", tiers), func(b *testing.B) {
			w := newWorld(b)
			w.shelf.say(b, one1, "batch", fmt.Sprintf(`{"status":"PROCESSING","total_tiers":%d}`, tiers))
			for n := range tiers {
				w.shelf.say(b, one1, "tier", fmt.Sprintf(`{"tier_num":%d,"processed_documents":5,"total_documents":90}`, n))
			}
			state := func() []byte {
				f, err := w.svc.source.frame(w.shelf.values[one1], w.shelf.fence[0])
				if err != nil {
					b.Fatal(err)
				}
				return f.Content.AppendJSON(nil)
			}
			before := state()
			w.shelf.say(b, one1, "tier", `{"tier_num":0,"processed_documents":50,"total_documents":90}`)
			after := state()
			var diff []byte
			for b.Loop() {
				var err error
				if diff, err = push.MergePatch(before, after); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(after)), "whole-bytes")
			b.ReportMetric(float64(len(diff)), "patch-bytes")
		})
	}
}
