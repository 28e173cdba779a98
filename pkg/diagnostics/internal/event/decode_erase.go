package event

// noFacts reads the data of an event whose type says everything.
func (s *scanner) noFacts() {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	for _, more := s.next(&o); more; _, more = s.next(&o) {
		s.unknown()
	}
}
