package machine

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/client"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// observations of one life, as all sources may tell of it: each with lags of its own, some things never.
func observations(t *rapid.T) []Observation {
	end := rapid.SampledFrom([]Status{Succeeded, Failed, Stopped}).Draw(t, "end")
	submitted := epoch
	started := submitted.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "start")) * time.Millisecond)
	ended := started.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "end after")) * time.Millisecond)
	exit := rapid.IntRange(0, 3).Draw(t, "exit code")
	o := func(source string) Observation {
		return Observation{Cluster: "c", Session: "s", Submission: "j", Source: source}
	}
	var out []Observation
	add := func(x Observation) { out = append(out, x) }
	for i := range rapid.IntRange(1, 4).Draw(t, "polls") {
		x := o("api")
		x.SubmittedAt, x.Metadata = submitted, map[string]string{"headway.batch_id": "b", "headway.tier": "1"}
		at := submitted.Add(time.Duration(i*rapid.IntRange(1, 4000).Draw(t, "poll at")) * time.Millisecond)
		switch {
		case at.Before(started):
			x.Status, x.At = Pending, submitted
		case at.Before(ended):
			x.Status, x.At, x.SeenBy, x.JobID = Running, at, true, "01000000"
		default:
			x.Status, x.EndedAt, x.ExitCode, x.ErrorType = end, ended, &exit, "E"
		}
		add(x)
	}
	last := o("api")
	last.Status, last.SubmittedAt, last.EndedAt, last.ExitCode, last.ErrorType, last.Message = end, submitted, ended, &exit, "E", "m"
	last.Metadata = map[string]string{"headway.batch_id": "b", "headway.tier": "1"}
	add(last)
	for _, s := range []struct {
		status Status
		at     time.Time
	}{{Pending, submitted.Add(time.Millisecond)}, {Running, started}} {
		x := o("events")
		x.Status, x.At = s.status, s.at
		add(x)
	}
	x := o("export")
	x.Status, x.EndedAt, x.Message = end, ended, "m"
	add(x)
	driver := o("events")
	driver.JobID, driver.DriverAt, driver.JobName = "02000000", started.Add(time.Millisecond), "n"
	add(driver)
	if rapid.Bool().Draw(t, "forgotten for a while") {
		x := o("api")
		x.Forgotten, x.At, x.Evidence = true, started, "gone"
		add(x)
	}
	return out
}

func joined(seen []Observation) *Job {
	j := &Job{Session: "s", Submission: "j"}
	for _, o := range seen {
		j.Join(o)
	}
	return j
}

func factsOf(t interface{ Fatal(...any) }, j *Job) string {
	var all []string
	for _, f := range j.facts(Place{Namespace: "n", Batch: "b", Tier: 1}, "") {
		b, err := json.Marshal(f.data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(f.name, f.at, string(b)))
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

// The state is a function of the set of observations: of no order, of no number, of no source's lag.
func TestJobIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seen := observations(t)
		want := joined(seen)
		shuffled := rapid.Permutation(append(slices.Clone(seen), seen...)).Draw(t, "order")
		got := joined(shuffled)
		if !reflect.DeepEqual(got, want) || factsOf(t, got) != factsOf(t, want) {
			t.Fatalf("another order ends in another state:\n%+v\n%+v", got, want)
		}
	})
}

// Whatever subset of the sources tells, once one of them told the outcome it is the right one, and no later word moves it.
func TestJobNeverFlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seen := rapid.Permutation(observations(t)).Draw(t, "order")
		seen = seen[:rapid.IntRange(1, len(seen)).Draw(t, "how many")]
		j, rank := &Job{}, 0
		for _, o := range seen {
			j.Join(o)
			ranks := map[Status]int{"": 0, Pending: 1, Running: 2, Succeeded: 3, Failed: 3, Stopped: 3}
			if now := ranks[j.Status()]; now < rank {
				t.Fatalf("back to %q after %+v", j.Status(), o)
			} else {
				rank = now
			}
			if o.Status.Terminal() && j.Status() != o.Status {
				t.Fatalf("%s was told, and it is %s", o.Status, j.Status())
			}
		}
	})
}

// A driver that another source tells of late is not a newer one.
func TestJobTakesTheLatestDriver(t *testing.T) {
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	first := Observation{JobID: "09000000", DriverAt: at(1)}
	second := Observation{JobID: "0a000000", DriverAt: at(5)}
	late := Observation{JobID: "09000000", At: at(8), SeenBy: true, Status: Running}
	for _, order := range [][]Observation{{first, second, late}, {late, second, first}, {late, first, second}} {
		if id, since := joined(order).JobID(); id != "0a000000" || !since.Equal(at(5)) {
			t.Errorf("%s since %v", id, since)
		}
	}
}

func TestOrphanedYieldsToAnOutcome(t *testing.T) {
	gone := Observation{Forgotten: true, At: epoch.Add(time.Minute), Evidence: "the cluster was started again"}
	end := Observation{Status: Succeeded, EndedAt: epoch.Add(30 * time.Second)}
	j := joined([]Observation{gone})
	f := j.facts(Place{}, "")
	if j.Status() != Failed || len(f) != 1 {
		t.Fatalf("%s %v", j.Status(), f)
	}
	before := f[0].at
	j.Join(end)
	f = j.facts(Place{}, "")
	if j.Status() != Succeeded || !f[len(f)-1].at.After(before) {
		t.Errorf("%s, said at %v after %v: Headway would keep the earlier word", j.Status(), f[len(f)-1].at, before)
	}
}

// A supervisor that the memory monitor killed is told as what it was, whatever type Ray gives its end.
func TestASupervisorKilledForMemory(t *testing.T) {
	j := joined([]Observation{{
		Session: "s", Submission: "j", Source: "api", Status: Failed, At: epoch, ErrorType: "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
		Message: "Unexpected error occurred: 1 worker(s) were killed due to the node running low on memory. Memory on the node was 2 GB",
	}})
	facts := j.facts(Place{Namespace: "n", Batch: "b"}, "")
	if end := facts[len(facts)-1].data.(*client.Job); end.ErrorType != "NODE_OUT_OF_MEMORY" {
		t.Errorf("%s", end.ErrorType)
	}
}
