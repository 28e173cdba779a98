package event

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// Different spellings of an integer (5000.0, 1e3) are accepted as long as the value is an integer.
func TestDecodeTakesIntegersAsTheyAreWritten(t *testing.T) {
	for written, n := range map[string]int64{
		"5000.0": 5000, "1e3": 1000, "1.5E+1": 15, "120e-1": 12, "0.0": 0, "0e99999999999999999999": 0, "0.00e-3": 0, "-0.0": 0,
		"9007199254740992.000": 1 << 53, "9.007199254740992e15": 1 << 53, "0.000001e9": 1000,
	} {
		e := accepted(t, "tier", "tier.1.progress", `{"tier_num":1.0,"processed_documents":`+written+`}`)
		if got := e.TierFacts.Processed.V; got != n || e.TierFacts.TierNum != 1 {
			t.Errorf("%s became %d", written, got)
		}
	}
	for written, why := range map[string]string{
		"1.5": "integer", "1e-1": "integer", "1.00000000000000000000000001": "integer", "9007199254740993.0": "2^53", "1e400": "2^53",
		"1e99999999999999999999": "2^53", "1e-99999999999999999999": "integer", "-1.0": "negative",
	} {
		refuse(t, onStream("tier.1.progress", inEnvelope("tier", `{"tier_num":1,"processed_documents":`+written+`}`)), "data.processed_documents", why)
	}
	e := accepted(t, "job", "job.j", `{"tier_num":1,"submission_id":"j","status":"running","exit_code":-9.0,"waiting_on":{"kind":"QUOTA",
		"since":"2026-03-01T11:00:00Z","demand":{"GPU":0.5}}}`)
	if f := e.JobFacts; f.Status != WordRunning || f.ExitCode.V != -9 || f.Waiting.V.Kind != "quota" || f.Waiting.V.DemandJSON != `{"GPU":0.5}` {
		t.Errorf("%+v", f)
	}
	for _, word := range []string{"in_progress", "In_Progress"} {
		if e := accepted(t, "batch", "batch", `{"status":"`+word+`"}`); e.BatchFacts.Status != WordInProgress {
			t.Errorf("%s became %s", word, e.BatchFacts.Status)
		}
	}
	refuse(t, onStream("batch", inEnvelope("batch", `{"status":"ſkipped"}`)), "data.status", "unknown")
}

func TestDecodeTakesDataInBase64(t *testing.T) {
	in := func(data, more string) Message {
		return onStream("tier.1", strings.Replace(inEnvelope("tier", `{}`), `"data":{}`,
			fmt.Sprintf(`"data_base64":%s%s`, data, more), 1))
	}
	quoted := func(data string) string { return `"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"` }
	for _, m := range []Message{in(quoted(` {"tier_num":1}`), ""), in("null", `,"data":{"tier_num":1}`), in(quoted(`{"tier_num":1}`), `,"data":null`)} {
		var d Decoder
		if e, r := d.Decode(m); r != nil || e.TierFacts.TierNum != 1 {
			t.Errorf("%s: %v", m.Data, r)
		}
	}
	refuse(t, in(quoted(`{"tier_num":-1}`), ""), "data.tier_num", "negative")
	refuse(t, in(quoted(`{"tier_num":1}`), `,"data":{"tier_num":1}`), "data_base64", "beside data")
	refuse(t, in(`"%%"`, ""), "data_base64", "base64")
	refuse(t, in("null", ""), "data", "is missing")
	refuse(t, in(quoted("{\"tier_num\":1,\"error\":\"\xff\"}"), ""), "data.error", "UTF-8")
	refuse(t, in(quoted(`{"tier_num":1} x`), ""), "event", "more follows")
	refuse(t, in(quoted(strings.Repeat(" ", decMaxData)+"{}"), ""), "data", "bytes")
}

// An id of another system is the same id whether it is given as it is or as it is encoded in the subject.
func TestDecodeForeignIDs(t *testing.T) {
	for _, said := range []string{"a/b:1", "a=2Fb=3A1"} {
		e := accepted(t, "job", "job.a=2Fb=3A1", `{"tier_num":1,"status":"RUNNING","submission_id":"`+said+`","job_id":"`+said+`","collections":["`+said+`"]}`)
		if f := e.JobFacts; f.SubmissionID != "a=2Fb=3A1" || f.JobID.V != "a/b:1" || f.CollectionsJSON.V != `["a/b:1"]` {
			t.Errorf("%+v", f)
		}
		var d Decoder
		body := strings.Replace(inEnvelope("batch", `{"retry_of":"`+said+`"}`), "{", `{"subject":"`+said+`",`, 1)
		e, r := d.Decode(Message{Namespace: "n", Data: []byte(body), Stored: storedAt})
		if r != nil || e.Batch != "a=2Fb=3A1" || e.BatchFacts.RetryOf.V != "a/b:1" || e.Subject() != "headway.events.n.a=2Fb=3A1.batch" {
			t.Errorf("%v %+v", r, e)
		}
	}
}

// A value that is too large to keep is replaced by a note about it. Of a list of ids, the first ones are kept.
func TestDecodeBoundsWhatIsTheProducersOwn(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	ids := make([]string, 2_000)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"collection-%04d"`, i)
	}
	e := accepted(t, "job", "job.j", `{"tier_num":1,"submission_id":"j","status":"RUNNING","submission_params":{"p":"`+long+`"},"collections":[`+
		strings.Join(ids, ",")+`],"waiting_on":{"kind":"quota","since":"2026-03-01T11:00:00Z","demand":{"d":"`+long+`"},"asked":["`+long+`"],"holders":["x"]}}`)
	f := e.JobFacts
	for what, v := range map[string]string{"params": f.SubmissionParams.V, "demand": f.Waiting.V.DemandJSON} {
		if v != `{"bytes":20008,"truncated":true}` {
			t.Errorf("%s: %.100s", what, v)
		}
	}
	if f.Waiting.V.AskedJSON != `{"bytes":20004,"truncated":true}` || f.Waiting.V.HoldersJSON != `["x"]` {
		t.Errorf("%.300v", f.Waiting.V)
	}
	c := f.CollectionsJSON.V
	if len(c) > decNamesBytes+64 || !strings.HasPrefix(c, `["collection-0000",`) || !strings.HasSuffix(c, ` more"]`) {
		t.Errorf("%d bytes of collections, %.60s … %s", len(c), c, c[len(c)-40:])
	}
	e = accepted(t, "batch", "batch", `{"labels":{"a":"`+long+`"}}`)
	if v := e.BatchFacts.LabelsJSON.V; v != `{"bytes":20008,"truncated":true}` {
		t.Errorf("%.100s", v)
	}
}
