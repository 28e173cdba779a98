// Command detector runs Headway's detector service against NATS and Redis.
package main

import (
	"log/slog"

	"github.com/headwayhq/headway/services/detector/app"
	"github.com/headwayhq/headway/services/internal/program"
)

func main() {
	var f app.Flags
	program.Main("detector", "Watches the clock and announces changes of health. Run any number.", &f, func(log *slog.Logger) (*program.Program, error) { return app.New(f, log) })
}
