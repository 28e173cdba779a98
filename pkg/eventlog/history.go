package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/internal/seeded"
)

const (
	historyPrefix = "headway.history."
	rowPrefix     = "headway.history-row."
	partPrefix    = "headway.history-part."
	floorPrefix   = "headway.history-floor."
	basePrefix    = "headway.history-base."
)

// Headers of a checkpoint.
const (
	headerLog    = "Headway-Log"
	headerCovers = "Headway-Covers"
	headerFold   = "Headway-Fold"
	headerOver   = "Headway-Over" // when the batch ended, ms since 1970; not set while it is active
	headerParts  = "Headway-Parts"
	headerErased = "Headway-Erased"
	headerRowed  = "Headway-Rowed"
	headerFirst  = "Headway-First" // not set where it isn't known
	headerAsOf   = "Headway-As-Of" // ns since 1970; not set where it isn't known
)

// history is the stream of checkpoints: one message for each batch. Its subjects contain a generation that is chosen when the stream is
// made, so that a request that was meant for a deleted one finds nobody (rule 19). It has no maximum age: an active batch may be silent
// for long. Checkpoints of finished batches have a time to live of their own.
func (c Config) history() jetstream.StreamConfig {
	return ofGeneration(jetstream.StreamConfig{
		Name:        HistoryStream,
		Description: "The last state of each batch. With it, events that it covers may be removed from the log.",
		Storage:     c.storage(), Replicas: c.Replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld,
		FirstSeq: c.First, AllowDirect: true, AllowMsgTTL: true, Duplicates: leastDuplicates,
	}, "*")
}

func ofGeneration(c jetstream.StreamConfig, generation string) jetstream.StreamConfig {
	c.Subjects = []string{historyPrefix + generation + ".>", rowPrefix + generation + ".>", partPrefix + generation + ".>", floorPrefix + generation, basePrefix + generation + ".>"}
	if generation == "*" {
		return c
	}
	c.Metadata = maps.Clone(c.Metadata)
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[generationKey] = generation
	return c
}

// HistoryInfo is the state of the history at a moment.
type HistoryInfo struct {
	Generation string
	Identity   string // like that of the log
	Last       uint64
	Messages   uint64
	Bytes      uint64
}

// HistoryInfo asks the history for its generation and its end.
func (l *Log) HistoryInfo(ctx context.Context) (HistoryInfo, error) {
	s, err := ask(ctx, l.js, HistoryStream)
	if err != nil {
		return HistoryInfo{}, fmt.Errorf("eventlog: history: %w", err)
	}
	i := s.CachedInfo()
	return HistoryInfo{
		Generation: i.Config.Metadata[generationKey], Identity: identity(i.Created, incarnation(i.Config)),
		Last: i.State.LastSeq, Messages: i.State.Msgs, Bytes: i.State.Bytes,
	}, nil
}

// Checkpoint is the stored state of one batch.
type Checkpoint struct {
	Namespace, Batch string
	Seq              uint64    // in the history; set by reading
	Stored           time.Time // set by reading
	Identity         string    // of the log in which Covers and the numbers of the value's header count
	Covers           uint64    // every event of the batch up to this sequence is in the value
	Fold             int       // version of the value
	First            uint64    // in the log, no event of the batch came before it; 0: not known
	AsOf             time.Time // everything in the value was stored by then; zero: not known
	Over             time.Time // when the batch ended; zero while it is active
	Rowed            bool      // there may be list rows of earlier checkpoints (rule 34)
	Erased           bool      // a tombstone: nothing is known of the batch any more
	Value            []byte    // header and state of the view
}

// maxCheckpoint is the size from which on a value is stored in several messages: the server refuses more than 1 MiB.
const maxCheckpoint = 900 << 10

func checkpointSubject(generation string, partition int, namespace, batch string) string {
	return historyPrefix + generation + "." + strconv.Itoa(partition) + "." + namespace + "." + batch
}

// CheckpointSubject is where a batch's checkpoint lies.
func (l *Log) CheckpointSubject(generation, namespace, batch string) string {
	return checkpointSubject(generation, l.Partition(namespace, batch), namespace, batch)
}

