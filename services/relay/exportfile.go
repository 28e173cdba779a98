package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// ExportDir is a directory in which a head node writes its export events: …/session_latest/logs/export_events.
type ExportDir struct {
	Cluster string // name of the cluster in events; default: the directory
	Dir     string
}

const (
	exportFile  = "event_EXPORT_SUBMISSION_JOB.log"
	exportEvery = time.Second
	// exportLine is the longest line that is read, in bytes. A message has at most 20,000 characters, but a runtime
	// environment may have more.
	exportLine  = 4 << 20
	exportBatch = 500
)

// exportFiles follows one directory by polling. File notifications don't see through session_latest, a symbolic link
// that a restarted cluster points elsewhere. After a restart of the relay the files are read again from the beginning;
// observations are idempotent, so this publishes nothing new.
type exportFiles struct {
	ExportDir
	every   time.Duration
	log     *slog.Logger
	metrics *metrics

	file    *os.File // the file that is being followed
	offset  int64    // end of the last whole line that was yielded
	session string
	missing bool // the missing file was already logged
}

func newExportFiles(d ExportDir, r *Relay) *exportFiles {
	if d.Cluster == "" {
		d.Cluster = d.Dir
	}
	return &exportFiles{ExportDir: d, every: exportEvery, log: r.log.With("cluster", d.Cluster), metrics: r.metrics}
}

// Run follows the directory until ctx ends. It waits for a directory that doesn't exist yet.
func (x *exportFiles) Run(ctx context.Context, yield Yield) error {
	defer x.close()
	tick := time.NewTicker(x.every)
	defer tick.Stop()
	for {
		err := x.read(ctx, yield)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, fs.ErrNotExist):
			if !x.missing {
				x.log.Warn("export file not found, set RAY_enable_export_api_write=true to make Ray write one", "dir", x.Dir)
			}
		case err != nil:
			x.log.Warn("reading export file failed, will retry", "error", err)
		}
		x.missing = errors.Is(err, fs.ErrNotExist)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (x *exportFiles) close() {
	if x.file != nil {
		_ = x.file.Close()
		x.file = nil
	}
}

// read yields the lines that were written since the last call: first the rest of the followed file, then those of the
// file that has replaced it.
func (x *exportFiles) read(ctx context.Context, yield Yield) error {
	if x.file != nil {
		if err := x.lines(ctx, yield); err != nil {
			return err
		}
	}
	dir, err := filepath.EvalSymlinks(x.Dir)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	path := filepath.Join(dir, exportFile)
	now, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if x.file != nil {
		mine, err := x.file.Stat()
		if err != nil {
			return fmt.Errorf("relay: %w", err)
		}
		if os.SameFile(mine, now) && now.Size() >= x.offset {
			return nil
		}
		if rest := mine.Size() - x.offset; rest > 0 {
			x.unread("cut", errors.New("the file ends in the middle of a line"))
		}
		x.close()
		return x.follow(ctx, yield, path) // the file was rotated or truncated, or the cluster has begun a new session
	}
	// At the start, the rotated files are read too, the oldest first.
	for _, old := range rotated(path) {
		if err := x.follow(ctx, yield, old); err != nil {
			return err
		}
		x.close()
	}
	return x.follow(ctx, yield, path)
}

// follow starts following a file from its beginning.
func (x *exportFiles) follow(ctx context.Context, yield Yield, path string) (err error) {
	if x.file, err = os.Open(path); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	x.offset, x.session = 0, sessionIn(path)
	return x.lines(ctx, yield)
}

// rotated returns the older files of path, the oldest first: .3, .2, .1.
func rotated(path string) []string {
	found, _ := filepath.Glob(path + ".*") // the pattern is well-formed
	number := func(p string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(p, path+"."))
		if err != nil {
			return -1
		}
		return n
	}
	found = slices.DeleteFunc(found, func(p string) bool { return number(p) < 0 })
	slices.SortFunc(found, func(a, b string) int { return number(b) - number(a) })
	return found
}

