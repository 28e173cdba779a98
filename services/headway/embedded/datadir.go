package embedded

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// private is the mode of a data directory, because events may contain what only their owner should read.
const private = 0o700

// DataDir creates the directory and makes it and its content private to the user, even if they already exist with
// other permissions. A directory that also contains files that aren't Headway's keeps its permissions, and only
// Headway's own directories in it are made private. Both are logged.
func DataDir(dir string, log *slog.Logger) error {
	store := filepath.Join(dir, "nats")
	_, err := os.Stat(filepath.Join(dir, lockName))
	ours := err == nil
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		ours = true // it doesn't exist yet, or is empty
	}
	if err := os.MkdirAll(store, private); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	if runtime.GOOS == "windows" { // access lists, inherited from the user's profile
		return nil
	}
	for _, d := range []string{dir, store} {
		s, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
		if s.Mode().Perm()&^private == 0 {
			continue
		}
		if d == dir && (!ours || s.Mode()&os.ModeSticky != 0) {
			log.Warn("data directory is open to other users and holds foreign files, permissions kept", "directory", d, "mode", s.Mode().Perm().String())
			continue
		}
		if err := os.Chmod(d, private); err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
		log.Warn("data directory was open to other users, made private", "directory", d, "mode_before", s.Mode().Perm().String())
	}
	return nil
}
