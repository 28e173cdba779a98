package view

import "slices"

// Lives are the jobs. Events that name neither cluster nor run are joined to the job of their submission id if there is only one.
func (s *State) Lives() []*Job {
	out := s.Jobs
	for i := 0; i < len(out); {
		n := 1
		for i+n < len(out) && out[i+n].ID == out[i].ID {
			n++
		}
		if n == 2 && out[i].Cluster == "" && out[i].Run == "" {
			life := &Job{JobKey: out[i+1].JobKey}
			w := walker{joining: true}
			w.job(life, out[i])
			w.job(life, out[i+1])
			if len(out) == len(s.Jobs) {
				out = slices.Clone(out)
			}
			out = slices.Replace(out, i, i+2, life)
			n = 1
		}
		i += n
	}
	return out
}
