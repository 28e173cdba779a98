package machine

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/client"
)

var (
	tierZero = map[string]string{"headway.batch_id": "b", "headway.tier": "0"}
	inRay    = Observation{
		Cluster: "dash", Session: "s1", Submission: "nightly-6xk2p", Source: "api", Status: Running, SeenBy: true, At: epoch.Add(time.Minute),
		Run: epoch.Add(40 * time.Second), SubmittedAt: epoch.Add(40 * time.Second), Metadata: tierZero,
	}
	asObject = Observation{
		Session: "rayjob 1", Outside: true, Submission: "nightly-6xk2p", Source: "kuberay", Status: Pending, SeenBy: true, At: epoch.Add(5 * time.Second),
		SubmittedAt: epoch, Metadata: tierZero, DashboardURL: "http://nightly-head-svc:8265/#/jobs/nightly-6xk2p",
	}
)

func newState(t interface{ Fatal(...any) }) *State {
	rules := Rules{}
	if err := rules.Compile(); err != nil {
		t.Fatal(err)
	}
	return New(rules)
}

// A job that its cluster reports and a RayJob stands for is one job in the end, whichever was seen first and however often.
func TestOneJobInAnyOrder(t *testing.T) {
	joined := Joined{Session: "s1", Cluster: "dash", Link: "http://dash:8265"}
	begun := asObject
	begun.Status, begun.At = Running, epoch.Add(65*time.Second)
	all := []Input{joined, Seen{inRay}, Seen{asObject}, Seen{begun}}
	rapid.Check(t, func(t *rapid.T) {
		s := newState(t)
		for _, in := range rapid.Permutation(append(all, all...)).Draw(t, "order") {
			s.Step(Kept(s.Step(in).Events))
		}
		if found := s.Found(); len(found) != 1 || found[0].Cluster != "dash" || found[0].Session != "s1" || found[0].Status != Running {
			t.Fatalf("%+v", found)
		}
		e := s.sessions["s1"].jobs["nightly-6xk2p"]
		if !e.job.Submitted.Equal(epoch) || !e.job.Run.Equal(inRay.Run) || s.linkOf(e) != "http://dash:8265/#/jobs/nightly-6xk2p" {
			t.Fatalf("%+v, %s", e.job, s.linkOf(e))
		}
		if len(s.sessions) != 1 {
			t.Fatalf("sessions: %v", slices.Collect(maps.Keys(s.sessions)))
		}
	})
}

// An id that a person chose may be that of jobs of several clusters: only the cluster at the RayJob's dashboard has its job.
func TestChosenIDsAreToldApart(t *testing.T) {
	chosen := asObject
	chosen.Cluster = "nightly-head-svc:8265"
	for _, c := range []struct {
		name   string
		inputs []Input
		jobs   int
	}{
		{"another cluster", []Input{Seen{inRay}, Seen{chosen}}, 2},
		{"another cluster, the object first", []Input{Seen{chosen}, Seen{inRay}}, 2},
		{"its cluster", []Input{Called{"nightly-head-svc:8265", "dash"}, Seen{inRay}, Seen{chosen}}, 1},
		{"its cluster, the object first", []Input{Called{"nightly-head-svc:8265", "dash"}, Seen{chosen}, Seen{inRay}}, 1},
	} {
		s := newState(t)
		for _, in := range c.inputs {
			s.Step(in)
		}
		if found := s.Found(); len(found) != c.jobs {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
}

// What a job waits for is the first thing in its way, whichever side says it.
func TestFirstInTheWay(t *testing.T) {
	gpu := Shape{"GPU": 1, "CPU": 4}
	worker := verdict{kind: "image_pull", code: imageFailed, worker: true, brings: Shape{"GPU": 1, "CPU": 8}}
	small := worker
	small.brings = Shape{"CPU": 2}
	queue := verdict{kind: "quota", code: "CAPACITY:QUEUED"}
	for _, c := range []struct {
		name    string
		in, out *verdict
		says    string
	}{
		{"Ray alone", &verdict{kind: "resources", code: inUse}, nil, inUse},
		{"Kubernetes alone", nil, &queue, "CAPACITY:QUEUED"},
		{"a queue comes before Ray's silence", &verdict{kind: "resources", code: unreachable}, &queue, "CAPACITY:QUEUED"},
		{"Ray doesn't answer, and Kubernetes knows of nothing", &verdict{kind: "resources", code: unreachable}, &verdict{}, unreachable},
		{"Ray knows why, Kubernetes only that it hasn't begun", &verdict{kind: "resources", code: inUse}, &verdict{kind: "resources", code: notStarted}, inUse},
		{"neither knows", &verdict{}, &verdict{kind: "resources", code: unknown}, unknown},
		{"Ray waits for what that worker brings", &verdict{kind: "resources", code: inUse, demand: gpu}, &worker, imageFailed},
		{"Ray waits for more than that worker brings", &verdict{kind: "resources", code: tooLarge, demand: gpu}, &small, tooLarge},
		{"nothing waits for the worker", &verdict{}, &worker, ""},
		{"nothing waits in Ray, and the head is lost", &verdict{}, &verdict{kind: "resources", code: "RAY:HEAD_LOST"}, "RAY:HEAD_LOST"},
	} {
		for _, outFirst := range []bool{false, true} {
			e := &entry{job: Job{Submitted: epoch}}
			hear := func(outside bool, v *verdict) {
				if v != nil {
					e.hears(outside, *v, epoch, false)
				}
			}
			if outFirst {
				hear(true, c.out)
			}
			hear(false, c.in)
			if !outFirst {
				hear(true, c.out)
			}
			if e.waiting.code != c.says {
				t.Errorf("%s: says %q, not %q (Kubernetes first: %v)", c.name, e.waiting.code, c.says, outFirst)
			}
		}
	}
}

// The last lines of a container are an event of their own, once, which says nothing of the job.
func TestLines(t *testing.T) {
	s := newState(t)
	s.Step(Kept(s.Step(Seen{asObject}).Events))
	o := Observation{Session: asObject.Session, Outside: true, Submission: asObject.Submission, At: epoch.Add(time.Minute), Lines: &Lines{Process: "driver", Name: "head pod x", Text: "boom"}}
	events := s.Step(Seen{o}).Events
	if len(events) != 1 || !strings.Contains(events[0].ID, "lines-driver") || events[0].Data.(*client.Proof).Text != "boom" {
		t.Fatalf("%+v", events)
	}
	s.Step(Kept(events))
	if again := s.Step(Seen{o}).Events; len(again) > 0 {
		t.Errorf("said twice: %+v", again)
	}
}
