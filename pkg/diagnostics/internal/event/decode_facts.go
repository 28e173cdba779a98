package event

const (
	batchWords wordSet = 1<<WordDraft | 1<<WordPending | 1<<WordQueued | 1<<WordProcessing | 1<<WordInProgress | batchEnds
	batchEnds  wordSet = 1<<WordCompleted | 1<<WordCompletedWithErrors | 1<<WordFailed | 1<<WordCanceled | 1<<WordSkipped
	tierWords  wordSet = 1<<WordPending | 1<<WordQueued | 1<<WordDraft | 1<<WordProcessing | 1<<WordInProgress | 1<<WordCompleted | 1<<WordFailed |
		1<<WordCanceled | 1<<WordSkipped
	jobWords wordSet = 1<<WordPending | 1<<WordRunning | 1<<WordSucceeded | 1<<WordFailed | 1<<WordStopped
)

func (d *Decoder) batchFacts(f *BatchFacts) {
	s := &d.scan
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	attempt := Opt[int32]{V: 1}
	var settled Opt[bool]
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "status":
			s.status(&f.Status, batchWords)
		case "attempt":
			s.optAttempt(&attempt)
		case "settled":
			s.optBool(&settled)
		case "name":
			s.optName(&f.Name)
		case "pipeline":
			s.optName(&f.Pipeline)
		case "owner":
			s.optName(&f.Owner)
		case "labels":
			s.labels(&f.LabelsJSON)
		case "retry_of":
			s.optOriginalID(&f.RetryOf)
		case "bucket_id":
			s.optName(&f.BucketID)
		case "total_tiers":
			s.optWhole(&f.TotalTiers, 0, decMaxTotalTiers)
		case "total_objects":
			s.optCount(&f.TotalObj)
		case "created_at":
			s.optTime(&f.CreatedAt)
		case "submitted_at":
			s.optTime(&f.SubmittedAt)
		case "started_at":
			s.optTime(&f.StartedAt)
		case "completed_at":
			s.optTime(&f.CompletedAt)
		case "error":
			s.optText(&f.Error)
		case "error_type":
			s.optName(&f.ErrorType)
		case "tiers":
			d.tierPlans(&f.Tiers)
		default:
			s.unknown()
		}
	}
	f.Attempt, f.Settled = attempt.V, settled.V
	if f.Settled && batchEnds&(1<<f.Status) == 0 {
		s.failMember("settled", "is true, but the status is not a terminal one")
	}
}

// labels reads the labels of a batch: a free object, of few members.
func (s *scanner) labels(o *Opt[string]) {
	if s.isNull() {
		return
	}
	if s.peek() != '{' {
		s.mismatch("an object")
		return
	}
	s.out = s.out[:0]
	if n := s.canonObject(false); n > decMaxLabels {
		s.fail("has more than 32 labels")
		return
	}
	if s.rej == nil {
		*o = Opt[string]{s.bounded(decLabelBytes), true}
	}
}

// grow lengthens a list by one entry, in the room of an earlier event's where there is some.
func grow[T any](list *[]T) *T {
	if n := len(*list); n < cap(*list) {
		*list = (*list)[:n+1]
	} else {
		var zero T
		*list = append(*list, zero)
	}
	return &(*list)[len(*list)-1]
}

func (d *Decoder) tierPlans(list *[]TierPlan) {
	s := &d.scan
	if s.isNull() || !s.openArray() {
		return
	}
	for s.itemUpTo(decMaxTiers, "tiers") {
		p := grow(list)
		*p = TierPlan{Collections: decRoom(p.Collections)}
		d.tierPlan(p)
	}
}

func (d *Decoder) tierPlan(p *TierPlan) {
	s := &d.scan
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	var tierNum Opt[int32]
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "tier_num":
			s.optTierNum(&tierNum)
		case "requires_gpu":
			s.optBool(&p.RequiresGPU)
		case "total_documents":
			s.optCount(&p.TotalDocs)
		case "collections":
			d.collectionPlans(&p.Collections)
		default:
			s.unknown()
		}
	}
	s.require(tierNum.Set, "tier_num")
	p.TierNum = tierNum.V
}

