package event

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// Limits on what one event may carry. Beyond a decMax… it is refused; a text beyond its cut is shortened,
// at a character's border.
const (
	decMaxData        = 768 << 10 // bytes of data
	decMaxAhead       = 5 * time.Minute
	decMaxCount       = 1 << 53 // beyond it a double can't tell neighbours apart
	decMaxTierNum     = 9_999
	decMaxTotalTiers  = 10_000
	decMaxAttempt     = 10_000
	decMaxLabels      = 32
	decMaxErrors      = 100
	decMaxDocIDs      = 1_000 // of one entry of errors
	decMaxWorker      = 128   // characters of a worker's key
	decMaxBuckets     = 256
	decMaxChanged     = 16
	decMaxTiers       = 10_000
	decMaxCollections = 10_000 // of the whole event
	decMaxID          = 512    // characters of the CloudEvents attributes id and source
	decKeyCut         = 500    // characters of a text that is part of a key: error and stage names, messages of errors
	decTextCut        = 4_000  // characters of any other text
	decProofCut       = 8_192  // characters of a proof's text
)

// decBlock is how many bytes of events share one block of memory.
const decBlock = 32 << 10

// decKeep is how many entries of a list the decoder keeps room for after an event.
const decKeep = 256

// decEarliest is the beginning of 2000, in seconds since 1970: an earlier time is a clock that was never set.
const decEarliest = 946_684_800

// Message is an event as it arrived: from the stream, or over HTTP.
type Message struct {
	// Subject is headway.events.<namespace>.<batch>.<kind…> or its partitioned form
	// headway.log.<partition>.<namespace>.<batch>.<kind…>. Empty over HTTP.
	Subject string
	// Namespace is that of the credential; used only where Subject is empty.
	Namespace string
	// Attribute returns a CloudEvents attribute of binary mode ("type", "id", "content-type", …) and "" where there is
	// none. nil, or a result "" for "type": structured mode.
	Attribute func(name string) string
	Data      []byte
	Stored    time.Time // when the stream stored it (HTTP: the present)
}

// Rejection is the field because of which an event is rejected, and the reason.
type Rejection struct {
	Field  string // path as in data.tiers[3].tier_num; "event" for the whole
	Reason string
}

func (r *Rejection) Error() string { return r.Field + ": " + r.Reason }

// Decoder decodes events. It reuses its memory: an Event is valid until the next Decode.
// Not safe for concurrent use, and not to be copied once used.
type Decoder struct {
	event       Event
	scan        scanner
	block       strings.Builder
	to          address // where the event belongs by its subject
	about       string  // CloudEvents attribute subject
	hasTime     bool
	collections int // so far, in the tiers of a batch event

	healthNamespace, healthBatch string // as a health event's data names them
}

// Decode reads and validates one event. It copies the message's data once, and nothing of the event
// aliases it.
func (d *Decoder) Decode(m Message) (*Event, *Rejection) {
	d.reset()
	limit := int64(1<<63 - 1)
	if !m.Stored.IsZero() {
		d.event.Stored = m.Stored.UnixNano()
		limit = m.Stored.Add(decMaxAhead).UnixNano()
	}
	structured := m.Attribute == nil || isStructured(m.Attribute("content-type")) || m.Attribute("type") == ""
	if !structured && len(m.Data) > decMaxData {
		return nil, decTooLarge(len(m.Data))
	}
	s := &d.scan
	s.reset(d.copied(m.Data), limit)
	d.address(m)
	if s.rej == nil {
		if structured {
			d.envelope()
		} else {
			d.binary(m.Attribute)
		}
	}
	if s.rej == nil {
		d.agree()
	}
	s.s = ""
	if s.rej != nil {
		s.strays = nil
		return nil, s.rej
	}
	return &d.event, nil
}

// Unknown names the fields of the last event's data that its type doesn't have, as in data.tiers[].gpu: each once,
// in their order, at most 16. They are accepted and mean nothing; Hint says what may have been meant. nil after
// a refusal.
func (d *Decoder) Unknown() []string { return d.scan.strays }

// copied is data as a string. Small events share a block of memory, so that the allocator is asked once
// for a hundred of them; Builder never writes again to what it has given out.
func (d *Decoder) copied(data []byte) string {
	if len(data) > decBlock/8 {
		return string(data)
	}
	if d.block.Cap()-d.block.Len() < len(data) {
		d.block.Reset()
		d.block.Grow(decBlock)
	}
	start := d.block.Len()
	d.block.Write(data)
	return d.block.String()[start:]
}

