package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Running tells headway doctor where a headway run and its embedded servers are. Servers given by address are left
// out, because an address may contain a password.
type Running struct {
	API   string `json:"api"`
	NATS  string `json:"nats,omitempty"`
	Redis string `json:"redis,omitempty"`
}

const runningFile = "running.json"

// write stores the file in the data directory, and under the address of the API, where doctor --url looks. Only their
// owner may read them. forget removes both.
func (r Running) write(dir string) (forget func(), err error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	own, byURL := filepath.Join(dir, runningFile), byAddress(r.API)
	if err := os.WriteFile(own, b, 0o600); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if os.MkdirAll(filepath.Dir(byURL), 0o700) == nil {
		_ = os.WriteFile(byURL, b, 0o600) // without it, doctor needs --data-dir
	}
	return func() { _, _ = os.Remove(own), os.Remove(byURL) }, nil
}

// byAddress is the file of the headway run that serves its API at an address. It is in the user's cache directory, so
// nobody else can have put it there.
func byAddress(api string) string {
	cache, err := os.UserCacheDir()
	u, bad := url.Parse(api)
	if err != nil || bad != nil {
		return ""
	}
	name := strings.NewReplacer(":", "_", "[", "", "]", "", "/", "_", "localhost", "127.0.0.1").Replace(u.Host)
	return filepath.Join(cache, "headway", "running", name+".json")
}

// ReadRunning reads the file that the headway run of a data directory wrote. A process that was killed leaves its file
// behind.
func ReadRunning(dir string) (Running, error) { return readRunning(filepath.Join(dir, runningFile)) }

// FindRunning reads the file of the headway run with this API, if it runs on this machine as this user.
func FindRunning(api string) (Running, error) {
	path := byAddress(api)
	if path == "" {
		return Running{}, errors.New("no address, or no cache directory")
	}
	return readRunning(path)
}

func readRunning(path string) (r Running, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}
