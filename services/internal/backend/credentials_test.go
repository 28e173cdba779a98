package backend

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func userKey(t *testing.T) (seed, public string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	text, err := pair.Seed()
	if err == nil {
		public, err = pair.PublicKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), public
}

// connects opens a connection as a program does, without waiting for one.
func connects(t *testing.T, url string, l NATSLogin) (*nats.Conn, error) {
	t.Helper()
	options, err := l.Options(url, "headway-test")
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(url, append(options, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}

// Each way to show oneself to NATS is accepted, and another secret of the same kind is refused.
func TestNATSLogins(t *testing.T) {
	seed, public := userKey(t)
	otherSeed, _ := userKey(t)
	creds, resolver := credentials(t)
	for name, c := range map[string]struct {
		conf        string
		right, left NATSLogin
	}{
		"password": {
			`authorization {users: [{user: ingest, password: "s3cret"}]}`,
			NATSLogin{User: "ingest", PasswordFile: write(t, "p", "s3cret\n")}, NATSLogin{User: "ingest", PasswordFile: write(t, "p", "other")},
		},
		"token": {`authorization {token: "s3cret"}`, NATSLogin{TokenFile: write(t, "t", "s3cret\n")}, NATSLogin{TokenFile: write(t, "t", "other")}},
		"nkey": {
			`authorization {users: [{nkey: ` + public + `}]}`,
			NATSLogin{NKeyFile: write(t, "n", seed+"\n")}, NATSLogin{NKeyFile: write(t, "n", otherSeed)},
		},
		"creds": {resolver, NATSLogin{CredsFile: write(t, "c", creds)}, NATSLogin{}},
	} {
		t.Run(name, func(t *testing.T) {
			server := headwaytest.NATSFrom(t, write(t, "nats.conf", c.conf))
			if _, err := connects(t, server.URL(), c.right); err != nil {
				t.Error(err)
			}
			if _, err := connects(t, server.URL(), c.left); !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("another secret: %v", err)
			}
		})
	}
}

// credentials returns a credentials file, and the configuration of a server that accepts it.
func credentials(t *testing.T) (creds, conf string) {
	t.Helper()
	pair := func(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		key, err := create()
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return key, public
	}
	encode := func(c jwt.Claims, by nkeys.KeyPair) string {
		text, err := c.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	operator, operatorKey := pair(nkeys.CreateOperator)
	account, accountKey := pair(nkeys.CreateAccount)
	_, systemKey := pair(nkeys.CreateAccount)
	user, userPublic := pair(nkeys.CreateUser)
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewOperatorClaims(operatorKey)
	claims.SystemAccount = systemKey
	file, err := jwt.FormatUserConfig(encode(jwt.NewUserClaims(userPublic), account), seed)
	if err != nil {
		t.Fatal(err)
	}
	return string(file), fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: {%s: %s, %s: %s}\n", encode(claims, operator),
		accountKey, encode(jwt.NewAccountClaims(accountKey), operator), systemKey, encode(jwt.NewAccountClaims(systemKey), operator))
}

// TLS with an authority of its own and with client certificates; and a password that was replaced is read with the next connection.
func TestNATSOverTLSWithARotatedPassword(t *testing.T) {
	ca := headwaytest.NewCA(t)
	cert, key := ca.Pair("server")
	clientCert, clientKey := ca.Pair("client")
	conf := func(password string) string {
		return fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify: true}\nauthorization {users: [{user: u, password: %q}]}\n", cert, key, ca.File(), password)
	}
	file, password := write(t, "nats.conf", conf("first")), write(t, "p", "first")
	server := headwaytest.NATSFrom(t, file)
	l := NATSLogin{User: "u", PasswordFile: password, CAFile: ca.File(), CertFile: clientCert, KeyFile: clientKey}
	nc, err := connects(t, server.URL(), l)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []NATSLogin{
		{User: "u", PasswordFile: password, CAFile: ca.File()}, {User: "u", PasswordFile: password, CertFile: clientCert, KeyFile: clientKey},
	} {
		if _, err := connects(t, server.URL(), left); err == nil {
			t.Errorf("connected with %+v", left)
		}
	}
	server.Shutdown()
	write(t, file, conf("second"))
	server.Restart()
	// The client is refused again and again, until the file has the new password.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		if nc.IsConnected() {
			t.Fatal("connected with the old password")
		}
	}
	write(t, password, "second")
	for deadline := time.Now().Add(30 * time.Second); !nc.IsConnected(); <-tick.C {
		if time.Now().After(deadline) || nc.IsClosed() {
			t.Fatalf("not connected with the new password: closed %v, %v", nc.IsClosed(), nc.LastError())
		}
	}
}

