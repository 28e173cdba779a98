package push

import (
	"bytes"
	"strconv"
	"sync"
	"time"
)

// Content is the state in a frame. Each of its methods is called at most once, by whichever
// stream needs the frame first.
type Content interface {
	// AppendJSON appends the state as JSON.
	AppendJSON(dst []byte) []byte
	// Final reports that the topic has ended.
	Final() bool
	// Mark is a small value whose change makes a frame a "health" frame instead of an "update".
	Mark() string
	// Tag distinguishes what states of one sequence say at different moments. Mark and Tag belong to what AppendJSON returned.
	Tag() string
}

// RowContent is a Content that has rows.
type RowContent interface {
	Content
	// AppendChange appends what makes this content of another one of the same topic, as one line. Both have appended their
	// JSON before. The result is nil if this can't be expressed.
	AppendChange(dst []byte, from Content) []byte
}

// PublicContent is a Content of which a part may be shown to everybody.
type PublicContent interface {
	Content
	// AppendPublic appends that part as JSON, as of the moment of AppendJSON, which was called before. It may be called several times.
	AppendPublic(dst []byte) []byte
}

// RestingContent is a Content that may drop what it can make again.
type RestingContent interface {
	Content
	// Rest is called again and again while the topic has no stream and wasn't asked for lately. Requests for it may come meanwhile.
	Rest()
}

// Frame is one state of a topic. It is immutable and shared by all streams.
type Frame struct {
	Identity string // sequences are comparable only within one identity
	Fold     int    // fold version of the state: two versions may compute different states of one sequence
	Seq      uint64
	ID       string // of the sequence; with the tag it is the frame's name
	Content  Content

	// Gone says that the topic is gone for good; nil if it isn't. Then nobody can subscribe to it any more, and its streams end with the event
	// problem, whose data is Content.
	Gone error

	once        sync.Once
	payload     []byte // the data lines and the empty line that ends the frame
	json        []byte // the state within payload; empty if it has several lines
	final       bool
	mark        string
	name        string
	heads       [kindCount]sync.Once
	whole       [kindCount][]byte
	publicly    [kindCount]sync.Once
	public      [kindCount][]byte
	differences [formatCount]differences
}

// Kind is the name of an SSE event.
type Kind uint8

// The events of a stream.
const (
	Snapshot Kind = iota
	Update
	Health
	End
	Problem
	kindCount
)

var kindNames = [kindCount]string{"snapshot", "update", "health", "end", "problem"}

func (k Kind) String() string { return kindNames[k] }

func (f *Frame) prepare() {
	f.once.Do(func() {
		state := f.Content.AppendJSON(nil)
		f.final, f.mark, f.name = f.Content.Final(), f.Content.Mark(), f.ID
		if tag := f.Content.Tag(); tag != "" {
			f.name += "." + tag
		}
		f.payload = appendData(make([]byte, 0, len(state)+len(dataField)+2), state)
		if len(f.payload) == len(dataField)+len(state)+2 {
			f.json = f.payload[len(dataField) : len(dataField)+len(state)]
		}
	})
}

// Final reports whether the frame ends its topic.
func (f *Frame) Final() bool { f.prepare(); return f.final }

func (f *Frame) markText() string { f.prepare(); return f.mark }

// Name is the id that clients send back as Last-Event-ID: <id>.<tag>.
func (f *Frame) Name() string { f.prepare(); return f.name }

// encoded is the whole frame as an event of kind k, as AppendEvent would append it.
func (f *Frame) encoded(k Kind) []byte {
	f.prepare()
	f.heads[k].Do(func() {
		head := appendField(make([]byte, 0, len(f.name)+32), "id", f.name)
		head = appendField(head, "event", k.String())
		b := make([]byte, 0, len(head)+len(f.payload)+chunkExtra)
		b = appendChunkSize(b, len(head)+len(f.payload))
		f.whole[k] = append(append(append(b, head...), f.payload...), "\r\n"...)
	})
	return f.whole[k]
}

// encodedPublicly is the part of the frame that may be shown to everybody, as an event of kind k; nil if there is none.
func (f *Frame) encodedPublicly(k Kind) []byte {
	f.prepare()
	f.publicly[k].Do(func() {
		if c, is := f.Content.(PublicContent); is {
			f.public[k] = AppendEvent(nil, f.name, k.String(), c.AppendPublic(nil))
		}
	})
	return f.public[k]
}

// newer reports whether f may follow old: it has another identity, or a greater sequence in the same one, or the same sequence
// from another fold version.
func (f *Frame) newer(old *Frame) bool {
	return old == nil || f.Identity != old.Identity || f.Seq > old.Seq || f.Seq == old.Seq && f.Fold != old.Fold
}

// supersedes reports whether a position is that of another fold version that has read everything that f shows. Then its state of
// the topic is the current one, whatever its sequence.
func (p Position) supersedes(f *Frame) bool {
	return p.Identity == f.Identity && p.Fold != f.Fold && p.Cursor >= f.Seq
}

// AppendEvent appends one event, as a chunk of a body in HTTP/1.1 (RFC 9112, 7.1): it is sent to every client as it is.
// Line breaks and NUL in id or name could be used to forge fields, so such
// an id or name is left out; in data each line break begins a new data line.
func AppendEvent(dst []byte, id, name string, data []byte) []byte {
	begin := len(dst)
	dst = appendField(dst, "id", id)
	dst = appendField(dst, "event", name)
	return chunk(appendData(dst, data), begin)
}

func appendField(dst []byte, field, value string) []byte {
	if value == "" || bytes.ContainsAny([]byte(value), "\r\n\x00") {
		return dst
	}
	dst = append(dst, field...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, '\n')
}

const dataField = "data: "

func appendData(dst, data []byte) []byte {
	dst = append(dst, dataField...)
	for {
		i := bytes.IndexAny(data, "\r\n\x00")
		if i < 0 {
			break
		}
		dst = append(dst, data[:i]...)
		switch {
		case data[i] == 0:
			dst = append(dst, "\uFFFD"...)
		default:
			if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
				i++
			}
			dst = append(dst, "\ndata: "...)
		}
		data = data[i+1:]
	}
	dst = append(dst, data...)
	return append(dst, "\n\n"...)
}

// appendRetry appends the time after which a client should reconnect. It belongs in the block of an event: there are
// readers that take a block without data for an empty event.
func appendRetry(dst []byte, d time.Duration) []byte {
	return appendField(dst, "retry", strconv.FormatInt(d.Milliseconds(), 10))
}

// comment is a line that says nothing. No empty line follows, which some readers would take for an empty event.
var comment = chunk([]byte(":\n"), 0)
