package backend

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// NATSLogin are the flags with which a program shows itself to NATS. Every file is read again for each connection, so that it can be
// replaced while the program runs.
type NATSLogin struct {
	CredsFile    string `name:"nats-creds-file" help:"Credentials file for NATS, with a user's JWT and seed." placeholder:"FILE" env:"HEADWAY_NATS_CREDS_FILE"`
	NKeyFile     string `name:"nats-nkey-file" help:"File with the seed of an nkey for NATS." placeholder:"FILE" env:"HEADWAY_NATS_NKEY_FILE"`
	User         string `name:"nats-user" help:"User at NATS, with --nats-password-file." placeholder:"USER" env:"HEADWAY_NATS_USER"`
	PasswordFile string `name:"nats-password-file" help:"File with the password of --nats-user." placeholder:"FILE" env:"HEADWAY_NATS_PASSWORD_FILE"`
	TokenFile    string `name:"nats-token-file" help:"File with a token for NATS." placeholder:"FILE" env:"HEADWAY_NATS_TOKEN_FILE"`
	CAFile       string `name:"nats-ca-file" help:"CA certificates (PEM) for the NATS server's TLS, instead of the system's." placeholder:"FILE" env:"HEADWAY_NATS_CA_FILE"`
	CertFile     string `name:"nats-cert-file" help:"Client certificate (PEM) for a NATS server that requires one." placeholder:"FILE" env:"HEADWAY_NATS_CERT_FILE"`
	KeyFile      string `name:"nats-key-file" help:"Key of the client certificate (PEM)." placeholder:"FILE" env:"HEADWAY_NATS_KEY_FILE"`
}

// Given reports whether any of the flags was given.
func (l NATSLogin) Given() bool { return l != NATSLogin{} }

// Options are those of a NATS client of this name at an address. Errors name the flag, never what is in a file.
//
// Answers come in inboxes of the user's name, else of the program's. So a user need not be allowed to read what others are sent.
func (l NATSLogin) Options(address, name string) ([]nats.Option, error) {
	ways := 0
	for _, way := range []string{l.CredsFile, l.NKeyFile, l.User + l.PasswordFile, l.TokenFile} {
		if way != "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return nil, errors.New("--nats-creds-file, --nats-nkey-file, --nats-user and --nats-token-file: only one of them may be given")
	case ways > 0 && hasUser(address):
		return nil, errors.New("--nats-url: contains credentials, which would win over those in files: give the address without them")
	case (l.User == "") != (l.PasswordFile == ""):
		return nil, errors.New("--nats-user and --nats-password-file: must be given together")
	case (l.CertFile == "") != (l.KeyFile == ""):
		return nil, errors.New("--nats-cert-file and --nats-key-file: must be given together")
	}
	// A refused credential may have been replaced meanwhile, so the client must not give up after the second refusal.
	out := []nats.Option{nats.Name(name), nats.IgnoreAuthErrorAbort()}
	if of := cmp.Or(l.User, name); of != "" {
		out = append(out, nats.CustomInboxPrefix("_INBOX."+token(of)))
	}
	for _, f := range []struct {
		flag, name string
		option     func() (nats.Option, error)
	}{
		{"--nats-creds-file", l.CredsFile, func() (nats.Option, error) { return nats.UserCredentials(l.CredsFile), nil }},
		{"--nats-nkey-file", l.NKeyFile, func() (nats.Option, error) { return nats.NkeyOptionFromSeed(l.NKeyFile) }},
		{"--nats-password-file", l.PasswordFile, func() (nats.Option, error) {
			return nats.UserInfoHandler(func() (user, password string) { return l.User, content(l.PasswordFile) }), nil
		}},
		{"--nats-token-file", l.TokenFile, func() (nats.Option, error) {
			return nats.TokenHandler(func() string { return content(l.TokenFile) }), nil
		}},
		{"--nats-ca-file", l.CAFile, func() (nats.Option, error) {
			_, err := pool(l.CAFile)
			return nats.ClientTLSConfig(nil, func() (*x509.CertPool, error) { return pool(l.CAFile) }), err
		}},
		{"--nats-cert-file, --nats-key-file", l.CertFile, func() (nats.Option, error) {
			_, err := tls.LoadX509KeyPair(l.CertFile, l.KeyFile)
			return nats.ClientCert(l.CertFile, l.KeyFile), err
		}},
	} {
		if f.name == "" {
			continue
		}
		_, err := secret(f.name)
		var option nats.Option
		if err == nil {
			option, err = f.option()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.flag, bare(err))
		}
		out = append(out, option)
	}
	return out, nil
}

// token is a name as a part of a subject.
func token(name string) string {
	return strings.Map(func(r rune) rune {
		if r > '~' || strings.ContainsRune(" .*>\t\r\n", r) {
			return '-'
		}
		return r
	}, name)
}

