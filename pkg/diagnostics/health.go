package diagnostics

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

// ParseHealth reads a health word; ok is false for any other text.
func ParseHealth(s string) (h Health, ok bool) {
	for i, n := range healthNames {
		if n == s {
			return Health(i), true
		}
	}
	return 0, false
}

// MarshalText makes Health its word in JSON.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
