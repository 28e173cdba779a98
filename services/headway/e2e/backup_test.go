package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/headway/embedded"
	"github.com/headwayhq/headway/services/internal/backend"
)

// backup is what nats stream backup keeps of a stream.
type backup struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
	chunks [][]byte
}

const streamAPI = "$JS.API.STREAM."

// backUp copies a stream as nats stream backup does: the server sends chunks, and waits for their acknowledgements.
func backUp(t *testing.T, nc *nats.Conn, stream string) (b backup) {
	t.Helper()
	inbox := nc.NewRespInbox()
	chunks, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = chunks.Unsubscribe() }()
	asked, err := nc.Request(streamAPI+"SNAPSHOT."+stream, fmt.Appendf(nil, `{"deliver_subject":%q,"no_consumers":true}`, inbox), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, asked, &b)
	for {
		m, err := chunks.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("%s: %v", stream, err)
		}
		if len(m.Data) == 0 {
			return b
		}
		b.chunks = append(b.chunks, m.Data)
		if m.Reply != "" {
			if err := m.Respond(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// restore makes the stream of a backup, as nats stream restore does.
func restore(t *testing.T, nc *nats.Conn, stream string, b backup) {
	t.Helper()
	request, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := nc.Request(streamAPI+"RESTORE."+stream, request, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var to struct {
		Deliver string `json:"deliver_subject"`
	}
	accepted(t, asked, &to)
	var answer *nats.Msg
	for _, chunk := range append(b.chunks, nil) {
		if answer, err = nc.Request(to.Deliver, chunk, 10*time.Second); err != nil {
			t.Fatalf("%s: %v", stream, err)
		}
	}
	accepted(t, answer, &struct{}{})
}

func accepted(t *testing.T, m *nats.Msg, to any) {
	t.Helper()
	var refused struct{ Error *struct{ Description string } }
	if err := errors.Join(json.Unmarshal(m.Data, &refused), json.Unmarshal(m.Data, to)); err != nil || refused.Error != nil {
		t.Fatalf("%v: %s", err, m.Data)
	}
}

// answered is the diagnosis of a batch without what says how fresh it is.
func answered(base, batch string) (text string, processed float64, incomplete bool, err error) {
	res, err := http.Get(base + "/v1/analytics/performance/batches/" + batch + "/diagnostics?namespace=n")
	if err != nil {
		return "", 0, false, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", 0, false, fmt.Errorf("status %d %w", res.StatusCode, err)
	}
	var s struct {
		Tiers []struct {
			Progress struct {
				Processed float64 `json:"processed_documents"`
			}
		}
		View struct{ Incomplete bool }
	}
	var all map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(body, &s), json.Unmarshal(body, &all)); err != nil {
		return "", 0, false, err
	}
	delete(all, "view")
	again, err := json.Marshal(all)
	if len(s.Tiers) > 0 {
		processed = s.Tiers[0].Progress.Processed
	}
	return string(again), processed, s.View.Incomplete, err
}

// A history and a log that were backed up one after the other while events came and the log was cut give, restored on another NATS, all
// batches with every event that was acknowledged before: with a new Redis, and with the old one. So does a copy of the server's directory.
func TestBackupAndRestore(t *testing.T) {
	old, err := embedded.StartRedis(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(old.Stop)
	data := t.TempDir()
	first, err := embedded.StartNATS("127.0.0.1:0", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopFirst := sync.OnceFunc(first.Stop)
	t.Cleanup(stopFirst)
	held, err := backend.Connect(t.Context(), backend.Options{NATSURL: first.URL, RedisURL: old.URL, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Close)
	s := &stack{t: t, ctx: t.Context(), b: held}
	const window = 2 * time.Second
	stop := s.forgets(window)
	front := s.front(policy.Default())
	const batches = 5
	last := uint64(0)
	for i := range batches {
		b := fmt.Sprint("over", i)
		s.say(b, "tier.0", diagnostics.TypeTierV1, fmt.Sprintf(`{"tier_num":0,"status":"COMPLETED","processed_documents":%d,"total_documents":7}`, i))
		last = s.say(b, "batch", diagnostics.TypeBatchV1, `{"status":"COMPLETED","total_tiers":1}`)
		s.processing(fmt.Sprint("busy", i))
	}
	var counts [batches]atomic.Int64
	quiet := s.run(func(ctx context.Context) error {
		for n := int64(1); ctx.Err() == nil; n++ {
			for i := range counts {
				s.say(fmt.Sprint("busy", i), "tier.0.progress", diagnostics.TypeTierV1, fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":1000000}`, n))
				counts[i].Store(n)
			}
		}
		return nil
	})
	s.eventually("the log lacks finished batches", func() error {
		info, err := s.b.Log.Info(s.ctx)
		if err == nil && info.First <= last {
			err = fmt.Errorf("it begins at %d, they end at %d", info.First, last)
		}
		return err
	})
	before := map[string]string{}
	for i := range batches {
		b := fmt.Sprint("over", i)
		s.eventually(b+" is answered", func() (err error) {
			before[b], _, _, err = answered(front, b)
			return err
		})
	}

	// The history first: what is cut from the log until it is copied was covered a window before, so the copy of the history has it. Who
	// takes longer than the window begins again.
	var kept map[string]backup
	var least [batches]int64
	for took := window; took > window/2; {
		begun := time.Now()
		kept = map[string]backup{eventlog.HistoryStream: backUp(t, s.b.Conn, eventlog.HistoryStream)}
		for i := range counts {
			least[i] = counts[i].Load()
		}
		for _, stream := range []string{eventlog.EventsStream, eventlog.HealthStream, eventlog.DeadStream} {
			kept[stream] = backUp(t, s.b.Conn, stream)
		}
		took = time.Since(begun)
	}
	quiet()
	s.folded("busy0", s.processing("busy0")) // Redis is ahead of the backup
	stop()

	elsewhere := func(t *testing.T, dir, redisURL string, restored, incomplete bool) {
		server, err := embedded.StartNATS("127.0.0.1:0", dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		if restored {
			nc, err := nats.Connect(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			for stream, b := range kept {
				restore(t, nc, stream, b)
			}
		}
		b, err := backend.Connect(t.Context(), backend.Options{NATSURL: server.URL, RedisURL: redisURL, Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		if is := b.Store.Identity(); (is == s.b.Store.Identity()) == restored {
			t.Errorf("the identity is %s, and was %s", is, s.b.Store.Identity())
		}
		x := &stack{t: t, ctx: t.Context(), b: b}
		x.ingest(policy.Default())
		base := x.front(policy.Default())
		for i := range batches {
			over, busy := fmt.Sprint("over", i), fmt.Sprint("busy", i)
			x.eventually("answers as before", func() error {
				text, _, lacks, err := answered(base, over)
				if err == nil && (text != before[over] || lacks) {
					err = fmt.Errorf("%s: %s (incomplete: %v), before\n%s", over, text, lacks, before[over])
				}
				return err
			})
			x.eventually("all that was acknowledged", func() error {
				_, processed, lacks, err := answered(base, busy)
				if err == nil && (processed < float64(least[i]) || lacks != incomplete) {
					err = fmt.Errorf("%s: %v of at least %d (incomplete: %v)", busy, processed, least[i], lacks)
				}
				return err
			})
		}
		x.folded("new", x.processing("new"))
	}
	anotherRedis := func(t *testing.T) string {
		redis, err := embedded.StartRedis(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(redis.Stop)
		return redis.URL
	}
	// A restored stream has another identity. Batches that go on are called incomplete, because the log that the history knows isn't there.
	t.Run("restored, with another Redis", func(t *testing.T) { elsewhere(t, t.TempDir(), anotherRedis(t), true, true) })
	t.Run("restored, with the old Redis", func(t *testing.T) { elsewhere(t, t.TempDir(), old.URL, true, true) })
	t.Run("the copied directory of the stopped server", func(t *testing.T) {
		stopFirst()
		copied := t.TempDir()
		if err := os.CopyFS(filepath.Join(copied, "nats"), os.DirFS(filepath.Join(data, "nats"))); err != nil {
			t.Fatal(err)
		}
		elsewhere(t, copied, anotherRedis(t), false, false)
	})
}
