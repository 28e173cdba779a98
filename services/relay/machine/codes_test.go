package machine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// report is what the autoscaler of version 1 says of a cluster whose nodes have these CPUs, of which so many are used.
func report(demands []rayapi.Demand, usage map[string][2]float64) rayapi.Autoscaler {
	a := rayapi.Autoscaler{At: epoch.Add(50 * time.Second), Demands: demands, Usage: map[string][2]float64{}, UsageByNode: map[string]map[string][2]float64{}}
	for node, u := range usage {
		a.UsageByNode[node] = map[string][2]float64{"CPU": u}
		all := a.Usage["CPU"]
		a.Usage["CPU"] = [2]float64{all[0] + u[0], all[1] + u[1]}
	}
	return a
}

// cpus is a node with so many CPUs, of which so many are free.
func cpus(id string, total, free float64) Node {
	return Node{ID: id, Total: Shape{"CPU": total}, Free: Shape{"CPU": free}, Labels: map[string]string{"ray.io/node-id": id}, Joined: epoch.Add(-time.Hour)}
}

func bundles(shapes ...Shape) (out []Bundle, sum Shape) {
	for _, s := range shapes {
		out = append(out, Bundle{Shape: s})
		sum = sum.plus(s)
	}
	return out, sum
}

var oneCPU = Shape{"CPU": 1}

// aGroup waits for a placement group of these bundles on two nodes of two CPUs each.
func aGroup(strategy, state string, shapes ...Shape) Moment {
	w := Wait{Submission: "j", Who: "placement group trainer", Group: "g1", Since: epoch, Strategy: strategy, State: state}
	w.Bundles, w.Shape = bundles(shapes...)
	return Moment{Now: epoch.Add(time.Minute), Nodes: []Node{cpus("a", 2, 2), cpus("b", 2, 2)}, Waits: []Wait{w}, Autoscaler: report(nil, map[string][2]float64{"a": {0, 2}, "b": {0, 2}})}
}

// aTask waits for a CPU, a minute after it began to, on a node of two CPUs that are all used.
func aTask(change func(*Moment)) Moment {
	m := Moment{
		Now: epoch.Add(time.Minute), Nodes: []Node{cpus("a", 2, 0)}, HeldAt: epoch.Add(50 * time.Second),
		Waits:      []Wait{{Submission: "j", Who: "task f", Shape: oneCPU, Since: epoch}},
		Autoscaler: report([]rayapi.Demand{{Shape: oneCPU, Count: 1}}, map[string][2]float64{"a": {2, 2}}),
	}
	change(&m)
	return m
}

func holds(submission string, over bool) Holder {
	h := Holder{Submission: submission, Job: "05000000", What: "actor A", Shape: Shape{"CPU": 2}, Node: "a", Over: over}
	if over {
		h.Ended = epoch.Add(-time.Minute)
	}
	return h
}

