package event

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

func (s *scanner) jobFacts(f *JobFacts) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	var tierNum Opt[int32]
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "tier_num":
			s.optTierNum(&tierNum)
		case "attempt":
			s.optAttempt(&f.Attempt)
		case "submission_id":
			s.id(&f.SubmissionID)
		case "job_id":
			s.optOriginalID(&f.JobID)
		case "extractor":
			s.optName(&f.Extractor)
		case "collections":
			s.collectionIDs(&f.CollectionsJSON)
		case "status":
			s.status(&f.Status, jobWords)
		case "submitted_at":
			s.optTime(&f.SubmittedAt)
		case "started_at":
			s.optTime(&f.StartedAt)
		case "ended_at":
			s.optTime(&f.EndedAt)
		case "message":
			s.optText(&f.Message)
		case "error_type":
			s.optName(&f.ErrorType)
		case "exit_code":
			s.optWhole(&f.ExitCode, -decMaxCount, decMaxCount)
		case "dashboard_url":
			s.optText(&f.DashboardURL)
		case "resources":
			s.resources(&f.ResourcesJSON)
		case "submission_params":
			s.freeObject(&f.SubmissionParams, true, decParamBytes)
		case "cluster":
			s.optKeyName(&f.Cluster)
		case "run":
			s.optKeyName(&f.Run)
		case "session":
			s.optName(&f.Session)
		case "processed_documents":
			s.optCount(&f.Processed)
		case "total_documents":
			s.optCount(&f.Total)
		case "waiting_on":
			s.waitingOn(&f.Waiting)
		default:
			s.unknown()
		}
	}
	s.require(tierNum.Set, "tier_num")
	s.require(f.SubmissionID != "", "submission_id")
	s.require(f.Status != WordNone, "status")
	f.TierNum = tierNum.V
}

// Bounds of JSON values that are the producer's own, in bytes of their canonical form. One above its bound is replaced by
// {"bytes":n,"truncated":true}.
const (
	decLabelBytes  = 8 << 10
	decParamBytes  = 16 << 10
	decAmountBytes = 4 << 10  // of a demand, and of what is offered
	decListBytes   = 8 << 10  // of what was asked, of holders and of fixes
	decKnownBytes  = 64 << 10 // of an announcement's evidence, which is ours
	decNamesBytes  = 16 << 10 // of the ids of a job's collections
)

// freeObject keeps an object whose content is the producer's own, as canonical JSON of at most limit bytes.
func (s *scanner) freeObject(o *Opt[string], scrub bool, limit int) {
	if s.isNull() {
		return
	}
	if s.peek() != '{' {
		s.mismatch("an object")
		return
	}
	s.out = s.out[:0]
	if s.canonObject(scrub); s.rej == nil {
		*o = Opt[string]{s.bounded(limit), true}
	}
}

// freeArray is freeObject for an array, or for what stands in the place of one that was too large.
func (s *scanner) freeArray(v *string, limit int) {
	if s.isNull() {
		return
	}
	if c := s.peek(); c != '[' && c != '{' {
		s.mismatch("an array")
		return
	}
	s.out = s.out[:0]
	if s.canonical(false); s.rej == nil {
		*v = s.bounded(limit)
	}
}

// bounded is the canonical JSON just made, or what stands for it where it is too large.
func (s *scanner) bounded(limit int) string {
	if len(s.out) <= limit {
		return string(s.out)
	}
	return `{"bytes":` + strconv.Itoa(len(s.out)) + `,"truncated":true}`
}

// collectionIDs keeps the set of a job's collections: sorted, each once.
func (s *scanner) collectionIDs(o *Opt[string]) {
	if s.isNull() || !s.openArray() {
		return
	}
	s.env = s.env[:0]
	for s.itemUpTo(decMaxCollections, "collections") {
		if id, ok := s.need(); ok {
			s.env = append(s.env, DecodeID(s.foreignID(id)))
		}
	}
	s.sortedTexts(decNamesBytes)
	*o = Opt[string]{string(s.out), true}
}

// sortedTexts writes the collected texts to s.out as an array: sorted, each once, the first ones that limit has room for. Where
// some are left out, the last entry has their number.
func (s *scanner) sortedTexts(limit int) {
	slices.Sort(s.env)
	texts := slices.Compact(s.env)
	s.out = append(s.out[:0], '[')
	for i, text := range texts {
		before := len(s.out)
		if i > 0 {
			s.out = append(s.out, ',')
		}
		if s.out = AppendString(s.out, text); len(s.out) > limit {
			s.out = AppendString(append(s.out[:before], ','), "… and "+strconv.Itoa(len(texts)-i)+" more")
			break
		}
	}
	s.out = append(s.out, ']')
	clear(s.env)
}

