package backend

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// Flags say where the servers are, for every program that needs them.
type Flags struct {
	Config     kong.ConfigFlag `help:"Configuration file (YAML): flags by their names." env:"HEADWAY_CONFIG"`
	NATSURL    string          `name:"nats-url" help:"NATS server." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	RedisURL   string          `name:"redis-url" help:"Redis server (redis://, rediss:// or unix://)." default:"redis://127.0.0.1:6379/0" env:"HEADWAY_REDIS_URL"`
	Partitions int             `help:"Partitions of a new event log (default 32); an existing one keeps its own." placeholder:"N" env:"HEADWAY_PARTITIONS"`
	Replicas   int             `help:"Replicas of new streams." default:"1" env:"HEADWAY_REPLICAS"`
	MaxAge     time.Duration   `help:"Age at which new streams drop events; 0 keeps them." default:"0" env:"HEADWAY_MAX_AGE"`
}

// Options of the flags.
func (f Flags) Options(name string, log *slog.Logger) Options {
	return Options{
		NATSURL: f.NATSURL, RedisURL: f.RedisURL, Name: name, Logger: log,
		Stream: eventlog.Config{Partitions: f.Partitions, Replicas: f.Replicas, MaxAge: f.MaxAge},
	}
}

// YAML reads a configuration file for kong: each key is a flag's name.
func YAML(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && err != io.EOF { //nolint:errorlint // the decoder returns it bare
		return nil, fmt.Errorf("config: %w", err)
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range []string{flag.Name, strings.ReplaceAll(flag.Name, "-", "_")} {
			if v, ok := values[name]; ok {
				return fmt.Sprint(v), nil
			}
		}
		return nil, nil
	}), nil
}

// LoopbackOnly refuses an address that others can reach, unless it was allowed: without credentials
// anybody could read and write every namespace.
func LoopbackOnly(listen string, allowed bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	ip := net.ParseIP(host)
	if allowed || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen: %s can be reached by others, and no credentials are configured: listen on 127.0.0.1, or say --allow-unauthenticated behind a proxy that checks", listen)
}
