package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

const systemd = "../../../deployments/systemd"

// unit is what a test needs of a unit of systemd: all values of each setting.
type unit map[string][]string

// unitsOf reads all units of deployments/systemd, by name without ending.
func unitsOf(t *testing.T) map[string]unit {
	t.Helper()
	files, err := filepath.Glob(systemd + "/units/*.service")
	if err != nil || len(files) != 7 {
		t.Fatal(files, err)
	}
	out := map[string]unit{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		u := unit{}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(key, "#") {
				u[key] = append(u[key], value)
			}
		}
		if len(u["ExecStart"]) != 1 {
			t.Fatal(file, u)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".service")] = u
	}
	return out
}

// Each unit has at most 2.0 of systemd's ten points of exposure, and no line that systemd doesn't understand.
func TestUnits(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOTE: no systemd-analyze on this machine: the units were not judged")
	}
	root := t.TempDir()
	at := filepath.Join(root, "etc/systemd/system")
	if err := os.CopyFS(at, os.DirFS(systemd+"/units")); err != nil {
		t.Fatal(err)
	}
	// What units of a system without anything else refer to.
	for _, target := range []string{"sysinit", "basic", "shutdown", "network-online", "multi-user"} {
		must(t, os.WriteFile(filepath.Join(at, target+".target"), []byte("[Unit]\nDescription="+target+"\n"), 0o600))
	}
	must(t, os.MkdirAll(filepath.Join(root, "bin"), 0o755), os.WriteFile(filepath.Join(root, "bin/sh"), nil, 0o755))
	names := slices.Sorted(maps.Keys(unitsOf(t)))
	for name, u := range unitsOf(t) {
		program := filepath.Join(root, strings.Fields(u["ExecStart"][0])[0]) // which verify looks for
		must(t, os.MkdirAll(filepath.Dir(program), 0o755), os.WriteFile(program, nil, 0o755))
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", "--root="+root, name+".service").CombinedOutput()
		if err != nil {
			t.Errorf("%s is exposed too much: %v\n%s", name, err, out)
		}
		level := regexp.MustCompile(`exposure level for .*: ([0-9.]+)`).FindSubmatch(out)
		if level == nil {
			t.Fatalf("%s: %s", name, out)
		}
		t.Logf("%s: %s", name, level[1])
	}
	args := []string{"verify", "--root=" + root, "--man=false"}
	for _, name := range names {
		args = append(args, name+".service")
	}
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// machine is one of three that prepare.sh made files for, on an address of its own of the loopback network.
type machine struct {
	t     *testing.T
	host  string
	etc   string // what would be in its /etc/headway
	root  string
	bin   string
	units map[string]unit
	runs  map[string]*process
}

// place puts the directories of this machine in the place of those that systemd would use for a unit.
func (m *machine) place(name, text string) string {
	redis := func(program string) string {
		path, err := exec.LookPath(program)
		if err != nil {
			m.t.Fatal(err)
		}
		return path
	}
	return strings.NewReplacer(
		"%d", filepath.Join(m.root, "run", name), "%S", filepath.Join(m.root, "var"), "/etc/headway", m.etc, "/usr/local/bin", m.bin,
		"/usr/bin/redis-server", redis("redis-server"), "/usr/bin/redis-sentinel", redis("redis-sentinel"),
	).Replace(text)
}

