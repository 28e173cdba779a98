package eventlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Provision creates the streams that don't exist yet, and checks those that do. Any number of
// processes may call it at once. Errors: ErrMismatch, ErrOverlap.
func Provision(ctx context.Context, js jetstream.JetStream, c Config) error {
	c = c.withDefaults()
	if c.Partitions < 1 || c.Partitions > MaxPartitions {
		return fmt.Errorf("eventlog: partitions: %d is not between 1 and %d", c.Partitions, MaxPartitions)
	}
	for _, want := range c.all() {
		if _, _, err := ensure(ctx, js, want); err != nil {
			return fmt.Errorf("eventlog: provision %s: %w", want.Name, err)
		}
	}
	return nil
}

// all are the streams, beginning with the one from which others source.
func (c Config) all() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{c.events(), c.health(), c.dead(), c.history()}
}

func (c Config) events() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        EventsStream,
		Description: "Events of batches, by partition. The truth: views are rebuilt from it.",
		Subjects:    []string{eventsSubject},
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source:      eventsSubject,
			Destination: fmt.Sprintf("headway.log.{{partition(%d,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}.>", c.Partitions),
		},
		Storage: c.storage(), Replicas: c.Replicas, MaxAge: c.MaxAge, FirstSeq: c.First,
		AllowDirect: true, AllowRollup: false, Discard: jetstream.DiscardNew, Duplicates: leastDuplicates,
	}
}

func (c Config) health() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        HealthStream,
		Description: "Changes of health, for downstream consumers.",
		Sources: []*jetstream.StreamSource{{
			Name: EventsStream,
			SubjectTransforms: []jetstream.SubjectTransformConfig{{
				Source: "headway.log.*.*.*.health", Destination: "headway.health.{{wildcard(2)}}.{{wildcard(3)}}",
			}},
		}},
		Storage: c.storage(), Replicas: c.Replicas, MaxAge: c.HealthAge, AllowDirect: true,
	}
}

func (c Config) dead() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        DeadStream,
		Description: "Events that could not be understood, with the reason.",
		Subjects:    []string{deadPrefix + "*.*"},
		Storage:     c.storage(), Replicas: c.Replicas, AllowDirect: true, AllowRollup: true, Duplicates: leastDuplicates,
	}
}

// ensure creates a stream if it doesn't exist, and otherwise checks it and shortens its window for duplicates.
// It returns the stream's present configuration.
func ensure(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (have jetstream.StreamConfig, made bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = js.CreateStream(ctx, born(want, time.Now()))
		made = err == nil
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = js.Stream(ctx, want.Name) // another process created it first
		}
		if err != nil {
			err = overlapping(ctx, js, want, err)
		}
	}
	if err != nil {
		return have, false, err
	}
	have = s.CachedInfo().Config
	if err := compare(have, want); err != nil {
		return have, made, err
	}
	if want.Duplicates > 0 && have.Duplicates > want.Duplicates {
		have.Duplicates = want.Duplicates
		if _, err := js.UpdateStream(ctx, have); err != nil {
			return have, made, fmt.Errorf("shorten the window for duplicates: %w", err)
		}
	}
	return have, made, nil
}

// born is the configuration for creating a stream now. Log and history are numbered from the present time in microseconds, so that a
// sequence never means two messages: a purge, an expectation or a revision that comes late can't meet another message after the stream
// was made again (rule 19). All numbers stay below 2^53.
func born(c jetstream.StreamConfig, now time.Time) jetstream.StreamConfig {
	if !numbered(c.Name) {
		return c
	}
	if c.FirstSeq == 0 {
		c.FirstSeq = uint64(now.UnixMicro())
	}
	if c.Name == HistoryStream {
		c = ofGeneration(c, rand.Text())
	}
	return c
}

func numbered(stream string) bool { return stream == EventsStream || stream == HistoryStream }

// codeOverlap is the server's refusal of a stream with subjects that another stream has. It doesn't name that one.
const codeOverlap = 10065

// overlapping names the stream because of which the server refused to create ours, and otherwise returns the refusal.
func overlapping(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, refusal error) error {
	var api *jetstream.APIError
	if !errors.As(refusal, &api) || api.ErrorCode != codeOverlap {
		return refusal
	}
	if others := holders(ctx, js, want); others != "" {
		return fmt.Errorf("%w: stream %s; remove %s from it, or delete it", ErrOverlap, others, strings.Join(want.Subjects, ", "))
	}
	return fmt.Errorf("%w: %w", ErrOverlap, refusal)
}

// holders are the other streams that have a stream's subjects, or some of them; "" if there are none or they can't be listed.
func holders(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) string {
	var names []string
	for _, subject := range want.Subjects {
		for name := range js.StreamNames(ctx, jetstream.WithStreamListSubject(subject)).Name() {
			if name != want.Name && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ", ")
}

// ask reads the present state of a stream.
func ask(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return js.Stream(ctx, name)
}

// compare names the first field that must agree and doesn't. Operators may change ages, replicas and
// storage, but not the settings that decide what is stored where.
func compare(have, want jetstream.StreamConfig) error {
	mismatch := func(field string, have, want any) error {
		return fmt.Errorf("%w: %s is %v, want %v", ErrMismatch, field, have, want)
	}
	if g := have.Metadata[generationKey]; want.Name == HistoryStream && g != "" {
		want = ofGeneration(want, g)
	}
	switch {
	case fmt.Sprint(have.Subjects) != fmt.Sprint(want.Subjects):
		return mismatch("subjects", have.Subjects, want.Subjects)
	case transform(have) != transform(want):
		if h, w := partitionsOf(have), partitionsOf(want); h > 0 && h != w {
			return mismatch("partitions", h, w)
		}
		return mismatch("subject_transform", transform(have), transform(want))
	case sources(have) != sources(want):
		return mismatch("sources", sources(have), sources(want))
	case have.Name == HistoryStream && have.MaxAge > 0:
		return mismatch("max_age", have.MaxAge, "unlimited: an active batch that is silent for so long would be lost")
	case have.Name != HistoryStream && have.MaxMsgsPerSubject > 0:
		return mismatch("max_msgs_per_subject", have.MaxMsgsPerSubject, "unlimited: events would be lost")
	}
	return nil
}

// compareAsItIs is compare for a stream that exists already, whatever number of partitions it was created with.
func compareAsItIs(have, want jetstream.StreamConfig) error {
	if n := partitionsOf(have); n > 0 && have.Name == EventsStream {
		want = Config{Partitions: n}.withDefaults().events()
	}
	return compare(have, want)
}

func transform(c jetstream.StreamConfig) string {
	if c.SubjectTransform == nil {
		return ""
	}
	return c.SubjectTransform.Source + " → " + c.SubjectTransform.Destination
}

func sources(c jetstream.StreamConfig) string {
	all := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		all[i] = fmt.Sprint(s.Name, s.SubjectTransforms)
	}
	return strings.Join(all, ", ")
}

var partitionTransform = regexp.MustCompile(`\{\{\s*partition\((\d+),`)

// partitionsOf reads the number of partitions from a stream's transform; 0 if it has none.
func partitionsOf(c jetstream.StreamConfig) int {
	if c.SubjectTransform == nil {
		return 0
	}
	m := partitionTransform.FindStringSubmatch(c.SubjectTransform.Destination)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}