// StoreCheckpoint stores a batch's state, provided that the one stored before has the sequence expect (0: none), and returns the new sequence.
// keep is how long it is kept; 0: forever. Errors: WrongLastError with the present sequence, ErrUnavailable.
func (l *Log) StoreCheckpoint(ctx context.Context, generation string, c Checkpoint, expect uint64, keep time.Duration) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	p := l.Partition(c.Namespace, c.Batch)
	subject := checkpointSubject(generation, p, c.Namespace, c.Batch)
	h := c.header()
	data := c.Value
	if len(data) > maxCheckpoint {
		parts, err := l.storeParts(ctx, generation, p, c, keep)
		if err != nil {
			return 0, err
		}
		h.Set(headerParts, parts)
		data = nil
	}
	options := []jetstream.PublishOpt{jetstream.WithExpectLastSequenceForSubject(expect, subject), jetstream.WithRetryAttempts(0)}
	if seeded.Bug("checkpoint-without-expectation") {
		options = options[1:]
	}
	if keep > 0 {
		options = append(options, jetstream.WithMsgTTL(keep))
	}
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: h, Data: data}, options...)
	if isWrongLast(err) {
		m, found, err := l.leaderLast(ctx, HistoryStream, subject)
		if err != nil {
			return 0, fmt.Errorf("eventlog: checkpoint: %w", err)
		}
		last := uint64(0)
		if found {
			last = m.Seq
		}
		return 0, fmt.Errorf("eventlog: checkpoint: %w", WrongLastError{last})
	}
	if err != nil {
		return 0, fmt.Errorf("eventlog: checkpoint: %w", refusal(err))
	}
	return ack.Sequence, nil
}

func (c *Checkpoint) header() nats.Header {
	h := nats.Header{headerLog: {c.Identity}, headerCovers: {strconv.FormatUint(c.Covers, 10)}, headerFold: {strconv.Itoa(c.Fold)}}
	if c.First > 0 {
		h.Set(headerFirst, strconv.FormatUint(c.First, 10))
	}
	if !c.AsOf.IsZero() {
		h.Set(headerAsOf, strconv.FormatInt(c.AsOf.UnixNano(), 10))
	}
	if !c.Over.IsZero() {
		h.Set(headerOver, strconv.FormatInt(c.Over.UnixMilli(), 10))
	}
	if c.Erased {
		h.Set(headerErased, "1")
	}
	if c.Rowed {
		h.Set(headerRowed, "1")
	}
	return h
}

// Checkpoint reads a batch's checkpoint from the stream's leader, because a follower may lag; nil if there is none.
func (l *Log) Checkpoint(ctx context.Context, generation, namespace, batch string) (*Checkpoint, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	p := l.Partition(namespace, batch)
	m, found, err := l.leaderLast(ctx, HistoryStream, checkpointSubject(generation, p, namespace, batch))
	if err != nil || !found {
		if err != nil {
			err = fmt.Errorf("eventlog: checkpoint: %w", err)
		}
		return nil, err
	}
	c, parts, err := parseCheckpoint(&m)
	if err == nil && parts != "" {
		c.Value, err = l.readParts(ctx, generation, p, namespace, batch, parts)
	}
	if err != nil {
		return nil, fmt.Errorf("eventlog: checkpoint: %w", err)
	}
	return &c, nil
}

// LastCheckpoint is Checkpoint of the present history.
func (l *Log) LastCheckpoint(ctx context.Context, namespace, batch string) (*Checkpoint, error) {
	info, err := l.HistoryInfo(ctx)
	if err != nil {
		return nil, err
	}
	return l.Checkpoint(ctx, info.Generation, namespace, batch)
}

// EachCheckpoint passes the headers of all checkpoints of one partition, or of all for −1, to do, without their values, and returns when it
// has reached the end. A checkpoint that is replaced meanwhile is passed again. Errors: those of Read.
func (l *Log) EachCheckpoint(ctx context.Context, info HistoryInfo, partition int, do func(partition int, c Checkpoint) error) error {
	subject := historyPrefix + info.Generation + "."
	if partition >= 0 {
		subject += strconv.Itoa(partition) + "."
	}
	subject += ">"
	last, found, err := l.leaderLast(ctx, HistoryStream, subject)
	if err != nil || !found {
		if err != nil {
			err = fmt.Errorf("eventlog: checkpoints: %w", err)
		}
		return err
	}
	err = l.Read(ctx, ReadOptions{From: 1, Identity: info.Identity, subject: subject, stream: HistoryStream, short: true, headersOnly: true}, func(m Message) error {
		c, _, err := parseCheckpoint(&m)
		if err == nil {
			err = do(tokenAt(m.Subject, 3), c)
		}
		if err == nil && m.Seq >= last.Seq {
			// One that was replaced before it was read is behind what was the end.
			if last, found, err = l.leaderLast(ctx, HistoryStream, subject); err == nil && (!found || m.Seq >= last.Seq) {
				err = errReadAll
			}
		}
		return err
	})
	if errors.Is(err, errReadAll) {
		return nil
	}
	return err
}

