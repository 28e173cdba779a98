package relay

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Flags are the flags of every program that relays, for kong.
type Flags struct {
	Ray []string `help:"Dashboard of a Ray cluster, as http://ray-head:8265 or name=http://…; repeat it for more." placeholder:"URL" env:"HEADWAY_RAY"`
	ClusterFlags
}

// Options turns the flags into options. Its errors name the flag that is wrong.
func (f *Flags) Options() (Options, error) { return f.ClusterFlags.Options("--ray", f.Ray) }

// ClusterFlags say how to talk to clusters, and how to find the batch and tier of their jobs.
type ClusterFlags struct {
	RayToken      map[string]string `help:"Bearer token of a cluster, by its name; *=TOKEN is for all." placeholder:"NAME=TOKEN" env:"HEADWAY_RAY_TOKEN"`
	RayTokenFile  string            `help:"File with the bearer token for all clusters." type:"existingfile" env:"HEADWAY_RAY_TOKEN_FILE"`
	RayCA         string            `name:"ray-ca" help:"File of CA certificates (PEM) for the dashboards' TLS." type:"existingfile" env:"HEADWAY_RAY_CA"`
	RayCert       string            `help:"Client certificate (PEM) for dashboards that require one." type:"existingfile" env:"HEADWAY_RAY_CERT"`
	RayKey        string            `help:"Key of the client certificate (PEM)." type:"existingfile" env:"HEADWAY_RAY_KEY"`
	RayTimeout    time.Duration     `help:"Timeout of one request to a dashboard." default:"10s" env:"HEADWAY_RAY_TIMEOUT"`
	RaySecret     string            `name:"ray-events-secret" help:"Secret in the path of the event receiver, /v1/ray/events/SECRET; without one, nothing is received." placeholder:"SECRET" env:"HEADWAY_RAY_EVENTS_SECRET"`
	RaySecretFile string            `name:"ray-events-secret-file" help:"File with the secret of the event receiver." type:"existingfile" env:"HEADWAY_RAY_EVENTS_SECRET_FILE"`
	RayExports    []string          `name:"ray-export-dir" help:"Directory of a head node's export events, …/session_latest/logs/export_events, or name=DIR; repeat it for more." sep:"none" placeholder:"DIR" env:"HEADWAY_RAY_EXPORT_DIR"`
	RayKeys       map[string]string `name:"ray-metadata" help:"Metadata key that holds batch, tier, namespace, attempt or extractor, as batch=my_key." placeholder:"PART=KEY" env:"HEADWAY_RAY_METADATA"`
	RayPatterns   []string          `name:"ray-pattern" help:"Regular expression on submission id and job name, with groups named batch, tier, namespace, attempt or extractor." sep:"none" placeholder:"REGEXP" env:"HEADWAY_RAY_PATTERN"`
	RayNamespace  string            `help:"Namespace of jobs that name none." default:"default" env:"HEADWAY_RAY_NAMESPACE"`
	RayTier       *int              `help:"Tier of jobs that name a batch and no tier." placeholder:"N" env:"HEADWAY_RAY_TIER"`
	RayProof      []string          `name:"ray-proof" help:"Namespace for whose stuck batches the relay reads the last lines of the driver's log, and stacks where the cluster allows profiling; * for all, none for none; repeat it for more." placeholder:"NAMESPACE" env:"HEADWAY_RAY_PROOF"`
	RayPost       int               `name:"ray-events-limit" help:"Maximum number of events in one POST to the receiver." default:"1000" env:"HEADWAY_RAY_EVENTS_LIMIT"`
	RayBody       int64             `name:"ray-body-limit" help:"Maximum bytes of one POST to the receiver." default:"16777216" env:"HEADWAY_RAY_BODY_LIMIT"`
}

