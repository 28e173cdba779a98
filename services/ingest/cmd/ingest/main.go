// Command ingest runs Headway's ingest service against NATS and Redis.
package main

import (
	"log/slog"

	"github.com/headwayhq/headway/services/ingest/app"
	"github.com/headwayhq/headway/services/internal/program"
)

func main() {
	var f app.Flags
	program.Main("ingest", "Folds the event log into views. Run any number.", &f, func(log *slog.Logger) (*program.Program, error) { return app.New(f, log) })
}