// Each situation has its cause, with who holds what and what would change it.
func TestCodes(t *testing.T) {
	for name, c := range map[string]struct {
		m      Moment
		code   string
		detail string
		fix    string
	}{
		"a label that no node has": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].Labels = nil, map[string]string{"zone": "moon"}
		}), labelsLack, "no live node has the label zone=moon; Ray ends it at 12:15:00Z", "ask without the label zone=moon"},
		"a label within ten seconds": {cause(func(m *Moment) {
			m.Now = m.Now.Add(-1)
			m.Waits[0].Shape, m.Waits[0].Labels = nil, map[string]string{"zone": "moon"}
		}), "", "zone=moon", ""},
		"a label, and another that will do": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].Labels = nil, map[string]string{"zone": "moon"}
			m.Waits[0].Fallback = []map[string]string{{"ray.io/node-id": "head"}}
		}), "-", "", ""},
		"a label and a shape that no node has": {cause(func(m *Moment) {
			m.Waits[0].Labels, m.Words = map[string]string{"zone": "moon"}, []rayapi.Word{word(7*time.Second, gpu)}
		}), tooLarge, "", "add a node with 1 GPU and the label zone=moon"},
		"more than any node has": {cause(func(m *Moment) {
			m.Waits[0].Shape = Shape{"CPU": 8}
			m.Words = []rayapi.Word{word(7*time.Second, map[string]float64{"CPU": 8})}
		}), tooLarge, "", "lower num_cpus to 2"},
		"no stock": {cause(func(m *Moment) {
			m.Autoscaler.Failures = []rayapi.Failure{{Type: "gpu", Category: "InsufficientInstanceCapacity", Detail: "no p4d in zone a", At: epoch.Add(5 * time.Second)}}
		}), nodeRefused, "no p4d in zone a", ""},
		"a refusal that no list of words has": {cause(func(m *Moment) {
			m.Autoscaler.Failures = []rayapi.Failure{{Type: "gpu", Category: "RESOURCE_EXHAUSTED", Detail: "grpc: received message larger than max", At: epoch.Add(5 * time.Second)}}
		}), nodeRefused, "larger than max", ""},
		"a quota": {cause(func(m *Moment) {
			m.Autoscaler.Failures = []rayapi.Failure{{Type: "gpu", Category: "VcpuLimitExceeded", At: epoch.Add(5 * time.Second)}}
		}), nodeQuota, "VcpuLimitExceeded", ""},

		"packed on one node":                         {aGroup("STRICT_PACK", "INFEASIBLE", oneCPU, oneCPU, oneCPU), groupLaid, "STRICT_PACK, all on one node: 3 × 1 CPU", "take PACK instead of STRICT_PACK"},
		"spread over more than there are":            {aGroup("STRICT_SPREAD", "INFEASIBLE", oneCPU, oneCPU, oneCPU), groupLaid, "each on a node of its own", "ask for 2 bundles instead of 3"},
		"infeasible, by a strategy that nobody told": {aGroup("", "INFEASIBLE", oneCPU, oneCPU), groupLaid, "2 × 1 CPU", ""},
		"a bundle that no node has":                  {aGroup("PACK", "INFEASIBLE", oneCPU, Shape{"CPU": 4}), groupLaid, "1 × 4 CPU", "add one more node with 4 CPU"},
		"a group being laid out":                     {aGroup("PACK", "SCHEDULING_STARTED", oneCPU, oneCPU), "-", "", ""},
		"a group whose node died":                    {aGroup("PACK", "RESCHEDULING", oneCPU), nodeLost, "node", ""},

		"others hold it":         {aTask(func(m *Moment) { m.Holders = []Holder{holds("other", false)} }), inUse, "held by other", "stop other, whose actor A holds 2 CPU"},
		"its own actors hold it": {aTask(func(m *Moment) { m.Holders = []Holder{holds("j", false)} }), inUseByItself, "held by itself", "let actor A end first"},
		"its own actors hold it, and tasks of it run": {aTask(func(m *Moment) {
			m.Holders, m.Moving = []Holder{holds("j", false)}, map[string]bool{"j": true}
		}), "-", "", ""},
		"tasks of others have it beside its own actors": {aTask(func(m *Moment) {
			h := holds("j", false)
			h.Shape = oneCPU
			m.Holders = []Holder{h}
		}), inUse, "held by itself", ""},
		"left behind by a job that is over": {aTask(func(m *Moment) { m.Holders = []Holder{holds("gone", true)} }), heldByFinished, "held by gone", "gone ended at 11:59:00Z"},
		"left behind, and others hold it too": {aTask(func(m *Moment) {
			left, other := holds("gone", true), holds("other", false)
			left.Shape, other.Shape = oneCPU, oneCPU
			m.Holders = []Holder{left, other}
		}), inUse, "held by gone, other", "stop other"},
		"nobody said who holds it": {aTask(func(m *Moment) { m.HeldAt = epoch.Add(-1) }), inUse, "all of it is in use", ""},
		"the limit of version 2": {aTask(func(m *Moment) {
			m.Autoscaler.V2 = true
			m.Words = []rayapi.Word{word(50*time.Second, oneCPU)}
		}), atLimit, "may launch no more", ""},
		"room for it, and no worker": {aTask(func(m *Moment) { m.Nodes[0].Free = oneCPU }), notStarted, "a node has room", ""},
		"room for it for a moment": {aTask(func(m *Moment) {
			m.Nodes[0].Free, m.Now = oneCPU, epoch.Add(59*time.Second)
		}), "-", "", ""},

		"an environment by Ray's word": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].RuntimeEnv, m.Waits[0].Says = nil, "py", "It may be waiting for the runtime environment to be set up."
		}), envBuilding, "runtime environment", ""},
		"an environment that failed": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].RuntimeEnv, m.Failed = nil, "pip", map[string]string{"pip": "no matching distribution"}
		}), envFailed, "no matching distribution", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(c.m)["j"]
			if c.code == "-" {
				if v.kind != "" {
					t.Errorf("%s %q, and nothing is in its way", v.code, v.detail)
				}
				return
			}
			if v.kind == "" || v.code != c.code || !strings.Contains(v.detail, c.detail) {
				t.Errorf("%q %q %q, want %q %q", v.kind, v.code, v.detail, c.code, c.detail)
			}
			if c.fix != "" && !slices.ContainsFunc(v.fixes, func(s string) bool { return strings.Contains(s, c.fix) }) {
				t.Errorf("fixes %q, want %q", v.fixes, c.fix)
			}
		})
	}
}
