package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// tierEvent is a typical event of 332 bytes, in structured mode, with its fields in the order in which producers write them.
const tierEvent = `{"specversion":"1.0","type":"dev.headway.tier.v1","source":"/pipeline/orchestrator",` +
	`"id":"b1f5a9c2-7d1e-4c0a-9b60-1a2b3c4d5e6f","time":"2026-03-01T11:59:58.123456Z","datacontenttype":"application/json",` +
	`"data":{"tier_num":2,"attempt":1,"status":"PROCESSING","processed_documents":14382,"total_documents":52000,` +
	`"failed_documents":3}} `

func tierMessage() Message {
	return Message{
		Subject: "headway.log.7.default.batch_42.tier.2", Data: []byte(tierEvent),
		Stored: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func BenchmarkDecode(b *testing.B) {
	var d Decoder
	m := tierMessage()
	b.SetBytes(int64(len(m.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, r := d.Decode(m); r != nil {
			b.Fatal(r)
		}
	}
}

// BenchmarkDecodeUnknown decodes an event with one unknown field. The extra cost is that of reporting the field's name.
func BenchmarkDecodeUnknown(b *testing.B) {
	var d Decoder
	m := tierMessage()
	m.Data = []byte(strings.Replace(tierEvent, "failed_documents", "faild_documents", 1))
	b.SetBytes(int64(len(m.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, r := d.Decode(m); r != nil || len(d.Unknown()) != 1 {
			b.Fatal(r, d.Unknown())
		}
	}
}

// BenchmarkDecodeStandard decodes the same event with encoding/json, without any checks.
func BenchmarkDecodeStandard(b *testing.B) {
	type facts struct {
		TierNum   *int32  `json:"tier_num"`
		Attempt   *int32  `json:"attempt"`
		Status    *string `json:"status"`
		Processed *int64  `json:"processed_documents"`
		Total     *int64  `json:"total_documents"`
		Failed    *int64  `json:"failed_documents"`
	}
	type event struct {
		SpecVersion string    `json:"specversion"`
		Type        string    `json:"type"`
		Source      string    `json:"source"`
		ID          string    `json:"id"`
		Time        time.Time `json:"time"`
		ContentType string    `json:"datacontenttype"`
		Data        facts     `json:"data"`
	}
	data := []byte(tierEvent)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDecodeAllocatesOnce(t *testing.T) {
	if n := len(tierEvent); n != 332 {
		t.Fatalf("the event has %d bytes", n)
	}
	var d Decoder
	m := tierMessage()
	if n := testing.AllocsPerRun(100, func() { d.Decode(m) }); n > 1 {
		t.Errorf("%v allocations an event, want at most 1", n)
	}
}
