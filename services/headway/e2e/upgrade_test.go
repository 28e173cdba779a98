package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/headway/app"
)

// versionLine is a line of headway upgrade status --json.
type versionLine struct {
	Identity   string
	Fold       int
	ThisLog    bool `json:"this_log"`
	Serving    bool
	Members    int
	Batches    int
	Partitions int
	Complete   int      `json:"partitions_complete"`
	Events     *int     `json:"events"`
	Folded     *int     `json:"events_folded"`
	Rate       *float64 `json:"events_per_second"`
	Left       *float64 `json:"seconds_left"`
}

// planted writes views of a version with one batch in each partition, with their cursors at a position, and releases the
// partitions.
func planted(t *testing.T, s *viewstore.Store, complete bool, cursor uint64) {
	t.Helper()
	for p := range s.Partitions() {
		next := viewstore.Fence{Identity: s.Identity(), Fold: s.Fold(), Token: "t"}
		f, err := s.Claim(t.Context(), p, viewstore.Record{}, next, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		batch := fmt.Sprint("b", p)
		v := diagnostics.NewView("n", batch)
		v.Revision = 1
		row := diagnostics.NewRow(v, time.Now(), diagnostics.DefaultPolicy())
		w := viewstore.Write{Key: viewstore.Key{Namespace: "n", Batch: batch}, Value: v.Append(nil), Revision: 1, Row: row.AppendJSON(nil)}
		to := f
		to.Cursor, to.Complete = cursor, complete
		if f, err = s.Commit(t.Context(), p, f, to, time.Minute, []viewstore.Write{w}); err != nil {
			t.Fatal(err)
		}
		if err := s.Release(t.Context(), p, f); err != nil {
			t.Fatal(err)
		}
	}
}

// headway upgrade reports the versions, changes which one serves, and removes what is no longer needed.
func TestUpgrade(t *testing.T) {
	binary, dir := headway(t), t.TempDir()
	r := runHeadway(t, binary, dir)
	r.say("x", "batch", `{"status":"PROCESSING"}`)
	r.shows("x", "status", "PROCESSING")
	const ours = diagnostics.FoldVersion
	run, err := app.ReadRunning(dir)
	if err != nil {
		t.Fatal(err)
	}
	options, err := redis.ParseURL(run.Redis)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	nc, err := nats.Connect(r.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	log, err := eventlog.Open(t.Context(), nc, eventlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store, err := viewstore.Open(t.Context(), viewstore.Options{Client: rdb, Identity: info.Identity, Fold: ours, Partitions: log.Partitions()})
	if err != nil {
		t.Fatal(err)
	}
	upgrade := func(args ...string) (out, side string, code int) {
		t.Helper()
		where := []string{"--data-dir", dir, "--nats-url", r.nats}
		verb := min(1, len(args)) // flags of args come last: they win
		return plainly(t, nil, binary, slices.Concat([]string{"upgrade"}, args[:verb], where, args[verb:])...)
	}
	status := func() map[string]versionLine {
		t.Helper()
		out, side, code := upgrade("status", "--json")
		if code != 0 {
			t.Fatalf("exit code %d: %s%s", code, out, side)
		}
		all := map[string]versionLine{}
		for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
			var v versionLine
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all[fmt.Sprintf("%s-%d", v.Identity, v.Fold)] = v
		}
		return all
	}
	says := func(want int, text string, args ...string) {
		t.Helper()
		if out, side, code := upgrade(args...); code != want || !strings.Contains(out+side, text) {
			t.Errorf("%v: exit code %d, want %d and %q: %s%s", args, code, want, text, out, side)
		}
	}

	all := status()
	v := all[store.Version().String()]
	if len(all) != 1 || !v.Serving || !v.ThisLog || v.Members != 1 || v.Complete != 32 || v.Partitions != 32 || *v.Events != int(info.Last-info.Born+1) || *v.Folded != *v.Events || v.Left != nil {
		t.Errorf("%+v", all)
	}
	says(0, "32 of 32 partitions complete")
	says(0, fmt.Sprintf("%d serves already", ours), "serve", "--fold", fmt.Sprint(ours))
	says(1, "has no fold version 9", "serve", "--fold", "9")

	// One version before and one after ours, and another log's: none of them is worked on.
	older, newer, other := store.WithFold(ours-1), store.WithFold(ours+1), store.WithIdentity("another_0")
	for _, x := range []*viewstore.Store{older, newer, other} {
		planted(t, x, x != newer, 0)
		if _, err := x.Join(t.Context(), "m", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Leave(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	all = status()
	if b := all[newer.Version().String()]; len(all) != 4 || b.Serving || b.Complete != 0 || b.Batches != 32 || *b.Folded != 0 || *b.Events == 0 || b.Members != 1 {
		t.Errorf("%+v", all)
	}
	if o := all["another_0-"+fmt.Sprint(ours)]; o.ThisLog || o.Events != nil || o.Members != 0 {
		t.Errorf("%+v", o)
	}
	says(1, "isn't there yet: 0 of 32 partitions complete, 0 % of the log folded", "serve", "--timeout", "1s", "--fold", fmt.Sprint(ours+1))
	says(1, "isn't there yet", "serve", "--timeout", "1s", "--fold", fmt.Sprint(ours-1)) // complete once, but it is behind
	says(1, "somebody folds it", "finish")
	if len(status()) != 4 {
		t.Error("something that is worked on was removed")
	}
	for _, x := range []*viewstore.Store{older, newer} {
		if err := x.Leave(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
	}
	says(1, "nobody folds version", "serve", "--fold", fmt.Sprint(ours-1))
	says(0, "--other-logs", "finish")
	if all = status(); len(all) != 2 || !all[store.Version().String()].Serving {
		t.Errorf("%+v", all)
	}
	says(0, "another_0", "finish", "--other-logs", "--json")
	if all = status(); len(all) != 1 {
		t.Errorf("%+v", all)
	}
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if !strings.Contains(k, store.Version().String()) && k != "hw:versions" && k != "hw:serving:"+store.Identity() {
			t.Errorf("left: %s", k)
		}
	}
	r.shows("x", "status", "PROCESSING")

	// Back and forth: what an operator went back from doesn't take over again by itself.
	planted(t, older, true, info.Last+1000)
	if _, err := older.Join(t.Context(), "m", time.Minute); err != nil {
		t.Fatal(err)
	}
	says(0, fmt.Sprintf("no version up to %d takes over by itself", ours), "serve", "--fold", fmt.Sprint(ours-1))
	if now, err := store.Serving(t.Context()); err != nil || now.Fold != ours-1 || now.Yields(ours) {
		t.Errorf("%+v %v", now, err)
	}
	says(1, "isn't there yet", "serve", "--timeout", "1s", "--fold", fmt.Sprint(ours)) // behind the one that serves
	if err := older.Leave(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	says(3, "--redis-url", "status", "--redis-url", "redis://127.0.0.1:1")
	says(3, "--nats-url", "status", "--nats-url", "nats://127.0.0.1:1")
}
