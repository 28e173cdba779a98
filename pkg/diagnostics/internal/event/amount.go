package event

// MaxAmount bounds sums: each count said is at most 2^53, and each number of milliseconds is finite. Their sums stay so too: a sum
// beyond 2^53 is shown as 2^53, which no true one reaches.
const MaxAmount = 1 << 53

// Plus adds two counts.
func Plus(a, b int64) int64 { return min(a+b, MaxAmount) }

// Millis is a number of milliseconds that can be added up with any others.
func Millis(ms float64) float64 { return min(ms, MaxAmount) }
