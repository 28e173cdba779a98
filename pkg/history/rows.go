package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rowPrefix begins the subjects of rows: headway.history-row.<generation>.<partition>.<namespace>.<month>.<day>.<hour>.<batch>. These are
// of the batch's end, in UTC, as in "202611.28.07".
const rowPrefix = "headway.history-row."

// endHeader has the end of a batch in microseconds since 1970, so that rows are put in order without their JSON.
const endHeader = "Headway-End"

// apiLimit bounds one request to the server.
const apiLimit = 10 * time.Second

// ErrSuperseded says that the checkpoint in hand isn't the batch's last one any more. Read it again and begin again.
var ErrSuperseded = errors.New("history: the checkpoint was replaced")

// Rows are the list rows of finished batches. They lie in the stream of the checkpoints from which they follow, because a row is
// stored only while its checkpoint is the batch's last (rule 34), and the server checks that only within one stream.
type Rows struct {
	js         jetstream.JetStream
	stream     string
	generation string
	atOnce     int // rows of a day that are read at once; of a day with more, hour by hour
}

// NewRows are the rows of one generation of the stream.
func NewRows(js jetstream.JetStream, stream, generation string) *Rows {
	return &Rows{js: js, stream: stream, generation: generation, atOnce: 2000}
}

// Key names a batch and its partition.
type Key struct {
	Partition        int
	Namespace, Batch string
}

// Checkpoint is a stored checkpoint.
type Checkpoint struct {
	Subject string
	Seq     uint64
}

// Message is the message that stores the row of a batch that ended at end, instead of one for the same hour. c is the checkpoint from
// which the row follows, and must be acknowledged before the message is sent. The row goes after ttl, with 0 never. Sending it again
// when the outcome is unknown does no harm. Refusal tells what the server's refusal means.
func (r *Rows) Message(k Key, end time.Time, c Checkpoint, ttl time.Duration, row []byte) *nats.Msg {
	header := nats.Header{
		jetstream.ExpectedStreamHeader:          {r.stream},
		jetstream.ExpectedLastSubjSeqHeader:     {strconv.FormatUint(c.Seq, 10)},
		jetstream.ExpectedLastSubjSeqSubjHeader: {c.Subject},
		endHeader:                               {strconv.FormatInt(end.UnixMicro(), 10)},
	}
	if ttl > 0 {
		header[jetstream.MsgTTLHeader] = []string{max(ttl.Truncate(time.Second), time.Second).String()}
	}
	return &nats.Msg{Subject: r.subject(k, end), Data: row, Header: header}
}

// Refusal is ErrSuperseded if the server refused a Message because of its checkpoint, and otherwise err.
func Refusal(err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return ErrSuperseded
	}
	return err
}

// Put sends a Message and waits until it is stored. Errors: ErrSuperseded, the server's.
func (r *Rows) Put(ctx context.Context, k Key, end time.Time, c Checkpoint, ttl time.Duration, row []byte) error {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	if _, err := r.js.PublishMsg(ctx, r.Message(k, end, c, ttl, row)); err != nil {
		return fmt.Errorf("history: put row: %w", Refusal(err))
	}
	return nil
}

// RemoveOlder removes the rows of a batch that follow from checkpoints before the one of this sequence, except the one for the hour of
// end; a zero end is for a batch that isn't finished. It must begin after that checkpoint, and after Put, if there is a row to put.
// Errors: ErrSuperseded if there is a row of a later checkpoint, the server's.
func (r *Rows) RemoveOlder(ctx context.Context, k Key, end time.Time, checkpoint uint64) error {
	stored, err := r.of(ctx, k)
	if err != nil {
		return err
	}
	own := ""
	if !end.IsZero() {
		own = r.subject(k, end)
	}
	for _, s := range stored {
		if s.checkpoint > checkpoint {
			return ErrSuperseded
		}
	}
	for _, s := range stored {
		if s.subject != own && s.checkpoint < checkpoint {
			if err := r.remove(ctx, s.seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// Erase removes all rows of a batch and overwrites them on disk, and returns how many there were. None can come later if it begins
// after the tombstone's acknowledgement.
func (r *Rows) Erase(ctx context.Context, k Key) (int, error) {
	stored, err := r.of(ctx, k)
	if err != nil {
		return 0, err
	}
	for i, s := range stored {
		if err := r.remove(ctx, s.seq); err != nil {
			return i, err
		}
	}
	return len(stored), nil
}

func (r *Rows) subject(k Key, end time.Time) string {
	return rowPrefix + r.generation + "." + strconv.Itoa(k.Partition) + "." + k.Namespace + end.UTC().Format(".200601.02.15.") + k.Batch
}

// storedRow is where a row lies.
type storedRow struct {
	subject         string
	seq, checkpoint uint64
}

// of asks the stream's leader for the rows of a batch. The client's own methods would ask any replica, which may lag.
func (r *Rows) of(ctx context.Context, k Key) ([]storedRow, error) {
	filter := rowPrefix + r.generation + "." + strconv.Itoa(k.Partition) + "." + k.Namespace + ".*.*.*." + k.Batch
	var info struct {
		State struct {
			Subjects map[string]int `json:"subjects"`
		} `json:"state"`
	}
	if err := r.ask(ctx, "$JS.API.STREAM.INFO.", map[string]any{"subjects_filter": filter}, &info); err != nil {
		return nil, fmt.Errorf("history: rows of a batch: %w", err)
	}
	var out []storedRow
	for subject := range info.State.Subjects {
		var answer struct {
			Message struct {
				Seq    uint64 `json:"seq"`
				Header []byte `json:"hdrs"`
			} `json:"message"`
		}
		err := r.ask(ctx, "$JS.API.STREAM.MSG.GET.", map[string]any{"last_by_subj": subject}, &answer)
		if missing(err) {
			continue // it was removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("history: rows of a batch: %w", err)
		}
		header, err := nats.DecodeHeadersMsg(answer.Message.Header)
		if err != nil {
			return nil, fmt.Errorf("history: rows of a batch: message %d: %w", answer.Message.Seq, err)
		}
		out = append(out, storedRow{subject, answer.Message.Seq, checkpointOf(header)})
	}
	slices.SortFunc(out, func(a, b storedRow) int { return strings.Compare(a.subject, b.subject) })
	return out, nil
}

// checkpointOf is the sequence of the checkpoint from which a row follows: the one on condition of which it was stored.
func checkpointOf(h nats.Header) uint64 {
	n, _ := strconv.ParseUint(h.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64) // 0 is older than any
	return n
}

// remove overwrites one message. A sequence never means another message, so a late request removes nothing else.
func (r *Rows) remove(ctx context.Context, seq uint64) error {
	question := map[string]any{"seq": seq}
	err := r.ask(ctx, "$JS.API.STREAM.MSG.DELETE.", question, &struct{}{})
	if err != nil && !missing(r.ask(ctx, "$JS.API.STREAM.MSG.GET.", question, &struct{}{})) { // the refusal has several codes if it is gone already
		return fmt.Errorf("history: remove row %d: %w", seq, err)
	}
	return nil
}

// ask sends one request about the stream to its leader. Errors: *jetstream.APIError, the connection's.
func (r *Rows) ask(ctx context.Context, api string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	b, err := json.Marshal(question)
	if err != nil {
		return err
	}
	reply, err := r.js.Conn().RequestWithContext(ctx, api+r.stream, b)
	if err != nil {
		return err
	}
	var refused struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &refused); err != nil {
		return err
	}
	if refused.Error != nil {
		return refused.Error
	}
	return json.Unmarshal(reply.Data, answer)
}

func missing(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeMessageNotFound
}
