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
	// perRequest is what a POST in progress counts in addition to its bytes, so that the budget limits their number too.
	perRequest = 8 << 10
	// progressEvery is the time within which Limits.BodyProgress bytes of an unfinished body have to arrive.
	progressEvery = 10 * time.Second
	// itemSlack allows for the text around the largest event that the log accepts. An item that is larger still is certainly too large.
	itemSlack = 64 << 10
)

// budget limits the bytes that all POSTs in progress hold. Each tenant may hold as much as is still free: a greedy one gets a half, two
// get a third each, and something is always left for the next one. A namespace is a tenant, and so is a principal, which could else have
// a share in each of its namespaces.
type budget struct {
	total int64

	mu   sync.Mutex
	used int64
	per  map[whose]int64
}

func newBudget(total int64) *budget { return &budget{total: total, per: map[whose]int64{}} }

// take takes n for all tenants of a request, or nothing; then it returns the tenant that holds too much.
func (b *budget) take(n int64, tenants ...whose) (greedy whose, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range tenants {
		if b.per[t]+n > b.total-b.used-n {
			return t, false
		}
	}
	b.used += n
	for _, t := range tenants {
		b.per[t] += n
	}
	return whose{}, true
}

func (b *budget) give(n int64, tenants ...whose) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	for _, t := range tenants {
		if b.per[t] -= n; b.per[t] == 0 {
			delete(b.per, t)
		}
	}
}

func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// intake is the body of one POST, read as it arrives. The bytes that have arrived count in the budget, and more have to keep arriving.
type intake struct {
	body     io.Reader
	control  *http.ResponseController
	budget   *budget
	tenants  []whose
	held     int64 // bytes taken from the budget
	read     int64
	limit    int64 // maximum bytes of the body
	progress int64 // minimum bytes per progressEvery
	until    int64 // bytes at which the deadline is renewed
	item     int64 // where the event begins that is being read
	err      error // why reading ended early
}

// open starts reading the body of a POST. The intake must be closed.
func (s *Service) open(w http.ResponseWriter, r *http.Request, by sender) (*intake, error) {
	if r.ContentLength > s.limits.Body {
		return nil, &http.MaxBytesError{Limit: s.limits.Body}
	}
	if err := by.ready(); err != nil {
		return nil, err
	}
	tenants := by.tenants()
	if greedy, ok := s.bodies.take(perRequest, tenants...); !ok {
		return nil, tooMuch(greedy, s.bodies.total)
	}
	in := &intake{
		body: r.Body, control: http.NewResponseController(w), budget: s.bodies, tenants: tenants, held: perRequest,
		limit: s.limits.Body, progress: s.limits.BodyProgress,
	}
	in.renew()
	return in, nil
}

// renew extends the deadline for the next bytes. In tests not every writer supports deadlines.
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
	if in.read > in.limit {
		in.err = &http.MaxBytesError{Limit: in.limit}
		return n, in.err
	}
	if n > 0 {
		if greedy, ok := in.budget.take(int64(n), in.tenants...); !ok {
			in.err = tooMuch(greedy, in.budget.total)
			return n, in.err
		}
		in.held += int64(n)
	}
	if in.read >= in.until {
		in.renew()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return n, err //nolint:wrapcheck // io.EOF has to stay what it is
}

// ended gives what is left of the body, which the server reads before it answers, a last deadline.
func (in *intake) ended() {
	_ = in.control.SetReadDeadline(time.Now().Add(writeTimeout))
	_ = in.control.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// close returns what was held to the budget.
func (in *intake) close() { in.budget.give(in.held, in.tenants...) }

// problem is the answer if the body could not be read to its end.
func (in *intake) problem() error {
	var big *http.MaxBytesError
	var told *problemError
	switch {
	case errors.As(in.err, &big), errors.As(in.err, &told):
		return in.err
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		return problem(http.StatusRequestTimeout, "body_too_slow", "The body arrived too slowly: less than "+
			strconv.FormatInt(in.progress, 10)+" bytes came within "+inSeconds(progressEvery)+". Nothing was stored.").because(in.err)
	}
	return problem(http.StatusBadRequest, "bad_body", "The body couldn't be read to its end. Nothing was stored.").because(in.err)
}

// errItem: an event is larger than the log accepts.
var errItem = errors.New("api: an event is larger than the log accepts")

// tooMuch is the answer to a tenant that holds as much as is still free.
func tooMuch(of whose, total int64) *problemError {
	return over("too_many_requests", heldBytes, of, total,
		of.String()+" has as many bytes of POSTs in progress as it may at the moment, which is as much as is still free of "+
			strconv.FormatInt(total, 10)+". Nothing was stored: send the same request again after Retry-After.")
}
