package ingest

import "testing"

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "123": 123, "64B": 64, "3KiB": 3 << 10, "512MiB": 512 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: %d %v", text, b, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1MiB", "1.5GiB", "512MB", "512M", "5 MiB", "5MiBMiB", "99999999TiB", "9223372036854775807", "1e3"} {
		var b Bytes
		if b.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is %d", text, b)
		}
	}
	if (Flags{Memory: leastMemory}).Validate() != nil || (Flags{Memory: leastMemory - 1}).Validate() == nil {
		t.Error("the least budget isn't the least")
	}
}
