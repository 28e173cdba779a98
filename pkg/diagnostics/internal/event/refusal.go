package event

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// Refusal is a rejected message, with what is known of where it belongs.
type Refusal struct {
	Namespace, Batch string
	Stored           int64
	Hash             uint64 // of the message: one that can't be read has no id
	Tier             int32  // of the subject, −1 where it names none
	Field, Reason    string
}

// Bounds of what is kept of a refusal, in characters.
const (
	refusalFieldCut  = 200
	refusalReasonCut = 300
)

// NewRefusal is what is to be folded into the view of a batch of whose messages one was refused. ok is false where the subject
// doesn't name namespace and batch, and for an announcement or an erasure, which are no producer's.
func NewRefusal(m Message, r *Rejection) (f Refusal, ok bool) {
	rest, found := strings.CutPrefix(m.Subject, subjectEvents)
	if !found {
		if rest, found = strings.CutPrefix(m.Subject, subjectLog); !found {
			return f, false
		}
		_, rest = cutDot(rest)
	}
	namespace, after, valid := cutNamespace(rest)
	batch, kind, also := cutID(after)
	if !valid || !also || kind == "health" || kind == "erase" {
		return f, false
	}
	f = Refusal{
		Namespace: namespace, Batch: batch, Hash: m.hash(rest), Tier: -1,
		Field: Cut(r.Field, refusalFieldCut), Reason: Cut(r.Reason, refusalReasonCut),
	}
	if !m.Stored.IsZero() {
		f.Stored = m.Stored.UnixNano()
	}
	if name, of := cutDot(kind); name == "tier" || name == "stage" {
		of, _ = strings.CutSuffix(of, ".progress")
		if n, number := subjectNumber(of, decMaxTierNum); number {
			f.Tier = n
		}
	}
	return f, true
}

// hash tells messages apart by all that they say: where, in headers, and in the body. The partition isn't part of it.
func (m *Message) hash(subject string) uint64 {
	h := sha256.New()
	part := func(text []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		h.Write(text)
	}
	part([]byte(subject))
	part(m.Data)
	if m.Attribute != nil {
		for _, name := range [...]string{"content-type", "specversion", "type", "id", "source", "time", "subject"} {
			part([]byte(m.Attribute(name)))
		}
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
