package relay

import (
	"testing"
	"time"
)

// A job that its dashboard shows and a RayJob stands for is one job in the answer, whichever relay began first, and whether one relay
// watches both or each watches one.
func TestRayJobOfTwoSourcesIsOneJob(t *testing.T) {
	metadata := map[string]string{"headway.batch_id": "btch_1", "headway.tier": "0", "headway.namespace": "demo"}
	kube := Observation{
		Session: "rayjob 1", Outside: true, Submission: "nightly-6xk2p", Source: "kuberay", Status: Pending, SeenBy: true, At: epoch.Add(5 * time.Second),
		SubmittedAt: epoch, Metadata: metadata, Waits: &Waits{Kind: "image_pull", Code: "IMAGE:PULLING", Since: epoch.Add(6 * time.Second), At: epoch.Add(6 * time.Second)},
	}
	begun := kube
	begun.Status, begun.At, begun.Waits = Running, epoch.Add(64*time.Second), &Waits{At: epoch.Add(64 * time.Second)}
	ray := Observation{
		Cluster: "dash", Session: "session_1", Submission: "nightly-6xk2p", Source: "api", Status: Running, SeenBy: true, At: epoch.Add(time.Minute),
		Run: epoch.Add(40 * time.Second), SubmittedAt: epoch.Add(40 * time.Second), Metadata: metadata,
	}
	ended := ray
	ended.Status, ended.EndedAt, ended.SeenBy = Succeeded, epoch.Add(90*time.Second), false
	for name, order := range map[string][]Observation{
		"Kubernetes first": {kube, begun, ray, ended}, "Ray first": {ray, kube, begun, ended}, "Ray's end first": {ray, ended, kube, begun}, "Kubernetes last": {ray, ended, begun},
	} {
		for _, relays := range []int{1, 2} {
			b := newBook(t, func() time.Time { return epoch.Add(2 * time.Minute) })
			var all []*Relay
			for range relays {
				r, err := New(Options{Publisher: b, Now: b.now})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			for _, o := range order {
				r := all[0]
				if o.Outside {
					r = all[len(all)-1]
				}
				if err := r.tracker.observe(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			jobs := b.jobs(t, "demo/btch_1")
			if len(jobs) != 1 {
				t.Fatalf("%s, %d relays: %d jobs: %v", name, relays, len(jobs), jobs)
			}
			j := jobs[0]
			if j["status"] != "SUCCEEDED" || j["cluster"] != "dash" || j["submitted_at"] != "2026-03-01T12:00:00Z" || j["started_at"] != "2026-03-01T12:01:00Z" {
				t.Errorf("%s, %d relays: %v", name, relays, j)
			}
		}
	}
}
