package doctor

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/net/http2"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

// ward is the servers of a Headway with an ingest, which tests damage.
type ward struct {
	t     *testing.T
	nats  *headwaytest.NATSServer
	redis *headwaytest.RedisServer
	b     *backend.Backend
	js    jetstream.JetStream
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, nats: headwaytest.NATS(t), redis: headwaytest.RedisChild(t)}
	var err error
	if w.b, err = backend.Connect(t.Context(), backend.Options{NATSURL: w.nats.URL(), RedisURL: w.redis.URL(), Stream: streamConfig}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.b.Close)
	if w.js, err = jetstream.New(w.nats.Conn()); err != nil {
		t.Fatal(err)
	}
	return w
}

// ingest runs until it is stopped.
func (w *ward) ingest() (stop func()) {
	w.t.Helper()
	in := ingest.New(ingest.Options{Log: w.b.Log, Store: w.b.Store, Policies: policy.Default(), Member: backend.Member(), Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := contextOf(w.t)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = in.Run(ctx) }()
	deadline := time.Now().Add(20 * time.Second)
	for in.Ready() != nil {
		if time.Now().After(deadline) {
			w.t.Fatal(in.Ready())
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	stop = func() { cancel(); <-ended }
	w.t.Cleanup(stop)
	return stop
}

// says runs the examination and expects a finding of a check, in a state, with words in its text or advice.
func (w *ward) says(check string, state State, words ...string) {
	w.t.Helper()
	says(w.t, Options{NATSURL: w.nats.URL(), RedisURL: w.redis.URL()}, check, state, words...)
}

func says(t *testing.T, o Options, check string, state State, words ...string) {
	t.Helper()
	if o.BareURL == "" {
		o.BareURL = "http://127.0.0.1:1"
	}
	var err error
	if o.API, err = client.NewReader(client.ReaderOptions{URL: o.BareURL, Namespace: "default"}); err != nil {
		t.Fatal(err)
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	o.BareNATSURL, o.BareRedisURL, o.Namespace = o.NATSURL, o.RedisURL, "default"
	var of []Finding
	Examine(t.Context(), o, func(f Finding) {
		if f.Check == check {
			of = append(of, f)
		}
	})
next:
	for _, f := range of {
		for _, word := range words {
			if !strings.Contains(f.Says+" → "+f.Do, word) {
				continue next
			}
		}
		if f.State == state {
			return
		}
	}
	t.Errorf("%s: %+v, want %s with %q", check, of, state, words)
}

func TestOfWhatIsWell(t *testing.T) {
	w := newWard(t)
	w.ingest()
	w.says("nats write", OK)
	w.says("redis write", OK)
	w.says("lag", OK, "all 4 partitions")
	w.says("versions", OK)
	w.says("nats", OK, "without a credential, in the account $G")
	w.says("redis", OK, "as the user default")
	// What the doctor wrote to test that writing works is removed.
	for _, name := range []string{"HEADWAY_EVENTS", "HEADWAY_DLQ"} {
		s, err := w.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.CachedInfo().State.Msgs; n != 0 {
			t.Errorf("%s holds %d messages of the doctor", name, n)
		}
	}
	if n := w.redis.Client().Exists(t.Context(), probeKey).Val(); n != 0 {
		t.Error("the doctor left its key")
	}
}

func TestOfStreams(t *testing.T) {
	w := newWard(t)
	update := func(name string, change func(*jetstream.StreamConfig)) {
		t.Helper()
		s, err := w.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		change(&c)
		if _, err := w.js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.b.Log.Publish(t.Context(), "headway.events.n.b.batch", nil, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	update("HEADWAY_EVENTS", func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	w.says("stream HEADWAY_EVENTS", Wrong, "1 of at most 1 messages: full")
	update("HEADWAY_EVENTS", func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Sealed = -1, true })
	w.says("nats write", Wrong, "an event is refused", "sealed")
	if err := w.js.DeleteStream(t.Context(), "HEADWAY_DLQ"); err != nil {
		t.Fatal(err)
	}
	w.says("stream HEADWAY_DLQ", Wrong, "doesn't exist", "Start headway run, or ingest")
	w.says("nats write", Unknown, "HEADWAY_DLQ")
	if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"headway.dlq.>"}}); err != nil {
		t.Fatal(err)
	}
	w.says("stream HEADWAY_DLQ", Wrong, "another stream has these subjects: stream OTHER", "Remove Headway's subjects from that stream")
}

// A full server refuses every publish, although everything that can be read looks healthy.
func TestOfAFullServer(t *testing.T) {
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: t.TempDir(), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStreamMaxStore: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server isn't ready")
	}
	redis := headwaytest.RedisChild(t)
	b, err := backend.Connect(t.Context(), backend.Options{NATSURL: s.ClientURL(), RedisURL: redis.URL(), Stream: streamConfig})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var refused error
	for n := 0; refused == nil && n < 100; n++ {
		_, refused = b.Log.Publish(t.Context(), "headway.events.n.b.batch", nil, make([]byte, 64<<10))
	}
	if refused == nil {
		t.Fatal("the server took more than its limit")
	}
	t.Log(refused)
	says(t, Options{NATSURL: s.ClientURL(), RedisURL: redis.URL()}, "nats write", Wrong, "refused", "max_file_store")
}

func TestOfRedis(t *testing.T) {
	w := newWard(t)
	set := func(key, value string) {
		t.Helper()
		if err := w.redis.Client().ConfigSet(t.Context(), key, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory", "1")
	w.says("redis write", Wrong, "OOM", "Raise maxmemory")
	set("maxmemory", "200mb")
	set("maxmemory-policy", "allkeys-lru")
	w.says("redis eviction", Wrong, "allkeys-lru", "noeviction")
	set("maxmemory-policy", "noeviction")
	if err := w.redis.Client().Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	w.says("redis write", Wrong, "READONLY", "primary")
	w.says("redis", Wrong, "replica", "primary")
	if err := w.redis.Client().Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if err := w.redis.Client().Do(t.Context(), "ACL", "SETUSER", "poor", "on", "nopass", "~hw:*", "+@all", "-set").Err(); err != nil {
		t.Fatal(err)
	}
	poor := Options{NATSURL: w.nats.URL(), RedisURL: strings.Replace(w.redis.URL(), "redis://", "redis://poor:x@", 1)}
	says(t, poor, "redis write", Wrong, "NOPERM", "hw:*")
	w.redis.Pause()
	w.says("redis", Wrong, "accepts connections and doesn't answer within 1s")
	w.redis.Resume()
	w.redis.Kill()
	w.says("redis", Wrong, "can't be reached", "Start Redis there")
}

func TestOfACluster(t *testing.T) {
	n, r := headwaytest.NATS(t), headwaytest.RedisChild(t, "--cluster-enabled", "yes")
	says(t, Options{NATSURL: n.URL(), RedisURL: r.URL()}, "redis", Wrong, "a node of a Redis Cluster", "redis+cluster://")
	for _, g := range []*headwaytest.RedisGroup{headwaytest.RedisCluster(t, 3), headwaytest.RedisSentinels(t)} {
		says(t, Options{NATSURL: n.URL(), RedisURL: g.URL}, "redis", OK, "reached at")
		says(t, Options{NATSURL: n.URL(), RedisURL: g.URL}, "redis write", OK, "")
	}
}

// Ray's GCS speaks gRPC on the port that Redis uses by default.
func TestOfRaysGCS(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if http2.NewFramer(c, c).WriteSettings() == nil { // as gRPC's server does, before it has read anything
					_, _ = io.Copy(io.Discard, io.LimitReader(c, 64))
				}
			}()
		}
	}()
	n := headwaytest.NATS(t)
	says(t, Options{NATSURL: n.URL(), RedisURL: "redis://" + ln.Addr().String()}, "redis", Wrong, "isn't a Redis", "this looks like Ray's GCS, which uses the same port 6379")
}

func TestOfRecords(t *testing.T) {
	w := newWard(t)
	w.says("lag", Wrong, "none of 4 partitions has a record")
	stop := w.ingest()
	fence := func(p int) string {
		return "hw:{p0" + string(rune('0'+p)) + "}:" + w.b.Store.Identity() + "-" + itoa(w.b.Store.Fold()) + ":fence"
	}
	client := w.redis.Client()
	// Another version is at work: its fence has a lease.
	f, err := w.b.Store.Fence(t.Context(), 0)
	if err != nil || f == nil {
		t.Fatal(err)
	}
	f.Fold = diagnostics.FoldVersion + 1
	other := strings.Replace(fence(0), "-"+itoa(diagnostics.FoldVersion)+":", "-"+itoa(f.Fold)+":", 1)
	if err := client.Set(t.Context(), other, f.String(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.says("versions", Note, "ingest of fold version "+itoa(f.Fold), "upgrade")
	stop()
	w.says("lag", Wrong, "no ingest works on them", "Start ingest")
	if err := client.Set(t.Context(), fence(2), "rubbish", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.says("lag", Wrong, "the records of 1 of 4 partitions (2) can't be read", "claims these partitions again")
}

// Whose credential is in use, and what it reaches.
func TestOfCredentials(t *testing.T) {
	const soon, late = 24 * time.Hour, 90 * 24 * time.Hour
	me := func(expires time.Duration, namespaces string) string {
		return fmt.Sprintf(`{"access":"key","id":"4wZk2QeXb0Pm","name":"nightly","roles":["writer"],"namespaces":[%s],"default_namespace":null,"expires_at":%q}`,
			namespaces, time.Now().Add(expires).Format(time.RFC3339))
	}
	refused := `{"status":401,"error":{"type":"credential_expired","message":"It expired at noon."}}`
	for _, c := range []struct {
		me     string
		status int
		check  string
		state  State
		words  []string
	}{
		{me(late, `"default"`), 200, "credential", OK, []string{"that of a test; key 4wZk2QeXb0Pm (nightly), writer in default, ends at"}},
		{me(late, `"default"`), 200, "api access", OK, []string{"may send events to it; may not read the namespace default, manage keys"}},
		{me(soon, `"default"`), 200, "credential", Note, []string{"Get a new one"}},
		{me(late, `"a","b*"`), 200, "api access", Wrong, []string{"the namespace default isn't the credential's", "Name one of a, b*"}},
		{refused, 401, "credential", Wrong, []string{"refused (credential_expired): It expired at noon.", "headway login"}},
		{refused, 401, "api access", Unknown, nil},
		{`{"access":"none","roles":["admin"],"namespaces":["*"]}`, 200, "credential", OK, []string{"no access control"}},
		{`{}`, 404, "credential", OK, []string{"doesn't say whose"}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/readyz":
			case r.URL.Path == "/v1/me":
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.me)
			case r.Method == http.MethodPost:
				w.WriteHeader(http.StatusUnsupportedMediaType)
			default:
				w.WriteHeader(http.StatusForbidden)
			}
		}))
		says(t, Options{BareURL: server.URL, As: "that of a test"}, c.check, c.state, c.words...)
		server.Close()
	}
}

// Each page that a finding names exists.
func TestRunbooks(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range regexp.MustCompile(`docs/runbooks/\w+\.md`).FindAllString(string(text), -1) {
			named++
			if _, err := os.Stat(filepath.Join("..", "..", "..", filepath.FromSlash(page))); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if named == 0 {
		t.Error("no finding names a page")
	}
}
