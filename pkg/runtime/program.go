package runtime

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
)

// Logger writes to w: for people on a terminal, else JSON. Level is debug, info, warn or error.
func Logger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	if f, ok := w.(*os.File); ok {
		if s, err := f.Stat(); err == nil && s.Mode()&os.ModeCharDevice != 0 {
			return slog.New(tint.NewTextHandler(w, &tint.Options{Level: l, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""}))
		}
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// Signals is a context that ends with the first SIGINT or SIGTERM; a second one ends the process.
func Signals() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Cleanups are run in reverse order, each with its name in its error.
type Cleanups struct {
	list []cleanup
}

type cleanup struct {
	name string
	do   func(context.Context) error
}

// Add takes in what has to be undone.
func (c *Cleanups) Add(name string, do func(context.Context) error) {
	c.list = append(c.list, cleanup{name, do})
}

// Run undoes all of it, the last added first, within limit altogether.
func (c *Cleanups) Run(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var errs []error
	for i := len(c.list) - 1; i >= 0; i-- {
		if err := c.list[i].do(ctx); err != nil {
			errs = append(errs, errors.New(c.list[i].name+": "+err.Error()))
		}
	}
	c.list = nil
	return errors.Join(errs...)
}
