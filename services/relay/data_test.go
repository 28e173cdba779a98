package relay

import (
	"fmt"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay/machine"
)

// Of a thousand jobs without datasets a few are asked about in a round, each in its turn; those with datasets and those that are over
// don't wait for theirs.
func TestDatasetsOfAThousandJobs(t *testing.T) {
	jobs := map[string]machine.DataJob{}
	for i := range 1000 {
		jobs[fmt.Sprintf("%08x", i)] = machine.DataJob{Submission: fmt.Sprintf("j-%d", i)}
	}
	all, now, asked := map[string]*dataAsked{}, epoch, map[string]int{}
	round := func() (n int) {
		for _, job := range dataDue(all, jobs, now) {
			n++
			asked[job]++
			all[job].asked = now
		}
		now = now.Add(5 * time.Second)
		return n
	}
	for range 1000 / dataTries {
		if n := round(); n != dataTries {
			t.Fatalf("%d were asked about in a round", n)
		}
	}
	for job := range jobs {
		if asked[job] != 1 {
			t.Fatalf("%s was asked about %d times before all had their turn", job, asked[job])
		}
	}
	all["00000007"].has = true
	jobs["00000008"] = machine.DataJob{Submission: "j-8", Over: true}
	jobs["new"] = machine.DataJob{Submission: "new"}
	delete(jobs, "00000009")
	round()
	if asked["00000007"] != 2 || asked["00000008"] != 2 || asked["new"] != 1 || all["00000009"] != nil {
		t.Errorf("%d %d %d %v", asked["00000007"], asked["00000008"], asked["new"], all["00000009"])
	}
}
