package api

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	neturl "net/url"

	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
	"slices"
	"sync"
	"sync/atomic"
)

func listKey(id string) push.Key { return push.Key{Namespace: "default", Name: id} }

// become gives a batch a health, as one more attempt.
func become(t testing.TB, w *world, id, health string, attempt int) {
	t.Helper()
	word, at := "PROCESSING", time.Now()
	switch health {
	case "stuck":
		at = at.Add(-2 * time.Hour) // nothing runs for it
	case "degraded":
		word = "FAILED"
	case "ok":
		word = "COMPLETED"
	}
	w.shelf.sayAt(t, listKey(id), "batch", fmt.Sprintf(`{"status":%q,"attempt":%d}`, word, attempt), at)
}

func TestListFilters(t *testing.T) {
	w := newWorld(t)
	w.shelf.sayAt(t, listKey("a"), "batch", `{"status":"PROCESSING","name":"Spring catalogue","pipeline":"media","owner":"search","labels":{"team":"search","tries":2},"created_at":"2026-03-01T12:00:00Z"}`, time.Now().Add(-2*time.Hour)) // stuck: nothing runs for it
	w.shelf.say(t, listKey("b"), "batch", `{"status":"FAILED","name":"Autumn","pipeline":"text","labels":{"team":"search"},"created_at":"2026-03-02T12:00:00Z"}`)
	w.shelf.say(t, listKey("c"), "batch", `{"status":"COMPLETED","pipeline":"media","created_at":"2026-03-03T12:00:00Z"}`)
	for q, want := range map[string]string{
		"":                                    "c b a",
		"pipeline=media":                      "c a",
		"pipeline=media&pipeline=text":        "c b a",
		"label=team:search":                   "b a",
		"label=team:search&label=tries:2":     "a",
		"label=team:nobody":                   "",
		"created_after=2026-03-02T12:00:00Z":  "c b",
		"created_before=2026-03-02T12:00:00Z": "a",
		"created_after=2026-03-02T13:00:00%2B02:00&created_before=2026-03-03T00:00:00Z": "b",
		"q=spring":                      "a",
		"q=CATALOGUE":                   "a",
		"q=search":                      "b a",
		"q=a%00b":                       "",
		"status=failed,completed":       "c b",
		"health=stuck":                  "a",
		"health=ok":                     "c",
		"sort=need":                     "a b c",
		"sort=need&limit=200&q=sea":     "a b",
		"status=FAILED&pipeline=text":   "b",
		"status=FAILED&pipeline=images": "",
	} {
		ids, _ := w.list("/v1/batches?" + q)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %s, want %s", q, got, want)
		}
	}
	for _, q := range []string{"sort=oldest", "label=team", "label=:x", "created_after=yesterday", "created_before=1500-01-01T00:00:00Z", "q=" + strings.Repeat("x", 201),
		"pipeline=" + strings.Repeat("x&pipeline=y", 1) + func() (s string) {
			for i := range 25 {
				s += fmt.Sprint("&pipeline=", i)
			}
			return s
		}()} {
		r := w.status(w.get("/v1/batches?"+q), 400)
		if field, _, _ := strings.Cut(q, "="); !strings.Contains(r.Body.String(), `"field":"`+field+`"`) {
			t.Errorf("%s: %s", q, r.Body)
		}
	}
	_, next := w.list("/v1/batches?limit=1")
	w.status(w.get("/v1/batches?limit=1&sort=need&cursor="+next), 400)
	w.status(w.get("/v1/batches?limit=1&q=a&cursor="+next), 400)
}

// While rows move between two pages, no row that stood still is skipped or shown twice.
func TestCursorsWhileRowsMove(t *testing.T) {
	for _, sort := range []string{newest, need} {
		w := newWorld(t)
		rng := rand.New(rand.NewPCG(1, 2))
		still := map[string]bool{}
		begin := time.Now().Add(-time.Hour)
		for i := range 120 {
			id := fmt.Sprintf("b%03d", i)
			w.shelf.sayAt(t, listKey(id), "batch", fmt.Sprintf(`{"status":"PENDING","created_at":%q}`, begin.Add(time.Duration(rng.IntN(60))*time.Second).Format(time.RFC3339)), begin)
			become(t, w, id, []string{"stuck", "degraded", "scaling"}[i%3], 2)
			still[id] = i%4 != 0
		}
		seen := map[string]int{}
		next := ""
		for page := 0; ; page++ {
			ids, cursor := w.list("/v1/batches?limit=7&sort=" + sort + "&cursor=" + neturl.QueryEscape(next))
			for _, id := range ids {
				seen[id]++
			}
			if next = cursor; next == "" {
				break
			}
			for i := 0; i < 120; i += 4 { // the others change their health, and so their place
				become(t, w, fmt.Sprintf("b%03d", i), []string{"ok", "stuck", "degraded", "scaling"}[rng.IntN(4)], page+3)
			}
			w.shelf.say(t, listKey(fmt.Sprint("new", page)), "batch", `{"status":"PENDING"}`)
		}
		for id := range still {
			if still[id] && seen[id] != 1 {
				t.Errorf("%s: %s was shown %d times", sort, id, seen[id])
			}
		}
	}
}