func (s *scanner) resources(o *Opt[string]) {
	var obj scanObject
	if s.isNull() || !s.openObject(&obj) {
		return
	}
	var memory Opt[int64]
	var cpus, gpus Opt[float64]
	for key, more := s.next(&obj); more; key, more = s.next(&obj) {
		switch key {
		case "num_cpus":
			s.optAmount(&cpus)
		case "num_gpus":
			s.optAmount(&gpus)
		case "memory_bytes":
			s.optCount(&memory)
		default:
			s.unknown()
		}
	}
	b := append(s.out[:0], '{') //nolint:gocritic // its memory is given back below
	if memory.Set {
		b = strconv.AppendInt(append(b, `"memory_bytes":`...), memory.V, 10)
	}
	if cpus.Set {
		b = append(decComma(b), `"num_cpus":`...)
		b = appendNumber(b, cpus.V)
	}
	if gpus.Set {
		b = append(decComma(b), `"num_gpus":`...)
		b = appendNumber(b, gpus.V)
	}
	s.out = append(b, '}') //nolint:gocritic // the memory taken above
	*o = Opt[string]{string(s.out), true}
}

func decComma(b []byte) []byte {
	if b[len(b)-1] == '{' {
		return b
	}
	return append(b, ',')
}

// waitingOn is the one field in which null has a meaning: the job waits for nothing.
func (s *scanner) waitingOn(o *Opt[Waiting]) {
	o.Set = true
	var obj scanObject
	if s.isNull() || !s.openObject(&obj) {
		return
	}
	w := &o.V
	var since Opt[int64]
	var demand, offered Opt[string]
	for key, more := s.next(&obj); more; key, more = s.next(&obj) {
		switch key {
		case "kind":
			s.waitingKind(&w.Kind)
		case "since":
			s.optTime(&since)
		case "demand":
			s.freeObject(&demand, false, decAmountBytes)
		case "offered":
			s.freeObject(&offered, false, decAmountBytes)
		case "nodes_pending":
			s.optCount(&w.NodesPending)
		case "infeasible":
			s.optBool(&w.Infeasible)
		case "detail":
			s.optText(&w.Detail)
		case "code":
			s.optKeyName(&w.Code)
		case "asked":
			s.freeArray(&w.AskedJSON, decListBytes)
		case "holders":
			s.freeArray(&w.HoldersJSON, decListBytes)
		case "fixes":
			s.freeArray(&w.FixesJSON, decListBytes)
		default:
			s.unknown()
		}
	}
	s.require(w.Kind != "", "kind")
	s.require(since.Set, "since")
	w.Since, w.DemandJSON, w.OfferedJSON = since.V, demand.V, offered.V
}

// namespace reads the name of a namespace, which isn't written as ids are.
func (s *scanner) namespace(v *string) {
	if s.isNull() {
		return
	}
	if text, ok := s.need(); ok && ValidNamespace(text) {
		*v = text
	} else if ok {
		s.fail("is not a namespace: 1 to 128 letters, digits, _ and -")
	}
}

func (s *scanner) waitingKind(kind *string) {
	if s.isNull() {
		return
	}
	text, ok := s.need()
	if !ok {
		return
	}
	for _, word := range [...]string{"resources", "runtime_env", "node_launch", "image_pull", "quota"} {
		if text == word || strings.EqualFold(text, word) {
			*kind = word
			return
		}
	}
	s.fail("is unknown: " + scanQuote(text))
}

func (s *scanner) collectionFacts(f *CollectionFacts) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "collection_id":
			s.id(&f.ID)
		case "collection_name":
			s.optName(&f.Name)
		case "tier_num":
			s.optTierNum(&f.TierNum)
		case "document_count":
			s.optCount(&f.Documents)
		case "expected_documents":
			s.optCount(&f.ExpectedDocs)
		default:
			s.unknown()
		}
	}
	s.require(f.ID != "", "collection_id")
}

