// Package backend connects a service's program to the real servers: NATS and Redis, waited for with backoff.
package backend

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/printable"
	"github.com/headwayhq/headway/services/internal/program"
)

// Options say where the servers are and how the streams are made.
type Options struct {
	NATSURL  string
	RedisURL string
	Stream   eventlog.Config
	Name     string           // of the program, shown by the servers
	Waiting  *program.Waiting // told what is waited for; may be nil
	Logger   *slog.Logger
}

// Validate finds what is wrong with the addresses before anything is tried. Errors name the flag, never a password.
func (o Options) Validate() error {
	if err := validNATS(o.NATSURL); err != nil {
		return err
	}
	_, err := o.redis()
	return err
}

// Backend is both servers, connected.
type Backend struct {
	Conn  *nats.Conn
	Redis redis.UniversalClient
	Log   *eventlog.Log
	Store *viewstore.Store
}

// Connect waits until both servers answer, or ctx ends. What can't get better by waiting (a stream that is
// made differently, an evicting Redis, wrong credentials, a bad URL) is an error at once.
func Connect(ctx context.Context, o Options) (*Backend, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	options, err := o.redis()
	if err != nil {
		return nil, err
	}
	o.Stream.Logger = o.Logger
	b := &Backend{Redis: redis.NewClient(options)}
	if err := b.connect(ctx, o); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Backend) connect(ctx context.Context, o Options) (err error) {
	if b.Conn, err = ConnectNATS(ctx, o); err != nil {
		return err
	}
	wait := waiter{ctx, o.Waiting, o.Logger}
	err = wait.until("JetStream", func() (err error) {
		b.Log, err = eventlog.Open(ctx, b.Conn, o.Stream)
		return lasting(err)
	})
	if err != nil {
		return err
	}
	return wait.until("Redis", func() error {
		if err := usable(ctx, b.Redis); err != nil {
			return err
		}
		info, err := b.Log.Info(ctx)
		if err != nil {
			return err
		}
		b.Store, err = viewstore.Open(ctx, viewstore.Options{
			Client: b.Redis, Identity: info.Identity, Fold: diagnostics.FoldVersion, Partitions: b.Log.Partitions(),
		})
		return err
	})
}

// redis are the options of the client.
func (o Options) redis() (*redis.Options, error) {
	options, err := redis.ParseURL(o.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("--redis-url: %s is not an address such as redis://host:6379/0, rediss://… or unix://…", printable.Address(o.RedisURL))
	}
	// A write whose reply is lost is decided by the record, not by sending it again unseen.
	options.MaxRetries = -1
	options.ContextTimeoutEnabled = true
	options.ClientName = o.Name
	return options, nil
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
