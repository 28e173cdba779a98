package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Ready is headway ready.
type Ready struct {
	URL     string        `arg:"" optional:"" help:"Where the program serves /readyz." default:"http://127.0.0.1:9090"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"4s"`
}

// Run asks /readyz. A program that isn't ready is an error with its reason.
func (r *Ready) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.URL, "/")+"/readyz", nil)
	if err != nil || request.URL.Host == "" {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("%q is no URL: it must be like http://127.0.0.1:9090", r.URL)}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ExitError{Code: exitUnknown, Err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	var why struct{ Detail string }
	if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&why); err != nil || why.Detail == "" {
		return ExitError{Code: exitNo, Err: fmt.Errorf("/readyz answers %s", answer.Status)}
	}
	return ExitError{Code: exitNo, Err: errors.New(plain(why.Detail))}
}
