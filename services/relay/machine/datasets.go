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

// dataFacts returns what the datasets of a job tell. Rows count as documents only where it is clear of what: of the tier that is named by
// the datasets' names, or of the job if it has a single dataset. Then they are the job's, so that what the pipeline itself counts
// in the tier comes first. Everything else is shown apart, as stages.
func (n *session) dataFacts(e *entry, sets []rayapi.Dataset, now time.Time) (out []fact) {
	type sum struct {
		done, total int64
		all         bool
		at          time.Time
	}
	named := map[int]*sum{}
	apart := map[int]bool{} // tiers of which a dataset counts no rows
	for i := range sets {
		d := &sets[i]
		have := n.advance(e, d)
		tier, at := e.tierOf(d), e.upTo(now)
		if d.State == "FINISHED" && !d.Ended().IsZero() {
			at = d.Ended()
		}
		if f, ok := bottleneckFact(tier, e.place.Attempt, d, at); ok {
			out = append(out, f)
		}
		_, byName := tierByName(d.Name)
		switch {
		case !have.rows:
			apart[tier] = true
			out = append(out, stageFact(&client.Stage{TierNum: tier, Attempt: e.place.Attempt, Stage: cut(d.Name), Component: component, Unit: "tasks", Count: have.done}, d.Name, at))
		case byName:
			t := named[tier]
			if t == nil {
				t = &sum{all: true}
				named[tier] = t
			}
			t.done, t.total, t.all, t.at = t.done+have.done, t.total+have.total, t.all && have.total > 0, latest(t.at, at)
		case len(sets) == 1:
			out = append(out, e.rowsFact(have, at))
		default:
			out = append(out, stageFact(&client.Stage{TierNum: tier, Attempt: e.place.Attempt, Stage: cut(d.Name), Component: component, Unit: "rows", Count: have.done}, d.Name, at))
		}
	}
	for tier, t := range named {
		if apart[tier] { // rows and tasks can't be added: wait until all datasets know their rows
			continue
		}
		data := &client.Tier{TierNum: tier, Attempt: e.place.Attempt, Processed: &t.done}
		if t.all {
			data.Total = &t.total
		}
		out = append(out, fact{"data-" + strconv.Itoa(tier) + "-rows-" + strconv.FormatInt(t.done, 10), t.at, data})
	}
	return out
}

// component is what the relay calls Ray Data in stages.
const component = "ray.data"

// advance updates the greatest progress seen of a dataset.
func (n *session) advance(e *entry, d *rayapi.Dataset) *dataset {
	done, total, rows := progress(d)
	key := e.job.Submission + " " + d.Name
	have := n.data[key]
	if have == nil {
		have = &dataset{}
		n.data[key] = have
	}
	if rows && !have.rows { // progress was in tasks until now; rows are counted from scratch
		have.done, have.total, have.rows = 0, 0, true
	}
	if rows == have.rows {
		have.done, have.total = max(have.done, done), total
	}
	return have
}

// upTo is a moment that isn't later than the job's end.
func (e *entry) upTo(now time.Time) time.Time {
	if len(e.job.ends) > 0 && e.job.ends[0].at.Before(now) {
		return e.job.ends[0].at
	}
	return now
}

// rowsFact describes the rows of a job's only dataset as what the job has processed.
func (e *entry) rowsFact(d *dataset, at time.Time) fact {
	base := e.job.base(e.place, e.job.DashboardURL, Running)
	if e.job.Status().Terminal() {
		at = earliest(at, e.job.ends[0].at.Add(-time.Millisecond)) // a job that has ended runs no more
	}
	done, total := d.done, d.total
	base.Processed = &done
	if total > 0 {
		base.Total = &total
	}
	return fact{"rows-" + strconv.FormatInt(done, 10), at, base}
}

// bottleneckFact describes the operator that holds up the others as a stage, with the number of its finished tasks.
func bottleneckFact(tier, attempt int, d *rayapi.Dataset, at time.Time) (fact, bool) {
	o := bottleneck(d)
	if o == nil || o.Progress == nil || !(*o.Progress >= 0) {
		return fact{}, false
	}
	data := &client.Stage{TierNum: tier, Attempt: attempt, Stage: cut(o.ID), Component: component, Worker: cut(d.Name), Unit: "tasks", Count: int64(*o.Progress)}
	return stageFact(data, d.Name, at), true
}

func stageFact(data *client.Stage, dataset string, at time.Time) fact {
	id := sha256.Sum256([]byte(dataset + "\n" + data.Stage + "\n" + data.Unit))
	return fact{"stage-" + hex.EncodeToString(id[:4]) + "-" + strconv.FormatInt(data.Count, 10), at, data}
}
