package program

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLS are the flags for TLS of a program's listener.
type TLS struct {
	CertFile     string `name:"tls-cert-file" help:"Certificate (PEM) with which to serve TLS, followed by those of intermediate authorities. It is read again when it changes, as are the others." placeholder:"FILE" env:"HEADWAY_TLS_CERT_FILE"`
	KeyFile      string `name:"tls-key-file" help:"Key of the certificate (PEM)." placeholder:"FILE" env:"HEADWAY_TLS_KEY_FILE"`
	ClientCAFile string `name:"tls-client-ca-file" help:"CA certificates (PEM): only clients with a certificate of one of them are served." placeholder:"FILE" env:"HEADWAY_TLS_CLIENT_CA_FILE"`
}

// On reports whether TLS is served.
func (f TLS) On() bool { return f.CertFile != "" }

// Scheme is that of the program's URLs.
func (f TLS) Scheme() string {
	if f.On() {
		return "https"
	}
	return "http"
}

// Check finds flags that can't work, and files that can't be used.
func (f TLS) Check() error {
	switch {
	case (f.CertFile == "") != (f.KeyFile == ""):
		return errors.New("--tls-cert-file and --tls-key-file: must be given together")
	case f.ClientCAFile != "" && !f.On():
		return errors.New("--tls-client-ca-file: needs --tls-cert-file and --tls-key-file")
	case !f.On():
		return nil
	}
	files, err := f.read()
	if err != nil {
		return err
	}
	_, err = files.config()
	return err
}

// tlsFiles is the content of the files.
type tlsFiles struct{ cert, key, clientCA []byte }

func (f TLS) read() (out tlsFiles, err error) {
	for _, file := range []struct {
		flag, name string
		to         *[]byte
	}{
		{"--tls-cert-file", f.CertFile, &out.cert}, {"--tls-key-file", f.KeyFile, &out.key}, {"--tls-client-ca-file", f.ClientCAFile, &out.clientCA},
	} {
		if file.name == "" {
			continue
		}
		if *file.to, err = os.ReadFile(file.name); err != nil {
			return out, fmt.Errorf("%s: %w", file.flag, err)
		}
	}
	return out, nil
}

func (f tlsFiles) equal(o tlsFiles) bool {
	return bytes.Equal(f.cert, o.cert) && bytes.Equal(f.key, o.key) && bytes.Equal(f.clientCA, o.clientCA)
}

// config is what the files configure.
func (f tlsFiles) config() (*tls.Config, error) {
	pair, err := tls.X509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert-file, --tls-key-file: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if f.clientCA != nil {
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(f.clientCA) {
			return nil, errors.New("--tls-client-ca-file: contains no certificate")
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.SessionTicketsDisabled = true // a resumed session would not be checked against an authority that was replaced
	}
	return c, nil
}

// tlsEvery is how often the files are read again, if there are connections.
const tlsEvery = time.Second

// served is the TLS configuration of a listener. The content of the files is compared, because neither an atomic rename nor the
// exchange of a symbolic link, as Kubernetes does it, has to change a time or a size.
type served struct {
	flags TLS
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	tried   tlsFiles // the last content that was tried; of current, unless that was invalid
	fault   string   // why the files can't be used now; "" if they can
	next    time.Time
}

// listen returns a configuration that follows the files.
func (f TLS) listen(log *slog.Logger) (*tls.Config, error) {
	files, err := f.read()
	if err != nil {
		return nil, err
	}
	current, err := files.config()
	if err != nil {
		return nil, err
	}
	s := &served{flags: f, log: log, current: current, tried: files, next: time.Now().Add(tlsEvery)}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: current.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.config(time.Now()), nil },
	}, nil
}

// config is the present configuration. Files that can't be used leave it as it was: while they are being replaced, certificate and
// key may not belong together.
func (s *served) config(now time.Time) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		return s.current
	}
	s.next = now.Add(tlsEvery)
	files, err := s.flags.read()
	if err == nil && files.equal(s.tried) {
		return s.current
	}
	var c *tls.Config
	if err == nil {
		s.tried = files
		c, err = files.config()
	}
	if err != nil {
		if s.fault != err.Error() {
			s.log.Error("reading new TLS files failed, the former certificate is still served", "error", err)
		}
		s.fault = err.Error()
		return s.current
	}
	s.current, s.fault = c, ""
	s.log.Info("TLS files changed, the new certificate is served")
	return c
}

// Own is a client's configuration that trusts the server of this process, whatever names are in its certificate.
func (f TLS) Own() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // the certificate itself is compared below
		VerifyConnection: func(state tls.ConnectionState) error {
			files, err := f.read()
			if err != nil {
				return err
			}
			pair, err := tls.X509KeyPair(files.cert, files.key)
			if err != nil {
				return err
			}
			if !bytes.Equal(state.PeerCertificates[0].Raw, pair.Certificate[0]) {
				return errors.New("the certificate isn't the one in --tls-cert-file")
			}
			return nil
		},
	}
}
