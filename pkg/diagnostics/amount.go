package diagnostics

// Each count said is at most 2^53, and each number of milliseconds is finite. Their sums stay so too: a sum
// beyond 2^53 is shown as 2^53, which no true one reaches.
const maxAmount = 1 << 53

// plus adds two counts.
func plus(a, b int64) int64 { return min(a+b, maxAmount) }

// millis is a number of milliseconds that can be added up with any others.
func millis(ms float64) float64 { return min(ms, maxAmount) }
