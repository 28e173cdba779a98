package event

// The words of a proof.
const (
	ProofLog      = "log"
	ProofStack    = "stack"
	ProcessDriver = "driver"
	ProcessWorker = "worker"
)

func (s *scanner) proofFacts(f *ProofFacts) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "submission_id":
			s.id(&f.SubmissionID)
		case "cluster":
			s.optKeyName(&f.Cluster)
		case "run":
			s.optKeyName(&f.Run)
		case "kind":
			s.oneOf(&f.Kind, ProofLog, ProofStack)
		case "process":
			s.oneOf(&f.Process, ProcessDriver, ProcessWorker)
		case "name":
			s.optName(&f.Name)
		case "text":
			s.optLongText(&f.Text, decProofCut)
		case "frame":
			s.optKeyName(&f.Frame)
		case "frame_since":
			s.optTime(&f.FrameSince)
		case "looks":
			s.optWhole(&f.Looks, 1, decMaxCount)
		case "unavailable":
			s.optText(&f.Unavailable)
		default:
			s.unknown()
		}
	}
	s.require(f.SubmissionID != "", "submission_id")
	s.require(f.Kind != "", "kind")
	s.require(f.Process != "", "process")
}

// oneOf reads one of two words.
func (s *scanner) oneOf(v *string, one, other string) {
	text, ok := s.need()
	if !ok {
		return
	}
	if text != one && text != other {
		s.fail("is " + scanQuote(text) + ", not " + one + " or " + other)
		return
	}
	*v = text
}
