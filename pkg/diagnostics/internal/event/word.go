package event

// wordSet is a set of status words.
type wordSet uint32

// Word is a status in an event. One vocabulary serves batches, tiers and jobs; the decoder checks which
// words a type may use.
type Word uint8

const (
	WordNone Word = iota
	WordDraft
	WordPending
	WordQueued
	WordProcessing
	WordInProgress
	WordRunning
	WordCompleted
	WordCompletedWithErrors
	WordFailed
	WordCanceled
	WordSkipped
	WordSucceeded
	WordStopped
	wordCount
)

var wordNames = [wordCount]string{
	"", "DRAFT", "PENDING", "QUEUED", "PROCESSING", "IN_PROGRESS", "RUNNING", "COMPLETED",
	"COMPLETED_WITH_ERRORS", "FAILED", "CANCELED", "SKIPPED", "SUCCEEDED", "STOPPED",
}

func (w Word) String() string { return wordNames[w] }

// Known reports whether w is a word of the vocabulary.
func (w Word) Known() bool { return w < wordCount }

// Over reports whether an answer's status says that a batch has ended.
func Over(status string) bool {
	for w := range wordCount {
		if wordNames[w] == status {
			return w.Rank() == RankTerminal
		}
	}
	return false
}

// Rank is how far the work is by a status. A status of a higher rank absorbs those of lower ones.
type Rank uint8

const (
	rankNone Rank = iota
	RankPending
	RankProcessing
	RankTerminal
)

// Rank is the rank of the word.
func (w Word) Rank() Rank {
	switch w {
	case WordNone:
		return rankNone
	case WordDraft, WordPending, WordQueued:
		return RankPending
	case WordProcessing, WordInProgress, WordRunning:
		return RankProcessing
	default:
		return RankTerminal
	}
}
