package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock keeps a second process out of dir: two servers writing one JetStream store would damage it, and
// the server itself doesn't look. The kernel lets go of the lock however the process ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("in use by another headway run: stop it, or give this one a directory of its own")
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("--data-dir: %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
