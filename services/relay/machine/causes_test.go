package machine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// cause is a moment in which one job waits for a GPU that no node has, ten seconds after it began to.
func cause(change func(*Moment)) Moment {
	m := Moment{
		Now:   epoch.Add(10 * time.Second),
		Nodes: []Node{{ID: "head", Total: Shape{"CPU": 2}, Labels: map[string]string{"ray.io/node-id": "head"}, Joined: epoch.Add(-time.Hour)}},
		Waits: []Wait{{Submission: "j", Who: "entrypoint", Entrypoint: true, Shape: Shape{"GPU": 1}, Since: epoch}},
	}
	change(&m)
	return m
}

func word(at time.Duration, shape map[string]float64) rayapi.Word {
	return rayapi.Word{At: epoch.Add(at), Shapes: []map[string]float64{shape}}
}

func gpuNode(joined time.Duration) Node {
	return Node{ID: "gpu", Total: Shape{"CPU": 1, "GPU": 1}, Joined: epoch.Add(joined)}
}

var gpu = map[string]float64{"GPU": 1}

func TestJudge(t *testing.T) {
	inVain := rayapi.Autoscaler{
		At: epoch.Add(8 * time.Second), Usage: map[string][2]float64{"GPU": {1, 1}}, Demands: []rayapi.Demand{{Shape: gpu, Count: 1}},
	}
	for name, c := range map[string]struct {
		m          Moment
		kind       string
		infeasible string // unknown, true, false
		detail     string
	}{
		"fits no node":                {cause(func(*Moment) {}), "resources", "unknown", ""},
		"no node is known":            {cause(func(m *Moment) { m.Nodes = nil }), "", "", ""},
		"the autoscaler's word":       {cause(func(m *Moment) { m.Words = []rayapi.Word{word(7*time.Second, gpu)} }), "resources", "true", ""},
		"its word on another shape":   {cause(func(m *Moment) { m.Words = []rayapi.Word{word(7*time.Second, map[string]float64{"GPU": 8})} }), "resources", "unknown", ""},
		"its word within ten seconds": {cause(func(m *Moment) { m.Now = m.Now.Add(-1); m.Words = []rayapi.Word{word(7*time.Second, gpu)} }), "resources", "unknown", ""},
		"its word two minutes ago": {cause(func(m *Moment) {
			m.Now, m.Words = epoch.Add(7*time.Second+wordLasts), []rayapi.Word{word(7*time.Second, gpu)}
		}), "resources", "unknown", ""},
		"its word just within two minutes": {cause(func(m *Moment) {
			m.Now, m.Words = epoch.Add(7*time.Second+wordLasts-1), []rayapi.Word{word(7*time.Second, gpu)}
		}), "resources", "true", ""},
		"a node of its shape is on its way, whatever was said": {cause(func(m *Moment) {
			m.Words = []rayapi.Word{word(7*time.Second, gpu)}
			m.Launching = []Launching{{Type: "gpuWorkers", Count: 1, Began: epoch.Add(3 * time.Second)}}
			m.Autoscaler = rayapi.Autoscaler{At: epoch.Add(9 * time.Second), PendingTotal: map[string]float64{"GPU": 1, "CPU": 1}}
		}), "node_launch", "false", ""},
		"a node without it is on its way": {cause(func(m *Moment) {
			m.Words = []rayapi.Word{word(7*time.Second, gpu)}
			m.Launching = []Launching{{Type: "cpuWorkers", Count: 1, Began: epoch.Add(8 * time.Second)}}
			m.Autoscaler = rayapi.Autoscaler{At: epoch.Add(9 * time.Second), PendingTotal: map[string]float64{"CPU": 8}}
		}), "resources", "true", ""},
		"a node of unknown shape since the word": {cause(func(m *Moment) {
			m.Words = []rayapi.Word{word(7*time.Second, gpu)}
			m.Launching = []Launching{{Type: "x", Count: 2, Began: epoch.Add(8 * time.Second)}}
		}), "node_launch", "false", ""},
		"a node of unknown shape, and the word again since": {cause(func(m *Moment) {
			m.Words = []rayapi.Word{word(7*time.Second, gpu), word(9*time.Second, gpu)}
			m.Launching = []Launching{{Type: "x", Count: 2, Began: epoch.Add(8 * time.Second)}}
		}), "resources", "true", ""},
		"a quota": {cause(func(m *Moment) {
			m.Autoscaler.Failures = []rayapi.Failure{{Type: "gpu_workers", Category: "QuotaExceeded", Detail: "GPUS_ALL_REGIONS limit 0", At: epoch.Add(5 * time.Second)}}
		}), "quota", "false", "GPUS_ALL_REGIONS"},
		"an image that can't be pulled": {cause(func(m *Moment) {
			m.Autoscaler.Failures = []rayapi.Failure{{Type: "gpu_workers", Category: "ImagePullBackOff", At: epoch.Add(5 * time.Second)}}
		}), "image_pull", "false", "gpu_workers"},
		"a refusal of long ago": {cause(func(m *Moment) {
			m.Autoscaler.Failures = []rayapi.Failure{{Type: "gpu_workers", Category: "QuotaExceeded", At: epoch.Add(-time.Minute)}}
		}), "resources", "unknown", ""},
		"fits, being placed": {cause(func(m *Moment) { m.Nodes = append(m.Nodes, gpuNode(-time.Minute)) }), "", "", ""},
		"fits, and another has it": {cause(func(m *Moment) {
			m.Nodes, m.Autoscaler = append(m.Nodes, gpuNode(-time.Minute)), inVain
			m.Holders = []Holder{{Submission: "other", What: "entrypoint", Shape: Shape{"GPU": 1}}}
		}), "resources", "false", "held by other"},
		"fits, in vain by a report of before": {cause(func(m *Moment) {
			m.Nodes, m.Autoscaler = append(m.Nodes, gpuNode(-time.Minute)), inVain
			m.Autoscaler.At = epoch.Add(-time.Second)
		}), "", "", ""},
		"fits, one of two is about to be placed": {cause(func(m *Moment) {
			m.Nodes, m.Autoscaler = append(m.Nodes, gpuNode(-time.Minute)), inVain
			m.Waits = append(m.Waits, Wait{Submission: "k", Entrypoint: true, Shape: Shape{"GPU": 1}, Since: epoch})
		}), "", "", ""},
		"a task queues up behind its like": {cause(func(m *Moment) {
			m.Nodes, m.Autoscaler = append(m.Nodes, gpuNode(-time.Minute)), inVain
			m.Waits[0].Entrypoint = false
		}), "", "", ""},
		"an environment is built": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].RuntimeEnv, m.Building = nil, "pip", map[string]bool{"pip": true}
		}), "runtime_env", "unknown", ""},
		"an environment is built elsewhere": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].RuntimeEnv, m.Building = nil, "pip", map[string]bool{"conda": true}
		}), "", "", ""},
		"a label that no node has": {cause(func(m *Moment) {
			m.Waits[0].Shape, m.Waits[0].Labels = nil, map[string]string{"zone": "in(a,b)"}
		}), "resources", "unknown", "zone=in(a,b)"},
		"one bundle of a placement group": {cause(func(m *Moment) {
			m.Waits[0].Bundles, m.Waits[0].Shape, m.Waits[0].Group = []Bundle{{Shape: Shape{"CPU": 1}}, {Shape: Shape{"GPU": 1}}}, Shape{"CPU": 1, "GPU": 1}, "abc"
			m.Words = []rayapi.Word{{At: epoch.Add(7 * time.Second), Detail: "placement group requests (detail=abc:STRICT_SPREAD)"}}
		}), "resources", "true", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(c.m)["j"]
			if v.kind != c.kind || c.kind != "" && text(v.infeasible) != c.infeasible || !strings.Contains(v.detail, c.detail) {
				t.Errorf("%q, infeasible %s, %q; want %q, %s, %q", v.kind, text(v.infeasible), v.detail, c.kind, c.infeasible, c.detail)
			}
			if c.kind == "resources" && c.infeasible == "true" && v.from.Before(epoch.Add(neverBefore)) {
				t.Errorf("it could be said from %v on", v.from)
			}
		})
	}
}

