package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// StoreTombstone puts a tombstone in the place of a batch's checkpoint, and returns how many checkpoints it overwrote. They are overwritten
// before, by sequence: of a message that a newer one replaces the bytes stay on disk, and nobody can overwrite them any more. A tombstone
// that covers as much stays. Any number of processes may do it at once. It is never removed, so that nothing brings the batch back.
func (l *Log) StoreTombstone(ctx context.Context, generation string, c Checkpoint) (overwritten int, err error) {
	c.Erased, c.Over, c.Rowed = true, time.Time{}, true
	subject := l.CheckpointSubject(generation, c.Namespace, c.Batch)
	for {
		m, found, err := l.leaderLast(ctx, HistoryStream, subject)
		if err != nil {
			return overwritten, fmt.Errorf("eventlog: tombstone: %w", err)
		}
		expect := uint64(0)
		switch {
		case !found:
		case m.Header.Get(headerErased) != "":
			old, _, err := parseCheckpoint(&m)
			if err == nil && old.Identity == c.Identity && old.Covers >= c.Covers {
				return overwritten, nil
			}
			expect = m.Seq
		default:
			done, err := l.overwriteOne(ctx, HistoryStream, m.Seq)
			if err != nil {
				return overwritten, fmt.Errorf("eventlog: tombstone: %w", err)
			}
			if done {
				overwritten++
			}
		}
		_, err = l.StoreCheckpoint(ctx, generation, c, expect, 0)
		var other WrongLastError
		if !errors.As(err, &other) {
			return overwritten, err
		}
	}
}

// eraseHistory overwrites the list rows of a batch, the parts of its large checkpoints and its bases, and counts them. No row and no base can
// come later, because each expects a checkpoint that the tombstone has replaced.
func (l *Log) eraseHistory(ctx context.Context, generation, namespace, batch string) (n int, err error) {
	seqs, err := l.besideCheckpoint(ctx, generation, namespace, batch)
	if err != nil {
		return 0, err
	}
	return l.overwrite(ctx, HistoryStream, seqs)
}

// heldHistory counts what the history has of a batch, without a tombstone.
func (l *Log) heldHistory(ctx context.Context, namespace, batch string) (n int, err error) {
	info, err := l.HistoryInfo(ctx)
	if err != nil {
		return 0, err
	}
	m, found, err := l.leaderLast(ctx, HistoryStream, l.CheckpointSubject(info.Generation, namespace, batch))
	if err != nil {
		return 0, err
	}
	if found && m.Header.Get(headerErased) == "" {
		n++
	}
	seqs, err := l.besideCheckpoint(ctx, info.Generation, namespace, batch)
	return n + len(seqs), err
}

// besideCheckpoint are the sequences of a batch's list rows, of the parts of its checkpoints, and of its bases.
func (l *Log) besideCheckpoint(ctx context.Context, generation, namespace, batch string) (seqs []uint64, err error) {
	of := generation + "." + strconv.Itoa(l.Partition(namespace, batch)) + "." + namespace + "."
	for _, filter := range []string{rowPrefix + of + "*.*.*." + batch, partPrefix + of + batch + ".>", l.BaseFilter(generation, namespace, batch)} {
		subjects, err := l.subjectsOf(ctx, filter)
		if err != nil {
			return nil, err
		}
		for subject := range subjects {
			m, found, err := l.leaderLast(ctx, HistoryStream, subject)
			if err != nil {
				return nil, err
			}
			if found {
				seqs = append(seqs, m.Seq)
			}
		}
	}
	return seqs, nil
}