// hasUser reports whether an address, or one of several, contains a user or a token.
func hasUser(addresses string) bool {
	for one := range strings.SplitSeq(addresses, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil && u.User != nil {
			return true
		}
	}
	return false
}

// RedisLogin are the flags with which a program shows itself to Redis. Every file is read again for each connection.
type RedisLogin struct {
	User         string `name:"redis-user" help:"ACL user at Redis, with --redis-password-file." placeholder:"USER" env:"HEADWAY_REDIS_USER"`
	PasswordFile string `name:"redis-password-file" help:"File with the password for Redis." placeholder:"FILE" env:"HEADWAY_REDIS_PASSWORD_FILE"`
	CAFile       string `name:"redis-ca-file" help:"CA certificates (PEM) for the TLS of a rediss:// server, instead of the system's." placeholder:"FILE" env:"HEADWAY_REDIS_CA_FILE"`
	CertFile     string `name:"redis-cert-file" help:"Client certificate (PEM) for a rediss:// server that requires one." placeholder:"FILE" env:"HEADWAY_REDIS_CERT_FILE"`
	KeyFile      string `name:"redis-key-file" help:"Key of the client certificate (PEM)." placeholder:"FILE" env:"HEADWAY_REDIS_KEY_FILE"`
}

// Given reports whether any of the flags was given.
func (l RedisLogin) Given() bool { return l != RedisLogin{} }

// Address is what a --redis-url names, with these credentials. Errors name the flag, never what is in a file or in the address.
func (l RedisLogin) Address(address string) (RedisAddress, error) {
	a, err := ParseRedis(address)
	if err == nil {
		err = l.add(&a)
	}
	return a, err
}

// add adds the credentials to the options of each server.
func (l RedisLogin) add(a *RedisAddress) error {
	o := a.Options
	switch {
	case l.PasswordFile != "" && (o.Password != "" || o.Username != ""):
		return errors.New("--redis-url: contains credentials: give either them or --redis-password-file")
	case l.User != "" && l.PasswordFile == "":
		return errors.New("--redis-user and --redis-password-file: must be given together")
	case (l.CertFile == "") != (l.KeyFile == ""):
		return errors.New("--redis-cert-file and --redis-key-file: must be given together")
	case (l.CAFile != "" || l.CertFile != "") && o.TLSConfig == nil:
		return errors.New("--redis-ca-file, --redis-cert-file: are for TLS: the address must begin with rediss://")
	}
	o.DisableIdentity = true // what it would send needs a right that Redis before 7.2 doesn't know
	if l.PasswordFile != "" {
		if _, err := secret(l.PasswordFile); err != nil {
			return fmt.Errorf("--redis-password-file: %w", bare(err))
		}
		o.CredentialsProviderContext = func(context.Context) (user, password string, err error) {
			password, err = secret(l.PasswordFile)
			return l.User, password, err
		}
	}
	if o.TLSConfig == nil {
		return nil
	}
	server := o.TLSConfig
	server.MinVersion = tls.VersionTLS12
	if _, err := l.tls(server); err != nil {
		return err
	}
	o.TLSConfig = nil // the dialer encrypts
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := l.tls(server)
		if err != nil {
			return nil, err
		}
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: cmp.Or(o.DialTimeout, 5*time.Second), KeepAlive: 5 * time.Minute}, Config: config}
		return d.DialContext(ctx, network, address)
	}
	return nil
}

// tls is a configuration with what is in the files.
func (l RedisLogin) tls(server *tls.Config) (*tls.Config, error) {
	config := server.Clone()
	return config, AddFiles(config, "--redis-", l.CAFile, l.CertFile, l.KeyFile)
}

// AddFiles adds to the configuration of a client the authorities that it trusts, and the certificate that it shows, from files (PEM) of
// which none has to be given. Errors name the flags, which begin with prefix.
func AddFiles(config *tls.Config, prefix, caFile, certFile, keyFile string) error {
	if caFile != "" {
		roots, err := pool(caFile)
		if err != nil {
			return fmt.Errorf("%sca-file: %w", prefix, bare(err))
		}
		config.RootCAs = roots
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("%scert-file, %skey-file: %w", prefix, prefix, bare(err))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return nil
}

var errEmptyFile = errors.New("is empty")

// secret is the content of a file, without the line break at its end.
func secret(name string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return "", fmt.Errorf("%s %w", name, errEmptyFile)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// content is a secret for a client that can't be told of an error. The server refuses an empty one, and the client tries again.
func content(name string) string {
	text, err := secret(name)
	if err != nil {
		return ""
	}
	return text
}

func pool(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", name)
	}
	return roots, nil
}

// bare returns an error of reading a file without the name of the operation. The messages of the standard library and of nkeys contain
// no content.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}