// tokenAt is the number in a token of a subject, −1 if it isn't one.
func tokenAt(subject string, token int) int {
	for range token {
		_, subject, _ = strings.Cut(subject, ".")
	}
	text, _, _ := strings.Cut(subject, ".")
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

var errNotACheckpoint = errors.New("not a checkpoint")

func parseCheckpoint(m *Message) (c Checkpoint, parts string, err error) {
	tokens, h := strings.Split(m.Subject, "."), m.Header
	if len(tokens) != 6 {
		return c, "", fmt.Errorf("%w: subject %q", errNotACheckpoint, m.Subject)
	}
	c, err = checkpointOf(tokens[4], tokens[5], m)
	return c, h.Get(headerParts), err
}

// checkpointOf reads the headers of a checkpoint.
func checkpointOf(namespace, batch string, m *Message) (c Checkpoint, err error) {
	h := m.Header
	c = Checkpoint{
		Namespace: namespace, Batch: batch, Seq: m.Seq, Stored: m.Stored, Identity: h.Get(headerLog), Erased: h.Get(headerErased) != "", Rowed: h.Get(headerRowed) != "",
		Value: m.Data,
	}
	if c.Covers, err = strconv.ParseUint(h.Get(headerCovers), 10, 64); err != nil {
		return c, fmt.Errorf("%w: %s: %w", errNotACheckpoint, headerCovers, err)
	}
	if c.Fold, err = strconv.Atoi(h.Get(headerFold)); err != nil {
		return c, fmt.Errorf("%w: %s: %w", errNotACheckpoint, headerFold, err)
	}
	if over := h.Get(headerOver); over != "" {
		ms, err := strconv.ParseInt(over, 10, 64)
		if err != nil {
			return c, fmt.Errorf("%w: %s: %w", errNotACheckpoint, headerOver, err)
		}
		c.Over = time.UnixMilli(ms).UTC()
	}
	if first := h.Get(headerFirst); first != "" {
		if c.First, err = strconv.ParseUint(first, 10, 64); err != nil {
			return c, fmt.Errorf("%w: %s: %w", errNotACheckpoint, headerFirst, err)
		}
	}
	if asOf := h.Get(headerAsOf); asOf != "" {
		ns, err := strconv.ParseInt(asOf, 10, 64)
		if err != nil {
			return c, fmt.Errorf("%w: %s: %w", errNotACheckpoint, headerAsOf, err)
		}
		c.AsOf = time.Unix(0, ns).UTC()
	}
	return c, nil
}

// leaderLast asks a stream's leader for the last message on a subject. The client's own method would ask any replica, and one that lags
// would hide the newest message.
func (l *Log) leaderLast(ctx context.Context, stream, subject string) (m Message, found bool, err error) {
	return l.leaderGet(ctx, stream, map[string]any{"last_by_subj": subject})
}

// leaderGet asks a stream's leader for a message.
func (l *Log) leaderGet(ctx context.Context, stream string, wanted map[string]any) (m Message, found bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	question, err := json.Marshal(wanted)
	if err != nil {
		return m, false, err
	}
	reply, err := l.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, question)
	if err != nil {
		return m, false, refusal(err)
	}
	var answer struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return m, false, err
	}
	switch e := answer.Error; {
	case e == nil:
	case e.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return m, false, nil
	default:
		return m, false, e
	}
	m = Message{Seq: answer.Message.Seq, Stored: answer.Message.Time, Partition: partitionOf(answer.Message.Subject), Subject: answer.Message.Subject, Data: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return m, false, err
		}
	}
	return m, true, nil
}

// subjectsOf are the subjects in the history that a filter selects, with how many messages each has. It is one request, where the client's
// own method makes two.
func (l *Log) subjectsOf(ctx context.Context, filter string) (map[string]uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	question, err := json.Marshal(map[string]string{"subjects_filter": filter})
	if err != nil {
		return nil, err
	}
	reply, err := l.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.INFO."+HistoryStream, question)
	if err != nil {
		return nil, refusal(err)
	}
	var info struct {
		State struct {
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return nil, err
	}
	if info.Error != nil {
		return nil, info.Error
	}
	return info.State.Subjects, nil
}
