package detector

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

const source = "headway/detector"

type cloudEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Subject     string `json:"subject"`
	Time        string `json:"time"`
	ContentType string `json:"datacontenttype"`
	Data        any    `json:"data"`
}

func encode(id, kind, batch string, at time.Time, data any) []byte {
	b, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: source, Type: kind, Subject: batch,
		Time: at.UTC().Format(time.RFC3339Nano), ContentType: "application/json", Data: data,
	})
	if err != nil { // plain types and valid raw JSON only
		panic("detector: " + err.Error())
	}
	return b
}

// announcementEvent is a change of health. Its id is the batch and the ordinal: of two detectors that
// conclude the same, both make the same event.
func announcementEvent(store *viewstore.Store, baseURL string, v *diagnostics.View, asOf time.Time, a *diagnostics.Announcement) []byte {
	data := map[string]any{
		"ordinal": a.Ordinal, "batch_id": v.Batch, "namespace": v.Namespace,
		"from": a.From, "to": a.To, "blocked_reason": nil, "stuck_seconds": nil,
		"evidence": a.Verdict.Evidence, "revision": store.RevisionID(v.Revision), "as_of": asOf.UTC().Format(time.RFC3339Nano),
		"link": baseURL + "/v1/analytics/performance/batches/" + v.Batch + "/diagnostics",
	}
	if a.Verdict.BlockedReason != "" {
		data["blocked_reason"] = a.Verdict.BlockedReason
	}
	if a.To == diagnostics.HealthStuck {
		data["stuck_seconds"] = a.Verdict.StuckSeconds
	}
	return encode(fmt.Sprintf("%s.health.%d", v.Batch, a.Ordinal), diagnostics.TypeHealthV1, v.Batch, asOf, data)
}

// settlingEvent ends a batch of which nobody ever said a status, at the moment it was last heard.
func settlingEvent(k viewstore.Key, s *diagnostics.Settling) []byte {
	return encode(fmt.Sprintf("%s.settled.%d", k.Batch, s.LastHeard), diagnostics.TypeBatchV1, k.Batch, time.Unix(0, s.LastHeard),
		map[string]any{"settled": true, "status": s.Status.String()})
}
