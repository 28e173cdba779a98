package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
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
			code, body := ask(http.MethodGet, path("b"))
			v, err := s.view("b")
			switch {
			case err != nil:
				return err
			case code != http.StatusGone:
				return fmt.Errorf("%d %s", code, body)
			case v == nil:
				return errors.New("there is no view")
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
