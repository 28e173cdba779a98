package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// kept is the directory in which a redis-server saves its data when it ends. A nil one keeps nothing.
type kept struct{ dir string }

const (
	keptFile = "views.rdb"
	never    = "315360000 1" // seconds and changes: a server with a save point saves at SIGTERM too, and this one is never reached
)

// lockWait is how long the redis-server of a killed process may take to save its data, before the next one starts without them.
const lockWait = 5 * time.Second

// openKept makes the directory ready. It is nil for "", and if the redis-server of another process uses the directory.
func openKept(ctx context.Context, dir string, log *slog.Logger) (*kept, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, private); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	k := &kept{dir}
	lock := flock.New(k.lock(), flock.SetPermissions(0o600))
	defer lock.Close() // redis-server takes it
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if free, err := lock.TryLockContext(wait, 20*time.Millisecond); !free {
		log.Warn("directory for saved views is in use by another redis-server, views won't be saved", "directory", dir, "error", err)
		return nil, nil
	}
	unfinished, _ := filepath.Glob(filepath.Join(dir, "temp-*.rdb")) // by servers that were killed while they saved
	for _, f := range unfinished {
		_ = os.Remove(f)
	}
	return k, nil
}

func (k *kept) lock() string { return filepath.Join(k.dir, lockName) }

func (k *kept) file() string { return filepath.Join(k.dir, keptFile) }

// found reports whether there is something to load.
func (k *kept) found() bool {
	if k == nil {
		return false
	}
	_, err := os.Lstat(k.file())
	return err == nil
}

// remove removes what a server has loaded: if it is killed, the next one starts from nothing, not from an old state.
func (k *kept) remove() {
	if k != nil {
		_ = os.Remove(k.file())
	}
}

// moveAside keeps what can't be loaded for whoever wants to know why, and returns its new name. It replaces what was moved aside before.
func (k *kept) moveAside() string {
	to := k.file() + ".unreadable"
	_ = os.RemoveAll(to)
	if os.Rename(k.file(), to) != nil {
		_ = os.RemoveAll(k.file())
	}
	return to
}

// arguments are those of a server: it keeps nothing, or saves its data when it ends.
func (k *kept) arguments(otherwise string) []string {
	if k == nil {
		return []string{"--dir", otherwise, "--save", ""}
	}
	return []string{"--dir", k.dir, "--dbfilename", keptFile, "--save", never}
}

// beginning is the beginning of what a child said.
type beginning struct{ strings.Builder }

func (b *beginning) Write(p []byte) (int, error) {
	if room := 2<<10 - b.Len(); room > 0 {
		b.Builder.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
