package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"
	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/buildinfo"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/headway/bundle"
	"github.com/headwayhq/headway/services/headway/doctor"
)

// collector takes the parts of a bundle. What several parts need is opened once.
type collector struct {
	*Bundle
	k         *kong.Context
	namespace string

	nc       *nats.Conn
	store    *versions
	found    map[string]string // of headway_build_info, by whose /metrics said it
	snapshot json.RawMessage
}

func (c *collector) close() {
	if c.nc != nil {
		c.nc.Close()
	}
	if c.store != nil {
		c.store.close()
	}
}

func (c *collector) parts() []bundle.Part {
	c.found = map[string]string{}
	out := []bundle.Part{
		{Name: "config.json", From: "flags, variables and headway.yaml of headway bundle", Take: func(context.Context) ([]byte, error) { return json.Marshal(settings(c.k)) }},
		{Name: "doctor.jsonl", From: "headway doctor --json", Take: c.doctor},
		{Name: "streams.json", From: "NATS: settings and state of the streams", Take: c.streams},
		{Name: "partitions.json", From: "Redis: fold versions, and the fence of each partition", Take: c.partitions},
		{Name: "metrics/api.txt", From: bare(c.URL) + "/metrics", Take: func(ctx context.Context) ([]byte, error) { return c.metrics(ctx, c.URL+"/metrics", true) }},
	}
	for i, from := range c.MetricsURL {
		out = append(out, bundle.Part{Name: fmt.Sprintf("metrics/%d.txt", i+1), From: bare(from), Take: func(ctx context.Context) ([]byte, error) { return c.metrics(ctx, from, false) }})
	}
	if c.Batch != "" {
		path := "/v1/analytics/performance/batches/" + url.PathEscape(c.Batch) + "/diagnostics"
		out = append(out,
			bundle.Part{Name: bundle.EventsName, From: "NATS: " + eventlog.EventsStream, Take: c.events},
			bundle.Part{Name: "batch/view.json", From: "Redis and " + eventlog.HistoryStream + ": what is kept of the batch, without its state", Take: c.view},
			bundle.Part{Name: "batch/diagnostics.json", From: "API: headway get --json", Take: func(ctx context.Context) ([]byte, error) {
				answer, err := c.ask(ctx, path)
				c.snapshot = answer
				return answer, err
			}},
			bundle.Part{Name: "batch/explanation.json", From: "API: headway explain --json", Take: func(ctx context.Context) ([]byte, error) { return c.ask(ctx, path+"/explain") }},
			bundle.Part{Name: "batch/timeline.json", From: "API: the timeline of batch/diagnostics.json", Take: c.timeline},
		)
	}
	return append(out, bundle.Part{Name: "versions.json", From: "this program, and what the parts before it said", Take: c.versions}) // last, as it needs them
}

