package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// keyed is a headway run with API keys, and the command line of somebody who uses it.
type keyed struct {
	*running
	binary string
	env    []string
	admin  string
}

func newKeyed(t *testing.T) *keyed {
	t.Helper()
	k := &keyed{binary: headway(t), env: []string{"HEADWAY_CONTEXTS=" + filepath.Join(t.TempDir(), "contexts.yaml")}}
	k.running = runHeadway(t, k.binary, t.TempDir(), "--access", "keys")
	// An administrator's key, as where the one that was shown at the start is lost.
	out, side, code := plainly(t, k.env, k.binary, "keys", "create", "--direct", "--nats-url", k.nats, "--namespace", "*", "--role", "admin", "--name", "admin")
	if k.admin = strings.TrimSpace(out); code != 0 {
		t.Fatalf("%d: %s", code, side)
	}
	eventually(t, 10*time.Second, "the key is known", func() error {
		if _, side, code := plainly(t, k.as(k.admin), k.binary, "whoami", "--url", k.api); code != 0 {
			return errors.New(side)
		}
		return nil
	})
	return k
}

func (k *keyed) as(key string) []string { return append([]string{"HEADWAY_TOKEN=" + key}, k.env...) }

// says runs the command line, and expects an exit code and words in what it prints.
func (k *keyed) says(env []string, code int, words string, args ...string) string {
	k.t.Helper()
	out, side, got := plainly(k.t, env, k.binary, args...)
	if got != code || !strings.Contains(out+side, words) {
		k.t.Errorf("%v: exit code %d, want %d and %q\n%s%s", args, got, code, words, out, side)
	}
	if strings.Contains(out+side, "Usage:") {
		k.t.Errorf("%v explains how to use it:\n%s%s", args, out, side)
	}
	return out
}

func (k *keyed) key(args ...string) string {
	k.t.Helper()
	return strings.TrimSpace(k.says(k.as(k.admin), 0, "hw_", append([]string{"keys", "create", "--url", k.api}, args...)...))
}

func (k *keyed) revoke(key string) {
	k.t.Helper()
	k.says(k.as(k.admin), 0, "", "keys", "revoke", "--url", k.api, idOf(key))
}

func idOf(key string) string { return strings.Split(key, "_")[1] }

