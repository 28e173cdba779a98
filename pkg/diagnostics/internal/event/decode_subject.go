package event

import (
	"strconv"
	"strings"
)

// address is what a NATS subject tells about the event on it.
type address struct {
	namespace, batch string
	kind             Type   // TypeUnknown: no subject
	tier             int32  // of a tier or stage subject
	id               string // of a job or collection subject
}

// address reads the subject, or over HTTP the namespace of the credential.
func (d *Decoder) address(m Message) {
	s := &d.scan
	if m.Subject == "" {
		if !ValidNamespace(m.Namespace) {
			s.failField("namespace", "is not an id: 1 to 128 letters, digits, _ and -")
			return
		}
		d.to.namespace = m.Namespace
		return
	}
	to, reason := parseSubject(m.Subject)
	if reason != "" {
		s.failField("subject", reason)
		return
	}
	d.to = to
}

const (
	subjectEvents = "headway.events."
	subjectLog    = "headway.log."
)

func parseSubject(subject string) (a address, reason string) {
	rest, ok := strings.CutPrefix(subject, subjectEvents)
	if !ok {
		rest, ok = strings.CutPrefix(subject, subjectLog)
		var partition string
		partition, rest = cutDot(rest)
		if _, digits := subjectNumber(partition, 1<<20); !ok || !digits {
			return a, "is none of ours: " + scanQuote(subject) + " isn't headway.events.<namespace>.<batch>.<kind>"
		}
	}
	var kind string
	var valid bool
	if a.namespace, rest, valid = cutNamespace(rest); !valid {
		return a, "has a namespace that is not one: 1 to 128 letters, digits, _ and -"
	}
	if a.batch, kind, valid = cutID(rest); !valid {
		return a, "has a batch that is not an id: letters, digits, _ and -, any other byte as =XX, at most 128 before that"
	}
	name, of := cutDot(kind)
	switch {
	case kind == "batch":
		a.kind = TypeBatch
	case kind == "health":
		a.kind = TypeHealth
	case kind == "erase":
		a.kind = TypeErase
	case name == "tier":
		a.kind = TypeTier
		of, _ = strings.CutSuffix(of, ".progress")
		a.tier, ok = subjectNumber(of, decMaxTierNum)
	case name == "stage":
		a.kind = TypeStage
		a.tier, ok = subjectNumber(of, decMaxTierNum)
	case name == "job":
		a.kind, a.id, ok = TypeJob, of, ValidID(of)
	case name == "proof":
		a.kind, a.id, ok = TypeProof, of, ValidID(of)
	case name == "collection":
		a.kind, a.id, ok = TypeCollection, of, ValidID(of)
	default:
		return a, "has a kind that is unknown: " + scanQuote(kind)
	}
	if !ok {
		return a, "has a kind that is malformed: " + scanQuote(kind)
	}
	return a, ""
}

// cutDot divides at the first dot.
func cutDot(text string) (before, after string) {
	for i := range len(text) {
		if text[i] == '.' {
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// cutNamespace takes the namespace before the first dot.
func cutNamespace(text string) (name, after string, valid bool) {
	i := 0
	for i < len(text) && idByte(text[i]) {
		i++
	}
	valid = i > 0 && i <= maxID
	if i == len(text) {
		return text, "", valid
	}
	return text[:i], text[i+1:], valid && text[i] == '.'
}

// cutID takes the id before the first dot.
func cutID(text string) (id, after string, valid bool) {
	if id, after, valid = cutNamespace(text); valid || !strings.Contains(text, "=") {
		return id, after, valid
	}
	id, after = cutDot(text)
	return id, after, ValidID(id)
}

// subjectNumber reads a number the only way it is written: no sign, no leading zero.
func subjectNumber(text string, most int32) (int32, bool) {
	if text == "" || len(text) > 8 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n := int32(0)
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int32(text[i]-'0')
	}
	return n, n <= most
}

// agree checks that data doesn't contradict the subject, which says whose event it is.
func (d *Decoder) agree() {
	s, e := &d.scan, &d.event
	switch {
	case d.to.batch == "" && d.about == "":
		s.failField("subject", "is missing: without a NATS subject it names the batch")
		return
	case d.to.batch == "":
		d.to.batch = d.about
	case d.about != "" && d.about != d.to.batch:
		s.failField("subject", "is "+scanQuote(d.about)+", but the NATS subject is that of batch "+d.to.batch)
		return
	}
	e.Namespace, e.Batch = d.to.namespace, d.to.batch
	if e.Type == TypeHealth {
		d.agreeText("data.namespace", d.healthNamespace, e.Namespace)
		d.agreeText("data.batch_id", d.healthBatch, e.Batch)
	}
	if d.to.kind == TypeUnknown {
		return
	}
	switch e.Type {
	case TypeTier:
		d.agreeTier(e.TierFacts.TierNum)
	case TypeStage:
		d.agreeTier(e.StageFacts.TierNum)
	case TypeJob:
		d.agreeText("data.submission_id", e.JobFacts.SubmissionID, d.to.id)
	case TypeProof:
		d.agreeText("data.submission_id", e.ProofFacts.SubmissionID, d.to.id)
	case TypeCollection:
		d.agreeText("data.collection_id", e.CollectionFacts.ID, d.to.id)
	}
}

func (d *Decoder) agreeTier(n int32) {
	if n != d.to.tier {
		d.scan.failField("data.tier_num", "is "+strconv.Itoa(int(n))+", but the subject says "+strconv.Itoa(int(d.to.tier)))
	}
}

func (d *Decoder) agreeText(field, is, said string) {
	if is != said {
		d.scan.failField(field, "is "+scanQuote(is)+", but the subject says "+scanQuote(said))
	}
}

// noun names the kind of an event in a sentence.
func (t Type) noun() string {
	return [...]string{"unknown", "batch", "tier", "job", "collection", "stage", "health", "proof", "erase"}[t]
}

// Subject is the NATS subject an event belongs on: headway.events.<namespace>.<batch>.<kind…>.
func (e *Event) Subject() string {
	b := make([]byte, 0, 128)
	b = append(b, subjectEvents...)
	b = append(append(b, e.Namespace...), '.')
	b = append(append(b, e.Batch...), '.')
	b = append(b, e.Type.noun()...)
	switch e.Type {
	case TypeTier:
		b = strconv.AppendInt(append(b, '.'), int64(e.TierFacts.TierNum), 10)
		if e.TierFacts.isProgress() {
			b = append(b, ".progress"...)
		}
	case TypeStage:
		b = strconv.AppendInt(append(b, '.'), int64(e.StageFacts.TierNum), 10)
	case TypeJob:
		b = append(append(b, '.'), e.JobFacts.SubmissionID...)
	case TypeProof:
		b = append(append(b, '.'), e.ProofFacts.SubmissionID...)
	case TypeCollection:
		b = append(append(b, '.'), e.CollectionFacts.ID...)
	}
	return string(b)
}

// isProgress reports whether a tier event has counts and no status.
func (t *TierFacts) isProgress() bool {
	if t.Status != WordNone {
		return false
	}
	for _, c := range t.Counts {
		if c.Set {
			return true
		}
	}
	return t.Processed.Set || t.Failed.Set
}
