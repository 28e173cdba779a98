package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/api"
)

// A batch is erased under load. It is gone from log, changes of health and dead letters, and neither a straggler nor a Redis that is rebuilt from
// nothing brings it back. Of other batches nothing is missing (rule 28).
func TestRule28ErasedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := policies(t, "default: {timeout: 1h}")
	s.ingest(p)
	s.detector(p)
	svc := api.New(api.Options{Log: s.b.Log, Store: s.b.Store, Policies: p, Partition: s.b.Log.Partition})
	s.run(svc.Work)
	ask := func(method, target string) (int, string) {
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("X-Namespace", "n")
		w := httptest.NewRecorder()
		svc.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	path := func(batch string) string { return "/v1/analytics/performance/batches/" + batch + "/diagnostics" }
	s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"secret"}`) // the log's first message
	s.say("b", "tier.0", diagnostics.TypeTierV1, `{"tier_num":0,"status":"FAILED","error":"secret"}`)
	s.say("b", "job.j", diagnostics.TypeJobV1, `{"status":"RUNNING","tier_num":0}`) // a dead letter: it has no submission_id
	s.eventually("it is announced as degraded, and has a dead letter", func() error {
		held, err := s.b.Log.Held(s.ctx, "n", "b")
		if err == nil && (held.Health == 0 || held.Dead == 0) {
			err = fmt.Errorf("%+v", held)
		}
		return err
	})

	load, stop := context.WithCancel(s.ctx)
	var sent sync.WaitGroup
	defer stop()
	sent.Go(func() {
		for i := 0; load.Err() == nil; i++ {
			for _, batch := range []string{"b", "other"} {
				s.say(batch, "tier.0.progress", diagnostics.TypeTierV1, fmt.Sprintf(`{"tier_num":0,"processed_documents":%d}`, i))
			}
		}
	})
	s.eventually("it is erased", func() error {
		if code, body := ask(http.MethodDelete, "/v1/batches/b"); code != 200 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	stop()
	sent.Wait()
	other := s.say("other", "tier.0.progress", diagnostics.TypeTierV1, `{"tier_num":0,"processed_documents":1000000}`)
	want := s.folded("other", other).AppendState(nil)
	s.eventually("what came meanwhile is erased", func() error {
		code, body := ask(http.MethodDelete, "/v1/batches/b")
		var out api.Erasure
		if err := json.Unmarshal([]byte(body), &out); code != 200 || err != nil || out.Events+out.Health+out.Dead > 0 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})

	gone := func(what string) {
		t.Helper()
		s.eventually(what, func() error {
			if code, body := ask(http.MethodGet, path("b")); code != http.StatusGone {
				return fmt.Errorf("%d %s", code, body)
			}
			v, err := s.view("b")
			if err != nil || v == nil { // its tombstone is in the history
				return err
			}
			if _, erased := v.ErasedAt(); !erased {
				return errors.New("the view isn't that of an erased batch")
			}
			return nil
		})
	}
	gone("410 after it was erased")
	straggler := s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"secret again"}`)
	s.eventually("the straggler is read", func() error {
		store, err := s.store()
		if err != nil {
			return err
		}
		f, err := store.Fence(s.ctx, s.b.Log.Partition("n", "b"))
		if err == nil && (f == nil || f.Cursor < straggler) {
			err = errors.New("not yet")
		}
		return err
	})
	gone("410 after a straggler")

	if err := s.b.Redis.FlushAll(s.ctx).Err(); err != nil {
		t.Fatal(err)
	}
	v := s.folded("other", other)
	if v.Incomplete || string(v.AppendState(nil)) != string(want) {
		t.Errorf("another batch isn't the same after a rebuild; incomplete: %v", v.Incomplete)
	}
	gone("410 after Redis was wiped")
}

