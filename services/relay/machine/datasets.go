package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// dataset holds the greatest progress seen of one dataset, since Ray Data's numbers shrink when it fails.
type dataset struct {
	done, total int64
	rows        bool
}

// tierInName finds a tier in a dataset's name, as in tier0_extract.
var tierInName = regexp.MustCompile(`(?i)(?:^|[^a-z])tier[_-]?(\d{1,4})(?:[^0-9]|$)`)

// tierByName returns the tier that a dataset's name contains.
func tierByName(name string) (int, bool) {
	m := tierInName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// progress returns the progress of a dataset: in rows if Ray knows their total, else in tasks of the last operator.
func progress(d *rayapi.Dataset) (done, total int64, rows bool) {
	amount := func(p *float64) float64 {
		if p == nil || !(*p > 0) || *p > 1<<53 {
			return 0
		}
		return *p
	}
	p, t, r := amount(d.Progress), amount(d.Total), amount(d.Rows)
	switch {
	case r > 0 && t > 0:
		return int64(math.Round(min(1, p/t) * r)), int64(math.Round(r)), true
	case t > 0:
		return int64(p), int64(t), false
	}
	return int64(p), 0, false
}

// bottleneck returns the running operator with the most queued blocks, or nil if none has any.
func bottleneck(d *rayapi.Dataset) (op *rayapi.Operator) {
	for i := range d.Operators {
		o := &d.Operators[i]
		if o.State != "FINISHED" && o.Queued > 0 && (op == nil || o.Queued > op.Queued) {
			op = o
		}
	}
	return op
}

// Counted is the input for the datasets of a job: its progress by tier, and its operators as stages of their tiers.
type Counted struct {
	Session, Submission string
	Sets                []rayapi.Dataset
	At                  time.Time
}

func (in Counted) apply(s *State, out *Output) {
	n := s.sessions[in.Session]
	if n == nil || n.jobs[in.Submission] == nil {
		return
	}
	e := n.jobs[in.Submission]
	e.learn(in.Sets)
	s.due(out, e)
	if e.why != "" {
		return
	}
	for _, f := range n.dataFacts(e, in.Sets, in.At) {
		e.dueFact(out, f)
	}
}

// DataTold is the input that says that a job's datasets were requested after its end.
type DataTold struct{ Session, Submission string }

func (in DataTold) apply(s *State, _ *Output) {
	if n := s.sessions[in.Session]; n != nil && n.jobs[in.Submission] != nil {
		n.jobs[in.Submission].dataTold = true
	}
}

// learn sets the tier of a job that names none to the lowest tier of its datasets.
func (e *entry) learn(sets []rayapi.Dataset) {
	for i := range sets {
		if n, ok := tierByName(sets[i].Name); ok && (e.learned == nil || n < *e.learned) {
			e.learned = &n
		}
	}
}

// tierOf returns the tier of a dataset: that of its job, or the one in the dataset's name if the job names none.
func (e *entry) tierOf(d *rayapi.Dataset) int {
	if n, ok := tierByName(d.Name); ok && e.learned != nil {
		return n
	}
	return e.place.Tier
}

func (n *session) dataFacts(e *entry, sets []rayapi.Dataset, now time.Time) (out []fact) {
	type sum struct {
		done, total int64
		all         bool
		rows        int
		tasks       int
		at          time.Time
	}
	tiers := map[int]*sum{}
	for i := range sets {
		d := &sets[i]
		done, total, rows := progress(d)
		key := e.job.Submission + " " + d.Name
		have := n.data[key]
		if have == nil {
			have = &dataset{}
			n.data[key] = have
		}
		tier := e.tierOf(d)
		if rows && !have.rows { // progress was in tasks until now; rows are counted from scratch
			have.done, have.total, have.rows = 0, 0, true
		}
		if rows == have.rows {
			have.done, have.total = max(have.done, done), total
		}
		t := tiers[tier]
		if t == nil {
			t = &sum{all: true}
			tiers[tier] = t
		}
		t.done += have.done
		t.total += have.total
		t.all = t.all && have.total > 0
		if have.rows {
			t.rows++
		} else {
			t.tasks++
		}
		at := now
		if d.State == "FINISHED" && !d.Ended().IsZero() {
			at = d.Ended()
		}
		t.at = latest(t.at, at)
		if f, ok := bottleneckFact(tier, e.place.Attempt, d, at); ok {
			out = append(out, f)
		}
	}
	for tier, t := range tiers {
		if t.rows > 0 && t.tasks > 0 { // rows and tasks can't be added: wait until all datasets know their rows
			continue
		}
		data := &client.Tier{TierNum: tier, Attempt: e.place.Attempt, Processed: &t.done}
		if t.all {
			data.Total = &t.total
		}
		unit := "tasks"
		if t.rows > 0 {
			unit = "rows"
		}
		out = append(out, fact{"data-" + strconv.Itoa(tier) + "-" + unit + "-" + strconv.FormatInt(t.done, 10), t.at, data})
	}
	return out
}

// bottleneckFact describes the operator that holds up the others as a stage, with the number of its finished tasks.
func bottleneckFact(tier, attempt int, d *rayapi.Dataset, at time.Time) (fact, bool) {
	o := bottleneck(d)
	if o == nil || o.Progress == nil || !(*o.Progress >= 0) {
		return fact{}, false
	}
	data := &client.Stage{TierNum: tier, Attempt: attempt, Stage: cut(o.ID), Component: "ray.data", Worker: cut(d.Name), Count: int64(*o.Progress)}
	id := sha256.Sum256([]byte(d.Name + "\n" + o.ID))
	return fact{"stage-" + hex.EncodeToString(id[:4]) + "-" + strconv.FormatInt(data.Count, 10), at, data}, true
}
