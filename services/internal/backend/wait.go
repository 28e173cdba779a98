package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/printable"
	"github.com/headwayhq/headway/services/internal/program"
)

// waiter retries with backoff, and reports what it waits for.
type waiter struct {
	ctx     context.Context
	waiting *program.Waiting
	log     *slog.Logger
}

// tryLimit bounds one attempt, so that a server that hangs is reported and tried again.
const tryLimit = 5 * time.Second

func (w waiter) until(what string, try func() error) error {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(3*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotify(try, backoff.WithContext(retry, w.ctx), func(err error, next time.Duration) {
		why := reason(err)
		w.waiting.Failed(what, why)
		w.log.Warn("waiting for backend", "backend", what, "error", why, "next_seconds", next.Round(time.Millisecond).Seconds())
	})
}

// reason describes an error without the address, which may contain a password.
func reason(err error) string {
	if errors.Is(err, nats.ErrNoServers) { // the client hides the cause
		return "connection refused"
	}
	if errors.Is(err, redis.Nil) { // the answer of sentinels
		return "the sentinels know no primary of this name"
	}
	return strings.TrimPrefix(printable.Cause(err), "nats: ")
}

// ConnectNATS waits until the server answers, or ctx ends. Rejected credentials are an error at once. It uses only the
// options NATSURL, NATS, Name, Waiting and Logger.
func ConnectNATS(ctx context.Context, o Options) (conn *nats.Conn, err error) {
	if err := validNATS(o.NATSURL); err != nil {
		return nil, err
	}
	options, err := o.NATS.Options(o.NATSURL, o.Name)
	if err != nil {
		return nil, err
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	err = waiter{ctx, o.Waiting, log}.until("NATS", func() (err error) {
		conn, err = nats.Connect(o.NATSURL, append(options, nats.MaxReconnects(-1),
			nats.ReconnectWait(200*time.Millisecond), nats.ReconnectJitter(200*time.Millisecond, time.Second),
			nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
				subject := ""
				if s != nil {
					subject = s.Subject
				}
				log.Warn("NATS client reported an error", "error", err.Error(), "subject", subject)
			}),
			nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
				if err != nil {
					log.Warn("NATS connection lost", "error", err.Error())
				}
			}),
			nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS connection restored") }))...)
		if errors.Is(err, nats.ErrAuthorization) {
			return backoff.Permanent(fmt.Errorf("--nats-url: %s refuses the credentials: give them with --nats-creds-file, --nats-nkey-file, --nats-user or --nats-token-file", printable.Address(o.NATSURL)))
		}
		return err
	})
	return conn, err
}

// validNATS finds invalid addresses. The client itself would report them as an unreachable server.
func validNATS(address string) error {
	for one := range strings.SplitSeq(address, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Host == "" {
			return fmt.Errorf("--nats-url: %s is not an address such as nats://host:4222", printable.Address(address))
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return fmt.Errorf("--nats-url: %s: %q is not one of nats, tls, ws and wss", printable.Address(address), printable.Text(u.Scheme))
		}
	}
	return nil
}

// codeReplicas is the server's code for rejecting replicas outside of a cluster.
const codeReplicas = 10074

// lasting marks errors of the streams that waiting can't fix.
func lasting(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, eventlog.ErrMismatch), errors.Is(err, eventlog.ErrOverlap), errors.Is(err, eventlog.ErrServerTooOld):
		return backoff.Permanent(err)
	case errors.As(err, &api) && api.ErrorCode == codeReplicas:
		return backoff.Permanent(fmt.Errorf("--replicas: %w: a single NATS server keeps 1", err))
	}
	return err
}

// usable checks whether Redis can be used. A setting that an operator has to change is a permanent error.
func usable(ctx context.Context, client redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	if cluster, ok := client.(*redis.ClusterClient); ok {
		if err := reached(cluster.Ping(ctx).Err()); err != nil {
			return err
		}
		return cluster.ForEachMaster(ctx, func(ctx context.Context, one *redis.Client) error { return usableServer(ctx, one, true) })
	}
	return usableServer(ctx, client, false)
}

func usableServer(ctx context.Context, client redis.Cmdable, ofCluster bool) error {
	if err := reached(client.Ping(ctx).Err()); err != nil {
		return err
	}
	info, err := client.Info(ctx, "server", "memory").Result()
	if err != nil {
		return nil //nolint:nilerr // a hosted server may reject INFO, and the stand-in doesn't know it
	}
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = value
	}
	switch policy := fields["maxmemory_policy"]; {
	case !ofCluster && fields["redis_mode"] == "cluster":
		return backoff.Permanent(errors.New("--redis-url: this Redis is a node of a Redis Cluster: name it as redis+cluster://host:port"))
	case fields["redis_mode"] == "sentinel":
		return backoff.Permanent(errors.New("--redis-url: this is a Redis Sentinel: name it as redis+sentinel://host:port/primary"))
	case policy != "" && policy != "noeviction" && fields["maxmemory"] != "0":
		return backoff.Permanent(fmt.Errorf("--redis-url: maxmemory-policy is %s, must be noeviction: Redis would drop views silently", policy))
	}
	return nil
}

// reached is the error of a first command. One about credentials is permanent.
func reached(err error) error {
	if refusesCredentials(err) {
		return backoff.Permanent(fmt.Errorf("--redis-url: Redis refuses the credentials: give them with --redis-user and --redis-password-file (%s)", printable.Cause(err)))
	}
	return err
}

func refusesCredentials(err error) bool {
	for _, prefix := range []string{"NOAUTH", "WRONGPASS", "ERR AUTH"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}
