package answer

import (
	"math"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// round to two decimals, half up; of an amount that isn't negative.
func round(f float64) float64 {
	if f > event.MaxAmount {
		return f
	}
	return math.Floor(f*100+0.5) / 100
}