// A batch that ended, and is in the history only, is erased: nothing of it is on a disk of NATS, neither lists nor URL know it, and no
// straggler, wipe or restart brings it back (rule 28).
func TestRule28FinishedAndDropped(t *testing.T) {
	t.Parallel()
	const secret = "attic-of-the-grandmother"
	s := newStack(t)
	svc := api.New(api.Options{Log: s.b.Log, Store: s.b.Store, Policies: policy.Default(), Partition: s.b.Log.Partition, Finished: s.b.PresentRows})
	s.run(svc.Work)
	ask := func(method, target string) (int, string) {
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("X-Namespace", "n")
		w := httptest.NewRecorder()
		svc.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	finish := func(batch string) {
		t.Helper()
		s.say(batch, "tier.0", diagnostics.TypeTierV1, `{"tier_num":0,"status":"COMPLETED","owner":"`+secret+batch+`"}`)
		s.say(batch, "batch", diagnostics.TypeBatchV1, `{"status":"COMPLETED","name":"`+secret+batch+`","pipeline":"`+secret+batch+`"}`)
	}
	// Everything is said before it is folded: a checkpoint that a later one replaced would stay on the disk (docs/operations/erasing.md).
	finish("b")
	finish("other")
	stop := s.forgets(0)
	listed := func(want ...string) {
		t.Helper()
		s.eventually(fmt.Sprint("listed: ", want), func() error {
			code, body := ask(http.MethodGet, "/v1/batches/history")
			var list struct {
				Batches []struct {
					ID string `json:"batch_id"`
				} `json:"batches"`
			}
			if err := json.Unmarshal([]byte(body), &list); err != nil || code != http.StatusOK {
				return fmt.Errorf("%d %s", code, body)
			}
			var got []string
			for _, b := range list.Batches {
				got = append(got, b.ID)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				return fmt.Errorf("listed are %q", got)
			}
			return nil
		})
	}
	for _, batch := range []string{"b", "other"} {
		s.eventually("it leaves Redis", func() error {
			v, err := s.view(batch)
			if err == nil && v != nil {
				err = errors.New("it is there")
			}
			return err
		})
	}
	listed("b", "other")
	code, body := ask(http.MethodDelete, "/v1/batches/b?dry_run=true")
	var would api.Erasure
	if err := json.Unmarshal([]byte(body), &would); err != nil || code != http.StatusOK || would.Events != 2 || would.History != 2 || would.ErasedAt != nil {
		t.Fatal(code, body, err)
	}
	if code, body := ask(http.MethodDelete, "/v1/batches/b"); code != http.StatusOK {
		t.Fatal(code, body)
	}
	gone := func(what string) {
		t.Helper()
		s.eventually(what, func() error {
			code, body := ask(http.MethodGet, "/v1/analytics/performance/batches/b/diagnostics")
			if code != http.StatusGone || strings.Contains(body, secret) {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
		listed("other")
	}
	gone("410 after it was erased")
	if n := copies(t, s.dir, secret+"b"); n != 0 {
		t.Errorf("%d copies of the secret are on the disk", n)
	}
	if n := copies(t, s.dir, secret+"other"); n < 4 {
		t.Errorf("of another batch there are %d copies", n)
	}
	s.folded("b2", s.processing("b2"))
	finish("b") // a straggler
	gone("410 after a straggler")
	if err := s.b.Redis.FlushAll(s.ctx).Err(); err != nil {
		t.Fatal(err)
	}
	gone("410 after Redis was wiped")
	stop()
	s.forgetful()
	gone("410 after a restart")
	for range 2 { // the second time from its tombstone alone
		if code, body := ask(http.MethodDelete, "/v1/batches/b"); code != http.StatusOK {
			t.Fatal(code, body)
		}
		gone("410 after it was erased again")
		s.eventually("it leaves Redis", func() error {
			v, err := s.view("b")
			if err == nil && v != nil {
				err = errors.New("it is there")
			}
			return err
		})
	}
}

// copies counts how often a text is in the files below a directory.
func copies(t *testing.T, dir, text string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		n += bytes.Count(b, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