func (s *scanner) stageFacts(f *StageFacts) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	var tierNum Opt[int32]
	var hasStage bool
	attempt := Opt[int32]{V: 1}
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "tier_num":
			s.optTierNum(&tierNum)
		case "attempt":
			s.optAttempt(&attempt)
		case "stage":
			s.keyName(&f.Stage, &hasStage)
		case "component":
			s.keyName(&f.Component, nil)
		case "worker":
			s.keyName(&f.Worker, nil)
		case "unit":
			s.optKeyName(&f.Unit)
		case "count":
			s.optCount(&f.Count)
		case "total_ms":
			s.optAmount(&f.TotalMS)
		case "max_ms":
			s.optAmount(&f.MaxMS)
		case "buckets":
			s.buckets(&f.Buckets)
		default:
			s.unknown()
		}
	}
	s.require(tierNum.Set, "tier_num")
	s.require(hasStage, "stage")
	f.TierNum, f.Attempt = tierNum.V, attempt.V
}

// buckets reads pairs of upper bound and count, and keeps the greater count of a bound given twice.
func (s *scanner) buckets(list *[]Bucket) {
	if s.isNull() || !s.openArray() {
		return
	}
	for s.itemUpTo(decMaxBuckets, "buckets") {
		var b Bucket
		if s.bucket(&b); s.rej == nil {
			*list = append(*list, b)
		}
	}
	slices.SortFunc(*list, func(a, b Bucket) int {
		return cmp.Or(cmp.Compare(a.UpperMS, b.UpperMS), cmp.Compare(b.Count, a.Count))
	})
	*list = slices.CompactFunc(*list, func(a, b Bucket) bool { return a.UpperMS == b.UpperMS })
}

func (s *scanner) bucket(b *Bucket) {
	if !s.openArray() {
		return
	}
	n := 0
	for s.item() {
		switch n++; n {
		case 1:
			b.UpperMS, _ = s.amount()
		case 2:
			b.Count, _ = s.whole(0, decMaxCount)
		default:
			s.skip()
		}
	}
	if n != 2 {
		s.fail("must be a pair: [upper_ms, count]")
	}
}

func (d *Decoder) healthFacts(f *HealthFacts) {
	s := &d.scan
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	var ordinal, asOf Opt[int64]
	var hasFrom, hasTo bool
	var evidence, reason, revision, link, hash Opt[string]
	d.healthNamespace, d.healthBatch = "", ""
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "ordinal":
			s.optCount(&ordinal)
		case "batch_id":
			s.id(&d.healthBatch)
		case "namespace":
			s.namespace(&d.healthNamespace)
		case "from":
			s.health(&f.From, &hasFrom)
		case "to":
			s.health(&f.To, &hasTo)
		case "blocked_reason":
			s.optText(&reason)
		case "stuck_seconds":
			s.optAmount(&f.StuckSeconds)
		case "evidence":
			s.freeObject(&evidence, false, decKnownBytes)
		case "revision":
			s.optText(&revision)
		case "as_of":
			s.optTime(&asOf)
		case "link":
			s.optText(&link)
		case "changed":
			s.changed(&f.ChangedJSON)
		case "cause_from":
			s.causeCode(&f.CauseFrom)
		case "cause_to":
			s.causeCode(&f.CauseTo)
		case "policy_hash":
			s.optText(&hash)
		default:
			s.unknown()
		}
	}
	s.require(ordinal.Set, "ordinal")
	s.require(d.healthBatch != "", "batch_id")
	s.require(d.healthNamespace != "", "namespace")
	s.require(hasFrom, "from")
	s.require(hasTo, "to")
	s.require(revision.Set, "revision")
	s.require(asOf.Set, "as_of")
	f.Ordinal, f.AsOf = ordinal.V, asOf.V
	f.BlockedReason, f.EvidenceJSON, f.Revision, f.Link = reason.V, evidence.V, revision.V, link.V
	f.PolicyHash = hash.V
}

// changed keeps the set of changes in an announcement, sorted and without duplicates.
func (s *scanner) changed(v *string) {
	if s.isNull() || !s.openArray() {
		return
	}
	s.env = s.env[:0]
	for s.itemUpTo(decMaxChanged, "words") {
		if word, ok := s.need(); ok && s.named(word) {
			s.env = append(s.env, Cut(word, decKeyCut))
		}
	}
	s.sortedTexts(math.MaxInt)
	*v = string(s.out)
}

// causeCode reads the code of a cause. null means that there was none.
func (s *scanner) causeCode(o *Opt[string]) {
	o.Set = true
	if !s.isNull() {
		s.optKeyName(o)
	}
}

func (s *scanner) health(h *Health, has *bool) {
	if s.isNull() {
		return
	}
	if text, ok := s.need(); ok {
		if *h, *has = ParseHealth(text); !*has {
			s.fail("is an unknown health: " + scanQuote(text))
		}
	}
}
