package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Whatever was recorded of a run, in any order, any number of times, from any of the sources, Headway shows the same job in the end.
func TestAnyOrderShowsTheSame(t *testing.T) {
	for _, name := range []string{"success_with_tasks", "two_drivers", "stopped_while_pending", "snake_case", "autoscaler_infeasible_tasks_v1"} {
		rec := record(t, name)
		var inputs []func(*Relay) error
		for _, p := range rec.Posts {
			body, err := json.Marshal(p.Events)
			if err != nil {
				t.Fatal(err)
			}
			inputs = append(inputs, func(r *Relay) error { return r.receive(context.Background(), body) })
		}
		c := &cluster{name: "c"}
		for _, a := range rec.Rest {
			var j rayapi.Job
			if a.Path != "/api/jobs/"+rec.Submitted[0].ID || a.Status != http.StatusOK || json.Unmarshal(a.Body, &j) != nil {
				continue
			}
			o := c.observation(&j, rec.Session, rec.at(a.At))
			inputs = append(inputs, func(r *Relay) error { return r.tracker.observe(context.Background(), o) })
		}
		end := len(inputs) - 1 // the last answer has the outcome
		shown := func(fatal func(...any), order []int) string {
			b := newBook(t, func() time.Time { return rec.at(rec.end() + 1) })
			r, err := New(Options{Publisher: b, Now: b.now})
			if err != nil {
				fatal(err)
			}
			for _, i := range order {
				if err := inputs[i](r); err != nil {
					fatal(err)
				}
			}
			j := b.job(t, "demo/btch_1", rec.Submitted[0].ID)
			delete(j, "waiting_on")
			return fmt.Sprint(j)
		}
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				subset := rapid.SliceOfN(rapid.IntRange(0, end), 0, 2*len(inputs)).Draw(t, "inputs")
				subset = append(subset, end)
				want := shown(t.Fatal, subset)
				if got := shown(t.Fatal, rapid.Permutation(append(subset, subset...)).Draw(t, "order")); got != want {
					t.Fatalf("another order shows another job:\n%s\n%s", got, want)
				}
			})
		})
	}
}