// The counters are those of a recount, whatever happened.
func TestCounts(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(3, 4))
	words := []string{"PENDING", "PROCESSING", "COMPLETED", "FAILED"}
	w.list("/v1/batches")
	for i := range 300 {
		id := fmt.Sprint("b", rng.IntN(90))
		w.shelf.say(t, listKey(id), "batch", `{"status":"`+words[rng.IntN(4)]+`"}`)
		if i%3 == 0 {
			become(t, w, id, []string{"ok", "stuck"}[rng.IntN(2)], i+2)
		}
	}
	type shown struct {
		Batches []struct{ Status, Health string }
		Counts  struct {
			Total          int
			Health, Status map[string]int
		}
	}
	var l shown
	if err := json.Unmarshal(w.status(w.get("/v1/batches?limit=200"), 200).Body.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	status, health := map[string]int{}, map[string]int{}
	for _, s := range statuses {
		status[s] = 0
	}
	for _, h := range healths {
		health[h] = 0
	}
	for _, b := range l.Batches {
		status[b.Status]++
		health[b.Health]++
	}
	if fmt.Sprint(l.Counts.Status) != fmt.Sprint(status) || fmt.Sprint(l.Counts.Health) != fmt.Sprint(health) || l.Counts.Total != len(l.Batches) {
		t.Errorf("%+v, recounted %v %v", l.Counts, status, health)
	}
	filtered := shown{}
	_ = json.Unmarshal(w.get("/v1/batches?status=FAILED&limit=1").Body.Bytes(), &filtered)
	if filtered.Counts.Total != l.Counts.Total {
		t.Error("a filter changes the counters")
	}
}

func BenchmarkListOf10000(b *testing.B) {
	x := newIndex("default", partitions)
	rows := make([]*row, 10_000)
	for i := range rows {
		raw := fmt.Appendf(nil, `{"batch_id":"b%05d","batch_name":"Night run %d","pipeline":"media","owner":"search","labels":{"team":"t%d"},"status":"PROCESSING","health":%q,"ordered_at":"2026-03-01T12:%02d:00Z","revision":%d}`,
			i, i, i%50, healths[i%4], i%60, i+1)
		r, err := parseRow(raw)
		if err != nil {
			b.Fatal(err)
		}
		rows[i] = r
	}
	x.put(rows, partition)
	for _, f := range []struct {
		name string
		f    filter
	}{{"all", filter{}}, {"health", filter{health: []string{"stuck"}}}, {"label", filter{labels: []string{"team:t49"}}}, {"text=none", filter{text: "nowhere"}},
		{"text=one", filter{text: "b01234"}}, {"text=some", filter{text: "run 123"}}, {"text=a-fiftieth", filter{text: "team:t49"}}, {"text=all", filter{text: "night"}}, {"text=z", filter{text: "z"}}, {"text=zq", filter{text: "zq"}}} {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				x.page(need, nil, 50, f.f.text, f.f.keep)
			}
		})
	}
	b.Run("change", func(b *testing.B) {
		n := uint64(len(rows))
		for i := 0; b.Loop(); i++ {
			n++
			r := *rows[i%len(rows)]
			r.revision, r.health = n, healths[i%4]
			r.need = needOf(r.health)
			x.put([]*row{&r}, partition)
		}
	})
}

// What a search finds is what a look at each row finds, in the same order, whatever the text and however many rows match; while rows
// change, a search finds each row that has matched all along.
func TestSearchFindsWhatALookAtEachRowFinds(t *testing.T) {
	x := newIndex("default", partitions)
	words := []string{"night", "run", "Ünïcode", "a", "b", "zz", "media", "searchable-owner", "0", "17", " ", "="}
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(words[rng.IntN(len(words))])
		}
		return b.String()
	}
	made := func(n, revision int) *row {
		raw := fmt.Appendf(nil, `{"batch_id":"b%04d","batch_name":%q,"status":"PROCESSING","health":%q,"ordered_at":"2026-03-01T12:%02d:00Z","revision":%d}`,
			n, text(1+rng.IntN(8)), healths[rng.IntN(4)], rng.IntN(60), revision)
		r, err := parseRow(raw)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const rows = 1500
	for i := range rows {
		x.put([]*row{made(i, i+1)}, partition)
	}
	for i := range rows / 2 { // some texts change
		x.put([]*row{made(rng.IntN(rows), rows+i+1)}, partition)
	}
	for range 300 {
		f := filter{text: strings.ToLower(text(1 + rng.IntN(3)))}
		if rng.IntN(2) == 0 {
			f.health = []string{healths[rng.IntN(4)]}
		}
		for name, compare := range map[string]func(a, b *row) int{newest: newestFirst, need: needFirst} {
			var want []*row
			for _, r := range x.rows {
				if f.keep(r) {
					want = append(want, r)
				}
			}
			slices.SortFunc(want, compare)
			var got []*row
			var after *row
			for more := true; more; {
				var page []*row
				page, _, more = x.page(name, after, 20, f.text, f.keep)
				if got = append(got, page...); more {
					after = page[len(page)-1]
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q by %s: %d rows, want %d", f.text, name, len(got), len(want))
			}
		}
	}
	var stop atomic.Bool
	var changes sync.WaitGroup
	changes.Go(func() {
		for n := uint64(10 * rows); !stop.Load(); n++ {
			old := x.rows["b0007"] // this is the only writer
			r := *old
			r.revision, r.health = n, healths[n%4]
			r.need = needOf(r.health)
			x.put([]*row{&r}, partition)
		}
	})
	for range 500 {
		f := filter{text: "b0007"}
		if got, _, _ := x.page(need, nil, 50, f.text, f.keep); len(got) != 1 || got[0].batch != "b0007" {
			t.Fatalf("found %v", got)
		}
	}
	stop.Store(true)
	changes.Wait()
}

// A search waits for no change of the list.
func TestSearchWithoutALock(t *testing.T) {
	x := newIndex("default", partitions)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, text := range []string{"", "x"} {
		x.page(newest, nil, 50, text, func(*row) bool { return true })
	}
	x.counted()
}