// start does with a unit what systemd does: credentials, directories, ExecStartPre, ExecStart.
func (m *machine) start(name string) {
	m.t.Helper()
	u := m.units[name]
	credentials := m.place(name, "%d")
	must(m.t, os.RemoveAll(credentials), os.MkdirAll(credentials, 0o700))
	for _, c := range u["LoadCredential"] {
		id, from, _ := strings.Cut(c, ":")
		text, err := os.ReadFile(m.place(name, from))
		must(m.t, err, os.WriteFile(filepath.Join(credentials, id), text, 0o400))
	}
	for _, dir := range u["StateDirectory"] {
		must(m.t, os.MkdirAll(filepath.Join(m.root, "var", dir), 0o700))
	}
	dir := ""
	for _, d := range u["WorkingDirectory"] {
		dir = m.place(name, d)
	}
	for _, line := range u["ExecStartPre"] {
		cmd := exec.Command("/bin/sh", "-c", m.place(name, line))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			m.t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	p := m.runs[name]
	if p == nil {
		p = &process{t: m.t, name: name + " of " + m.host, args: strings.Fields(m.place(name, u["ExecStart"][0])), dir: dir}
		m.runs[name] = p
		m.t.Cleanup(func() {
			p.kill()
			if m.t.Failed() {
				m.t.Logf("%s said last:\n%s", p.name, p.tail.String())
			}
		})
	}
	p.start()
}

func (m *machine) startAll() {
	for _, name := range []string{"headway-nats", "headway-redis", "headway-sentinel", "headway-ingest", "headway-detector", "headway-api", "headway-relay"} {
		m.start(name)
	}
}

// powerCut ends everything on it at once.
func (m *machine) powerCut() {
	var all sync.WaitGroup
	for _, p := range m.runs {
		all.Go(p.kill)
	}
	all.Wait()
}

func (m *machine) get(port int, path, key string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+net.JoinHostPort(m.host, strconv.Itoa(port))+path, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	return asked(r)
}

func asked(r *http.Request) (string, error) {
	res, err := (&http.Client{Timeout: 5 * time.Second}).Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%d %s", res.StatusCode, text)
	}
	return string(text), err
}

// ready asks everything on it, as a person would after a restart.
func (m *machine) ready() error {
	var errs []error
	for name, port := range map[string]int{"api": 9090, "ingest": 9091, "detector": 9092} {
		if _, err := m.get(port, "/readyz", ""); err != nil {
			errs = append(errs, fmt.Errorf("%s of %s: %w", name, m.host, err))
		}
	}
	_, err := m.get(9093, "/livez", "") // it isn't ready, since no Ray cluster is there
	return errors.Join(append(errs, err)...)
}

