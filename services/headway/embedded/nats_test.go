package embedded

import (
	"strings"
	"testing"
)

// Two servers on one store would damage it.
func TestOneServerADirectory(t *testing.T) {
	dir := t.TempDir()
	_, stop, err := NATS("127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, second, err := NATS("127.0.0.1:0", dir); err == nil {
		second()
		t.Error("a second server was started on the same directory")
	} else if !strings.Contains(err.Error(), "--data-dir") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the error names neither flag nor directory: %v", err)
	}
	stop()
	_, stop, err = NATS("127.0.0.1:0", dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	stop()
}