// isStructured distinguishes a whole event from its data alone if headers have CloudEvents attributes too.
func isStructured(contentType string) bool {
	const structured = "application/cloudevents"
	return len(contentType) >= len(structured) && strings.EqualFold(contentType[:len(structured)], structured)
}

func decTooLarge(n int) *Rejection {
	return &Rejection{"data", "has " + strconv.Itoa(n) + " bytes, more than " + strconv.Itoa(decMaxData)}
}

// reset empties what the last event filled, and keeps the room of its lists.
func (d *Decoder) reset() {
	e := &d.event
	switch e.Type {
	case TypeBatch:
		e.BatchFacts = BatchFacts{Tiers: decRoom(e.BatchFacts.Tiers)}
	case TypeTier:
		e.TierFacts = TierFacts{Errors: decRoom(e.TierFacts.Errors)}
	case TypeJob:
		e.JobFacts = JobFacts{}
	case TypeCollection:
		e.CollectionFacts = CollectionFacts{}
	case TypeStage:
		e.StageFacts = StageFacts{Buckets: decRoom(e.StageFacts.Buckets)}
	case TypeHealth:
		e.HealthFacts = HealthFacts{}
	case TypeProof:
		e.ProofFacts = ProofFacts{}
	}
	e.Stamp, e.Stored, e.Type, e.Namespace, e.Batch = crdt.Stamp{}, 0, TypeUnknown, "", ""
	d.to, d.about, d.hasTime, d.collections = address{}, "", false, 0
}

func decRoom[T any](list []T) []T {
	if cap(list) > decKeep {
		return nil
	}
	return list[:0]
}

// envelope reads an event in structured mode.
func (d *Decoder) envelope() {
	s := &d.scan
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	from, to := -1, -1
	decoded, given := false, false
	var encoded string
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "id", "source", "type", "time", "subject", "specversion":
			if s.isNull() {
				continue
			}
			if v, ok := s.need(); ok {
				d.attribute(key, v)
			}
		case "data":
			if s.isNull() {
				continue
			}
			from = s.i
			if decoded = d.event.Type != TypeUnknown; decoded {
				d.data()
			} else { // its type comes later
				s.skip()
			}
			to = s.i
		case "data_base64":
			if s.isNull() {
				continue
			}
			if v, ok := s.need(); ok {
				encoded, given = v, true
			}
		default:
			s.skip()
		}
	}
	if s.rej == nil {
		s.end()
	}
	d.complete()
	switch {
	case s.rej != nil:
	case given && from >= 0:
		s.failField("data_base64", "is given beside data")
	case given:
		d.base64(encoded)
	case from < 0:
		s.failField("data", "is missing")
	case to-from > decMaxData:
		s.rej = decTooLarge(to - from)
	case !decoded:
		s.i, s.level = from, 1
		s.path[0] = scanStep{index: stepGiven, key: "data"}
		d.data()
	}
}

// base64 reads data that is JSON in base64.
func (d *Decoder) base64(text string) {
	s := &d.scan
	if n := base64.StdEncoding.DecodedLen(len(text)); n > decMaxData+3 {
		s.rej = decTooLarge(n)
		return
	}
	data, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil:
		s.failField("data_base64", "isn't base64")
		return
	case len(data) > decMaxData:
		s.rej = decTooLarge(len(data))
		return
	}
	s.s, s.i, s.level, s.dirty = string(data), 0, 1, !utf8.Valid(data)
	s.path[0] = scanStep{index: stepGiven, key: "data"}
	d.data()
	if s.rej == nil {
		s.end()
	}
}

// binary reads an event whose attributes are headers.
func (d *Decoder) binary(attribute func(string) string) {
	s := &d.scan
	s.level = 1
	for _, name := range [...]string{"specversion", "type", "id", "source", "time", "subject"} {
		v := attribute(name)
		if v == "" {
			continue
		}
		s.path[0] = scanStep{index: stepGiven, key: name}
		if v = decPercent(v); !utf8.ValidString(v) {
			s.fail("isn't valid UTF-8")
			return
		}
		d.attribute(name, v)
	}
	if d.complete(); s.rej != nil {
		return
	}
	s.path[0] = scanStep{index: stepGiven, key: "data"}
	if s.peek() == 0 && s.i == len(s.s) || s.isNull() && s.rej == nil {
		s.fail("is missing")
		return
	}
	d.data()
	if s.rej == nil {
		s.end()
	}
}

