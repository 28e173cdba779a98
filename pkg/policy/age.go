package policy

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Age is a duration that may be given in days: 7d, 12h, 90m. 0 is forever.
type Age time.Duration

const day = 24 * time.Hour

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Age) UnmarshalText(text []byte) error {
	days, inDays := strings.CutSuffix(string(text), "d")
	if inDays {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n < 0 || n > math.MaxInt64/float64(day) {
			return errAge
		}
		*a = Age(n * float64(day))
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return errAge
	}
	*a = Age(d)
	return nil
}

var errAge = errors.New("must be an age like 7d, 12h or 90m, or 0 for no end")

// String is the age in the largest unit that fits.
func (a Age) String() string {
	d := time.Duration(a)
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}
