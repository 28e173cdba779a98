package diagnostics

import "time"

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

// Rejection says which field of an event is refused, and why.
type Rejection struct {
	Field  string
	Reason string
}

func (r *Rejection) Error() string { return r.Field + ": " + r.Reason }

// Decoder decodes events. It reuses its memory: an Event is valid until the next Decode.
// Not safe for concurrent use.
type Decoder struct{ event Event }

// Decode reads and validates one event.
func (d *Decoder) Decode(m Message) (*Event, *Rejection) { panic("todo") }

// Subject is the NATS subject an event belongs on: headway.events.<namespace>.<batch>.<kind…>.
func (e *Event) Subject() string { panic("todo") }
