package diagnostics

import (
	"strings"
	"testing"
	"time"
)

func TestHealthTable(t *testing.T) {
	t.Run("moves", func(t *testing.T) {
		s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning).progress(5, 0, 10, 100)
		s.is(minute(6), HealthOK, "").turns(minute(35), HealthOK, "", HealthStuck, "no_progress")
		want(t, "stuck_seconds", *s.at(36).StuckSeconds, 31*60.0)
		want(t, "signal", s.at(36).HealthEvidence.Signal, "no_progress")
		want(t, "signal", s.at(6).HealthEvidence.Signal, "progress")
		want(t, "event", s.at(36).HealthEvidence.EventIDs[0], "e2")
	})
	t.Run("a heartbeat without progress is no progress", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).progress(5, 0, 10, 100).progress(34, 0, 10, 100).progress(34.5, 0, 7, 100).
			turns(minute(35), HealthOK, "", HealthStuck, "no_progress")
	})
	t.Run("running without progress", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending).job(4, "j", 0, WordRunning).
			turns(minute(34), HealthScaling, "job_warming_up", HealthStuck, "no_progress")
	})
	t.Run("pending on a GPU", func(t *testing.T) {
		s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending)
		s.turns(minute(21), HealthScaling, "cluster_cold_start", HealthStuck, "ray_job_pending")
		want(t, "reason", *s.at(2).BlockedReason, "cluster_cold_start: workers are starting")
		s.tier(1, 0, WordPending, func(f *TierFacts) { f.RequiresGPU = some(true) })
		want(t, "reason", *s.at(2).BlockedReason, "cluster_cold_start: GPU workers scaling from zero")
	})
	t.Run("pending without a GPU", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending).
			tier(1, 0, WordPending, func(f *TierFacts) { f.RequiresGPU = some(false) }).
			turns(minute(6), HealthScaling, "cluster_cold_start", HealthStuck, "ray_job_pending")
	})
	t.Run("no job", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).tier(3, 0, WordPending).
			turns(minute(23), HealthScaling, "pipeline_no_job", HealthStuck, "pipeline_no_job")
	})
	t.Run("the next tier is due", func(t *testing.T) {
		tell(t).batch(0, WordProcessing, tiers(2)).tier(1, 0, WordProcessing).tier(10, 0, WordCompleted).
			turns(minute(30), HealthScaling, "pipeline_no_job", HealthStuck, "pipeline_no_job")
	})
	t.Run("Ray is spoken of where a job was seen", func(t *testing.T) {
		tell(t).batch(0, WordProcessing, tiers(2)).job(1, "j", 0, WordRunning).job(9, "j", 0, WordSucceeded).tier(10, 0, WordCompleted).
			turns(minute(30), HealthScaling, "awaiting_job", HealthStuck, "no_ray_job")
	})
	t.Run("never finalized", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).tier(1, 0, WordProcessing).tier(10, 0, WordFailed).
			turns(minute(40), HealthDegraded, "", HealthStuck, "not_finalized")
	})
	t.Run("a retry doesn't live on its predecessor's progress", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j1", 0, WordRunning, docs(50, 100)).job(10, "j1", 0, WordFailed).
			job(11, "j2", 0, WordPending).
			turns(minute(31), HealthScaling, "cluster_cold_start", HealthStuck, "ray_job_pending")
	})
	t.Run("a batch that nobody begins", func(t *testing.T) {
		tell(t).batch(0, WordPending).tier(0, 0, WordPending).turns(minute(60), HealthOK, "", HealthStuck, "pipeline_not_submitted")
		tell(t).batch(0, WordDraft).is(minute(500), HealthOK, "")
	})
	t.Run("a batch that is over", func(t *testing.T) {
		tell(t).batch(0, WordCompleted).job(1, "j", 0, WordRunning).is(minute(500), HealthOK, "")
	})
	t.Run("the longest stuck speaks", func(t *testing.T) {
		s := tell(t).batch(0, WordProcessing, tiers(2)).progress(2, 0, 1, 10).progress(1, 1, 1, 10)
		want(t, "tier", *s.at(100).HealthEvidence.TierNum, 1)
	})
	t.Run("one moves, another waits", func(t *testing.T) {
		s := tell(t).batch(0, WordProcessing).progress(5, 0, 1, 10).job(4, "j", 1, WordPending)
		s.is(minute(6), HealthOK, "")
		want(t, "signal", s.at(6).HealthEvidence.Signal, "cluster_cold_start")
	})
}

