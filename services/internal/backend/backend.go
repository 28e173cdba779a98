// Package backend connects a service's program to the real servers: NATS and Redis, waited for with backoff.
package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Options say where the servers are and how the streams are made.
type Options struct {
	NATSURL  string
	RedisURL string
	Stream   eventlog.Config
	Name     string // of the program, shown by the servers
	Logger   *slog.Logger
}

// Backend is both servers, connected.
type Backend struct {
	Conn  *nats.Conn
	Redis redis.UniversalClient
	Log   *eventlog.Log
	Store *viewstore.Store
}

// Connect waits until both servers answer, or ctx ends. What can't get better by waiting (a stream that is
// made differently, an evicting Redis, a bad URL) is an error at once.
func Connect(ctx context.Context, o Options) (*Backend, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	options, err := redis.ParseURL(o.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("--redis-url: %w", err)
	}
	// A write whose reply is lost is decided by the record, not by sending it again unseen.
	options.MaxRetries = -1
	options.ContextTimeoutEnabled = true
	options.ClientName = o.Name
	o.Stream.Logger = o.Logger
	b := &Backend{Redis: redis.NewClient(options)}
	wait := func(what string, try func() error) error { return await(ctx, what, o.Logger, try) }
	b.Conn, err = ConnectNATS(ctx, o.NATSURL, o.Name, o.Logger)
	if err == nil {
		err = wait("JetStream", func() (err error) {
			b.Log, err = eventlog.Open(ctx, b.Conn, o.Stream)
			if errors.Is(err, eventlog.ErrMismatch) {
				return backoff.Permanent(err)
			}
			return err
		})
	}
	if err == nil {
		err = wait("Redis", func() (err error) {
			if err = b.Redis.Ping(ctx).Err(); err != nil {
				return err
			}
			info, err := b.Log.Info(ctx)
			if err != nil {
				return err
			}
			b.Store, err = viewstore.Open(ctx, viewstore.Options{
				Client: b.Redis, Identity: info.Identity, Fold: diagnostics.FoldVersion, Partitions: b.Log.Partitions(),
			})
			if err != nil {
				return backoff.Permanent(err)
			}
			return nil
		})
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// ConnectNATS waits until the server answers, or ctx ends; one that refuses the credentials is an error at once.
func ConnectNATS(ctx context.Context, url, name string, log *slog.Logger) (conn *nats.Conn, err error) {
	err = await(ctx, "NATS", log, func() (err error) {
		conn, err = nats.Connect(url, nats.Name(name), nats.MaxReconnects(-1),
			nats.ReconnectWait(200*time.Millisecond), nats.ReconnectJitter(200*time.Millisecond, time.Second))
		if errors.Is(err, nats.ErrAuthorization) {
			return backoff.Permanent(err)
		}
		return err
	})
	return conn, err
}

func await(ctx context.Context, what string, log *slog.Logger, try func() error) error {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(3*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotify(try, backoff.WithContext(retry, ctx), func(err error, next time.Duration) {
		log.Warn("waiting for "+what, "error", err, "next", next.Round(time.Millisecond))
	})
}

// Identity is the event log's present identity.
func (b *Backend) Identity(ctx context.Context) (string, error) {
	info, err := b.Log.Info(ctx)
	return info.Identity, err
}

// Close ends both connections.
func (b *Backend) Close() {
	if b.Conn != nil {
		b.Conn.Close()
	}
	_ = b.Redis.Close()
}

// Member names this process among its like: host, process id and the moment it began.
func Member() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
}
