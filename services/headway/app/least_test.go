package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/api/access"
	apiapp "github.com/headwayhq/headway/services/api/app"
	detectorapp "github.com/headwayhq/headway/services/detector/app"
	ingestapp "github.com/headwayhq/headway/services/ingest/app"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
	relayapp "github.com/headwayhq/headway/services/relay/app"
)

// secured are NATS and Redis with the users and rights of deployments/, and passwords of their own.
type secured struct {
	nats    *headwaytest.NATSServer
	redis   *headwaytest.RedisServer
	secrets string
}

func newSecured(t *testing.T) secured {
	t.Helper()
	deployments := filepath.Join("..", "..", "..", "deployments")
	s := secured{secrets: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(deployments, "secrets.sh"), s.secrets).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"nats.conf", "accounts.conf"} {
		text, err := os.ReadFile(filepath.Join(deployments, "nats", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(s.secrets, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.nats = headwaytest.NATSFrom(t, filepath.Join(s.secrets, "nats.conf"))
	users, err := os.ReadFile(filepath.Join(s.secrets, "users.acl"))
	if err != nil {
		t.Fatal(err)
	}
	// The test itself watches the server as the default user.
	open := strings.Replace(string(users), "user default off", "user default on nopass ~* &* +@all", 1)
	file := filepath.Join(s.secrets, "test.acl")
	if err := os.WriteFile(file, []byte(open), 0o600); err != nil {
		t.Fatal(err)
	}
	s.redis = headwaytest.RedisChild(t, "--aclfile", file)
	return s
}

func (s secured) file(server, user string) string { return filepath.Join(s.secrets, server+"-"+user) }

// natsLogin and redisLogin are the flags of a user.
func (s secured) natsLogin(user string) []string {
	return []string{"--nats-url", s.nats.URL(), "--nats-user", user, "--nats-password-file", s.file("nats", user)}
}

func (s secured) redisLogin(user string) []string {
	return []string{"--redis-url", s.redis.URL(), "--redis-user", user, "--redis-password-file", s.file("redis", user)}
}

// conn is a connection as a user. What the server refuses is in its LastError.
func (s secured) conn(t *testing.T, user, name string) *nats.Conn {
	t.Helper()
	options, err := backend.NATSLogin{User: user, PasswordFile: s.file("nats", user)}.Options(s.nats.URL(), name)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.nats.URL(), append(options, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// begin starts a program in this process, which logs to out.
func begin[F any](t *testing.T, out io.Writer, make func(F, *slog.Logger) (*program.Program, error), args ...string) *program.Program {
	t.Helper()
	var f F
	parser, err := kong.New(&f, kong.Vars{"version": "", "data_dir": ""}, kong.Configuration(program.YAML))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append(args, "--listen", "127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	p, err := make(f, slog.New(slog.NewTextHandler(out, nil)))
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

// caller sends requests with a key.
type caller struct {
	t    *testing.T
	base string
	key  string
}

func (c caller) do(method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/v1/events") {
		r.Header.Set("Content-Type", "application/cloudevents+json")
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func (c caller) wait(method, path, body string, status int, want string) (got string) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, method+" "+path+" says "+want, func() error {
		code, text := c.do(method, path, body)
		if got = text; code != status || !strings.Contains(text, want) {
			return fmt.Errorf("%d %.400s", code, text)
		}
		return nil
	})
	return got
}

// Every program does its work as its user of deployments/, without a single refusal of NATS or Redis: a new subject or command that
// nobody has granted fails here. Then each user tries what it must not do.
func TestLeastRights(t *testing.T) {
	s := newSecured(t)
	var log shared
	t.Cleanup(func() { // also where something wasn't ready because of it
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "ermissions") || strings.Contains(line, "NOPERM") {
				t.Errorf("a program was refused: %s", line)
			}
		}
	})
	monitor := watchRedis(t, s.redis)
	ingest := begin(t, &log, ingestapp.New, append(s.natsLogin("ingest"), s.redisLogin("ingest")...)...)
	eventually(t, 30*time.Second, "ingest is ready", func() error { return ingest.Ready(t.Context()) })
	detector := begin(t, &log, detectorapp.New, append(s.natsLogin("detector"), s.redisLogin("detector")...)...)
	api := begin(t, &log, apiapp.New, append(append(s.natsLogin("api"), s.redisLogin("api")...), "--access", "keys")...)
	relay := begin(t, &log, relayapp.New, append(s.natsLogin("relay"), "--ray", "c="+fakeRay(t), "--ray-proof", "default")...)
	for name, p := range map[string]*program.Program{"detector": detector, "relay": relay, "api": api} {
		eventually(t, 30*time.Second, name+" is ready", func() error { return p.Ready(t.Context()) })
	}
	everybodyWorks(t, s, api)
	for name, p := range map[string]*program.Program{"detector": detector, "relay": relay, "api": api, "ingest": ingest} {
		if err := p.Stop(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refusals, err := s.redis.Client().Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(refusals) > 0 {
		t.Errorf("Redis has refused: %v %v", refusals, err)
	}
	monitor.compare(t, s.redis)
	t.Run("NATS refuses", func(t *testing.T) { natsRefuses(t, s) })
	t.Run("Redis refuses", func(t *testing.T) { redisRefuses(t, s) })
}

// everybodyWorks goes through the main work of each program.
func everybodyWorks(t *testing.T, s secured, api *program.Program) {
	t.Helper()
	operator := s.conn(t, "operator", "headway keys")
	keys, err := access.Open(operator, 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := keys.Create(t.Context(), access.Everybody(), access.Wanted{Name: "me", Namespaces: []string{"*"}, Roles: []string{"admin"}})
	if err != nil {
		t.Fatal(err)
	}
	me := caller{t, "http://" + api.Addr(), key}
	me.wait(http.MethodGet, "/v1/me", "", http.StatusOK, "admin")

	health := make(chan string, 100)
	follow(t, s, health)
	producer, err := client.New(s.conn(t, "producer", "headway client"), client.Options{Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	send := func(events ...client.Event) {
		t.Helper()
		for _, e := range events {
			if err := producer.Publish(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(client.BatchStatus("b0", "PROCESSING"), client.TierStatus("b0", 0, "FAILED"), client.TierProgress("b0", 1, 1, 10))
	const batch = "/v1/analytics/performance/batches/"
	me.wait(http.MethodGet, batch+"b0/diagnostics", "", http.StatusOK, `"degraded"`)
	announced(t, health, "b0", 0)

	// A batch beside another one in its partition is looked for, and of a large one the parts are stored and read apart.
	log, err := eventlog.Open(t.Context(), operator, eventlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	beside := "b0"
	for n := 0; beside == "b0" || log.Partition("default", beside) != log.Partition("default", "b0"); n++ {
		beside = fmt.Sprint("beside", n)
	}
	send(client.BatchStatus(beside, "PROCESSING"))
	me.wait(http.MethodGet, batch+beside+"/diagnostics", "", http.StatusOK, "PROCESSING")
	for round := range 2 {
		for tier := range 600 {
			send(client.TierProgress("large", tier, int64(round), 10))
		}
	}
	me.wait(http.MethodGet, batch+"large/diagnostics?tiers_offset=599", "", http.StatusOK, `"tier_num":599`)

	// The relay's job has a batch, and the api stores what it gets.
	me.wait(http.MethodGet, batch+"b/diagnostics", "", http.StatusOK, `"RUNNING"`)
	event := fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"http","type":"dev.headway.batch.v1","subject":"b2","time":%q,"data":{"status":"PROCESSING"}}`, time.Now().UTC().Format(time.RFC3339))
	me.wait(http.MethodPost, "/v1/events", event, http.StatusAccepted, "")
	me.wait(http.MethodGet, batch+"b2/diagnostics/explain", "", http.StatusOK, "b2")
	me.wait(http.MethodGet, "/v1/batches", "", http.StatusOK, `"b2"`)
	me.wait(http.MethodGet, "/v1/namespaces", "", http.StatusOK, "default")
	me.wait(http.MethodGet, "/v1/health-events", "", http.StatusOK, "b0.health.0")
	var made struct{ Key, ID string }
	text := me.wait(http.MethodPost, "/v1/keys", `{"name":"x","namespaces":["default"],"roles":["reader"]}`, http.StatusCreated, "hw_")
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	me.wait(http.MethodDelete, "/v1/keys/"+made.ID, "", http.StatusNoContent, "")
	streamsByTicket(t, me, "/v1/batches/stream")
	streamsByTicket(t, me, batch+"b0/diagnostics/stream")

	// What nobody understands is a dead letter, and so is a change of health of somebody else. It counts as no announcement.
	dead := s.conn(t, "producer", "headway client")
	if err := dead.Publish("headway.events.default.b0.batch", []byte("{")); err != nil {
		t.Fatal(err)
	}
	forged := fmt.Sprintf(`{"specversion":"1.0","id":"b0.health.1","source":"somebody","type":"dev.headway.batch.health.changed.v1","subject":"b0","time":%[1]q,`+
		`"data":{"ordinal":1,"batch_id":"b0","namespace":"default","from":"degraded","to":"ok","revision":"a-1-1","as_of":%[1]q}}`, time.Now().UTC().Format(time.RFC3339))
	if err := operator.Publish("headway.events.default.b0.health", []byte(forged)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "both are dead letters", func() error {
		var fields []string
		err := log.DeadLetters(t.Context(), func(d eventlog.DeadLetter) error { fields = append(fields, d.Field); return nil })
		if err != nil || len(fields) != 2 || !slices.Contains(fields, "source") {
			return fmt.Errorf("%v %v", fields, err)
		}
		return nil
	})
	send(client.TierStatus("b0", 0, "COMPLETED"), client.TierStatus("b0", 1, "COMPLETED"), client.BatchStatus("b0", "CANCELED"))
	announced(t, health, "b0", 1)
	me.wait(http.MethodGet, "/v1/batches/history/days", "", http.StatusOK, `"finished":1`)
	me.wait(http.MethodGet, "/v1/batches/history", "", http.StatusOK, `"b0"`)
	basesAreKept(t, s)

	// An operator erases a batch everywhere.
	me.wait(http.MethodDelete, "/v1/batches/b0", "", http.StatusOK, `"dead_letters":2`)
	me.wait(http.MethodGet, batch+"b0/diagnostics", "", http.StatusGone, "erased_at")
}

// basesAreKept stores a base as ingest does on the next day, and reads it as the api does.
func basesAreKept(t *testing.T, s secured) {
	t.Helper()
	in, err := eventlog.Open(t.Context(), s.conn(t, "ingest", "headway ingest"), eventlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	front, err := eventlog.Open(t.Context(), s.conn(t, "api", "headway api"), eventlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := front.HistoryInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	eventually(t, 20*time.Second, "a base is stored", func() error {
		c, err := in.LastCheckpoint(t.Context(), "default", "b0")
		if err != nil || c == nil {
			return fmt.Errorf("%v %w", c, err)
		}
		stored, err := in.StoreBase(t.Context(), h.Generation, "default", "b0", c.Seq, c.Covers+1, day, time.Hour)
		if err == nil && !stored {
			err = errors.New("it was replaced meanwhile")
		}
		return err
	})
	periods, err := front.Periods(t.Context(), h.Generation, "default", "b0")
	if err != nil || len(periods) != 1 {
		t.Fatal(periods, err)
	}
	if b, err := front.Base(t.Context(), h.Generation, "default", "b0", periods[0]); err != nil || b == nil {
		t.Error(b, err)
	}
	announced := 0
	err = front.ReadAnnounced(t.Context(), "default", "b0", math.MaxUint64, func(eventlog.Message) error { announced++; return nil })
	if err != nil || announced == 0 {
		t.Errorf("%d announcements, %v", announced, err)
	}
}

// follow passes announcements of the namespace default to out, as its consumer.
func follow(t *testing.T, s secured, out chan<- string) {
	t.Helper()
	js, err := jetstream.New(s.conn(t, "consumer", "headway health"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.OrderedConsumer(t.Context(), eventlog.HealthStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"headway.health.default.>"}})
	if err != nil {
		t.Fatal(err)
	}
	consume, err := c.Consume(func(m jetstream.Msg) { out <- string(m.Data()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consume.Stop)
}

// announced waits for an announcement of the detector.
func announced(t *testing.T, health <-chan string, batch string, ordinal int) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case text := <-health:
			var e struct {
				Source string
				Data   struct {
					Ordinal int
					Batch   string `json:"batch_id"`
				}
			}
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatal(err)
			}
			if e.Source == "headway/detector" && e.Data.Batch == batch {
				if e.Data.Ordinal != ordinal {
					t.Fatalf("ordinal %d, want %d: %s", e.Data.Ordinal, ordinal, text)
				}
				return
			}
		case <-limit:
			t.Fatalf("no announcement %d of %s", ordinal, batch)
		}
	}
}

func streamsByTicket(t *testing.T, me caller, path string) {
	t.Helper()
	var ticket struct{ Ticket string }
	if err := json.Unmarshal([]byte(me.wait(http.MethodPost, "/v1/stream-tickets", fmt.Sprintf(`{"path":%q}`, path), http.StatusCreated, "hwt_")), &ticket); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, me.base+path+"?ticket="+ticket.Ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got []byte
	for b := make([]byte, 4096); !bytes.Contains(got, []byte("event: snapshot")); {
		n, err := res.Body.Read(b)
		if got = append(got, b[:n]...); err != nil {
			t.Fatalf("%s: %d %.300s: %v", path, res.StatusCode, got, err)
		}
	}
}

// natsRefuses tries what each user must not do. The server answers a ping only after it has refused what came before.
func natsRefuses(t *testing.T, s secured) {
	for _, c := range []struct {
		user, name string
		refused    []string
	}{
		{"producer", "headway client", []string{
			"headway.events.other.b.batch", "headway.events.default.b.health", "headway.events.default.b.erase", "headway.dlq.a.1", "headway.health.default.b", "headway.log.0.default.b.batch",
			"$JS.API.STREAM.DELETE.HEADWAY_EVENTS", "$JS.API.STREAM.INFO.HEADWAY_EVENTS", "$JS.API.CONSUMER.CREATE.HEADWAY_EVENTS.x", "$KV.headway-access.key.x",
		}},
		{"consumer", "headway health", []string{
			"headway.events.default.b.batch", "headway.events.default.b.health", "$JS.API.CONSUMER.CREATE.HEADWAY_HEALTH.x.headway.health.other.>",
			"$JS.API.CONSUMER.CREATE.HEADWAY_HEALTH.x", "$JS.API.CONSUMER.CREATE.HEADWAY_EVENTS.x", "$JS.API.DIRECT.GET.HEADWAY_EVENTS.headway.log.0.a.b.batch",
			"$JS.API.DIRECT.GET.KV_headway-access.key.x", "$JS.API.STREAM.PURGE.HEADWAY_HEALTH",
		}},
		{"relay", "headway-relay", []string{
			"headway.events.other.b.job.j", "headway.events.default.b.health", "headway.events.default.b.erase", "$JS.API.CONSUMER.CREATE.HEADWAY_HEALTH.x.headway.health.other.>",
			"$JS.API.CONSUMER.CREATE.HEADWAY_HEALTH.x", "$JS.API.CONSUMER.CREATE.HEADWAY_EVENTS.x", "$JS.API.STREAM.MSG.GET.HEADWAY_HEALTH", "headway.dlq.a.1", "$KV.headway-access.key.x",
		}},
		{"detector", "headway-detector", []string{
			"headway.events.default.b.tier.0", "headway.events.default.b.job.j", "headway.events.default.b.erase", "headway.dlq.a.1", "$KV.headway-access.key.x",
			"$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.DELETE.HEADWAY_EVENTS", "$JS.API.CONSUMER.CREATE.HEADWAY_EVENTS.x",
		}},
		{"ingest", "headway-ingest", []string{
			"headway.events.default.b.batch", "headway.events.default.b.health", "$KV.headway-access.key.x", "$JS.API.CONSUMER.CREATE.KV_headway-access.x",
			"$JS.API.STREAM.DELETE.HEADWAY_EVENTS", "$JS.API.STREAM.DELETE.HEADWAY_HISTORY", "$JS.API.STREAM.MSG.DELETE.HEADWAY_EVENTS", "$JS.API.STREAM.CREATE.X",
		}},
		{"api", "headway-api", []string{
			"headway.events.default.b.health", "headway.dlq.a.1", "$JS.API.STREAM.DELETE.HEADWAY_EVENTS", "$JS.API.STREAM.PURGE.KV_headway-access",
			"$JS.API.STREAM.UPDATE.HEADWAY_DLQ", "$JS.API.STREAM.CREATE.HEADWAY_EVENTS", "$JS.API.STREAM.PURGE.HEADWAY_EVENTS", "$JS.API.STREAM.MSG.DELETE.KV_headway-access",
		}},
	} {
		for _, subject := range c.refused {
			nc := s.conn(t, c.user, c.name)
			if err := errors.Join(nc.PublishRequest(subject, nc.NewInbox(), []byte("{}")), nc.FlushTimeout(10*time.Second)); err != nil {
				t.Fatal(err)
			}
			if err := nc.LastError(); !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s may publish on %s: %v", c.user, subject, err)
			}
			nc.Close()
		}
		for _, subject := range []string{"headway.>", "$KV.>", "$JS.>", "_INBOX.api.>", ">"} {
			if (c.user == "api" || c.user == "producer") && strings.HasPrefix(subject, "_INBOX") {
				continue // its own, or those of its account
			}
			nc := s.conn(t, c.user, c.name)
			if _, err := nc.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
			if err := nc.FlushTimeout(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			if err := nc.LastError(); !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s may subscribe to %s: %v", c.user, subject, err)
			}
			nc.Close()
		}
	}
	if nc, err := nats.Connect(s.nats.URL()); err == nil {
		nc.Close()
		t.Error("anybody may connect")
	}
}

func redisRefuses(t *testing.T, s secured) {
	for user, commands := range map[string][]string{
		"ingest":   {"get headway-ticket:x", "flushall", "config get *", "keys *", "publish other x", "acl list", "get other"},
		"detector": {"set hw:x 1", "del hw:x", "hset hw:x a 1", "publish hw:x 1", "subscribe hw:x", "get headway-ticket:x", "flushdb", "keys *", "get other"},
		"api":      {"set hw:x 1", "del hw:x", "getdel hw:x", "evalsha 0 0", "eval x 0", "publish hw:x 1", "subscribe other", "flushdb", "keys *", "scan 0", "get other"},
		"operator": {"flushall", "config get *", "acl list", "shutdown", "get other"},
	} {
		password, err := os.ReadFile(s.file("redis", user))
		if err != nil {
			t.Fatal(err)
		}
		o, err := redis.ParseURL(s.redis.URL())
		if err != nil {
			t.Fatal(err)
		}
		o.Username, o.Password, o.MaxRetries = user, string(password), -1
		c := redis.NewClient(o)
		for _, text := range commands {
			var args []any
			for word := range strings.FieldsSeq(text) {
				args = append(args, word)
			}
			if err := c.Do(t.Context(), args...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
				t.Errorf("%s may %s: %v", user, text, err)
			}
		}
		_ = c.Close()
	}
}

// watched are the commands that were sent to a Redis, those of scripts included.
type watched struct {
	mu   sync.Mutex
	used map[string]bool
}

var monitored = regexp.MustCompile(`\[\d+ \S+\] "([^"]+)"(?: "([^"]*)")?`)

// watchRedis records every command from now on.
func watchRedis(t *testing.T, server *headwaytest.RedisServer) *watched {
	t.Helper()
	w := &watched{used: map[string]bool{}}
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(server.URL(), "redis://"), "/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewScanner(conn)
	in.Buffer(nil, 64<<20)
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil || !in.Scan() || in.Text() != "+OK" {
		t.Fatalf("%v: %s", err, in.Text())
	}
	go func() {
		for in.Scan() {
			if m := monitored.FindStringSubmatch(in.Text()); m != nil {
				w.mu.Lock()
				w.used[strings.ToLower(m[1])], w.used[strings.ToLower(m[1]+"|"+m[2])] = true, true
				w.mu.Unlock()
			}
		}
	}()
	return w
}

// seldom are commands that are needed when views are repaired, rebuilt or removed, when a value is large, or by other versions of Redis.
const seldom = " script|load eval scan hdel hgetall hkeys hscan zrange zscan zcard smembers unlink persist rename set del exists getrange mset " +
	"zremrangebyscore zscore zrem zcount type pttl pexpire info client|setname ping hmget zrangebyscore unsubscribe "

// compare finds rights that nobody uses.
func (w *watched) compare(t *testing.T, server *headwaytest.RedisServer) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, user := range []string{"ingest", "detector", "api"} {
		rules, err := server.Client().Do(t.Context(), "ACL", "GETUSER", user).Result()
		if err != nil {
			t.Fatal(err)
		}
		granted := regexp.MustCompile(`\+([a-z|]+)`).FindAllStringSubmatch(fmt.Sprint(rules), -1)
		if len(granted) < 5 {
			t.Fatalf("%s: %v", user, rules)
		}
		for _, name := range granted {
			if !w.used[name[1]] && !strings.Contains(seldom, " "+name[1]+" ") {
				t.Errorf("%s may %s, which no program has used", user, name[1])
			}
		}
	}
}

// Each command in a script of the view store is granted to ingest, which runs all of them but those of headway upgrade.
func TestScriptsAreGranted(t *testing.T) {
	s := newSecured(t)
	c := s.redis.Client()
	scripts, err := filepath.Glob(filepath.Join("..", "..", "..", "pkg", "viewstore", "lua", "*.lua"))
	if err != nil || len(scripts) < 10 {
		t.Fatal(scripts, err)
	}
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(string(text), -1) {
			answer, err := c.Do(t.Context(), "ACL", "DRYRUN", "ingest", m[1], "hw:x", "hw:x", "hw:x", "hw:x").Text()
			if strings.Contains(answer, "no permissions") || err != nil && strings.Contains(err.Error(), "ermission") {
				t.Errorf("%s: ingest may not %s: %s %v", filepath.Base(file), m[1], answer, err)
			}
		}
	}
}