func TestCauseBeforeTimer(t *testing.T) {
	t.Run("entrypoint", func(t *testing.T) {
		s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending, infeasible(2))
		s.turns(minute(3), HealthScaling, "cluster_cold_start", HealthStuck, "ray_job_unschedulable")
		got := s.at(4)
		want(t, "reason", *got.BlockedReason, "ray_job_unschedulable: j asks for more than any node has, needs 1 GPU")
		want(t, "since", *got.HealthEvidence.Since, moment(minute(1)))
		want(t, "threshold", *got.HealthEvidence.ThresholdSeconds, 1200)
	})
	t.Run("what kept it PENDING says nothing of its RUNNING", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending, infeasible(1)).job(3, "j", 0, WordRunning).
			is(minute(10), HealthScaling, "job_warming_up")
	})
	t.Run("actors of a RUNNING driver", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning, infeasible(2)).
			turns(minute(3), HealthScaling, "job_warming_up", HealthStuck, "ray_job_unschedulable")
	})
	t.Run("progress of the job clears it", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning, infeasible(2)).job(3, "j", 0, WordRunning, docs(1, 9)).
			is(minute(10), HealthOK, "")
	})
	t.Run("the tier's progress clears its only live job", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning, infeasible(2), docs(0, 9)).progress(3, 0, 1, 9).
			is(minute(10), HealthOK, "")
	})
	t.Run("but not one of two that said 0", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning, infeasible(2), docs(0, 9)).job(1, "k", 0, WordRunning).
			progress(3, 0, 1, 9).is(minute(10), HealthStuck, "ray_job_unschedulable")
	})
	t.Run("of two, the one that never said processed is cleared", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning, infeasible(2)).job(1, "k", 0, WordRunning).
			progress(3, 0, 1, 9).is(minute(10), HealthOK, "")
	})
	t.Run("null: waits for nothing any more", func(t *testing.T) {
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending, infeasible(2)).
			job(4, "j", 0, WordPending, func(f *JobFacts) { f.Waiting.Set = true }).
			is(minute(10), HealthStuck, "ray_not_started")
	})
}

func TestAnnouncements(t *testing.T) {
	s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending)
	if _, due := Due(s.view(), moment(minute(1.5)-1), s.policy); due {
		t.Error("scaling announced before 30 s")
	}
	p, due := Due(s.view(), moment(minute(1.5)), s.policy)
	if !due || p.Announcement.To != HealthScaling || p.Announcement.From != HealthOK || p.Announcement.Ordinal != 0 {
		t.Fatalf("%+v %v", p, due)
	}
	at, _ := NextCheck(s.view(), moment(minute(1)), s.policy)
	want(t, "next check", at, moment(minute(1.5)))
	s = s.announced(minute(1.5))
	if _, due := Due(s.view(), moment(minute(2)), s.policy); due {
		t.Error("announced twice")
	}
	p, due = Due(s.view(), moment(minute(30)), s.policy)
	if !due || p.Announcement.Ordinal != 1 || p.Announcement.From != HealthScaling || p.Announcement.To != HealthStuck {
		t.Fatalf("%+v %v", p, due)
	}
	s = s.announced(minute(30)).progress(31, 0, 1, 10)
	p, due = Due(s.view(), moment(minute(31)), s.policy)
	if !due || p.Announcement.Ordinal != 2 || p.Announcement.To != HealthOK {
		t.Fatalf("%+v %v", p, due)
	}
}

// A cause that changes while the health doesn't is announced by itself: once it has stood for 30 s, and a minute after the last
// announcement at the earliest.
func TestAnnouncementsOfACause(t *testing.T) {
	waits := func(kind, code string, since float64) func(*JobFacts) {
		return func(f *JobFacts) { f.Waiting = some(Waiting{Kind: kind, Since: minute(since), Code: some(code)}) }
	}
	s := tell(t).batch(0, WordProcessing).job(0, "j", 0, WordPending, waits("quota", "CAPACITY:QUOTA", 0)).announced(minute(1))
	if p, due := Due(s.view(), moment(minute(3)), s.policy); due {
		t.Errorf("the same cause is announced again: %+v", p.Announcement)
	}
	s = s.job(1.2, "j", 0, WordPending, waits("image_pull", "IMAGE:PULLING", 1.2))
	at, _ := NextCheck(s.view(), moment(minute(1.2)), s.policy)
	want(t, "a minute after the last", at, moment(minute(2)))
	s = s.job(5, "j", 0, WordPending, waits("node_launch", "CAPACITY:NODE_LAUNCHING", 5))
	at, _ = NextCheck(s.view(), moment(minute(5)), s.policy)
	want(t, "once it has stood", at, moment(minute(5.5)))
	if _, due := Due(s.view(), at.Add(-1), s.policy); due {
		t.Error("announced too early")
	}
	p, due := Due(s.view(), at, s.policy)
	if a := p.Announcement; !due || a.From != HealthScaling || a.To != HealthScaling || a.CauseFrom != "CAPACITY:QUOTA" || a.CauseTo != "CAPACITY:NODE_LAUNCHING" || a.Ordinal != 1 {
		t.Fatalf("%+v %v", p.Announcement, due)
	}
	s = s.announced(minute(5.5))
	if at, _ = NextCheck(s.view(), moment(minute(5.5)), s.policy); !at.After(moment(minute(7))) {
		t.Errorf("announced again at %v", at)
	}
}

