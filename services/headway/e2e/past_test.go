package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

// Rule 35: the log is cut behind events of an active batch, and each moment of the window is answered as it was before, byte for byte.
// For a moment before, the first one that is answered is named.
func TestRule35PastOfABatchThatIsOlderThanTheLog(t *testing.T) {
	t.Parallel()
	const window = 4 * time.Second
	s := newStack(t)
	front := s.front(policy.Default())
	in := ingest.New(ingest.Options{
		Log: s.b.Log, Store: s.b.Store, Policies: policy.Default(), Member: backend.Member(), Heartbeat: 200 * time.Millisecond, Lease: 2 * time.Second,
		LogWindow: window, CheckpointEvery: 50 * time.Millisecond, TruncateEvery: 50 * time.Millisecond,
	})
	s.run(in.Run)
	s.eventually("ingest ready", in.Ready)
	ask := func(at time.Time) (int, string) {
		t.Helper()
		res, err := http.Get(front + "/v1/analytics/performance/batches/long/diagnostics?namespace=n&at=" + url.QueryEscape(at.Format(time.RFC3339Nano)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	type moment struct {
		at   time.Time
		body string
	}
	var all []moment
	said := 0
	s.eventually("the log is cut behind moments that were answered", func() error {
		said++
		seq := s.say("long", "tier.0", diagnostics.TypeTierV1, fmt.Sprintf(`{"tier_num":0,"status":"PROCESSING","processed_documents":%d,"total_documents":100000}`, said))
		m, found, err := s.b.Log.LastOfBatch(s.ctx, "n", "long")
		if err != nil || !found || m.Seq != seq {
			t.Fatal(m.Seq, seq, found, err)
		}
		if code, body := ask(m.Stored); code == http.StatusOK {
			all = append(all, moment{m.Stored, body})
		}
		info, err := s.b.Log.Info(s.ctx)
		if err == nil && (len(all) < 20 || !info.GoneBefore.After(all[10].at)) {
			err = fmt.Errorf("%d answers, what was stored before %v is gone", len(all), info.GoneBefore)
		}
		return err
	})
	exact, gone := 0, 0
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		code, body := ask(m.at)
		info, err := s.b.Log.Info(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			Error struct {
				Details struct {
					From time.Time `json:"answerable_from"`
				}
			}
		}
		switch {
		case code == http.StatusOK && body == m.body:
			exact++
		case code == http.StatusGone && m.at.Before(info.Now.Add(-window)):
			gone++
			if err := json.Unmarshal([]byte(body), &p); err != nil || !p.Error.Details.From.After(m.at) || p.Error.Details.From.After(info.Now) {
				t.Fatalf("at %v: %s, %v", m.at, body, err)
			}
		default:
			t.Fatalf("at %v, asked at %v: %d %s\nit was\n%s", m.at, info.Now, code, body, m.body)
		}
	}
	if exact < 10 || gone == 0 {
		t.Errorf("%d moments were answered, %d are gone", exact, gone)
	}
}
