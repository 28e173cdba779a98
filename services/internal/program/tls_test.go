package program

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startTLS starts a program that answers with the protocol of the request.
func startTLS(t *testing.T, f TLS) (address string, log *output) {
	t.Helper()
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	log = &output{}
	p := New(Options{
		Name: "p", Listen: "127.0.0.1:0", TLS: f, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Open: func(context.Context, *Waiting) (*Service, error) {
			return &Service{
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
				Ready:   func(context.Context) error { return nil },
				Run:     func(ctx context.Context) error { <-ctx.Done(); return nil },
			}, nil
		},
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	<-p.Opened()
	return p.Addr(), log
}

// shown is the name in the certificate that a server shows to a new connection.
func shown(address string, c *tls.Config) (string, error) {
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func until(t *testing.T, what string, holds func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func TestTLSServesBothProtocols(t *testing.T) {
	ca := headwaytest.NewCA(t)
	cert, key := ca.Pair("first")
	address, _ := startTLS(t, TLS{CertFile: cert, KeyFile: key})
	for proto, two := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		transport := &http.Transport{TLSClientConfig: ca.Client(), ForceAttemptHTTP2: two}
		c := &http.Client{Transport: transport}
		res, err := c.Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if string(body) != proto {
			t.Errorf("%s, want %s", body, proto)
		}
	}
	old := ca.Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, err := shown(address, old); err == nil {
		t.Error("TLS 1.1 is served")
	}
	if res, err := http.Get("http://" + address); err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %d", res.StatusCode)
		}
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: TLS{CertFile: cert, KeyFile: key}.Own()}}
	if res, err := c.Get("https://" + address); err != nil {
		t.Error(err)
	} else {
		_ = res.Body.Close()
	}
	other, otherKey := ca.Pair("other")
	c = &http.Client{Transport: &http.Transport{TLSClientConfig: TLS{CertFile: other, KeyFile: otherKey}.Own()}}
	if res, err := c.Get("https://" + address); err == nil {
		_ = res.Body.Close()
		t.Error("another server's certificate was accepted as our own")
	}
}

// Files that are renamed into place, or reached through a symbolic link that is exchanged, are served without a restart. Files that
// don't fit are not: the certificate before them stays, and the log says why, once.
func TestTLSFilesAreReadAgain(t *testing.T) {
	ca := headwaytest.NewCA(t)
	dir := t.TempDir()
	put := func(name string) {
		t.Helper()
		cert, key := ca.Pair(name)
		to := filepath.Join(dir, name)
		if err := os.Mkdir(to, 0o700); err != nil {
			t.Fatal(err)
		}
		for from, file := range map[string]string{cert: "tls.crt", key: "tls.key"} {
			if err := os.Rename(from, filepath.Join(to, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(name string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.Symlink(name, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"first", "second", "third"} {
		put(name)
	}
	link("first")
	cert, key := filepath.Join(dir, "data", "tls.crt"), filepath.Join(dir, "data", "tls.key")
	address, log := startTLS(t, TLS{CertFile: cert, KeyFile: key})
	shows := func(want string) {
		t.Helper()
		until(t, "serves "+want, func() error {
			got, err := shown(address, ca.Client())
			if err != nil || got != want {
				return fmt.Errorf("%q, %w", got, err)
			}
			return nil
		})
	}
	shows("first")
	link("second") // as Kubernetes does it
	shows("second")
	said := func() int { return strings.Count(log.String(), "reading new TLS files failed") }
	before := said()
	for _, file := range []string{"tls.crt", "tls.key"} { // as most tools do it; in between they don't belong together
		if err := os.Rename(filepath.Join(dir, "third", file), filepath.Join(dir, "second", file)); err != nil {
			t.Fatal(err)
		}
		if file == "tls.crt" {
			until(t, "the log says that they don't fit", func() error {
				if got, err := shown(address, ca.Client()); err != nil || got != "second" {
					t.Fatalf("%q, %v", got, err)
				}
				if said() == before {
					return fmt.Errorf("log: %s", log)
				}
				return nil
			})
		}
	}
	shows("third")
	if n := said() - before; n != 1 {
		t.Errorf("said %d times: %s", n, log)
	}
}

func TestTLSOfClients(t *testing.T) {
	ca, strangers := headwaytest.NewCA(t), headwaytest.NewCA(t)
	cert, key := ca.Pair("server")
	address, _ := startTLS(t, TLS{CertFile: cert, KeyFile: key, ClientCAFile: ca.File()})
	client := func(from *headwaytest.CA) tls.Certificate {
		t.Helper()
		pair, err := tls.LoadX509KeyPair(from.Pair("client"))
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	for name, x := range map[string]struct {
		show []tls.Certificate
		ok   bool
	}{"ours": {[]tls.Certificate{client(ca)}, true}, "a stranger's": {[]tls.Certificate{client(strangers)}, false}, "none": {nil, false}} {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: ca.Client(x.show...), DisableKeepAlives: true}}
		res, err := c.Get("https://" + address)
		if err == nil {
			_ = res.Body.Close()
		}
		if (err == nil) != x.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTLSFlagsThatDontFit(t *testing.T) {
	ca := headwaytest.NewCA(t)
	cert, key := ca.Pair("a")
	_, other := ca.Pair("b")
	for _, f := range []TLS{{CertFile: cert}, {KeyFile: key}, {ClientCAFile: ca.File()}, {CertFile: cert, KeyFile: other}, {CertFile: cert, KeyFile: cert + "x"}, {CertFile: cert, KeyFile: key, ClientCAFile: key}} {
		if err := f.Check(); err == nil || !strings.HasPrefix(err.Error(), "--tls-") {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
