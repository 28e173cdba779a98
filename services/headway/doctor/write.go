package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// The error codes of JetStream that need different advice.
const (
	codeWrongLast     = 10071
	codeWrongLastSame = 10164 // the same, for replicated streams
	codeAccountFull   = 10002
	codeServerFull    = 10023
	codeDiskFull      = 10047
	codeStoreFailed   = 10077
)

// The subjects of the probes. The first message is rejected by design and stored nowhere. The second is stored among
// the dead letters, which keep one message for each subject, and deleted at once.
const (
	probeEvent  = "headway.events.doctor.doctor.probe"
	probeLetter = "headway.dlq.doctor.0"
)

// writeNATS publishes as a producer and as ingest would. A publish with an expectation that can't hold shows that the
// stream accepts events. But the server compares before it stores, so only a real write shows that there is room.
func (x *examination) writeNATS(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) {
	for _, s := range x.streams {
		if s.Err != nil && s.Name != eventlog.HealthStream {
			x.sayf("nats write", Unknown, "", "%s doesn't have the right configuration", s.Name)
			return
		}
	}
	_, err := js.PublishMsg(ctx, &nats.Msg{Subject: probeEvent}, jetstream.WithExpectLastSequence(math.MaxInt64), jetstream.WithRetryAttempts(0))
	if code := apiCode(err); code != codeWrongLast && code != codeWrongLastSame {
		x.refusedWrite(nc, "an event", err)
		return
	}
	header := nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}}
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: probeLetter, Header: header}, jetstream.WithRetryAttempts(0))
	if err != nil {
		x.refusedWrite(nc, "a message", err)
		return
	}
	s, err := js.Stream(ctx, eventlog.DeadStream)
	if err == nil {
		err = s.DeleteMsg(ctx, ack.Sequence)
	}
	if err != nil {
		x.sayf("nats write", Note, "Give this account the right to delete messages of "+eventlog.DeadStream+"; otherwise the probe stays among the dead letters.", "the probe was stored, but can't be deleted: %s", cause(err))
		return
	}
	x.sayf("nats write", OK, "", "events are accepted and stored")
}

func (x *examination) refusedWrite(nc *nats.Conn, what string, err error) {
	do := "See the log of nats-server."
	switch code := apiCode(err); {
	case code == codeAccountFull:
		do = "Raise the JetStream limits of this account, or let " + eventlog.EventsStream + " drop old events with max-age."
	case code == codeServerFull || code == codeDiskFull || code == codeStoreFailed:
		do = "Make room: free or enlarge the disk of nats-server, raise its max_file_store, or let " + eventlog.EventsStream + " drop old events with max-age."
	case err == nil:
		x.sayf("nats write", Wrong, "Move "+eventlog.EventsStream+" away and let ingest create it again.", "%s with an impossible expectation was stored: another stream has the subject", what)
		return
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		do = "Start headway run, or ingest: it creates the streams."
	case errors.Is(nc.LastError(), nats.ErrPermissionViolation):
		do, err = "Let this user publish to headway.events.> and headway.dlq.>.", nc.LastError()
	case errors.Is(err, context.DeadlineExceeded):
		do = "Check whether the stream has a leader (nats stream info " + eventlog.EventsStream + "), and whether the disk of nats-server hangs."
	}
	x.sayf("nats write", Wrong, do, "%s is refused: %s", what, cause(err))
}

func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// probeKey is written and deleted at once. It also expires by itself.
const (
	probeKey = "hw:doctor"
	probeTTL = 10 * time.Second
)

func (x *examination) writeRedis(ctx context.Context) {
	err := x.redis.Set(ctx, probeKey, "1", probeTTL).Err()
	if err == nil {
		err = x.redis.Del(ctx, probeKey).Err()
	}
	if err == nil {
		x.sayf("redis write", OK, "", "a key was written and deleted")
		return
	}
	do := "See the log of Redis."
	for prefix, advice := range map[string]string{
		"READONLY":    "Name the primary with --redis-url: a replica takes no writes.",
		"OOM":         "Raise maxmemory: Redis is full, and ingest can write nothing.",
		"MISCONF":     "Make room on the disk of Redis, or set stop-writes-on-bgsave-error no: Redis can't save and therefore refuses writes.",
		"NOPERM":      "Let this user of Redis run all commands on keys hw:* and channels hw:*.",
		"MOVED":       "Name a single Redis with --redis-url: Headway's programs don't speak with a Redis Cluster yet.",
		"CLUSTERDOWN": "Name a single Redis with --redis-url: Headway's programs don't speak with a Redis Cluster yet.",
		"NOREPLICAS":  "Start the replicas that min-replicas-to-write asks for, or lower it.",
		"LOADING":     "Wait: Redis reads its data from disk.",
		"BUSY":        "End the script that holds Redis: SCRIPT KILL.",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			do = advice
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		do = hungDo
	}
	x.sayf("redis write", Wrong, do, "a write is refused: %s", cause(err))
}

