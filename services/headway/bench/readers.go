package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	readersEvents     = 400_000
	readersPartitions = 32
	readersRanges     = 8 // of partitions
	readersRuns       = 3
	readersBegins     = 10 // how often the beginning in the middle is timed
	readersStream     = "BENCH_READERS"
)

// benchReaders reads one log as a whole, by range of partitions and by partition, with several readers at once. Its subjects have a token for
// the range, which those of Headway's log don't have yet (ADR 44).
func benchReaders(ctx context.Context, s *servers) error {
	for _, batches := range []int{100, 1_000, 10_000} {
		if err := s.reset(ctx); err != nil {
			return err
		}
		if err := readTogether(ctx, s, batches); err != nil {
			return err
		}
	}
	return nil
}

// reading is one way of sharing the log among readers: each has its own connection and reads by one consumer for each of its filters.
type reading struct {
	name    string
	readers [][]string
}

func readings() []reading {
	all := func(n int) (out [][]string) {
		for range n {
			out = append(out, []string{""})
		}
		return out
	}
	ranges := func(n int) (out [][]string) {
		for r := range n {
			out = append(out, []string{fmt.Sprintf("bench.log.%d.>", r)})
		}
		return out
	}
	partitions := func(n int) (out [][]string) {
		for p := range n {
			out = append(out, []string{fmt.Sprintf("bench.log.%d.%d.>", p%readersRanges, p)})
		}
		return out
	}
	shared := func(parts [][]string, n int) [][]string {
		out := make([][]string, n)
		for i, one := range parts {
			out[i%n] = append(out[i%n], one...)
		}
		return out
	}
	return []reading{
		{"all of it, 1 reader", all(1)}, {"all of it, 3 readers, each all", all(3)}, {"all of it, 8 readers, each all", all(8)},
		{"1 range of 8, 1 reader", ranges(1)}, {"3 ranges of 8, 3 readers", ranges(3)}, {"8 ranges of 8, 8 readers", ranges(8)},
		{"8 ranges of 8, 3 readers", shared(ranges(8), 3)},
		{"1 partition of 32, 1 reader", partitions(1)}, {"3 partitions of 32, 3 readers", partitions(3)}, {"8 partitions of 32, 8 readers", partitions(8)},
		{"32 partitions of 32, 3 readers", shared(partitions(32), 3)},
	}
}

func readTogether(ctx context.Context, s *servers, batches int) error {
	nc, err := nats.Connect(s.natsURL)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(8192))
	if err != nil {
		return err
	}
	size, err := fillReaders(ctx, js, batches)
	if err != nil {
		return err
	}
	fmt.Printf("\nreaders: %d events of %d bytes over %d batches; medians of %d interleaved runs, each beside a read of all by one reader\n",
		readersEvents, size, batches, readersRuns)
	fmt.Printf("  %-34s %10s %8s %14s %14s\n", "", "events/s", "× raw", "NATS µs/event", "client µs/event")
	ways := readings()
	rates, ratios, natsCPU, selfCPU := make([][]float64, len(ways)), make([][]float64, len(ways)), make([][]float64, len(ways)), make([][]float64, len(ways))
	for range readersRuns {
		for i, way := range ways {
			raw, err := s.measure(ctx, ways[0])
			if err != nil {
				return err
			}
			got, err := s.measure(ctx, way)
			if err != nil {
				return err
			}
			rates[i], ratios[i] = append(rates[i], got.rate), append(ratios[i], got.rate/raw.rate)
			natsCPU[i], selfCPU[i] = append(natsCPU[i], got.nats), append(selfCPU[i], got.self)
		}
	}
	for i, way := range ways {
		fmt.Printf("  %-34s %10.0f %8.2f %14.2f %14.2f\n", way.name, median(rates[i]), median(ratios[i]), median(natsCPU[i]), median(selfCPU[i]))
	}
	for _, filter := range []string{"", "bench.log.3.>", "bench.log.3.11.>"} {
		var took []time.Duration
		for range readersBegins {
			began := time.Now()
			if _, err := readOne(ctx, js, filter, readersEvents/2, 1); err != nil {
				return err
			}
			took = append(took, time.Since(began))
		}
		fmt.Printf("  first event from the middle, filter %-18q %6.2f ms\n", filter, float64(median(took).Microseconds())/1000)
	}
	return nil
}

// readCost is what one way of reading cost per event that it delivered.
type readCost struct{ rate, nats, self float64 }

func (s *servers) measure(ctx context.Context, way reading) (readCost, error) {
	before, began := s.cpu(), time.Now()
	counts := make(chan int, 64)
	g, ctx := errgroup.WithContext(ctx)
	for _, filters := range way.readers {
		nc, err := nats.Connect(s.natsURL)
		if err != nil {
			return readCost{}, err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return readCost{}, err
		}
		for _, filter := range filters {
			g.Go(func() error {
				n, err := readOne(ctx, js, filter, 1, 0)
				counts <- n
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return readCost{}, err
	}
	took, used := time.Since(began), s.cpu().since(before)
	close(counts)
	n := 0
	for one := range counts {
		n += one
	}
	return readCost{float64(n) / took.Seconds(), float64(used.nats.Microseconds()) / float64(n), float64(used.self.Microseconds()) / float64(n)}, nil
}

// readOne reads what a filter selects ("": everything) from a sequence on, at most limit events, or up to the last if limit is 0.
func readOne(ctx context.Context, js jetstream.JetStream, filter string, from uint64, limit int) (n int, err error) {
	last := uint64(readersEvents)
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from}
	if filter != "" {
		config.FilterSubjects = []string{filter}
		s, err := js.Stream(ctx, readersStream)
		if err != nil {
			return 0, err
		}
		m, err := s.GetLastMsgForSubject(ctx, filter)
		if err != nil {
			return 0, err
		}
		last = m.Sequence
	}
	c, err := js.OrderedConsumer(ctx, readersStream, config)
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	over := false
	cc, err := c.Consume(func(m jetstream.Msg) {
		if over {
			return
		}
		meta, err := m.Metadata()
		n++
		if over = err != nil || n == limit || meta.Sequence.Stream == last; over {
			done <- err
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(4096, 4<<20))
	if err != nil {
		return 0, err
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	cc.Stop()
	<-cc.Closed()
	return n, err
}

func fillReaders(ctx context.Context, js jetstream.JetStream, batches int) (size int, err error) {
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: readersStream, Subjects: []string{"bench.events.*.*.>"}, Duplicates: 100 * time.Millisecond, AllowDirect: true,
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: "bench.events.*.*.>", Destination: fmt.Sprintf(
			"bench.log.{{partition(%d,1,2)}}.{{partition(%d,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}.>", readersRanges, readersPartitions)},
	})
	if err != nil {
		return 0, err
	}
	for i := range readersEvents {
		batch, n := i%batches, i/batches
		data, kind := progressEvent(i, batch, n%3, n), fmt.Sprintf("tier.%d.progress", n%3)
		if n%5 == 4 {
			kind = fmt.Sprintf("job.job_%d", n/5%6)
		}
		size = len(data)
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: fmt.Sprintf("bench.events.bench.btch_%06d.%s", batch, kind), Data: data}, jetstream.WithStallWait(time.Minute)); err != nil {
			return 0, err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return size, nil
	case <-time.After(2 * time.Minute):
		return 0, errors.New("events weren't acknowledged in time")
	}
}
