package kuberay

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secured is an API server with TLS that accepts one token, and writes down who asked.
type secured struct {
	*httptest.Server
	accepts string
	asked   []string
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	s := &secured{accepts: "Bearer good"}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.Header.Get("Authorization")+" "+r.Header.Get("Impersonate-User"))
		if r.Header.Get("Authorization") != s.accepts {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(`{"items":[]}`))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *secured) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// write writes a kubeconfig whose only user is as given.
func (s *secured) write(t *testing.T, user string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: it, user: me}}]
clusters: [{name: it, cluster: {server: "%s", certificate-authority-data: %s}}]
users:
- name: me
  user: %s
`, s.URL, base64.StdEncoding.EncodeToString([]byte(s.ca())), user)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func check(t *testing.T, f Flags) error {
	t.Helper()
	f.KubeRay = true
	source, err := f.Source(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, err = source.(*Source).Check(t.Context())
	return err
}

func TestKubeConfig(t *testing.T) {
	api := newSecured(t)
	if err := check(t, Flags{KubeConfig: api.write(t, `{token: good, as: someone}`)}); err != nil || api.asked[0] != "Bearer good someone" {
		t.Error(err, api.asked)
	}
	if err := check(t, Flags{KubeConfig: api.write(t, `{token: bad}`)}); !refused(err, http.StatusUnauthorized) {
		t.Error(err)
	}
	for user, says := range map[string]string{
		`{auth-provider: {name: oidc}}`:                           "use exec",
		`{exec: {command: x, interactiveMode: Always}}`:           "ask a person",
		`{client-certificate-data: "%"}`:                          "certificate data",
		"{}\n- name: other\n  user: {}\ncurrent-context: nowhere": "",
	} {
		if err := check(t, Flags{KubeConfig: api.write(t, user)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", user, err)
		}
	}
	if err := check(t, Flags{KubeConfig: api.write(t, `{token: good}`), KubeContext: "nowhere"}); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Error(err)
	}
}

// KUBECONFIG may list several files: what the first says counts, and one that isn't there doesn't matter.
func TestKubeConfigOfSeveralFiles(t *testing.T) {
	api := newSecured(t)
	t.Setenv("KUBECONFIG", strings.Join([]string{filepath.Join(t.TempDir(), "none"), api.write(t, `{token: good}`), api.write(t, `{token: bad}`)}, string(filepath.ListSeparator)))
	if err := check(t, Flags{}); err != nil {
		t.Error(err)
	}
}

// The command of a cloud provider is asked again once its token has expired, and once the server refuses it.
func TestCredentialsOfACommand(t *testing.T) {
	api := newSecured(t)
	dir := t.TempDir()
	prints := func(token string, lasts time.Duration) {
		text := fmt.Sprintf("#!/bin/sh\necho run >>%s/runs\necho '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"%s\",\"expirationTimestamp\":\"%s\"}}'\n",
			dir, token, time.Now().Add(lasts).UTC().Format(time.RFC3339))
		if err := os.WriteFile(filepath.Join(dir, "login"), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	prints("good", time.Hour)
	f := Flags{KubeRay: true, KubeConfig: api.write(t, fmt.Sprintf(`{exec: {command: %s/login, apiVersion: client.authentication.k8s.io/v1, provideClusterInfo: true}}`, dir))}
	source, err := f.Source(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error { _, err := source.(*Source).Check(t.Context()); return err }
	runs := func() int {
		text, _ := os.ReadFile(filepath.Join(dir, "runs"))
		return strings.Count(string(text), "run")
	}
	for range 2 {
		if err := ask(); err != nil || runs() != 1 {
			t.Fatal(err, runs())
		}
	}
	api.accepts = "Bearer better"
	prints("better", -time.Hour)
	if err := ask(); !refused(err, http.StatusUnauthorized) {
		t.Fatal(err)
	}
	for n := range 2 {
		if err := ask(); err != nil || runs() != n+2 { // it has expired each time
			t.Fatal(err, runs())
		}
	}
}

// A pod reads its account where the kubelet mounts it, and reads the token again.
func TestAccountOfAPod(t *testing.T) {
	api := newSecured(t)
	host, port, _ := strings.Cut(strings.TrimPrefix(api.URL, "https://"), ":")
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	before := podDir
	podDir = t.TempDir()
	t.Cleanup(func() { podDir = before })
	for name, text := range map[string]string{"ca.crt": api.ca(), "token": "good\n"} {
		if err := os.WriteFile(filepath.Join(podDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := check(t, Flags{}); err != nil {
		t.Error(err)
	}
}