func (c *collector) doctor(ctx context.Context) ([]byte, error) {
	o, err := c.options()
	if err != nil {
		return nil, said(err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	doctor.Examine(ctx, o, func(f doctor.Finding) { err = errors.Join(err, encoder.Encode(f)) })
	return out.Bytes(), err
}

var errNoNATS = errors.New("no address of NATS is known: give --nats-url")

func (c *collector) bus() (*nats.Conn, error) {
	if c.nc != nil {
		return c.nc, nil
	}
	if c.NATSURL == "" {
		return nil, errNoNATS
	}
	nc, err := c.connect("bundle")
	c.nc = nc
	return nc, said(err)
}

func (c *collector) streams(ctx context.Context) ([]byte, error) {
	nc, err := c.bus()
	if err != nil {
		return nil, err
	}
	var out struct {
		Server   string              `json:"server"`
		Settings []eventlog.Settings `json:"settings"`
		State    []eventlog.Examined `json:"state"`
		Covered  *eventlog.Covered   `json:"covered"`
	}
	out.Server = nc.ConnectedServerVersion()
	var failed []error
	if out.Settings, err = eventlog.ReadSettings(ctx, nc, eventlog.Wanted{}, access.Stream); err != nil {
		failed = append(failed, err)
	}
	if out.State, err = eventlog.Examine(ctx, nc); err != nil {
		failed = append(failed, err)
	}
	if covered, err := eventlog.ReadCovered(ctx, nc); err == nil {
		out.Covered = &covered
	} else {
		failed = append(failed, err)
	}
	text, err := json.Marshal(out)
	return text, errors.Join(append(failed, err)...)
}

// open connects to Redis, by the identity that the log has.
func (c *collector) open(ctx context.Context) (*versions, error) {
	if c.store != nil {
		return c.store, nil
	}
	if c.NATSURL == "" {
		return nil, errNoNATS
	}
	if c.RedisURL == "" {
		return nil, errors.New("no address of Redis is known: give --redis-url")
	}
	u := upgradeFlags{shared: c.shared, RedisURL: c.RedisURL, Redis: c.Redis, DataDir: c.DataDir, Timeout: c.Timeout}
	v, err := u.open(ctx, c.k)
	c.store = v
	return v, said(err)
}

// versionState is one fold version with its fences, by partition; null where there is none.
type versionState struct {
	Identity   string             `json:"identity"`
	Fold       int                `json:"fold"`
	ThisLog    bool               `json:"this_log"`
	Serving    bool               `json:"serving"`
	Members    int                `json:"members"`
	Heartbeat  time.Time          `json:"last_heartbeat"`
	Fences     []*viewstore.Fence `json:"fences"` // without their tokens
	Unreadable string             `json:"unreadable,omitempty"`
}

func (c *collector) partitions(ctx context.Context) ([]byte, error) {
	v, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	own, others, _, err := v.known(ctx)
	if err != nil {
		return nil, said(err)
	}
	out := []versionState{}
	for _, k := range append(own, others...) {
		x := versionState{Identity: k.Identity, Fold: k.Fold, ThisLog: k.Identity == v.log.Identity, Serving: k.Serving, Members: k.Members, Heartbeat: k.Heartbeat.UTC()}
		if x.Fences, err = v.store.Of(k).Fences(ctx); err != nil {
			x.Unreadable = cause(err)
		}
		out = append(out, x)
	}
	return json.Marshal(out)
}

// maxMetrics limits an answer of /metrics.
const maxMetrics = 64 << 20

var buildInfo = regexp.MustCompile(`(?m)^headway_build_info\{(.*)\} `)

// metrics reads the metrics of a program. The API gets the credential, others don't.
func (c *collector) metrics(ctx context.Context, from string, api bool) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, errors.New("--metrics-url: " + bare(from) + " isn't an address")
	}
	over := http.DefaultClient
	if api {
		if over, err = c.client(c.Timeout); err != nil {
			return nil, said(err)
		}
		if c.Namespace != "" {
			request.Header.Set("X-Namespace", c.Namespace)
		}
		if c.in.credential.token != nil {
			token, err := c.in.credential.token(ctx)
			if err != nil {
				return nil, said(err)
			}
			request.Header.Set("Authorization", "Bearer "+token)
		}
	}
	response, err := over.Do(request)
	if err != nil {
		return nil, errors.New(cause(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: with access control it needs the key of an operator; with --ops-listen it is served at another address: give --metrics-url", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxMetrics))
	if m := buildInfo.FindSubmatch(text); m != nil {
		c.found[bare(from)] = string(m[1])
	}
	return text, err
}

func (c *collector) encoded() string {
	id, _ := diagnostics.EncodeID(c.Batch) // it was checked
	return id
}

// log is the event log, if all of its streams are there: opening it would make those that aren't.
func (c *collector) eventLog(ctx context.Context) (*eventlog.Log, error) {
	nc, err := c.bus()
	if err != nil {
		return nil, err
	}
	all, err := eventlog.Examine(ctx, nc)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if errors.Is(s.Err, eventlog.ErrMissing) {
			return nil, fmt.Errorf("the stream %s doesn't exist, and nothing is made here", s.Name)
		}
	}
	return eventlog.Open(ctx, nc, eventlog.Config{})
}

func (c *collector) events(ctx context.Context) ([]byte, error) {
	l, err := c.eventLog(ctx)
	if err != nil {
		return nil, err
	}
	return bundle.Events(ctx, l, c.namespace, c.encoded(), c.MaxEvents)
}

// view says what is kept of the batch, without the state, which would have to be redacted.
func (c *collector) view(ctx context.Context) ([]byte, error) {
	var out struct {
		Redis      any `json:"redis"`
		Checkpoint any `json:"checkpoint"`
	}
	var failed []error
	if v, err := c.open(ctx); err != nil {
		failed = append(failed, err)
	} else if out.Redis, err = c.stored(ctx, v); err != nil {
		failed = append(failed, err)
	}
	if l, err := c.eventLog(ctx); err != nil {
		failed = append(failed, err)
	} else if k, err := l.LastCheckpoint(ctx, c.namespace, c.encoded()); err != nil {
		failed = append(failed, err)
	} else if k != nil {
		size := len(k.Value)
		k.Value = nil
		out.Checkpoint = map[string]any{"header": k, "bytes": size}
	}
	text, err := json.Marshal(out)
	return text, errors.Join(append(failed, err)...)
}

func (c *collector) stored(ctx context.Context, v *versions) (any, error) {
	serving, err := v.store.Serving(ctx)
	if err != nil {
		return nil, err
	}
	p := eventlog.Partition(c.namespace, c.encoded(), v.log.Partitions)
	fence, values, err := v.store.WithFold(serving.Fold).Load(ctx, p, nil, []viewstore.Key{{Namespace: c.namespace, Batch: c.encoded()}})
	if err != nil {
		return nil, err
	}
	out := map[string]any{"partition": p, "fold": serving.Fold, "fence": fence, "bytes": len(values[0].Bytes), "missing": values[0].Missing, "parts_apart": values[0].Apart}
	if values[0].Bytes != nil {
		if out["header"], err = diagnostics.ParseHeader(values[0].Bytes); err != nil {
			out["header"] = cause(err)
		}
	}
	return out, nil
}

func (c *collector) ask(ctx context.Context, path string) (json.RawMessage, error) {
	r, err := c.reader(nil)
	if err != nil {
		return nil, said(err)
	}
	var answer json.RawMessage
	if err := r.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return nil, said(c.failed(err, c.Batch))
	}
	return answer, nil
}

func (c *collector) timeline(context.Context) ([]byte, error) {
	var s struct{ Timeline json.RawMessage }
	if c.snapshot == nil {
		return nil, errors.New("there is no batch/diagnostics.json")
	}
	return s.Timeline, json.Unmarshal(c.snapshot, &s)
}

func (c *collector) versions(context.Context) ([]byte, error) {
	info := buildinfo.Read()
	out := map[string]any{
		"client":  map[string]any{"version": info.Version, "commit": info.Commit, "modified": info.Modified, "go": info.Go, "os": runtime.GOOS, "arch": runtime.GOARCH, "fold": diagnostics.FoldVersion},
		"servers": c.found, // by address, as headway_build_info says
	}
	if c.nc != nil {
		out["nats"] = c.nc.ConnectedServerVersion()
	}
	text, err := json.Marshal(out)
	if len(c.found) == 0 {
		err = errors.Join(err, errors.New("the version of the server: no /metrics could be read"))
	}
	return text, err
}

// setting is one that was given.
type setting struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
	From  string `json:"from"`
}

