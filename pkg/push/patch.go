package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"weak"
)

// Format is how changes are sent to a client.
type Format uint8

// The formats of a stream.
const (
	// Full: each event has the whole state.
	Full Format = iota
	// Patch: an update or health event has an RFC 7396 merge patch against the previous event on the
	// same connection, and is then named update-patch or health-patch. If that isn't possible or
	// saves nothing, the event is the same as with Full.
	Patch
	// Rows: any event but the first on a connection has what its content's AppendChange says of the
	// previous one, and is then named update-rows, health-rows or end-rows. If that isn't possible or saves nothing, the event
	// is the same as with Full.
	Rows
	formatCount
)

var suffixes = [formatCount]string{Patch: "-patch", Rows: "-rows"}

const (
	// maxBases limits how many differences of a format are made for one frame: one for clients that keep up, some for clients
	// that skipped the same frames. Others get the whole frame.
	maxBases = 4
	// maxPatched is the largest state for which patches are made. Above it nearly everything is in arrays, which a merge
	// patch replaces as a whole, and comparing costs more than sending.
	maxPatched = 64 << 10
)

// differences are the encodings of a frame in one format, by the frame that the client has.
type differences struct {
	mu sync.Mutex
	// The pointers are weak, because a frame must not keep the previous one alive, and through it all others. nil: the whole frame
	// is no larger.
	to map[weak.Pointer[Frame]][]byte
}

// differing is the frame as an event of kind k for a client whose last frame was base. It is computed at most once
// for each base and format, when it is first needed.
func (f *Frame) differing(format Format, k Kind, base *Frame) []byte {
	f.prepare()
	base.prepare()
	if min(len(f.json), len(base.json)) == 0 || format == Patch && max(len(f.json), len(base.json)) > maxPatched {
		return f.encoded(k)
	}
	from := weak.Make(base)
	d := &f.differences[format]
	d.mu.Lock()
	b, known := d.to[from]
	if !known && len(d.to) < maxBases {
		b = f.difference(format, k, base)
		if d.to == nil {
			d.to = make(map[weak.Pointer[Frame]][]byte, 1)
		}
		d.to[from] = b
	}
	d.mu.Unlock()
	if b == nil {
		return f.encoded(k)
	}
	return b
}

// difference is nil if the whole frame is no larger.
func (f *Frame) difference(format Format, k Kind, base *Frame) []byte {
	diff := f.changeSince(format, base)
	if diff == nil || len(diff) >= len(f.json) {
		return nil
	}
	return AppendEvent(make([]byte, 0, len(diff)+len(f.name)+48), f.name, k.String()+suffixes[format], diff)
}

// changeSince is nil if the change can't be expressed in the format.
func (f *Frame) changeSince(format Format, base *Frame) []byte {
	if format == Rows {
		if c, able := f.Content.(RowContent); able {
			return c.AppendChange(nil, base.Content)
		}
		return nil
	}
	diff, err := MergePatch(base.json, f.json)
	if err != nil { // not an object: there is no patch for it
		return nil
	}
	return diff
}

// MergePatch returns the RFC 7396 patch that turns one object into the other. It compares the encoded values without
// parsing them, because both states come from one encoder. An equal value in another notation would only make the
// patch larger.
func MergePatch(from, to []byte) ([]byte, error) {
	var old, now map[string]json.RawMessage
	if err := json.Unmarshal(from, &old); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(to, &now); err != nil {
		return nil, err
	}
	if old == nil || now == nil {
		return nil, errors.New("merge patch: null is no object")
	}
	for key, value := range old {
		changed, there := now[key]
		switch {
		case !there:
			now[key] = json.RawMessage("null") // remove it
		case bytes.Equal(value, changed):
			delete(now, key)
		case value[0] == '{' && changed[0] == '{':
			patch, err := MergePatch(value, changed)
			if err != nil {
				return nil, err
			}
			now[key] = patch
		}
	}
	return json.Marshal(now)
}
