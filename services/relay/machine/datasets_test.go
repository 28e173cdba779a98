package machine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// aDataset has finished all tasks of its last operator; rows 0: it doesn't know how many there are.
func aDataset(name string, rows float64) rayapi.Dataset {
	done, total := 10.0, 10.0
	d := rayapi.Dataset{Name: name, State: "RUNNING", Progress: &done, Total: &total}
	if rows > 0 {
		d.Rows = &rows
	}
	return d
}

// Rows are documents only where it is clear of what they are rows; otherwise each dataset is shown apart.
func TestRowsOfDatasets(t *testing.T) {
	for name, c := range map[string]struct {
		sets []rayapi.Dataset
		want string
	}{
		"one":                                 {[]rayapi.Dataset{aDataset("dataset_1", 2000)}, "job 2000/2000"},
		"two of one job":                      {[]rayapi.Dataset{aDataset("dataset_1", 2000), aDataset("dataset_2", 400)}, "stage dataset_1 2000 rows, stage dataset_2 400 rows"},
		"named by the tier":                   {[]rayapi.Dataset{aDataset("tier1_extract", 400), aDataset("dataset_2", 2000)}, "stage dataset_2 2000 rows, tier 1 400/400"},
		"two of a named tier":                 {[]rayapi.Dataset{aDataset("tier1_a", 400), aDataset("tier1_b", 100)}, "tier 1 500/500"},
		"one, of unknown length":              {[]rayapi.Dataset{aDataset("dataset_1", 0)}, "stage dataset_1 10 tasks"},
		"a named tier, one of unknown length": {[]rayapi.Dataset{aDataset("tier1_a", 400), aDataset("tier1_b", 0)}, "stage tier1_b 10 tasks"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := Rules{}
			if err := rules.Compile(); err != nil {
				t.Fatal(err)
			}
			s := New(rules)
			s.Step(Seen{{Session: "s", Submission: "j", Source: "api", Status: Running, At: epoch, SubmittedAt: epoch, Metadata: map[string]string{"headway.batch_id": "b"}}})
			tier := map[string]string{"headway.batch_id": "b", "headway.tier": "0"}
			s.Step(Seen{{Session: "s", Submission: "j", Source: "api", Status: Running, At: epoch, Metadata: tier}})
			var got []string
			for _, e := range s.Step(Counted{Session: "s", Submission: "j", Sets: c.sets, At: epoch.Add(time.Minute)}).Events {
				switch d := e.Data.(type) {
				case *client.Job:
					if d.Processed != nil {
						got = append(got, fmt.Sprintf("job %d/%d", *d.Processed, *d.Total))
					}
				case *client.Tier:
					got = append(got, fmt.Sprintf("tier %d %d/%d", d.TierNum, *d.Processed, *d.Total))
				case *client.Stage:
					got = append(got, fmt.Sprintf("stage %s %d %s", d.Stage, d.Count, d.Unit))
				}
			}
			slices.Sort(got)
			if said := strings.Join(got, ", "); said != c.want {
				t.Errorf("%s, want %s", said, c.want)
			}
		})
	}
}
