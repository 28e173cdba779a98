package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

// forgetful is an ingest that keeps nothing longer than it must: not in the log, and of finished batches not in Redis.
func (s *stack) forgetful() (stop func()) { return s.keeping(time.Nanosecond) }

// keeping is an ingest that keeps covered events for so long, and of finished batches nothing in Redis.
func (s *stack) keeping(window time.Duration) (stop func()) {
	s.t.Helper()
	in := ingest.New(ingest.Options{
		Log: s.b.Log, Store: s.b.Store, Policies: policy.Default(), Member: backend.Member(), Heartbeat: 200 * time.Millisecond, Lease: 2 * time.Second,
		LogWindow: window, CheckpointEvery: 100 * time.Millisecond, TruncateEvery: 50 * time.Millisecond,
		RedisKeep: func(string) time.Duration { return time.Millisecond },
	})
	stop = s.run(in.Run)
	s.eventually("ingest ready", in.Ready)
	return stop
}

// Rule 22: a finished batch whose events and view are gone is answered by its URL as before, by GET and by a stream, in
// the same words; one that never was is still a 404.
func TestRule22FinishedBatchesAreAnswered(t *testing.T) {
	s := newStack(t)
	base := s.front(policy.Default())
	stop := s.ingest(policy.Default())
	s.say("over", "tier.0", diagnostics.TypeTierV1, `{"tier_num":0,"status":"COMPLETED","processed_documents":7,"total_documents":7}`)
	seq := s.say("over", "batch", diagnostics.TypeBatchV1, `{"status":"COMPLETED","batch_name":"Monday","total_tiers":1}`)
	s.folded("over", seq)
	body := func() (string, int, error) {
		res, err := http.Get(base + "/v1/analytics/performance/batches/over/diagnostics?namespace=n")
		if err != nil {
			return "", 0, err
		}
		defer res.Body.Close()
		var a map[string]json.RawMessage
		text, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode == http.StatusOK {
			err = json.Unmarshal(text, &a)
		}
		delete(a, "view") // it says how fresh the answer is
		again, _ := json.Marshal(a)
		return string(again), res.StatusCode, err
	}
	var before string
	s.eventually("an answer", func() (err error) {
		var code int
		if before, code, err = body(); err == nil && code != http.StatusOK {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
	stop()
	s.forgetful()
	s.eventually("the view leaves Redis", func() error {
		v, err := s.view("over")
		if err == nil && v != nil {
			err = errors.New("it is still there")
		}
		return err
	})
	after, code, err := body()
	if err != nil || code != http.StatusOK || after != before {
		t.Errorf("status %d, %v:\n%s\nbefore:\n%s", code, err, after, before)
	}
	res, err := http.Get(base + "/v1/analytics/performance/batches/over/diagnostics/stream?namespace=n")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), "event: end") || !strings.Contains(string(text), `"batch_id":"over"`) {
		t.Errorf("the stream said %q, %v", text, err)
	}
	s.eventually("absence of another batch", func() error {
		if _, code, err := getShown(base, "never"); err != nil || code != http.StatusNotFound {
			return fmt.Errorf("status %d, %w", code, err)
		}
		return nil
	})
}
