package diagnostics

import "math"

// round to two decimals, half up; of an amount that isn't negative.
func round(f float64) float64 {
	if f > maxAmount {
		return f
	}
	return math.Floor(f*100+0.5) / 100
}
