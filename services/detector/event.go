package detector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

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

func encode(id, kind, batch string, at time.Time, data any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // escaping could make a text six times as long
	err := e.Encode(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: diagnostics.DetectorSource, Type: kind, Subject: batch,
		Time: at.UTC().Format(time.RFC3339Nano), ContentType: "application/json", Data: data,
	})
	if err != nil {
		return nil, failure{reasonEvent, err}
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// announcementEvent is a change of health or of its cause, of at most maxEvent bytes. Its id is the batch and the ordinal, so two
// detectors with the same verdict create the same event.
// policyHash says by which thresholds it was judged.
func announcementEvent(baseURL, revision, policyHash string, v *diagnostics.View, asOf time.Time, a *diagnostics.Announcement) ([]byte, error) {
	data := map[string]any{
		"ordinal": a.Ordinal, "batch_id": v.BatchID(), "namespace": v.Namespace,
		"from": a.From, "to": a.To, "blocked_reason": nil, "stuck_seconds": nil,
		"evidence": cutEvidence(a.Verdict.Evidence), "revision": revision, "as_of": asOf.UTC().Format(time.RFC3339Nano),
		"link": baseURL + "/v1/analytics/performance/batches/" + v.Batch + "/diagnostics",
	}
	changed := []string{}
	if a.CauseFrom != a.CauseTo {
		changed = append(changed, "cause")
	}
	if a.From != a.To {
		changed = append(changed, "health")
	}
	data["changed"] = changed
	if policyHash != "" {
		data["policy_hash"] = policyHash
	}
	data["cause_from"], data["cause_to"] = orNull(a.CauseFrom), orNull(a.CauseTo)
	if a.Verdict.BlockedReason != "" {
		data["blocked_reason"] = cut(a.Verdict.BlockedReason, maxText)
	}
	if a.To == diagnostics.HealthStuck {
		data["stuck_seconds"] = a.Verdict.StuckSeconds
	}
	return encode(fmt.Sprintf("%s.health.%d", v.Batch, a.Ordinal), diagnostics.TypeHealthV1, v.Batch, asOf, data)
}

// settlingEvent ends a batch for which no producer ever reported a status, at the moment of its last event.
func settlingEvent(k viewstore.Key, s *diagnostics.Settling) ([]byte, error) {
	return encode(fmt.Sprintf("%s.settled.%d", k.Batch, s.LastHeard), diagnostics.TypeBatchV1, k.Batch, time.Unix(0, s.LastHeard),
		map[string]any{"settled": true, "status": s.Status.String()})
}

// ParseAPIURL checks the URL of the API with which links begin, and returns it for Options.BaseURL; "" stays "".
func ParseAPIURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("--api-url: is no URL") // the text may contain a password, so it isn't repeated
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("--api-url: must begin with http:// or https:// and a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("--api-url: may have no user, query or fragment: everybody who reads announcements would see it")
	case len(text) > maxBaseURL:
		return "", fmt.Errorf("--api-url: is longer than %d bytes", maxBaseURL)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

func orNull(code string) *string {
	if code == "" {
		return nil
	}
	return &code
}
