package backend

import (
	"context"

	"github.com/headwayhq/headway/pkg/history"
)

// PresentRows are the list rows of finished batches in the present history.
func (b *Backend) PresentRows(ctx context.Context) (*history.Rows, error) {
	info, err := b.Log.HistoryInfo(ctx)
	if err != nil {
		return nil, err
	}
	return b.Rows(info.Generation), nil
}
