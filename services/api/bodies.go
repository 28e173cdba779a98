package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// perRequest is what a POST under way counts beside what it has sent, so that the budget bounds their number too.
	perRequest = 8 << 10
	// progressEvery is within which time an unfinished body has to bring Limits.BodyProgress bytes.
	progressEvery = 10 * time.Second
	// itemSlack is what may surround an event as large as the log takes, before it is too large without a doubt.
	itemSlack = 64 << 10
)

// budget bounds the bytes that all POSTs under way hold. A namespace may hold as much as is still free: one that is
// greedy gets a half, two get a third each, and there is always something left for whoever comes next.
type budget struct {
	total int64

	mu   sync.Mutex
	used int64
	per  map[string]int64
}

func newBudget(total int64) *budget { return &budget{total: total, per: map[string]int64{}} }

func (b *budget) take(ns string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.per[ns]+n > b.total-b.used-n {
		return false
	}
	b.used += n
	b.per[ns] += n
	return true
}

func (b *budget) give(ns string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.per[ns] -= n; b.per[ns] == 0 {
		delete(b.per, ns)
	}
}

func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// intake is the body of one POST, read as it comes: what has arrived counts in the budget, and it has to go on arriving.
type intake struct {
	body     io.Reader
	control  *http.ResponseController
	budget   *budget
	ns       string
	held     int64 // in the budget
	read     int64
	limit    int64 // bytes of the body
	progress int64 // bytes in progressEvery
	until    int64 // bytes at which the deadline is renewed
	item     int64 // where the event begins for which bytes are wanted
	err      error // that ended the reading early
}

// open begins to read the body of a POST. The intake must be closed.
func (s *Service) open(w http.ResponseWriter, r *http.Request, ns string) (*intake, error) {
	if r.ContentLength > s.limits.Body {
		return nil, &http.MaxBytesError{Limit: s.limits.Body}
	}
	if !s.bodies.take(ns, perRequest) {
		return nil, tooMuch()
	}
	in := &intake{
		body: r.Body, control: http.NewResponseController(w), budget: s.bodies, ns: ns, held: perRequest,
		limit: s.limits.Body, progress: s.limits.BodyProgress,
	}
	in.renew()
	return in, nil
}

// renew gives the body time for its next bytes. In tests not every writer has deadlines.
func (in *intake) renew() {
	in.until = in.read + in.progress
	_ = in.control.SetReadDeadline(time.Now().Add(progressEvery))
}

func (in *intake) Read(b []byte) (int, error) {
	if in.read-in.item > maxMessage+itemSlack {
		in.err = errItem
		return 0, errItem
	}
	n, err := in.body.Read(b)
	in.read += int64(n)
	switch {
	case in.read > in.limit:
		in.err = &http.MaxBytesError{Limit: in.limit}
	case n > 0 && !in.budget.take(in.ns, int64(n)):
		in.err = tooMuch()
	default:
		in.held += int64(n)
		if in.read >= in.until {
			in.renew()
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err //nolint:wrapcheck // io.EOF has to stay what it is
		}
		in.err = err
	}
	return n, in.err
}

// ended says that nothing more is read: what follows has limits of its own.
func (in *intake) ended() {
	_ = in.control.SetReadDeadline(time.Time{})
	_ = in.control.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// close gives back what was held.
func (in *intake) close() { in.budget.give(in.ns, in.held) }

// problem is the answer where the body could not be read to its end.
func (in *intake) problem() error {
	var big *http.MaxBytesError
	var told *problemError
	switch {
	case errors.As(in.err, &big), errors.As(in.err, &told):
		return in.err
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		return problem(http.StatusRequestTimeout, "body_too_slow", "The body stopped short: less than "+
			strconv.FormatInt(in.progress, 10)+" bytes came within "+inSeconds(progressEvery)+". Nothing was kept.").because(in.err)
	}
	return problem(http.StatusBadRequest, "bad_body", "The body couldn't be read to its end. Nothing was kept.").because(in.err)
}

// errItem: one event is larger than the log takes.
var errItem = errors.New("api: one event is larger than the log takes")

func tooMuch() *problemError {
	return problem(http.StatusTooManyRequests, "too_many_requests",
		"The POSTs under way already hold as much as this namespace may at the moment. Nothing was kept: send the same again shortly.").
		retry(time.Second)
}
