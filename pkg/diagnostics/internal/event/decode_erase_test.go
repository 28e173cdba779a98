package event

import "testing"

// An erasure says nothing but whose batch it is, and fits its own subject only.
func TestDecodeErase(t *testing.T) {
	var d Decoder
	said := `{"specversion":"1.0","id":"b.erase.1","source":"headway/erase","type":"dev.headway.batch.erased.v1","time":"2026-03-01T12:00:00Z","data":`
	e, no := d.Decode(Message{Subject: "headway.events.n.b.erase", Data: []byte(said + `{}}`)})
	if no != nil || e.Type != TypeErase || e.Namespace != "n" || e.Batch != "b" || e.Subject() != "headway.events.n.b.erase" {
		t.Fatal(e, no)
	}
	if _, no := d.Decode(Message{Subject: "headway.log.3.n.b.erase", Data: []byte(said + `{"why":"asked"}}`)}); no != nil || len(d.Unknown()) != 1 {
		t.Fatal(no, d.Unknown())
	}
	for _, c := range []struct{ subject, data, field string }{
		{"headway.events.n.b.batch", `{}}`, "type"},
		{"headway.events.n.b.erase.x", `{}}`, "subject"},
		{"headway.events.n.b.erase", `[]}`, "data"},
	} {
		if _, no := d.Decode(Message{Subject: c.subject, Data: []byte(said + c.data)}); no == nil || no.Field != c.field {
			t.Error(c, no)
		}
	}
}
