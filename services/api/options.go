package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	neturl "net/url"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/api/access"
)

// Publisher stores events. Publish returns the event's sequence once the log has acknowledged it;
// it may be called concurrently.
type Publisher interface {
	Publish(ctx context.Context, subject string, header nats.Header, data []byte) (uint64, error)
}

// Log is the event log as the api needs it.
type Log interface {
	Publisher
	Changes
	Eraser
	History
}

// Options of a Service. Log, Store, Policies and Partition are required.
type Options struct {
	Log       Log
	Store     *viewstore.Store
	Policies  Policies
	Partition func(namespace, batch string) int

	// Identity asks the log for the present stream identity. If it is set, a recreated stream is followed
	// within seconds; otherwise the identity stays that of the store.
	Identity func(context.Context) (string, error)

	// Finished returns the rows of the present history. If it is nil, only finished batches in Redis are listed.
	Finished func(context.Context) (*history.Rows, error)

	// Folds are the fold versions that can be read; the one that serves is read. Default: only that of the store.
	Folds []int

	// Beside has additional handlers for the same listener, by patterns of net/http. The api handles all other requests.
	Beside map[string]http.Handler

	// Keys say who may do what. If they are nil, everybody may do everything.
	Keys    *access.Keys
	Tickets *access.Tickets // for streams of browsers; may be nil
	// Provider signs people in to the dashboard; may be nil.
	Provider *access.Provider

	// NATS is the address that the empty dashboard shows in the command which attaches a Ray cluster; passwords are removed. With access
	// control nobody is told.
	NATS string

	Limits  Limits
	Push    push.Config
	Metrics *prometheus.Registry // default: one of its own, with Go's and the process's metrics
	Logger  *slog.Logger

	warning func() string // a warning in a positive answer of readyz; "" if there is none
}

// Limits of the api; zero values mean the defaults. Programs embed them as flags.
type Limits struct {
	Fresh        time.Duration `name:"fresh-within" help:"How far the views may lag behind the event log before the API stops saying that something doesn't exist." default:"30s" env:"HEADWAY_FRESH_WITHIN"`
	Body         int64         `name:"max-body" help:"Maximum bytes of one POST of events." default:"16777216" env:"HEADWAY_MAX_BODY"`
	Bodies       int64         `name:"max-bodies" help:"Maximum bytes of all POSTs of events in progress; a namespace may hold as much as is still free." default:"67108864" env:"HEADWAY_MAX_BODIES"`
	BodyProgress int64         `name:"body-progress" help:"Minimum bytes of an unfinished POST of events in each 10 s." default:"16384" env:"HEADWAY_BODY_PROGRESS"`

	LinkHosts []string `name:"link-host" help:"A host, or host:port, to which links of answers may lead, such as to Ray's dashboard; may be repeated. Without any, links lead to every host." placeholder:"HOST" env:"HEADWAY_LINK_HOST"`

	BasePath string `name:"base-path" help:"The path under which browsers reach the API and the dashboard behind a reverse proxy, such as /headway. The proxy may remove it or leave it." placeholder:"PATH" env:"HEADWAY_BASE_PATH"`

	FinishedRows int `name:"max-search" help:"How many finished batches one request for them looks at, at most; the answer says how far that was." default:"20000" env:"HEADWAY_MAX_SEARCH"`

	Heartbeat time.Duration `help:"How often a stream on which nothing happens carries a comment, up to 30s." default:"15s" env:"HEADWAY_HEARTBEAT"`

	Principal map[string]LimitSet `name:"principal-limit" placeholder:"NAME=N" help:"A limit of each API key, such as requests_per_second=100, or none instead of a number; may be repeated." env:"HEADWAY_PRINCIPAL_LIMIT"`
	Namespace map[string]LimitSet `name:"namespace-limit" placeholder:"[NAMESPACE/]NAME=N" help:"A limit of each namespace, such as events_per_second=5000, or of one, such as team-a/streams=100; may be repeated." env:"HEADWAY_NAMESPACE_LIMIT"`

	Events              int `kong:"-"` // per batch POST; default 1,000
	Streams             int `kong:"-"` // in total; default 20,000
	StreamsPerNamespace int `kong:"-"` // default 5,000
	WaitingPerNamespace int `kong:"-"` // streams of batches that nobody has heard of; default 1,000
	WaitingPerCaller    int `kong:"-"` // the same, of one address and credential; default 100
	StreamIDs           int `kong:"-"` // in ?ids=; default 100
	PastEvents          int `kong:"-"` // of a batch, up to a past moment that is asked for; default 1,000,000
	FinishedDays        int `kong:"-"` // of which finished batches can be listed or counted at once; default 400
	Changes             int `kong:"-"` // changes of health that are kept in memory for streams; default 4,096
}

func (l *Limits) fill() {
	orDefault(&l.Fresh, 30*time.Second)
	orDefault(&l.Body, 16<<20)
	orDefault(&l.Bodies, 64<<20)
	l.Bodies = max(l.Bodies, 2*(l.Body+perRequest)) // a single namespace must be able to send one whole body
	orDefault(&l.BodyProgress, 16<<10)
	orDefault(&l.Events, 1000)
	orDefault(&l.Streams, 20_000)
	orDefault(&l.StreamsPerNamespace, 5_000)
	orDefault(&l.WaitingPerNamespace, 1_000)
	orDefault(&l.WaitingPerCaller, 100)
	orDefault(&l.StreamIDs, 100)
	orDefault(&l.PastEvents, 1_000_000)
	orDefault(&l.FinishedRows, history.DefaultExamine)
	orDefault(&l.FinishedDays, 400)
	orDefault(&l.Changes, 4_096)
}

var basePaths = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// maxHeartbeat is well below the 45 s of silence that our clients take as the loss of a connection.
const maxHeartbeat = 30 * time.Second

// Check finds a setting that can't work.
func (l Limits) Check() error {
	if l.Heartbeat < 100*time.Millisecond || l.Heartbeat > maxHeartbeat {
		return fmt.Errorf("--heartbeat: must be from 100ms to %v", maxHeartbeat)
	}
	if l.BasePath != "" && (!basePaths.MatchString(l.BasePath) || strings.Contains(l.BasePath, "/.")) {
		return errors.New("--base-path: must be a path such as /headway, without a slash at its end")
	}
	for _, host := range l.LinkHosts {
		if u, err := neturl.Parse("//" + host); err != nil || host == "" || u.Host != host {
			return errors.New("--link-host: must be a host without scheme and path, such as ray.example.com or ray.example.com:8265")
		}
	}
	l.fill()
	_, err := newLimiter(&l, true)
	return err
}

func orDefault[N int | int64 | time.Duration](n *N, v N) {
	if *n <= 0 {
		*n = v
	}
}

// New creates the service. Serve Handler, and run Work beside it.
func New(o Options) *Service {
	v := newStoreViews(o.Store, o.Folds...)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.warning = v.unreadable
	return newService(o, o.Store.Partitions(), v, newStoreFeed(v, o.Partition, o.Identity, o.Logger))
}