// settings are the flags of this run with where their values come from, other variables of Headway, and headway.yaml. Whoever writes them
// redacts them.
func settings(k *kong.Context) map[string]any {
	flags := []setting{}
	variables := map[string]string{}
	for _, f := range k.Flags() {
		by, from := rank(k, f.Name)
		value := f.Target.Interface()
		if by == notGiven && f.Target.IsZero() || f.Name == "help" || f.Name == "version" {
			continue
		}
		if by == notGiven {
			from = "default, context or what runs here"
		}
		if address, is := value.(string); is && strings.HasSuffix(f.Name, "url") {
			value = bare(address)
		}
		if isSecret := f.Name == "token"; isSecret {
			value = "[redacted]"
		}
		if f.Target.Kind() == reflect.Int64 {
			value = fmt.Sprint(value) // a duration as people write it
		}
		flags = append(flags, setting{f.Name, value, from})
	}
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "HEADWAY_") {
			if strings.HasSuffix(name, "_URL") {
				value = bare(value)
			}
			variables[name] = value
		}
	}
	return map[string]any{"flags": flags, "variables": variables, "headway.yaml": configured()}
}

// configured is what headway.yaml says; nil if there is none.
func configured() any {
	var values map[string]any
	text, err := os.ReadFile("headway.yaml")
	if err != nil || yaml.Unmarshal(text, &values) != nil {
		return nil
	}
	return values
}

// secrets are the values that this run knows to be secret: none of them may be in any file.
func (b *Bundle) secrets(ctx context.Context, k *kong.Context) []string {
	out := bundle.SecretsIn(settings(k))
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "HEADWAY_") {
			out = append(out, bundle.SecretsIn(map[string]any{name: value})...)
			out = append(out, inAddress(value)...)
		}
	}
	out = append(out, b.Token)
	if b.in.credential.token != nil {
		if token, err := b.in.credential.token(ctx); err == nil {
			out = append(out, token)
		}
	}
	for _, address := range append([]string{b.URL, b.NATSURL, b.RedisURL, b.Monitor}, b.MetricsURL...) {
		out = append(out, inAddress(address)...)
	}
	for _, name := range []string{b.TokenFile, b.KeyFile, b.NATS.PasswordFile, b.NATS.TokenFile, b.NATS.CredsFile, b.NATS.NKeyFile, b.NATS.KeyFile, b.Redis.PasswordFile, b.Redis.KeyFile} {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// inAddress are the password, or the token, of each address in a list.
func inAddress(addresses string) (out []string) {
	for one := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.User == nil {
			continue
		}
		if password, has := u.User.Password(); has {
			out = append(out, password)
		} else {
			out = append(out, u.User.Username())
		}
		for _, key := range []string{"sentinel_password"} {
			out = append(out, u.Query().Get(key))
		}
	}
	return out
}