// The worst of several waits speaks: a wait that can end by itself doesn't hide one that can't.
func TestTheWorstWaitSpeaks(t *testing.T) {
	m := cause(func(m *Moment) {
		m.Waits = append(m.Waits, Wait{Submission: "j", Who: "actor B", Shape: Shape{"GPU": 8}, Since: epoch.Add(time.Second)})
		m.Now = epoch.Add(time.Minute)
		m.Words = []rayapi.Word{word(50*time.Second, map[string]float64{"GPU": 8})}
	})
	if v := Judge(m)["j"]; v.who != "actor B" || text(v.infeasible) != "true" {
		t.Errorf("%+v", v)
	}
}

func TestSelects(t *testing.T) {
	have := map[string]string{"zone": "a"}
	for want, ok := range map[string]bool{"a": true, "b": false, "!a": false, "!b": true, "in(a,b)": true, "in(b,c)": false, "!in(a,b)": false, "!in(b)": true} {
		if selects(map[string]string{"zone": want}, have) != ok {
			t.Errorf("%s: want %v", want, ok)
		}
	}
	if selects(map[string]string{"gone": "x"}, have) || !selects(map[string]string{"gone": "!x"}, have) {
		t.Error("a label that isn't there is unlike any value")
	}
}

func text[T any](p *T) string {
	if p == nil {
		return "unknown"
	}
	return fmt.Sprint(*p)
}