// An announcement by a version that named no cause matches every cause, so that an upgrade announces nothing that hasn't changed.
func TestUpgradeAnnouncesNothing(t *testing.T) {
	for i := range 1_000 {
		s := tell(t).batch(0, WordProcessing).job(float64(i%7), "j", 0, WordPending).announced(minute(1000))
		last := &s.events[len(s.events)-1]
		last.HealthFacts.CauseTo = Opt[string]{}
		if p, due := Due(s.view(), moment(minute(float64(1001+i))), s.policy); due {
			t.Fatalf("%+v", p.Announcement)
		}
	}
}

func TestSettling(t *testing.T) {
	s := tell(t).job(1, "j", 0, WordRunning, docs(5, 5)).job(4, "j", 0, WordSucceeded)
	want(t, "status", s.at(5).Status, "PROCESSING")
	settled := s.announced(minute(4))
	at, ok := NextCheck(settled.view(), moment(minute(4)), s.policy)
	if !ok || at.UnixNano() != minute(9)+1 {
		t.Errorf("next check %v", at)
	}
	p, due := Due(s.view(), at, s.policy)
	if !due || p.Settled == nil || p.Settled.Status != WordCompleted || p.Settled.LastHeard != minute(4) {
		t.Fatalf("%+v", p)
	}
	settle := func(f *BatchFacts) { f.Settled = true }
	s.batch(4, WordCompleted, settle)
	want(t, "status", s.at(10).Status, "COMPLETED")
	want(t, "completed_at", *s.at(10).CompletedAt, moment(minute(4)))
	s.job(20, "k", 1, WordRunning)
	want(t, "status", s.at(21).Status, "PROCESSING")

	open := tell(t).batch(0, WordNone, tiers(2)).job(1, "j", 0, WordSucceeded)
	if p, due := Due(open.view(), moment(minute(60)), open.policy); due && p.Settled != nil {
		t.Error("settled although tier 1 is due")
	}
	failed := tell(t).job(1, "j", 0, WordFailed)
	if p, _ := Due(failed.view(), moment(minute(60)), failed.policy); p.Settled == nil || p.Settled.Status != WordFailed {
		t.Errorf("%+v", p)
	}
}

func TestReasonsHaveNoClock(t *testing.T) {
	s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending)
	a, b := s.at(30), s.at(300)
	if *a.BlockedReason != *b.BlockedReason {
		t.Errorf("%q became %q", *a.BlockedReason, *b.BlockedReason)
	}
	if !strings.Contains(*a.BlockedReason, "j") {
		t.Error("the reason doesn't name the job")
	}
}

func TestNextCheckHonoursPolicy(t *testing.T) {
	s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending)
	s.policy.WindowGPU = 10 * time.Second
	s.turns(minute(1)+10*int64(time.Second), HealthScaling, "cluster_cold_start", HealthStuck, "ray_job_pending")
}

// A batch is judged by the policy of its pipeline, whoever asks.
func TestPolicyOfAPipeline(t *testing.T) {
	s := tell(t).batch(0, WordProcessing, func(f *BatchFacts) { f.Pipeline = some("nightly") }).job(1, "j", 0, WordPending)
	patient := s.policy
	patient.WindowGPU = 3 * time.Hour
	s.policy.Pipelines = map[string]Policy{"nightly": patient, "other": {}}
	s.turns(minute(1)+3*int64(time.Hour), HealthScaling, "cluster_cold_start", HealthStuck, "ray_job_pending")
	v := foldAll(s.events...)
	if e := Explain(v, moment(minute(100)), s.policy, Meta{}); e.Policy.WindowGPUSeconds != 3*3600 || e.Health != HealthScaling {
		t.Errorf("explained by a window of %v s: %v", e.Policy.WindowGPUSeconds, e.Health)
	}
	if _, due := Due(v, moment(minute(100)), s.policy); !due { // scaling
		t.Error("nothing is due")
	}
}
