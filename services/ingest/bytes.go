package ingest

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size as GOMEMLIMIT is written: 512MiB, 2GiB, or a number of bytes.
type Bytes int64

var units = map[string]float64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "BKMGTi")
	unit, known := units[string(text[len(number):])]
	n, err := strconv.ParseUint(number, 10, 63)
	if !known || err != nil || float64(n)*unit > math.MaxInt64/2 {
		return errors.New("must be a size like 512MiB or 2GiB")
	}
	*b = Bytes(n) * Bytes(unit)
	return nil
}

// leastMemory is the least budget of a process: below it the programs' own memory leaves nothing for views.
const leastMemory = 64 << 20

// Validate checks the flags.
func (f Flags) Validate() error {
	if f.Memory < leastMemory {
		return errors.New("--ingest-memory: must be at least 64MiB")
	}
	return f.validAges()
}
