package eventlog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A value that is too large for one message is stored in parts, under a name chosen for each try. The checkpoint, which is stored last,
// has that name, their number and a hash of the whole. With fixed names a writer that crashes or is refused would tear what another one
// has stored (rule 29).

// partsAge is how long parts are kept that no checkpoint names, and after one that has another time to live.
const partsAge = 24 * time.Hour

func partSubject(generation string, partition int, namespace, batch, try string, i int) string {
	return partPrefix + generation + "." + strconv.Itoa(partition) + "." + namespace + "." + batch + "." + try + "." + strconv.Itoa(i)
}

func (l *Log) storeParts(ctx context.Context, generation string, partition int, c Checkpoint, keep time.Duration) (parts string, err error) {
	try, n := rand.Text(), 0
	for rest := c.Value; len(rest) > 0; n++ {
		size := min(len(rest), maxCheckpoint)
		var options []jetstream.PublishOpt
		if keep > 0 {
			options = append(options, jetstream.WithMsgTTL(keep+partsAge))
		}
		m := &nats.Msg{Subject: partSubject(generation, partition, c.Namespace, c.Batch, try, n), Data: rest[:size]}
		if _, err := l.js.PublishMsg(ctx, m, options...); err != nil {
			return "", fmt.Errorf("eventlog: checkpoint: part %d: %w", n, refusal(err))
		}
		rest = rest[size:]
	}
	sum := sha256.Sum256(c.Value)
	return try + " " + strconv.Itoa(n) + " " + hex.EncodeToString(sum[:]), nil
}

var errTorn = errors.New("parts of a checkpoint are missing")

func (l *Log) readParts(ctx context.Context, generation string, partition int, namespace, batch, parts string) ([]byte, error) {
	fields := strings.Fields(parts)
	if len(fields) != 3 {
		return nil, fmt.Errorf("%w: %q", errNotACheckpoint, parts)
	}
	n, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil, fmt.Errorf("%w: %q", errNotACheckpoint, parts)
	}
	var value []byte
	for i := range n {
		m, found, err := l.leaderLast(ctx, HistoryStream, partSubject(generation, partition, namespace, batch, fields[0], i))
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("%w: part %d of %d", errTorn, i, n)
		}
		value = append(value, m.Data...)
	}
	if sum := sha256.Sum256(value); hex.EncodeToString(sum[:]) != fields[2] {
		return nil, errTorn
	}
	return value, nil
}

// DropParts removes the parts of a batch's checkpoints except those of the one that is stored now.
func (l *Log) DropParts(ctx context.Context, generation, namespace, batch string) error {
	p := l.Partition(namespace, batch)
	ctx, cancel := bounded(ctx)
	defer cancel()
	m, found, err := l.leaderLast(ctx, HistoryStream, checkpointSubject(generation, p, namespace, batch))
	if err != nil {
		return fmt.Errorf("eventlog: parts: %w", err)
	}
	keep := ""
	if found {
		keep, _, _ = strings.Cut(m.Header.Get(headerParts), " ")
	}
	subjects, err := l.subjectsOf(ctx, partPrefix+generation+"."+strconv.Itoa(p)+"."+namespace+"."+batch+".>")
	if err != nil {
		return fmt.Errorf("eventlog: parts: %w", err)
	}
	if len(subjects) == 0 {
		return nil
	}
	s, err := l.js.Stream(ctx, HistoryStream)
	if err != nil {
		return fmt.Errorf("eventlog: parts: %w", err)
	}
	for subject := range subjects {
		if tokens := strings.Split(subject, "."); len(tokens) == 8 && tokens[6] != keep {
			if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
				return fmt.Errorf("eventlog: parts: %w", err)
			}
		}
	}
	return nil
}
