package answer

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Values that the golden answers don't contain: unusual numbers and texts, and missing values.
func TestAppendJSONWritesWhatEncodingJSONDoes(t *testing.T) {
	type value struct {
		Floats []float64         `json:"floats"`
		Texts  []string          `json:"texts"`
		Of     map[string]string `json:"of"`
		None   map[string]string `json:"none"`
		Raw    json.RawMessage   `json:"raw"`
		Left   []int32           `json:"left,omitempty"`
		Page   *Page             `json:"page,omitempty"`
		At     []time.Time       `json:"at"`
		Health event.Health      `json:"health"`
		Points [][2]int64        `json:"points"`
		None2  []int             `json:"none2"`
	}
	v := value{
		Floats: []float64{0, math.Copysign(0, -1), 1e-7, -1e-7, 1e-6, 1e20, 1e21, -1e21, math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 33.333},
		Texts:  []string{"", `"\/`, "a\n\tb", "<&>", "😀 ü", "a\"b\\c"},
		Of:     map[string]string{"b": "1", "a": "2", "ä": "3", "1": "", "2": "", "3": "", "4": "", "5": "", "6": ""},
		Left:   []int32{},
		At:     []time.Time{time.Unix(0, 0).UTC(), time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)},
		Health: event.HealthStuck, Points: [][2]int64{{math.MinInt64, math.MaxInt64}},
	}
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&v); err != nil {
		t.Fatal(err)
	}
	if got := appendJSON(nil, &v); !bytes.Equal(got, bytes.TrimSpace(want.Bytes())) {
		t.Fatalf("encoded as\n%s\nwant\n%s", got, want.Bytes())
	}
	empty := struct{}{}
	if got := appendJSON(nil, &empty); string(got) != "{}" {
		t.Fatalf("an empty struct is %s", got)
	}
}
