package cli

import (
	"crypto/tls"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"github.com/headwayhq/headway/services/headway/contexts"
	"github.com/headwayhq/headway/services/internal/backend"
)

// certificates are the flags for an API whose certificate is of an authority of one's own, or that requires one of its clients.
type certificates struct {
	CAFile   string `name:"ca-file" group:"Where" help:"CA certificates (PEM) for the TLS of the API, instead of the system's." placeholder:"FILE" env:"HEADWAY_CA_FILE"`
	CertFile string `name:"cert-file" group:"Where" help:"Client certificate (PEM) for an API that requires one." placeholder:"FILE" env:"HEADWAY_CERT_FILE"`
	KeyFile  string `name:"key-file" group:"Where" help:"Key of the client certificate (PEM)." placeholder:"FILE" env:"HEADWAY_KEY_FILE"`
}

// client is an HTTP client with them. timeout is that of a whole request; 0: none, as for streams.
func (c certificates) client(timeout time.Duration) (*http.Client, error) {
	if c == (certificates{}) {
		return &http.Client{Timeout: timeout}, nil
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, ExitError{Code: exitUsage, Err: errOneFile}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := backend.AddFiles(config, "--", c.CAFile, c.CertFile, c.KeyFile); err != nil {
		return nil, ExitError{Code: exitUsage, Err: err}
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errNoTransport
	}
	transport = transport.Clone()
	transport.TLSClientConfig = config
	return &http.Client{Timeout: timeout, Transport: transport}, nil
}

// postWithin is how long the API may take to store events.
const postWithin = 30 * time.Second

var (
	errNoTransport = errors.New("the transport of HTTP was replaced")
	errOneFile     = errors.New("--cert-file and --key-file: must be given together")
)

// stored are the same for a context, whose files have to be found from everywhere.
func (c certificates) stored() (contexts.Files, error) {
	var out contexts.Files
	for to, from := range map[*string]string{&out.CA: c.CAFile, &out.Cert: c.CertFile, &out.Key: c.KeyFile} {
		if from == "" {
			continue
		}
		path, err := filepath.Abs(from)
		if err != nil {
			return out, err
		}
		*to = path
	}
	return out, nil
}