func (k *keyed) login(key string, args ...string) (string, int) {
	k.t.Helper()
	cmd := exec.Command(k.binary, append([]string{"login", "--url", k.api}, args...)...)
	cmd.Env, cmd.Stdin = append(os.Environ(), k.env...), strings.NewReader(key+"\n")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		k.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func event(batch, id, status string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"test","type":"dev.headway.batch.v1","subject":%q,"time":%q,"data":{"status":%q,"total_tiers":1}}`,
		id, batch, time.Now().UTC().Format(time.RFC3339Nano), status)
}

func (k *keyed) publish(env []string, code int, words string, lines ...string) {
	k.t.Helper()
	file := filepath.Join(k.t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		k.t.Fatal(err)
	}
	k.says(env, code, words, "publish", file)
}

// TestLogin signs in, looks who one is, sends and reads; what is refused is told by name, and nothing is stored of it.
func TestLogin(t *testing.T) {
	k := newKeyed(t)
	both := k.key("--name", "nightly", "--namespace", "team-a", "--role", "reader", "--role", "writer")
	reader := k.key("--name", "wallboard", "--namespace", "team-a", "--namespace", "team-b", "--role", "reader")
	k.says(k.env, 3, "needs a credential (401): headway login --url ", "list", "--url", k.api)
	if out, code := k.login(both[:len(both)-1] + "0"); code != 3 && both[len(both)-1] != '0' {
		t.Errorf("a wrong key: %d %s", code, out)
	}
	if out, code := k.login("two words"); code != 80 || strings.Contains(out, "words") {
		t.Errorf("no key: %d %s", code, out)
	}
	if out, code := k.login(both, "--namespace", "elsewhere"); code != 3 || !strings.Contains(out, "team-a") {
		t.Errorf("a foreign namespace: %d %s", code, out)
	}
	k.says(k.env, 0, "No contexts: headway login", "contexts")
	if out, code := k.login(both, "--context", "a"); code != 0 || !strings.Contains(out, "reader and writer in team-a") || strings.Contains(out, both) {
		t.Fatalf("login: %d %s", code, out)
	}
	k.says(k.env, 0, "nightly", "whoami")
	var who struct {
		Context, URL, Namespace string
		Me                      client.Me
	}
	if err := json.Unmarshal([]byte(k.says(k.env, 0, "", "whoami", "--json")), &who); err != nil || who.Context != "a" || who.URL != k.api || who.Namespace != "team-a" || who.Me.ID != idOf(both) {
		t.Errorf("whoami: %+v, %v", who, err)
	}
	k.publish(k.env, 0, "2 events acknowledged, 0 refused", event("b", "1", "PROCESSING"), event("b", "2", "COMPLETED"))
	k.publish(k.env, 1, "line 2: type", event("c", "1", "PROCESSING"), strings.Replace(event("c", "2", "PROCESSING"), "batch.v1", "none.v1", 1))
	k.says(k.env, 0, "b  COMPLETED", "watch", "b", "--lines")
	k.says(k.env, 0, "PROCESSING", "get", "c")
	k.says(k.env, 3, "no batch none in the namespace team-a", "get", "none")
	k.says(k.env, 3, "This needs admin.", "keys", "list")
	k.says(k.env, 0, "may read the namespace team-a, send events to it; may not manage keys", "doctor", "--nats-url", k.nats)

	if out, code := k.login(reader, "--context", "r"); code != 0 || !strings.Contains(out, "no namespace") {
		t.Errorf("a key of several namespaces: %d %s", code, out)
	}
	k.says(k.env, 80, "--namespace: name one of those of the credential, which headway whoami --context r lists", "list")
	k.says(k.env, 0, "No such batch in the namespace team-b", "list", "--namespace", "team-b")
	k.says(k.env, 3, "its credential may not do this (403)", "publish", "--namespace", "team-a", docFile(t, event("b", "3", "PROCESSING")))
	k.says(k.env, 3, "--namespace: elsewhere isn't the credential's", "publish", "--context", "a", "--namespace", "elsewhere", docFile(t, event("b", "3", "PROCESSING")))
	x := openTerminal(t, 100, 30, k.env, k.binary, "login", "--url", k.api, "--context", "typed")
	x.shows("Key for " + k.api)
	x.press(reader + "\r")
	x.exits(0)
	if x.shows("wallboard"); strings.Contains(x.text(), idOf(reader)+"_") {
		t.Error("the terminal shows the key that was typed")
	}
	k.says(k.env, 0, "*", "contexts", "list")
	k.says(k.env, 0, "", "contexts", "use", "a")
	k.says(k.env, 0, `"current":true,`, "contexts", "--json")
	k.revoke(both)
	eventually(t, 10*time.Second, "the key is refused", func() error {
		if out, side, code := plainly(t, k.env, k.binary, "whoami"); code != 3 || !strings.Contains(side, "headway login --context a signs in again") {
			return fmt.Errorf("%d %s%s", code, out, side)
		}
		return nil
	})
	k.says(k.env, 1, "refused (credential_invalid)", "doctor", "--nats-url", k.nats)
	k.says(k.env, 0, "Removed the key from the context a.", "logout")
	k.says(k.env, 3, "needs a credential", "whoami")
	k.says(k.env, 80, `--context: there is no context "nope"`, "logout", "--context", "nope")
	k.says(k.env, 0, "", "contexts", "delete", "a")
	k.says(k.env, 80, `there is no context "a"`, "get", "b", "--context", "a")
}

func docFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// watching is a headway watch whose output can be looked at.
type watching struct {
	cmd  *exec.Cmd
	out  lines
	side lines
}

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (k *keyed) watch(args ...string) *watching {
	k.t.Helper()
	w := &watching{cmd: exec.Command(k.binary, append([]string{"watch", "--json"}, args...)...)}
	w.cmd.Env, w.cmd.Stdout, w.cmd.Stderr, w.cmd.SysProcAttr = append(os.Environ(), k.env...), &w.out, &w.side, endsWithUs()
	if err := w.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	return w
}

var statusOf = regexp.MustCompile(`"batch_id":"\w+"[^\n]*?"status":"(\w+)"`)

func (w *watching) statuses() (out []string) {
	for _, m := range statusOf.FindAllStringSubmatch(w.out.String(), -1) {
		if len(out) == 0 || out[len(out)-1] != m[1] {
			out = append(out, m[1])
		}
	}
	return out
}

// TestKeyRevokedUnderWatch revokes the key of two watches. The one whose context has a command goes on with the next key and loses
// nothing; the one with a fixed key ends with exit code 3, and says why.
func TestKeyRevokedUnderWatch(t *testing.T) {
	k := newKeyed(t)
	file := filepath.Join(t.TempDir(), "key")
	fresh := func() string {
		key := k.key("--name", "short-lived", "--namespace", "team-a", "--role", "reader", "--role", "writer")
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := fresh()
	if out, code := k.login("", "--context", "command", "--command", "cat "+file); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	k.publish(k.env, 0, "1 events acknowledged", event("b", "1", "PENDING"))
	if out, code := k.login(first, "--context", "fixed"); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	goesOn, ends := k.watch("b", "--context", "command"), k.watch("b", "--context", "fixed")
	shows := func(w *watching, want string) {
		t.Helper()
		eventually(t, 20*time.Second, want, func() error {
			if got := strings.Join(w.statuses(), " "); got != want {
				return fmt.Errorf("%s\n%s", got, w.side.String())
			}
			return nil
		})
	}
	shows(goesOn, "PENDING")
	shows(ends, "PENDING")

	fresh()
	k.revoke(first)
	if err := ends.cmd.Wait(); ends.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("the watch with a fixed key ended with %v\n%s", err, ends.side.String())
	}
	if said := ends.side.String(); !strings.Contains(said, "the context fixed: the API refused its credential (401): The credential was revoked") || !strings.Contains(said, "headway login --context fixed") {
		t.Errorf("it said\n%s", said)
	}
	k.env = append(k.env, "HEADWAY_CONTEXT=command")
	k.publish(k.env, 0, "1 events acknowledged", event("b", "2", "PROCESSING"))
	shows(goesOn, "PENDING PROCESSING")
	k.publish(k.env, 0, "1 events acknowledged", event("b", "3", "COMPLETED"))
	if err := goesOn.cmd.Wait(); err != nil {
		t.Errorf("the watch with a command ended with %v\n%s", err, goesOn.side.String())
	}
	shows(goesOn, "PENDING PROCESSING COMPLETED")
}

// TestLoginOverMutualTLS uses an API that only clients with a certificate of one's own authority reach: its files are part of a context.
func TestLoginOverMutualTLS(t *testing.T) {
	ca := headwaytest.NewCA(t)
	cert, key := ca.Pair("server")
	mine, myKey := ca.Pair("client")
	k := &keyed{binary: headway(t), env: []string{"HEADWAY_CONTEXTS=" + filepath.Join(t.TempDir(), "contexts.yaml")}}
	k.running = runHeadway(t, k.binary, t.TempDir(), "--access", "keys", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-ca-file", ca.File())
	out, side, code := plainly(t, k.env, k.binary, "keys", "create", "--direct", "--nats-url", k.nats, "--namespace", "team-a", "--role", "reader", "--role", "writer", "--name", "x")
	if code != 0 {
		t.Fatalf("%d: %s", code, side)
	}
	secret := strings.TrimSpace(out)
	if said, code := k.login(secret); code == 0 || !strings.Contains(said, "--ca-file") {
		t.Errorf("an authority that isn't known: %d %s", code, said)
	}
	if said, code := k.login(secret, "--ca-file", ca.File()); code == 0 {
		t.Errorf("without a certificate: %s", said)
	}
	if said, code := k.login(secret, "--ca-file", ca.File(), "--cert-file", mine); code != 80 || !strings.Contains(said, "must be given together") {
		t.Errorf("without a key: %d %s", code, said)
	}
	eventually(t, 10*time.Second, "signed in", func() error {
		if said, code := k.login(secret, "--ca-file", ca.File(), "--cert-file", mine, "--key-file", myKey); code != 0 {
			return errors.New(said)
		}
		return nil
	})
	k.publish(k.env, 0, "1 event", event("b", "1", "PROCESSING"))
	k.says(k.env, 0, "team-a", "whoami")
	eventually(t, 10*time.Second, "the batch is listed", func() error {
		if out, side, code := plainly(t, k.env, k.binary, "list"); code != 0 || !strings.Contains(out, "b ") {
			return fmt.Errorf("%d %s%s", code, out, side)
		}
		return nil
	})
}