func (d *Decoder) collectionPlans(list *[]CollectionPlan) {
	s := &d.scan
	if s.isNull() || !s.openArray() {
		return
	}
	for s.itemUpTo(decMaxCollections-d.collections, "collections in this event") {
		c := grow(list)
		*c = CollectionPlan{}
		s.collectionPlan(c)
	}
	d.collections += len(*list)
}

func (s *scanner) collectionPlan(c *CollectionPlan) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "collection_id":
			s.id(&c.ID)
		case "collection_name":
			s.optName(&c.Name)
		case "expected_documents":
			s.optCount(&c.ExpectedDocs)
		default:
			s.unknown()
		}
	}
	s.require(c.ID != "", "collection_id")
}

// require refuses the object just read if a field is missing that it must have.
func (s *scanner) require(given bool, key string) {
	if !given {
		s.failMember(key, "is missing")
	}
}

func (s *scanner) tierFacts(f *TierFacts) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	var tierNum Opt[int32]
	attempt := Opt[int32]{V: 1}
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "tier_num":
			s.optTierNum(&tierNum)
		case "attempt":
			s.optAttempt(&attempt)
		case "status":
			s.status(&f.Status, tierWords)
		case "task_id":
			s.optName(&f.TaskID)
		case "worker":
			s.worker(&f.Worker)
		case "requires_gpu":
			s.optBool(&f.RequiresGPU)
		case "started_at":
			s.optTime(&f.StartedAt)
		case "completed_at":
			s.optTime(&f.CompletedAt)
		case "processed_documents":
			s.optCount(&f.Processed)
		case "total_documents":
			s.optCount(&f.Total)
		case "failed_documents":
			s.optCount(&f.Failed)
		case "error":
			s.optText(&f.Error)
		case "error_type":
			s.optName(&f.ErrorType)
		case "errors":
			s.errorFacts(&f.Errors)
		case "counts":
			s.counts(f)
		default:
			s.unknown()
		}
	}
	s.require(tierNum.Set, "tier_num")
	f.TierNum, f.Attempt = tierNum.V, attempt.V
}

func (s *scanner) counts(f *TierFacts) {
	var o scanObject
	if s.isNull() || !s.openObject(&o) {
		return
	}
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "fetched":
			s.optCount(&f.Counts[CountFetched])
		case "after_filter":
			s.optCount(&f.Counts[CountAfterFilter])
		case "missing_inputs":
			s.optCount(&f.Counts[CountMissingInputs])
		case "submitted":
			s.optCount(&f.Counts[CountSubmitted])
		case "written":
			s.optCount(&f.Counts[CountWritten])
		default:
			s.unknown()
		}
	}
}

func (s *scanner) errorFacts(list *[]ErrorFact) {
	if s.isNull() || !s.openArray() {
		return
	}
	for s.itemUpTo(decMaxErrors, "errors") {
		e := grow(list)
		*e = ErrorFact{DocIDs: decRoom(e.DocIDs)}
		s.errorFact(e)
	}
}

func (s *scanner) errorFact(e *ErrorFact) {
	var o scanObject
	if !s.openObject(&o) {
		return
	}
	var hasType, hasMessage bool
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		switch key {
		case "error_type":
			s.keyName(&e.ErrorType, &hasType)
		case "message":
			s.keyText(&e.Message, &hasMessage)
		case "component":
			s.keyName(&e.Component, nil)
		case "stage":
			s.keyName(&e.Stage, nil)
		case "affected_count":
			s.optCount(&e.Affected)
		case "affected_document_ids":
			if s.isNull() || !s.openArray() {
				continue
			}
			for s.itemUpTo(decMaxDocIDs, "document ids") {
				if id, ok := s.need(); ok && s.named(id) {
					e.DocIDs = append(e.DocIDs, Cut(id, decKeyCut))
				}
			}
		case "recovery_suggestion":
			s.optText(&e.Suggestion)
		default:
			s.unknown()
		}
	}
	s.require(hasType, "error_type")
	s.require(hasMessage, "message")
}
