package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// erasedProblem is the answer for a batch that was erased.
func erasedProblem(batch string, at time.Time) *problemError {
	return problem(http.StatusGone, "erased",
		"This batch was erased by an operator at "+at.Format(time.RFC3339)+". Nothing of it is kept, and events that still come count no more.").
		detail("batch_id", batch).detail("erased_at", at.Format(time.RFC3339Nano))
}

// goneFrame is the frame of a batch that was erased: it ends streams.
func goneFrame(of *content) *push.Frame {
	why := erasedProblem(diagnostics.DecodeID(of.key.Name), of.erased)
	body, _ := json.Marshal(why.p) //nolint:errchkjson // texts
	return &push.Frame{Identity: of.own.identity, Fold: of.own.fold, Seq: of.revision, ID: of.id, Content: goneContent{of.erased, escapeControls(body)}, Gone: why}
}

// goneContent is the content of a frame that ends its streams.
type goneContent struct {
	at   time.Time // when the batch was erased
	json []byte
}

// AppendJSON implements push.Content.
func (d goneContent) AppendJSON(dst []byte) []byte { return append(dst, d.json...) }

// Final implements push.Content.
func (d goneContent) Final() bool { return true }

// Mark implements push.Content.
func (d goneContent) Mark() string { return "" }

// Tag implements push.Content.
func (d goneContent) Tag() string { return "" }

// erasedRow is the row of a batch that was erased. Lists don't show it, and their streams tell that it is gone.
func erasedRow(batch, id string, revision uint64, at time.Time) *row {
	told, _ := json.Marshal(map[string]any{"batch_id": id, "erased_at": at, "revision": revision}) //nolint:errchkjson // plain types
	return &row{batch: batch, id: id, revision: revision, erased: true, json: told, event: push.AppendEvent(nil, "", "removed", escapeControls(told))}
}
