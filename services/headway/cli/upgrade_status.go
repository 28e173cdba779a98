package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// UpgradeStatus is headway upgrade status.
type UpgradeStatus struct{ upgradeFlags }

// versionJSON is a version for programs.
type versionJSON struct {
	Identity  string    `json:"identity"`
	Fold      int       `json:"fold"`
	ThisLog   bool      `json:"this_log"`
	Serving   bool      `json:"serving"`
	Members   int       `json:"members"`
	Heartbeat time.Time `json:"last_heartbeat"`
	Batches   int64     `json:"batches"`

	Partitions int      `json:"partitions"`
	Complete   int      `json:"partitions_complete"`
	Events     *int64   `json:"events"` // of the log; null of another log's
	Folded     *int64   `json:"events_folded"`
	Rate       *float64 `json:"events_per_second"` // null while nothing is being folded, or it isn't known
	Left       *float64 `json:"seconds_left"`

	rebuild viewstore.Rebuild
	ago     time.Duration
}

// paceOver is how long a rebuild is watched to tell its pace.
const paceOver = time.Second

// Run lists.
func (u *UpgradeStatus) Run(ctx context.Context, c *kong.Context) error {
	v, err := u.open(ctx, c)
	if err != nil {
		return err
	}
	defer v.close()
	own, others, now, err := v.known(ctx)
	if err != nil {
		return err
	}
	all := make([]versionJSON, 0, len(own)+len(others))
	building := false
	for _, k := range append(own, others...) {
		x, err := v.examine(ctx, k, now)
		if err != nil {
			return ExitError{Code: exitUnknown, Err: fmt.Errorf("--redis-url: %s", cause(err))}
		}
		building = building || x.building()
		all = append(all, x)
	}
	if building {
		if err := v.pace(ctx, all); err != nil {
			return err
		}
	}
	if u.JSON {
		out := json.NewEncoder(os.Stdout)
		for _, x := range all {
			if err := out.Encode(x); err != nil {
				return err
			}
		}
		return nil
	}
	return printVersions(v.log, all)
}

func (x *versionJSON) building() bool { return x.ThisLog && x.Members > 0 && !x.rebuild.Done() }

func (v *versions) examine(ctx context.Context, k viewstore.KnownVersion, now time.Time) (versionJSON, error) {
	x := versionJSON{
		Identity: k.Identity, Fold: k.Fold, ThisLog: k.Identity == v.log.Identity, Serving: k.Serving, Members: k.Members,
		Heartbeat: k.Heartbeat.UTC(), Partitions: k.Partitions, ago: max(0, now.Sub(k.Heartbeat)),
	}
	store := v.store.Of(k)
	var err error
	if x.Batches, err = store.Batches(ctx); err != nil {
		return x, err
	}
	fences, err := store.Fences(ctx)
	if err != nil {
		return x, err
	}
	x.take(viewstore.RebuildOf(fences, v.log.First, v.log.Last))
	return x, nil
}

// take notes how far the views are folded.
func (x *versionJSON) take(r viewstore.Rebuild) {
	x.rebuild, x.Complete = r, r.Complete
	if !x.ThisLog {
		return
	}
	total, folded := int64(r.Total), int64(r.Folded)
	x.Events, x.Folded = &total, &folded
	if left := r.Left.Seconds(); r.Rate > 0 {
		x.Rate, x.Left = &r.Rate, &left
	}
}

// pace watches the rebuilds that are under way for a moment.
func (v *versions) pace(ctx context.Context, all []versionJSON) error {
	began := time.Now()
	select {
	case <-ctx.Done():
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	case <-time.After(paceOver):
	}
	for i := range all {
		x := &all[i]
		if !x.building() {
			continue
		}
		fences, err := v.store.WithFold(x.Fold).Fences(ctx)
		if err != nil {
			return ExitError{Code: exitUnknown, Err: fmt.Errorf("--redis-url: %s", cause(err))}
		}
		x.take(viewstore.RebuildOf(fences, v.log.First, v.log.Last).Since(x.rebuild, time.Since(began)))
	}
	return nil
}

func printVersions(log eventlog.Examined, all []versionJSON) error {
	w := tabwriter.NewWriter(os.Stdout, 2, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "LOG\tFOLD\tSERVES\tMEMBERS\tHEARTBEAT\tBATCHES\tSTATE")
	for _, x := range all {
		serves := "–"
		if x.Serving {
			serves = "yes"
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s ago\t%d\t%s\n", plain(x.Identity), x.Fold, serves, x.Members, span(x.ago.Seconds()), x.Batches, x.state())
	}
	if len(all) == 0 {
		_, _ = fmt.Fprintf(w, "%s\t–\t–\t0\t–\t0\tno ingest has run yet\n", plain(log.Identity))
	}
	return w.Flush()
}

// state is what a version does, in words.
func (x *versionJSON) state() string {
	r := x.rebuild
	text := fmt.Sprintf("%d of %d partitions complete", r.Complete, r.Partitions)
	if !r.Done() && x.ThisLog {
		text = fmt.Sprintf("%s, %d of %d events folded (%d %%)", text, int64(r.Folded), int64(r.Total), r.Percent())
	}
	if r.Rate > 0 && !r.Done() {
		text += fmt.Sprintf(", %.0f a second, about %s left", r.Rate, span(max(1, r.Left.Seconds())))
	}
	switch {
	case x.Members == 0 && !x.ThisLog:
		text += "; of another log, or of one that was deleted; no process folds it"
	case !x.ThisLog:
		text += "; of another log"
	case x.Members == 0:
		text += "; nobody folds it"
	}
	return text
}
