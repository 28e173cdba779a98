// Package logging creates the logger of a program, and redirects the logs of libraries to it.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/redis/go-redis/v9"
)

// New returns a logger that writes to w: readable text if w is a terminal, else JSON. level is debug, info, warn or
// error.
func New(w io.Writer, level string) *slog.Logger {
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

// Adopt makes log the logger of the whole process: of Go's package log, and of go-redis, which would otherwise print
// plain lines between those of a JSON log.
func Adopt(log *slog.Logger) {
	slog.SetDefault(log)
	redis.SetLogger(redisLogger{log})
}

// redisLogger receives what go-redis logs. The level is below warning, because the errors of the commands say the
// same.
type redisLogger struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelInfo) {
		l.log.InfoContext(ctx, "Redis client reported a message", "report", fmt.Sprintf(format, args...))
	}
}