// sessionIn returns the name of the session, which is part of the path of its logs.
func sessionIn(path string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if strings.HasPrefix(part, "session_") && part != "session_latest" {
			return part
		}
	}
	return ""
}

// lines yields the whole lines after the offset. An unfinished line is left for the next call.
func (x *exportFiles) lines(ctx context.Context, yield Yield) error {
	if _, err := x.file.Seek(x.offset, io.SeekStart); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	r := bufio.NewReaderSize(x.file, 64<<10)
	at := x.offset
	var seen []Observation
	give := func() error {
		if len(seen) > 0 {
			if err := yield(ctx, seen...); err != nil {
				return err
			}
		}
		x.offset, seen = at, nil
		return nil
	}
	for {
		line, n, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return give()
		}
		if err != nil && !errors.Is(err, errTooLong) {
			return errors.Join(err, give())
		}
		at += n
		if err == nil {
			var o Observation
			if o, err = decodeExport(line); err == nil {
				o.Cluster, o.Session = x.Cluster, x.session
				seen = append(seen, o)
				x.metrics.exported.WithLabelValues("read").Inc()
			}
		}
		if err != nil {
			x.unread("unreadable", err)
		}
		if len(seen) == exportBatch {
			if err := give(); err != nil {
				return err
			}
		}
	}
}

func (x *exportFiles) unread(outcome string, err error) {
	x.metrics.exported.WithLabelValues(outcome).Inc()
	x.log.Warn("unreadable line of export file skipped", "error", err)
}

var errTooLong = fmt.Errorf("a line is longer than %d bytes", exportLine)

// readLine returns a line without its line end and the number of bytes read, or io.EOF if no whole line is left.
func readLine(r *bufio.Reader) (line []byte, n int64, err error) {
	for {
		part, err := r.ReadSlice('\n')
		n += int64(len(part))
		if n <= exportLine {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, 0, err //nolint:wrapcheck // io.EOF, bare
		case n > exportLine:
			return nil, n, errTooLong
		default:
			return line[:len(line)-1], n, nil
		}
	}
}

// decodeExport reads a line. Its time is truncated to whole seconds, so the observation is dated one second later,
// when it is certainly true.
func decodeExport(line []byte) (o Observation, err error) {
	var e struct {
		Timestamp  int64  `json:"timestamp"`
		SourceType string `json:"source_type"`
		Data       struct {
			Submission string            `json:"submission_job_id"`
			Status     Status            `json:"status"`
			Message    string            `json:"message"`
			ErrorType  string            `json:"error_type"`
			Start      int64             `json:"start_time,string"`
			End        int64             `json:"end_time,string"`
			Metadata   map[string]string `json:"metadata"`
			ExitCode   *int              `json:"driver_exit_code"`
		} `json:"event_data"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return o, fmt.Errorf("relay: export: %w", err)
	}
	d := e.Data
	switch {
	case e.SourceType != "EXPORT_SUBMISSION_JOB":
		return o, fmt.Errorf("relay: export: source_type is %q, not EXPORT_SUBMISSION_JOB", cut(e.SourceType))
	case d.Submission == "":
		return o, errors.New("relay: export: submission_job_id is missing")
	case e.Timestamp <= 0:
		return o, errors.New("relay: export: timestamp is missing")
	case !d.Status.Terminal() && d.Status != Pending && d.Status != Running:
		return o, fmt.Errorf("relay: export: status is %q", cut(string(d.Status)))
	}
	o = Observation{
		Submission: d.Submission, Source: "export", Status: d.Status, At: time.Unix(e.Timestamp, 0).UTC(), SeenBy: true,
		SubmittedAt: rayapi.Millis(d.Start), Run: rayapi.Millis(d.Start), Metadata: d.Metadata,
	}
	if d.Status.Terminal() {
		o.EndedAt, o.Message, o.ErrorType, o.ExitCode = rayapi.Millis(d.End), d.Message, d.ErrorType, d.ExitCode
	}
	return o, nil
}
