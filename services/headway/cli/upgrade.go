package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/backend"
)

// Upgrade is headway upgrade.
type Upgrade struct {
	Status UpgradeStatus `cmd:"" default:"withargs" help:"List the fold versions of the views, and the progress of a rebuild."`
	Serve  UpgradeServe  `cmd:"" help:"Make a fold version the one whose verdicts are announced and whose views are read; also to go back to an older one."`
	Finish UpgradeFinish `cmd:"" help:"Remove the views of versions that neither serve nor are folded by a process."`
}

// upgradeFlags are what all of headway upgrade needs.
type upgradeFlags struct {
	shared
	RedisURL string             `name:"redis-url" group:"Where" help:"Redis server (default: that of the headway run with this data directory or --url, else redis://127.0.0.1:6379/0)." placeholder:"URL" env:"HEADWAY_REDIS_URL"`
	Redis    backend.RedisLogin `embed:"" group:"Where"`
	DataDir  string             `group:"Where" help:"Data directory of a headway run (default ${data_dir})." placeholder:"DIR" env:"HEADWAY_DATA_DIR"`
	Timeout  time.Duration      `help:"How long a server may take to answer, and a version to catch up." default:"5s"`
}

// versions is the event log as it stands and the views of its versions, of whatever fold.
type versions struct {
	log   eventlog.Examined
	store *viewstore.Store // of no fold version in particular
	close func()
}

func (u *upgradeFlags) open(ctx context.Context, k *kong.Context) (*versions, error) {
	d := Doctor{shared: u.shared, RedisURL: u.RedisURL, DataDir: u.DataDir}
	d.in.context = "" // it names neither NATS nor Redis
	d.find(k)
	u.shared, u.RedisURL = d.shared, d.RedisURL
	unknown := func(format string, args ...any) error {
		return ExitError{Code: exitUnknown, Err: fmt.Errorf(format, args...)}
	}
	nc, err := u.connect("upgrade")
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	limited, cancel := context.WithTimeout(ctx, u.Timeout)
	defer cancel()
	streams, err := eventlog.Examine(limited, nc)
	if err != nil {
		return nil, unknown("--nats-url: %s: %s", bare(u.NATSURL), cause(err))
	}
	v := &versions{}
	for _, s := range streams {
		if s.Name == eventlog.EventsStream {
			v.log = s
		}
	}
	if v.log.Identity == "" || v.log.Partitions == 0 {
		return nil, unknown("--nats-url: %s has no event log: is this the NATS that Headway uses?", bare(u.NATSURL))
	}
	address, err := u.Redis.Address(u.RedisURL)
	if err != nil {
		return nil, ExitError{Code: exitUsage, Err: err}
	}
	address.Options.ClientName = "headway-upgrade"
	c := address.Client()
	v.close = func() { _ = c.Close() }
	v.store, err = viewstore.Open(limited, viewstore.Options{Client: c, Identity: v.log.Identity, Partitions: v.log.Partitions})
	if err != nil {
		v.close()
		return nil, unknown("--redis-url: %s: %s", bare(u.RedisURL), cause(err))
	}
	return v, nil
}

// known lists all versions on the Redis, those of this log first.
func (v *versions) known(ctx context.Context) (own, others []viewstore.KnownVersion, now time.Time, err error) {
	all, now, err := v.store.Versions(ctx)
	if err != nil {
		return nil, nil, now, ExitError{Code: exitUnknown, Err: fmt.Errorf("--redis-url: %s", cause(err))}
	}
	for _, k := range all {
		if k.Identity == v.log.Identity {
			own = append(own, k)
		} else {
			others = append(others, k)
		}
	}
	return own, others, now, nil
}

// UpgradeServe is headway upgrade serve.
type UpgradeServe struct {
	upgradeFlags
	Fold int `required:"" help:"The fold version, as headway upgrade status lists it."`
}

// catchUpEvery is how often it is asked whether a version has caught up.
const catchUpEvery = 50 * time.Millisecond

