// Package backend connects a program to NATS and Redis, and waits for them with backoff.
package backend

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/program"
)

// Options say where the servers are and how the streams are configured.
type Options struct {
	NATSURL  string
	RedisURL string
	NATS     NATSLogin
	Redis    RedisLogin
	Stream   eventlog.Config
	Name     string           // of the program, shown in the servers' lists of clients
	Waiting  *program.Waiting // receives what the program waits for; may be nil
	Logger   *slog.Logger
}

// Validate checks addresses and credentials before any connection is attempted. Errors name the flag, never a password.
func (o Options) Validate() error {
	if err := o.ValidateNATS(); err != nil {
		return err
	}
	_, err := o.redis()
	return err
}

// ValidateNATS is Validate for a program without Redis.
func (o Options) ValidateNATS() error {
	if err := validNATS(o.NATSURL); err != nil {
		return err
	}
	_, err := o.NATS.Options(o.NATSURL, o.Name)
	return err
}

// Backend is the connections to both servers.
type Backend struct {
	Conn  *nats.Conn
	Redis redis.UniversalClient
	Log   *eventlog.Log
	Store *viewstore.Store
	Rows  func(generation string) *history.Rows // list rows of finished batches
}

// Connect waits until both servers answer, or ctx ends. A fault that waiting can't fix (a stream with another
// configuration, a Redis that evicts, wrong credentials, an invalid URL) is an error at once.
func Connect(ctx context.Context, o Options) (*Backend, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	address, err := o.redis()
	if err != nil {
		return nil, err
	}
	o.Stream.Logger = o.Logger
	b := &Backend{Redis: address.Client()}
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
	js, err := jetstream.New(b.Conn)
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	b.Rows = func(generation string) *history.Rows { return history.NewRows(js, eventlog.HistoryStream, generation) }
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

// redis is the address of Redis, with credentials and the name of the program.
func (o Options) redis() (RedisAddress, error) {
	a, err := o.Redis.Address(o.RedisURL)
	if err == nil {
		a.Options.ClientName = o.Name
	}
	return a, err
}

// Identity returns the present identity of the event log.
func (b *Backend) Identity(ctx context.Context) (string, error) {
	info, err := b.Log.Info(ctx)
	return info.Identity, err
}

// Close closes both connections.
func (b *Backend) Close() {
	if b.Conn != nil {
		b.Conn.Close()
	}
	_ = b.Redis.Close()
}

// Member returns a unique name: host, process id and a random part.
func Member() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + strings.ToLower(rand.Text()[:8])
}
