package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/buildinfo"
	"github.com/headwayhq/headway/services/internal/logging"
	"github.com/headwayhq/headway/services/internal/printable"
)

// Common are the flags of every program that runs as its own process.
type Common struct {
	Config   kong.ConfigFlag  `help:"Configuration file (YAML) with flags by name." env:"HEADWAY_CONFIG"`
	LogLevel string           `help:"debug, info, warn or error." default:"info" env:"HEADWAY_LOG_LEVEL"`
	Version  kong.VersionFlag `help:"Print version, commit and Go version."`
}

func (f *Common) level() string { return f.LogLevel }

// Main parses the flags, creates the program and runs it until a signal. It doesn't return. The exit code is 0 after a
// signal, 1 if the program failed, and 80 if the command line is invalid.
func Main(name, description string, flags interface{ level() string }, makeProgram func(*slog.Logger) (*Program, error)) {
	kong.Parse(flags, kong.Name(name), kong.Description(description), kong.Configuration(YAML, "/etc/headway/headway.yaml"),
		kong.Vars{"version": buildinfo.Read().String()})
	ctx, stop := Signals()
	log := logging.New(os.Stderr, flags.level())
	logging.Adopt(log)
	p, err := makeProgram(log)
	if err == nil {
		err = p.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, printable.Lines(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}

// Signals returns a context that ends with the first SIGINT or SIGTERM. A second one kills the process.
func Signals() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// YAML reads a configuration file for kong, in which each key is the name of a flag. kong would let the file take
// precedence over the environment, so the resolver has no value for flags whose environment variable is set.
func YAML(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("config: %w", err)
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, variable := range flag.Envs {
			if _, set := os.LookupEnv(variable); set {
				return nil, nil
			}
		}
		for _, name := range []string{flag.Name, strings.ReplaceAll(flag.Name, "-", "_")} {
			switch v := values[name].(type) {
			case nil:
			case []any, map[string]any:
				return v, nil
			default: // as on the command line, because a number may be the value of a text flag
				return fmt.Sprint(v), nil
			}
		}
		return nil, nil
	}), nil
}