// Redis over TLS as an ACL user, with a password that is replaced.
func TestRedisLogin(t *testing.T) {
	ca := headwaytest.NewCA(t)
	cert, key := ca.Pair("server")
	clientCert, clientKey := ca.Pair("client")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	server := headwaytest.RedisChild(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File())
	set := func(password string) {
		t.Helper()
		if err := server.Client().Do(t.Context(), "ACL", "SETUSER", "ingest", "on", "resetpass", ">"+password, "+@all", "~*").Err(); err != nil {
			t.Fatal(err)
		}
	}
	ping := func(l RedisLogin, url string) error {
		a, err := l.Address(url)
		if err != nil {
			return err
		}
		a.Options.DialerRetries = 1
		c := a.Client()
		defer c.Close()
		return c.Ping(t.Context()).Err()
	}
	set("first")
	password := write(t, "p", "first\n")
	right := RedisLogin{User: "ingest", PasswordFile: password, CAFile: ca.File(), CertFile: clientCert, KeyFile: clientKey}
	if err := ping(right, "rediss://"+address); err != nil {
		t.Fatal(err)
	}
	for _, left := range []RedisLogin{
		{User: "ingest", PasswordFile: write(t, "p", "other"), CAFile: ca.File(), CertFile: clientCert, KeyFile: clientKey},
		{User: "ingest", PasswordFile: password, CAFile: ca.File()},
		{User: "ingest", PasswordFile: password, CertFile: clientCert, KeyFile: clientKey},
	} {
		if err := ping(left, "rediss://"+address); err == nil {
			t.Errorf("%+v was accepted", left)
		}
	}
	a, err := right.Address("rediss://" + address)
	if err != nil {
		t.Fatal(err)
	}
	c := a.Client()
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	set("second")
	write(t, password, "second")
	if err := server.Client().Do(t.Context(), "CLIENT", "KILL", "USER", "ingest").Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := c.Ping(t.Context()).Err()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with the new password: %v", err)
		}
	}
}

// Flags that contradict each other, and files that can't be used, are errors before anything is connected. They name the flag, and
// nothing that is secret.
func TestLoginsThatCantWork(t *testing.T) {
	const hidden = "hunter2"
	secretFile, empty := write(t, "s", hidden), write(t, "e", "\n")
	for want, l := range map[string]NATSLogin{
		"only one of them":       {TokenFile: secretFile, User: "u", PasswordFile: secretFile},
		"--nats-user and":        {User: "u"},
		"--nats-cert-file and":   {CertFile: secretFile},
		"--nats-creds-file: /no": {CredsFile: "/no/such"},
		"is empty":               {TokenFile: empty},
		"--nats-nkey-file: ":     {NKeyFile: secretFile},
		"--nats-ca-file: ":       {CAFile: secretFile},
		"--nats-cert-file, --":   {CertFile: secretFile, KeyFile: secretFile},
	} {
		err := Options{NATSURL: "nats://127.0.0.1", RedisURL: "redis://127.0.0.1", NATS: l, Name: "x"}.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if err := (Options{NATSURL: "nats://a:" + hidden + "@127.0.0.1", RedisURL: "redis://127.0.0.1", NATS: NATSLogin{TokenFile: secretFile}}).Validate(); err == nil ||
		!strings.Contains(err.Error(), "contains credentials") || strings.Contains(err.Error(), hidden) {
		t.Error(err)
	}
	for want, c := range map[string]struct {
		url string
		l   RedisLogin
	}{
		"contains credentials":    {"redis://:" + hidden + "@127.0.0.1", RedisLogin{PasswordFile: secretFile}},
		"--redis-user and":        {"redis://127.0.0.1", RedisLogin{User: "u"}},
		"begin with rediss":       {"redis://127.0.0.1", RedisLogin{CAFile: secretFile}},
		"--redis-ca-file: ":       {"rediss://127.0.0.1", RedisLogin{CAFile: secretFile}},
		"--redis-password-file: ": {"redis://127.0.0.1", RedisLogin{PasswordFile: "/no/such"}},
	} {
		err := Options{NATSURL: "nats://127.0.0.1", RedisURL: c.url, Redis: c.l}.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s, %+v: %v", want, c.l, err)
		}
	}
}

// A user with the sample's rights needs two more on a cluster, by which clients learn where keys are.
func TestLoginOnSeveralServers(t *testing.T) {
	password := write(t, "p", "secret\n")
	login := RedisLogin{User: "ingest", PasswordFile: password}
	for name, x := range map[string]struct {
		group *headwaytest.RedisGroup
		more  []any
	}{
		"sentinels": {headwaytest.RedisSentinels(t), nil},
		"cluster":   {headwaytest.RedisCluster(t, 3), []any{"+cluster|slots", "+command"}},
	} {
		for _, s := range x.group.Servers {
			rights := append([]any{"ACL", "SETUSER", "ingest", "on", ">secret", "~hw:*", "+ping", "+hello", "+client|setname", "+info", "+get", "+set"}, x.more...)
			if err := s.Client().Do(t.Context(), rights...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		a, err := login.Address(x.group.URL)
		if err != nil {
			t.Fatal(err)
		}
		c := a.Client()
		if err := usable(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, key := range []string{"hw:{a}", "hw:{b}", "hw:{c}"} {
			if err := c.Set(t.Context(), key, key, 0).Err(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := c.Get(t.Context(), key).Result(); err != nil || got != key {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
		if c.Set(t.Context(), "other", "1", 0).Err() == nil {
			t.Errorf("%s: the user's rights aren't in force", name)
		}
		_ = c.Close()
		login.PasswordFile = write(t, "q", "wrong")
		if a, err = login.Address(x.group.URL); err != nil {
			t.Fatal(err)
		}
		c = a.Client()
		if err := usable(t.Context(), c); err == nil || !strings.Contains(err.Error(), "--redis-password-file") {
			t.Errorf("%s: a wrong password is told as %v", name, err)
		}
		_ = c.Close()
		login.PasswordFile = password
	}
}