// TestMachines runs what the units of deployments/systemd start, with what prepare.sh writes, as three machines: NATS with three replicas,
// Redis with sentinels, and all programs. Events sent to one machine are seen on another, also after the machine with the primary of
// Redis has lost its power, and when it is back. `make test-machines` runs it.
func TestMachines(t *testing.T) {
	if os.Getenv("HEADWAY_TEST_MACHINES") == "" {
		t.Skip("`make test-machines` runs this")
	}
	if _, err := exec.LookPath("redis-sentinel"); err != nil {
		t.Skip("NOTE: no redis-sentinel on this machine")
	}
	programs := build(t)
	if out, err := exec.Command("go", "build", "-o", filepath.Join(programs.dir, "relay"), "github.com/headwayhq/headway/services/relay/cmd/relay").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tool := headway(t)
	dir := t.TempDir()
	network := fmt.Sprintf("127.%d.%d.", 64+os.Getpid()%128, os.Getpid()/128%256) // so that other tests listen elsewhere
	hosts := []string{network + "1", network + "2", network + "3"}
	if out, err := exec.Command(systemd+"/prepare.sh", append([]string{dir}, hosts...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var machines []*machine
	for _, host := range hosts {
		m := &machine{t: t, host: host, etc: filepath.Join(dir, host), root: t.TempDir(), bin: programs.dir, units: unitsOf(t), runs: map[string]*process{}}
		relay := filepath.Join(m.etc, "relay.yaml")
		text, err := os.ReadFile(relay)
		must(t, err, os.WriteFile(relay, bytes.Replace(text, []byte("ray: []"), []byte("ray: ['http://127.0.0.1:1']"), 1), 0o600))
		machines = append(machines, m)
		m.startAll()
	}
	everythingReady := func(when string, machines ...*machine) {
		t.Helper()
		eventually(t, 90*time.Second, when, func() error {
			var errs []error
			for _, m := range machines {
				errs = append(errs, m.ready())
			}
			return errors.Join(errs...)
		})
	}
	everythingReady("everything is ready", machines...)

	operator := filepath.Join(dir, "secrets", "nats-operator")
	at := "nats://" + hosts[1] + ":4222,nats://" + hosts[2] + ":4222"
	verb := exec.Command(tool, "keys", "create", "--direct", "--nats-url", at, "--nats-user", "operator", "--nats-password-file", operator,
		"--namespace", "*", "--role", "admin", "--name", "me")
	var said bytes.Buffer
	verb.Stderr = &said
	made, err := verb.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	key := strings.TrimSpace(string(made))
	seen := func(batch string, from, on *machine) {
		t.Helper()
		eventually(t, 60*time.Second, batch+" is taken by "+from.host, func() error { return from.send(batch, key) })
		eventually(t, 60*time.Second, batch+" is seen on "+on.host, func() error {
			text, err := on.get(8080, "/v1/analytics/performance/batches/"+batch+"/diagnostics", key)
			if err == nil && !strings.Contains(text, `"PROCESSING"`) {
				err = errors.New(text)
			}
			return err
		})
	}
	seen("before", machines[0], machines[2])
	eventually(t, 30*time.Second, "three replicas", func() error { return replicated(t, at, operator) })

	// Sentinels that know no replica that follows give up, and try again only a minute later.
	for _, m := range machines[1:] {
		c := redis.NewSentinelClient(&redis.Options{Addr: m.host + ":26379", Password: secret(t, dir, "sentinel")})
		eventually(t, 60*time.Second, "the sentinel of "+m.host+" knows two replicas", func() error {
			replicas, err := c.Replicas(t.Context(), "headway").Result()
			following := slices.DeleteFunc(replicas, func(r map[string]string) bool { return r["flags"] != "slave" || r["master-link-status"] != "ok" })
			if err == nil && len(following) != 2 {
				err = fmt.Errorf("only %v follow", following)
			}
			return err
		})
		must(t, c.Close())
	}

	machines[0].powerCut()
	seen("while-one-is-away", machines[1], machines[2])
	everythingReady("the other two are ready", machines[1:]...)

	machines[0].startAll()
	everythingReady("all three are ready again", machines...)
	seen("after", machines[1], machines[0])
	eventually(t, 60*time.Second, "three replicas again", func() error { return replicated(t, at, operator) })
	primary := ""
	for _, m := range machines { // each server, by its own word
		c := redis.NewClient(&redis.Options{Addr: m.host + ":6379", Username: "operator", Password: secret(t, dir, "redis-operator")})
		eventually(t, 60*time.Second, "Redis of "+m.host+" knows its part", func() error {
			text, err := c.Info(t.Context(), "replication").Result()
			if err == nil && strings.Contains(text, "role:master") {
				primary = m.host
			} else if err == nil && !strings.Contains(text, "master_link_status:up") {
				err = errors.New(text)
			}
			return err
		})
		must(t, c.Close())
	}
	if primary == "" || primary == hosts[0] {
		t.Errorf("the primary is %q, which was to move from %s", primary, hosts[0])
	}
	// systemd stops with KillSignal, else with SIGTERM. Everything ends by itself then.
	for name, p := range machines[2].runs {
		stop := syscall.SIGTERM
		if slices.Contains(machines[2].units[name]["KillSignal"], "SIGUSR2") {
			stop = syscall.SIGUSR2
		}
		must(t, p.cmd.Process.Signal(stop))
	}
	for name, p := range machines[2].runs {
		select {
		case <-p.done:
		case <-time.After(50 * time.Second):
			t.Errorf("%s doesn't stop", name)
		}
	}
}

func (m *machine) send(batch, key string) error {
	event := fmt.Sprintf(`{"specversion":"1.0","id":"%[1]s","source":"test","type":"dev.headway.batch.v1","subject":"%[1]s","time":"%[2]s","data":{"status":"PROCESSING"}}`, batch, time.Now().UTC().Format(time.RFC3339Nano))
	r, err := http.NewRequest(http.MethodPost, "http://"+net.JoinHostPort(m.host, "8080")+"/v1/events", strings.NewReader(event))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/cloudevents+json")
	r.Header.Set("Authorization", "Bearer "+key)
	_, err = asked(r)
	return err
}

// replicated says what lacks until three servers have all events.
func replicated(t *testing.T, url, passwordFile string) error {
	password, err := os.ReadFile(passwordFile)
	must(t, err)
	nc, err := nats.Connect(url, nats.UserInfo("operator", strings.TrimSpace(string(password))))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	s, err := js.Stream(t.Context(), "HEADWAY_EVENTS")
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	if info.Config.Replicas != 3 || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
		return fmt.Errorf("%d replicas, %+v", info.Config.Replicas, info.Cluster)
	}
	for _, r := range info.Cluster.Replicas {
		if !r.Current || r.Offline {
			return fmt.Errorf("%s isn't current", r.Name)
		}
	}
	return nil
}

func secret(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "secrets", name))
	must(t, err)
	return strings.TrimSpace(string(text))
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
