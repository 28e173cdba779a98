package proof

import (
	"regexp"
	"strings"

	"github.com/headwayhq/headway/services/relay/machine"
)

// maxFrames is how many frames of a thread are kept, the innermost first.
const maxFrames = 12

// Stack is what a dump of py-spy says of a process.
type Stack struct {
	Frames   []string // of the main thread, as “barrier (train.py:5)”, the innermost first
	Where    string   // the user's own innermost line and what it called, as “train.py:9 barrier”
	AwaitsIt bool     // it only waits for results of other workers, so it is innocent
}

var (
	processLine = regexp.MustCompile(`^Process (\d+): (.*)$`)
	threadLine  = regexp.MustCompile(`^Thread .*"MainThread"`)
	frameLine   = regexp.MustCompile(`^\s+(.+) \(([^():]+):(\d+)\)$`)
)

// Parse reads the dump of one or more processes. The dump's first line is a command line, which may hold secrets: nothing of it is
// kept. Of several processes the last one that isn't part of Ray itself counts, since a driver is a child of its supervisor.
func Parse(dump string) (s Stack, ok bool) {
	var frames []frame
	keep := func() {
		if len(frames) > 0 {
			s, ok = describe(frames), true
		}
		frames = nil
	}
	own, inMain := false, false
	for line := range strings.Lines(dump) {
		line = strings.TrimRight(line, "\r\n")
		if m := processLine.FindStringSubmatch(line); m != nil {
			keep()
			own, inMain = !strings.HasPrefix(m[2], "ray::JobSupervisor"), false
			continue
		}
		if m := frameLine.FindStringSubmatch(line); m != nil {
			if own && inMain {
				frames = append(frames, frame{m[1], m[2], m[3]})
			}
			continue
		}
		inMain = threadLine.MatchString(line)
	}
	keep()
	return s, ok
}

type frame struct{ function, file, line string }

func (f frame) String() string {
	return machine.Redact(f.function) + " (" + shortPath(f.file) + ":" + f.line + ")"
}

// shortPath keeps the last two parts of a path: directories may have people's names.
func shortPath(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		parts = parts[len(parts)-2:]
	}
	return strings.Join(parts, "/")
}

func describe(frames []frame) (s Stack) {
	for _, f := range frames[:min(len(frames), maxFrames)] {
		s.Frames = append(s.Frames, f.String())
	}
	s.AwaitsIt = awaitsWorkers(frames)
	for i, f := range frames {
		if isLibrary(f.file) {
			continue
		}
		called := f
		for k := i - 1; k >= 0; k-- { // what it called, without the decorators in between
			if called = frames[k]; !strings.Contains(lastName(called.function), "wrapper") {
				break
			}
		}
		s.Where = shortPath(f.file) + ":" + f.line + " " + lastName(called.function)
		return s
	}
	s.Where = shortPath(frames[0].file) + ":" + frames[0].line + " " + lastName(frames[0].function)
	return s
}

// awaitsWorkers reports that the innermost frames are those of ray.get or ray.wait.
func awaitsWorkers(frames []frame) bool {
	for _, f := range frames[:min(len(frames), 4)] {
		if !strings.HasPrefix(f.file, "ray/") {
			return false
		}
		if name := lastName(f.function); strings.HasSuffix(f.file, "_private/worker.py") && (name == "get" || name == "wait" || name == "get_objects") {
			return true
		}
	}
	return false
}

// lastName is a function's name without the classes and functions around it.
func lastName(function string) string {
	return machine.Redact(function[strings.LastIndexByte(function, '.')+1:])
}

// waiting are modules of Python's standard library in which a program that waits is found, and packages that are nobody's own code.
var waiting = regexp.MustCompile(`^(threading|queue|socket|selectors|subprocess|ssl|time|socketserver|signal|contextlib|functools|runpy|_bootstrap)\.py$|` +
	`^(asyncio|concurrent|multiprocessing|http|urllib|importlib|ray|torch|numpy|pandas|pyarrow|grpc|urllib3|requests|httpx|httpcore|aiohttp|anyio|boto3|botocore|fsspec|s3fs|` +
	`gcsfs|tensorflow|jax|transformers|datasets|vllm|sqlalchemy|psycopg|redis|nats)/|site-packages/`)

func isLibrary(file string) bool { return waiting.MatchString(file) }
