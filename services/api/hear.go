package api

import "github.com/headwayhq/headway/pkg/push"

// heardView handles a pushed view, with the fence of the commit that wrote it. If the push has no value, the view
// is read.
func (s *Service) heardView(k push.Key, p int, f *fence, value []byte) {
	s.source.see(p, f)
	if value == nil {
		s.stale.add(k)
		return
	}
	frame, err := s.source.frame(k, value, f)
	if err != nil {
		s.log.Error("parsing pushed view failed", "partition", p, "error", err)
		return
	}
	s.hub.Publish(k, frame)
}

func (s *Service) heardRow(ns string, row []byte) {
	if err := s.lists.changed(ns, row); err != nil {
		s.log.Error("parsing pushed row failed", "error", err)
	}
}

func (s *Service) heardNamespace(ns string) { s.lists.appeared(ns) }

func (s *Service) missed() {
	s.hub.Repair()
	s.lists.repairSoon()
}
