// Command relay turns what Ray clusters say into Headway's events.
package main

import (
	"log/slog"

	"github.com/headwayhq/headway/services/internal/program"
	"github.com/headwayhq/headway/services/relay/app"
)

func main() {
	var f app.Flags
	program.Main("relay", "Relays what Ray clusters say. Run any number, also of the same clusters.", &f, func(log *slog.Logger) (*program.Program, error) { return app.New(f, log) })
}