const hungDo = "See what holds it (SLOWLOG, a stopped process, a full disk), or restart it: views are rebuilt from the log by themselves."

// notRedis says what other server answers at an address, or "". Ray's GCS listens on Redis' default port and speaks
// gRPC, which is HTTP/2, so it answers an HTTP/2 preface with a SETTINGS frame.
func notRedis(address string, limit time.Duration) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "redis" {
		return ""
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "6379"
	}
	c, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), limit)
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	const preface, settings = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(c, preface+settings); err != nil {
		return ""
	}
	const settingsFrame = 4
	head := make([]byte, 9)
	r := bufio.NewReader(c)
	if _, err := io.ReadFull(r, head); err != nil {
		return ""
	}
	switch {
	case head[0] == 0 && head[3] == settingsFrame:
		return "HTTP/2: this looks like Ray's GCS, which uses the same port 6379"
	case strings.HasPrefix(string(head), "HTTP/"):
		return "HTTP"
	}
	return ""
}

// unreached reports why Redis doesn't answer.
func (x *examination) unreached(err error) {
	var dial *net.OpError
	var network net.Error
	switch other := notRedis(x.o.RedisURL, x.o.Timeout); {
	case strings.HasPrefix(err.Error(), "NOAUTH"), strings.HasPrefix(err.Error(), "WRONGPASS"):
		x.sayf("redis", Wrong, "Give them with --redis-user and --redis-password-file.", "%s refuses us: %s", x.o.BareRedisURL, cause(err))
	case other != "":
		x.sayf("redis", Wrong, "Name a Redis with --redis-url, or start one on a port of its own (redis-server --port 6380).", "%s isn't a Redis, it speaks %s", x.o.BareRedisURL, other)
	case errors.Is(err, redis.Nil):
		x.sayf("redis", Wrong, "Name it with --redis-url as SENTINEL MASTERS lists it.", "the sentinels of %s know no primary of this name", x.o.BareRedisURL)
	case errors.As(err, &dial) && dial.Op == "dial":
		x.sayf("redis", Wrong, "Start Redis there, or name another with --redis-url.", "%s can't be reached: %s", x.o.BareRedisURL, cause(err))
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		x.sayf("redis", Wrong, hungDo, "%s accepts connections and doesn't answer within %v", x.o.BareRedisURL, x.o.Timeout)
	default:
		x.sayf("redis", Wrong, "Check that --redis-url names a Redis, and see its log.", "%s doesn't answer properly: %s", x.o.BareRedisURL, cause(err))
	}
}

// limits says how much more a stream of events accepts, or "" without a limit. full means that it accepts nothing
// more.
func limits(s *eventlog.Examined) (says string, full bool) {
	switch {
	case s.DiscardsOld:
		return "", false
	case s.MaxBytes > 0 && s.Bytes >= uint64(s.MaxBytes)/100*99:
		return fmt.Sprintf("%s of at most %s: full, it refuses events", size(s.Bytes), size(uint64(s.MaxBytes))), true
	case s.MaxMessages > 0 && s.Messages >= uint64(s.MaxMessages):
		return fmt.Sprintf("%d of at most %d messages: full, it refuses events", s.Messages, s.MaxMessages), true
	case s.MaxBytes > 0 && s.Bytes > uint64(s.MaxBytes)/10*8:
		return fmt.Sprintf("%s of at most %s: soon it refuses events", size(s.Bytes), size(uint64(s.MaxBytes))), false
	case s.MaxMessages > 0 && s.Messages > uint64(s.MaxMessages)/10*8:
		return fmt.Sprintf("%d of at most %d messages: soon it refuses events", s.Messages, s.MaxMessages), false
	}
	return "", false
}
