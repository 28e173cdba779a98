// Command api runs Headway's api service against NATS and Redis.
package main

import (
	"log/slog"

	"github.com/headwayhq/headway/services/api/app"
	"github.com/headwayhq/headway/services/internal/program"
)

func main() {
	var f app.Flags
	program.Main("api", "Serves diagnostics over HTTP and server-sent events. Run any number.", &f, func(log *slog.Logger) (*program.Program, error) { return app.New(f, log) })
}
