package event

import "fmt"

// Health is the verdict on a batch.
type Health uint8

const (
	HealthOK Health = iota
	HealthScaling
	HealthStuck
	HealthDegraded
)

var healthNames = [...]string{"ok", "scaling", "stuck", "degraded"}

func (h Health) String() string { return healthNames[h] }

// Known reports whether h is one of the four.
func (h Health) Known() bool { return int(h) < len(healthNames) }

// ParseHealth reads a health word; ok is false for any other text.
func ParseHealth(s string) (h Health, ok bool) {
	for i, n := range healthNames {
		if n == s {
			return Health(i), true
		}
	}
	return 0, false
}

// UnmarshalText reads the word.
func (h *Health) UnmarshalText(text []byte) error {
	parsed, ok := ParseHealth(string(text))
	if !ok {
		return fmt.Errorf("diagnostics: %q is no health", text)
	}
	*h = parsed
	return nil
}

// MarshalText makes Health its word in JSON.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