// Run changes which version serves, once that one is complete and has come as far as the one that serves now.
func (u *UpgradeServe) Run(ctx context.Context, c *kong.Context) error {
	v, err := u.open(ctx, c)
	if err != nil {
		return err
	}
	defer v.close()
	refused := func(format string, args ...any) error {
		return ExitError{Code: exitNo, Err: fmt.Errorf(format, args...)}
	}
	own, _, _, err := v.known(ctx)
	if err != nil {
		return err
	}
	var wanted *viewstore.KnownVersion
	var there []string
	for i, k := range own {
		there = append(there, strconv.Itoa(k.Fold))
		if k.Fold == u.Fold {
			wanted = &own[i]
		}
	}
	switch {
	case wanted == nil:
		return refused("--fold: this log has no fold version %d, only: %s", u.Fold, strings.Join(there, ", "))
	case wanted.Serving:
		fmt.Fprintf(os.Stderr, "fold version %d serves already\n", u.Fold)
		return nil
	case wanted.Members == 0:
		return refused("nobody folds version %d, so its views aren't up to date: start an ingest of that version first", u.Fold)
	}
	store := v.store.WithFold(u.Fold)
	now, err := v.catchUp(ctx, store, u.Timeout)
	if err != nil {
		return err
	}
	got, err := store.Serve(ctx, now)
	if err != nil {
		return ExitError{Code: exitUnknown, Err: fmt.Errorf("--redis-url: %s", cause(err))}
	}
	if got.Fold != u.Fold {
		return refused("fold version %d started serving meanwhile: check headway upgrade status and try again", got.Fold)
	}
	fmt.Fprintf(os.Stderr, "fold version %d serves now, instead of %d\n", u.Fold, now.Fold)
	if got.Highest > u.Fold {
		fmt.Fprintf(os.Stderr, "no version up to %d takes over by itself any more, only with headway upgrade serve --fold; a newer one does\n", got.Highest)
	}
	return nil
}

// catchUp waits until a version has come as far as the one that serves.
func (v *versions) catchUp(ctx context.Context, store *viewstore.Store, within time.Duration) (now viewstore.Serving, err error) {
	limit := time.NewTimer(within)
	defer limit.Stop()
	now, err = store.Serving(ctx)
	var target []uint64
	if err == nil && now.Fold != 0 {
		var fences []*viewstore.Fence
		fences, err = store.WithFold(now.Fold).Fences(ctx)
		target = viewstore.Cursors(fences)
	}
	tick := time.NewTicker(catchUpEvery)
	defer tick.Stop()
	for err == nil {
		var fences []*viewstore.Fence
		if fences, err = store.Fences(ctx); err != nil {
			break
		}
		if viewstore.Covers(fences, target) {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
		case <-limit.C:
			return now, ExitError{Code: exitNo, Err: fmt.Errorf("fold version %d isn't there yet: %s", store.Fold(), viewstore.RebuildOf(fences, v.log.First, v.log.Last))}
		case <-tick.C:
		}
	}
	return now, ExitError{Code: exitUnknown, Err: fmt.Errorf("--redis-url: %s", cause(err))}
}

// UpgradeFinish is headway upgrade finish.
type UpgradeFinish struct {
	upgradeFlags
	OtherLogs bool `help:"Also remove views of other logs that no process folds. They may belong to another Headway that is stopped: it would build them again."`
}

type removedJSON struct {
	Identity string `json:"identity"`
	Fold     int    `json:"fold"`
	Removed  bool   `json:"removed"`
	Keys     int    `json:"keys"`
	Why      string `json:"why,omitempty"` // it was kept
}

// Run removes what neither serves nor is worked on. Exit code 1: something of this log had to be kept.
func (u *UpgradeFinish) Run(ctx context.Context, c *kong.Context) error {
	v, err := u.open(ctx, c)
	if err != nil {
		return err
	}
	defer v.close()
	own, others, _, err := v.known(ctx)
	if err != nil {
		return err
	}
	created, _, _ := strings.Cut(v.log.Identity, "_")
	kept, n := false, 0
	for _, k := range append(own, others...) {
		ours := strings.HasPrefix(k.Identity, created+"_") // also of a former incarnation of this log
		x := removedJSON{Identity: k.Identity, Fold: k.Fold}
		switch {
		case k.Identity == v.log.Identity && k.Serving:
			continue
		case !ours && !u.OtherLogs:
			x.Why = "of another log, or of one that was deleted; --other-logs removes it"
		case k.Identity == v.log.Identity && !serves(own):
			x.Why, kept = "no version of this log serves yet", true
		default:
			x.Keys, err = v.store.Remove(ctx, k)
			x.Removed = err == nil
			if errors.Is(err, viewstore.ErrAlive) {
				x.Why, err, kept = "somebody folds it: stop its ingest first", nil, kept || ours
			}
			if err != nil {
				return ExitError{Code: exitUnknown, Err: fmt.Errorf("--redis-url: %s", cause(err))}
			}
		}
		if err := u.print(x); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		fmt.Fprintln(os.Stderr, "Nothing to remove: the version that serves is the only one.")
	}
	if kept {
		return ExitError{Code: exitNo}
	}
	return nil
}

func serves(all []viewstore.KnownVersion) bool {
	for _, k := range all {
		if k.Serving {
			return true
		}
	}
	return false
}

func (u *UpgradeFinish) print(x removedJSON) (err error) {
	switch {
	case u.JSON:
		return json.NewEncoder(os.Stdout).Encode(x)
	case x.Removed:
		_, err = fmt.Fprintf(os.Stdout, "removed  %s fold version %d, %d keys\n", plain(x.Identity), x.Fold, x.Keys)
	default:
		_, err = fmt.Fprintf(os.Stdout, "kept     %s fold version %d: %s\n", plain(x.Identity), x.Fold, x.Why)
	}
	return err
}