// decPercent undoes the percent-encoding of CloudEvents headers; what isn't one stays as it is.
func decPercent(v string) string {
	if strings.IndexByte(v, '%') < 0 {
		return v
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if n, err := strconv.ParseUint(v[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, v[i])
	}
	return string(b)
}

// attribute takes one CloudEvents attribute, at whose path the scanner is.
func (d *Decoder) attribute(name, v string) {
	s, e := &d.scan, &d.event
	switch name {
	case "id":
		e.ID = s.identity(v)
	case "source":
		e.Source = s.identity(v)
	case "subject":
		d.about = s.foreignID(v)
	case "specversion":
		if v != "1.0" {
			s.fail("must be 1.0, not " + scanQuote(v))
		}
	case "time":
		e.Time = s.instant(v)
		d.hasTime = true
	case "type":
		if e.Type = typeOf(v); e.Type == TypeUnknown {
			s.fail(unknownType(v))
		} else if d.to.kind != TypeUnknown && d.to.kind != e.Type {
			s.fail("is " + v + ", but the subject is that of a " + d.to.kind.noun() + " event")
		}
	}
}

// identity checks an id or a source, which together identify the event.
func (s *scanner) identity(v string) string {
	if v == "" {
		s.fail("is empty")
	}
	if len(v) > decMaxID && utf8.RuneCountInString(v) > decMaxID {
		s.fail("has more than " + strconv.Itoa(decMaxID) + " characters")
	}
	for i := scanSpan(v, 0); i < len(v); i = scanSpan(v, i+1) {
		if v[i] < ' ' {
			s.fail("has a control character")
			return v
		}
	}
	if strings.IndexByte(v, 0x7f) >= 0 {
		s.fail("has a control character")
	}
	return v
}

// complete checks that no attribute is missing.
func (d *Decoder) complete() {
	s, e := &d.scan, &d.event
	switch {
	case s.rej != nil:
	case e.Type == TypeUnknown:
		s.failField("type", "is missing")
	case e.ID == "":
		s.failField("id", "is missing")
	case e.Source == "":
		s.failField("source", "is missing")
	case !d.hasTime:
		s.failField("time", "is missing")
	}
}

// data reads the facts, once the type is known.
func (d *Decoder) data() {
	s, e := &d.scan, &d.event
	switch e.Type {
	case TypeBatch:
		d.batchFacts(&e.BatchFacts)
	case TypeTier:
		s.tierFacts(&e.TierFacts)
	case TypeJob:
		s.jobFacts(&e.JobFacts)
	case TypeCollection:
		s.collectionFacts(&e.CollectionFacts)
	case TypeStage:
		s.stageFacts(&e.StageFacts)
	case TypeHealth:
		d.healthFacts(&e.HealthFacts)
	case TypeProof:
		s.proofFacts(&e.ProofFacts)
	case TypeErase:
		s.noFacts()
	}
}

func typeOf(v string) Type {
	switch v {
	case TypeTierV1:
		return TypeTier
	case TypeJobV1:
		return TypeJob
	case TypeBatchV1:
		return TypeBatch
	case TypeStageV1:
		return TypeStage
	case TypeCollectionV1:
		return TypeCollection
	case TypeHealthV1:
		return TypeHealth
	case TypeProofV1:
		return TypeProof
	case TypeEraseV1:
		return TypeErase
	}
	return TypeUnknown
}

// unknownType distinguishes a later version of our types from a type that isn't ours.
func unknownType(v string) string {
	if v == "" {
		return "is empty"
	}
	if i := strings.LastIndex(v, ".v"); i > 0 && typeOf(v[:i]+".v1") != TypeUnknown {
		if n, err := strconv.ParseUint(v[i+2:], 10, 64); err == nil && n > 1 {
			return "is version " + strconv.FormatUint(n, 10) + " of " + v[:i] +
				", newer than version 1, which this release understands"
		}
	}
	return "is unknown: " + scanQuote(v)
}
