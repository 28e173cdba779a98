package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Running says where the embedded servers of a headway run are, for headway doctor. Servers that were given
// by address aren't in it: an address may have a password within.
type Running struct {
	API   string `json:"api"`
	NATS  string `json:"nats,omitempty"`
	Redis string `json:"redis,omitempty"`
}

func runningFile(dir string) string { return filepath.Join(dir, "running.json") }

// write leaves the file in the data directory, for its owner alone.
func (r Running) write(dir string) error {
	b, err := json.Marshal(r)
	if err == nil {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = os.WriteFile(runningFile(dir), append(b, '\n'), 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	return nil
}

// ReadRunning reads what a headway run has left. One that was killed leaves it too.
func ReadRunning(dir string) (r Running, err error) {
	b, err := os.ReadFile(runningFile(dir))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}
