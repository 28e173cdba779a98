package kuberay

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// client returns an HTTP client that speaks to the server as the account.
func (a *access) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.serverName, InsecureSkipVerify: a.insecure} //nolint:gosec // asked for by the kubeconfig
	if !a.ca.empty() {
		text, err := a.ca.read()
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("the certificate authority holds no certificate")
		}
	}
	proxy := http.ProxyFromEnvironment
	if a.proxy != "" {
		u, err := url.Parse(a.proxy)
		if err != nil {
			return nil, fmt.Errorf("proxy-url: %w", err)
		}
		proxy = http.ProxyURL(u)
	}
	c := &credentials{access: a}
	if !a.cert.empty() || a.exec != nil {
		config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.certificate(r.Context()) }
	}
	return &http.Client{Transport: &authorized{c, &http.Transport{
		Proxy: proxy, TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 10 * time.Second, DialContext: (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		// A watch is silent for minutes. Without pings a connection that is gone would look the same.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}}}, nil
}

// authorized adds to each request who asks.
type authorized struct {
	credentials *credentials
	next        http.RoundTripper
}

func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := a.credentials.token(r.Context())
	if err != nil {
		return nil, err
	}
	from := a.credentials.access
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "headway-relay")
	switch {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case from.user != "":
		r.SetBasicAuth(from.user, from.pass)
	}
	if from.as != "" {
		r.Header.Set("Impersonate-User", from.as)
		if from.asUID != "" {
			r.Header.Set("Impersonate-Uid", from.asUID)
		}
		for _, g := range from.asGroups {
			r.Header.Add("Impersonate-Group", g)
		}
	}
	res, err := a.next.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		a.credentials.expire()
	}
	return res, err
}

// tokenFor is how long a token that was read from a file is used. The kubelet renews tokens at 80 % of their life,
// which is 10 minutes at least.
const tokenFor = time.Minute

// credentials are what an account shows to the server. They are renewed when they expire, and after the server refused
// them.
type credentials struct {
	access *access

	mu      sync.Mutex
	until   time.Time // zero: they don't expire
	have    bool
	current execCredential
}

// execCredential is the status of client.authentication.k8s.io's ExecCredential.
type execCredential struct {
	Expires *time.Time `json:"expirationTimestamp"`
	Token   string     `json:"token"`
	Cert    string     `json:"clientCertificateData"`
	Key     string     `json:"clientKeyData"`
}

func (c *credentials) token(ctx context.Context) (string, error) {
	now, err := c.fresh(ctx)
	return now.Token, err
}

func (c *credentials) certificate(ctx context.Context) (*tls.Certificate, error) {
	cert, key := c.access.cert, c.access.key
	if cert.empty() {
		now, err := c.fresh(ctx)
		if err != nil || now.Cert == "" {
			return new(tls.Certificate), err
		}
		cert, key = pemText{data: now.Cert}, pemText{data: now.Key}
	}
	certText, err := cert.read()
	if err != nil {
		return nil, err
	}
	keyText, err := key.read()
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	return &pair, err
}

func (c *credentials) expire() {
	c.mu.Lock()
	c.have = false
	c.mu.Unlock()
}

// fresh returns credentials that haven't expired.
func (c *credentials) fresh(ctx context.Context) (execCredential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.have && (c.until.IsZero() || time.Now().Before(c.until)) {
		return c.current, nil
	}
	c.until = time.Time{}
	switch {
	case c.access.tokenFile != "":
		text, err := os.ReadFile(c.access.tokenFile)
		if err != nil {
			return c.current, err
		}
		c.current, c.until = execCredential{Token: strings.TrimSpace(string(text))}, time.Now().Add(tokenFor)
	case c.access.exec != nil:
		got, err := c.access.exec.run(ctx, c.access)
		if err != nil {
			return c.current, err
		}
		if c.current = got; got.Expires != nil {
			c.until = *got.Expires
		}
	default:
		c.current = execCredential{Token: c.access.token}
	}
	c.have = true
	return c.current, nil
}

// execConfig is a command that prints credentials. Cloud providers come with one.
type execConfig struct {
	Command string   `yaml:"command"`
	Args    []string `yaml:"args"`
	Env     []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	APIVersion  string `yaml:"apiVersion"`
	InstallHint string `yaml:"installHint"`
	ClusterInfo bool   `yaml:"provideClusterInfo"`
	Interactive string `yaml:"interactiveMode"`
}

// check completes the command's path, which is relative to the kubeconfig if it has a separator.
func (e *execConfig) check(dir string) error {
	switch {
	case e.Command == "":
		return errors.New("exec names no command")
	case e.Interactive == "Always":
		return errors.New("exec: the command wants to ask a person")
	}
	if strings.ContainsRune(e.Command, filepath.Separator) {
		e.Command = inDir(dir, e.Command)
	}
	return nil
}

// run asks the command for credentials for a server.
func (e *execConfig) run(ctx context.Context, server *access) (got execCredential, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	spec := map[string]any{"interactive": false}
	if e.ClusterInfo {
		ca, err := server.ca.read()
		if err != nil {
			return got, err
		}
		spec["cluster"] = map[string]any{
			"server": server.server, "tls-server-name": server.serverName, "insecure-skip-tls-verify": server.insecure,
			"certificate-authority-data": ca, "proxy-url": server.proxy,
		}
	}
	asked, err := json.Marshal(map[string]any{"apiVersion": e.APIVersion, "kind": "ExecCredential", "spec": spec})
	if err != nil {
		return got, err
	}
	var says bytes.Buffer
	command := exec.CommandContext(ctx, e.Command, e.Args...)
	command.Stderr = &says
	command.Env = append(os.Environ(), "KUBERNETES_EXEC_INFO="+string(asked))
	for _, v := range e.Env {
		command.Env = append(command.Env, v.Name+"="+v.Value)
	}
	out, err := command.Output()
	if err != nil {
		return got, fmt.Errorf("exec %s: %w %s %s", e.Command, err, strings.TrimSpace(says.String()), e.InstallHint)
	}
	var answer struct {
		Status *execCredential `json:"status"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return got, fmt.Errorf("exec %s printed no ExecCredential: %w", e.Command, err)
	}
	if answer.Status == nil {
		return got, fmt.Errorf("exec %s printed an ExecCredential without a status", e.Command)
	}
	return *answer.Status, nil
}
