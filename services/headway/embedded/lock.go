package embedded

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

const lockName = "lock"

// lock prevents a second process from using dir: two servers writing one JetStream store would damage it, and the
// server itself doesn't check. The kernel releases the lock however the process ends.
func lock(dir string) (unlock func(), err error) {
	l := flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
	held, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("--data-dir: %s: in use by another headway run: stop it, or give this one a directory of its own", dir)
	}
	return func() { _ = l.Close() }, nil
}
