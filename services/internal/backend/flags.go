package backend

import (
	"log/slog"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// Flags are the addresses of the servers, for every program that needs both.
type Flags struct {
	NATSURL    string        `name:"nats-url" help:"NATS server." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	RedisURL   string        `name:"redis-url" help:"Redis: redis://, rediss:// or unix://; redis+sentinel://HOSTS/PRIMARY; redis+cluster://HOSTS." default:"redis://127.0.0.1:6379/0" env:"HEADWAY_REDIS_URL"`
	Partitions int           `help:"Partitions of a new event log (default 32); an existing one keeps its own." placeholder:"N" env:"HEADWAY_PARTITIONS"`
	Replicas   int           `help:"Replicas of new streams." default:"1" env:"HEADWAY_REPLICAS"`
	NATS       NATSLogin     `embed:""`
	Redis      RedisLogin    `embed:""`
	MaxAge     time.Duration `help:"Age at which new streams drop events; 0 keeps them." default:"0" env:"HEADWAY_MAX_AGE"`
}

// Options turns the flags into options.
func (f Flags) Options(name string, log *slog.Logger) Options {
	return Options{
		NATSURL: f.NATSURL, RedisURL: f.RedisURL, NATS: f.NATS, Redis: f.Redis, Name: name, Logger: log,
		Stream: eventlog.Config{Partitions: f.Partitions, Replicas: f.Replicas, MaxAge: f.MaxAge},
	}
}