// Options returns the options for clusters given as name=URL or URL. Errors name the flag: from for the clusters.
func (f *ClusterFlags) Options(from string, clusters []string) (Options, error) {
	secret := f.RaySecret
	if f.RaySecretFile != "" {
		b, err := os.ReadFile(f.RaySecretFile)
		if err != nil {
			return Options{}, fmt.Errorf("--ray-events-secret-file: %w", err)
		}
		secret = strings.TrimSpace(string(b))
	}
	o := Options{
		Secret: secret, Receiver: Limits{Events: f.RayPost, Body: f.RayBody},
		Rules: Rules{Patterns: f.RayPatterns, Namespace: f.RayNamespace, DefaultTier: f.RayTier, Keys: map[string][]string{}},
	}
	for part, key := range f.RayKeys {
		o.Rules.Keys[part] = []string{key}
	}
	for _, given := range f.RayExports {
		d := ExportDir{Dir: given}
		if name, dir, ok := strings.Cut(given, "="); ok && !strings.Contains(name, "/") {
			d.Cluster, d.Dir = name, dir
		}
		if d.Dir == "" {
			return o, fmt.Errorf("--ray-export-dir: %q names no directory", given)
		}
		o.Exports = append(o.Exports, d)
	}
	tlsConfig, err := f.tls()
	if err != nil {
		return o, err
	}
	token := ""
	if f.RayTokenFile != "" {
		b, err := os.ReadFile(f.RayTokenFile)
		if err != nil {
			return o, fmt.Errorf("--ray-token-file: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	for _, n := range f.RayProof {
		switch {
		case n == "none" || n == "":
		case n != "*" && !diagnostics.ValidNamespace(n):
			return o, fmt.Errorf("--ray-proof: %q is no namespace: letters, digits, _ and -, or * for all", cut(n))
		default:
			o.Proving.Namespaces = append(o.Proving.Namespaces, n)
		}
	}
	known := map[string]bool{"*": true}
	for _, given := range clusters {
		if given = strings.TrimSpace(given); given == "" { // the environment variable is set, but empty
			continue
		}
		c, err := parseCluster(from, given)
		if err != nil {
			return o, err
		}
		c.TLS, c.Timeout = tlsConfig, f.RayTimeout
		c.Token = cmp.Or(f.RayToken[c.Name], f.RayToken["*"], token)
		known[c.Name] = true
		o.Clusters = append(o.Clusters, c)
	}
	for name := range f.RayToken {
		if !known[name] {
			return o, fmt.Errorf("--ray-token: no cluster is named %q; %s gives one its name, as %s=http://…", name, from, name)
		}
	}
	if (secret != "" || f.RaySecretFile != "") && len(secret) < 16 {
		return o, fmt.Errorf("--ray-events-secret: %d characters can be guessed: take at least 16", len(secret))
	}
	if err := (&Rules{Patterns: f.RayPatterns, Namespace: f.RayNamespace, Keys: o.Rules.Keys}).Compile(); err != nil {
		return o, fmt.Errorf("--ray-pattern, --ray-metadata, --ray-namespace: %w", err)
	}
	return o, nil
}

// parseCluster reads name=URL or a bare URL.
func parseCluster(from, given string) (Cluster, error) {
	c := Cluster{URL: given}
	if name, rest, ok := strings.Cut(given, "="); ok && !strings.Contains(name, "/") {
		c.Name, c.URL = name, rest
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return c, fmt.Errorf("%s: %q isn't the address of a dashboard, as http://ray-head:8265", from, cut(given))
	}
	if u.User != nil {
		return c, fmt.Errorf("%s: %s: no credentials in the address; --ray-token gives a token", from, u.Redacted())
	}
	if c.Name == "" {
		c.Name = u.Host
	}
	return c, nil
}

func (f *ClusterFlags) tls() (*tls.Config, error) {
	if f.RayCA == "" && f.RayCert == "" && f.RayKey == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.RayCA != "" {
		pem, err := os.ReadFile(f.RayCA)
		if err != nil {
			return nil, fmt.Errorf("--ray-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ray-ca: %s holds no certificate", f.RayCA)
		}
	}
	if f.RayCert != "" || f.RayKey != "" {
		pair, err := tls.LoadX509KeyPair(f.RayCert, f.RayKey)
		if err != nil {
			return nil, fmt.Errorf("--ray-cert, --ray-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
