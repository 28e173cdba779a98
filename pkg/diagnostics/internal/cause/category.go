package cause

import (
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Categories of a failure.
const (
	Infrastructure   = "infrastructure" // node, cluster, memory: outside the pipeline's code
	categoryTimeout  = "timeout"
	categoryOrphaned = "orphaned" // Ray forgot the job
	categoryPipeline = "pipeline" // the pipeline's own code or input
)

// categoryByErrorType has the error types with a known meaning.
//
// Sources: Ray's JobErrorType (ray/dashboard/modules/job/common.py) and ErrorType (common.proto,
// NODE_OUT_OF_MEMORY), KubeRay's JobFailedReason (rayjob_types.go), the error types of the compatible API, and Headway's own word for a
// lost job.
var categoryByErrorType = map[string]string{
	"JOB_SUPERVISOR_ACTOR_DIED":            Infrastructure,
	"JOB_SUPERVISOR_ACTOR_START_FAILURE":   Infrastructure,
	"JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE":   Infrastructure,
	"JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE": Infrastructure,
	"JOB_SUPERVISOR_ACTOR_START_TIMEOUT":   categoryTimeout,
	"RUNTIME_ENV_SETUP_FAILURE":            categoryPipeline,
	"JOB_ENTRYPOINT_COMMAND_START_ERROR":   categoryPipeline,
	"NODE_OUT_OF_MEMORY":                   Infrastructure,

	"DeadlineExceeded":                                 categoryTimeout,
	"PreRunningDeadlineExceeded":                       categoryTimeout,
	"JobDeploymentStatusTransitionGracePeriodExceeded": categoryTimeout,
	"JobStatusCheckTimeoutExceeded":                    Infrastructure,
	"SubmissionFailed":                                 categoryPipeline,
	"ValidationFailed":                                 categoryPipeline,

	"timeout":        categoryTimeout,
	"network":        Infrastructure,
	"resource":       Infrastructure,
	"dependency":     categoryPipeline,
	"authentication": categoryPipeline,
	"validation":     categoryPipeline,
	"runtime":        categoryPipeline,

	"ORPHANED": categoryOrphaned,
	"orphaned": categoryOrphaned,
}

// JOB_ENTRYPOINT_COMMAND_ERROR means only that the command ended in an error; the message may be more precise.
const entrypointError = "JOB_ENTRYPOINT_COMMAND_ERROR"

// categoryByMessage is asked in order; the texts stand in the message as whole words, whatever their case.
//
// Sources: the classes of ray.exceptions, how Ray's core words the death of a node or worker, Python's
// built-in exceptions, and the texts of POSIX errors (strerror).
var categoryByMessage = []struct{ text, category string }{
	{"outofmemoryerror", Infrastructure},
	{"nodediederror", Infrastructure},
	{"node died", Infrastructure},
	{"node was terminated", Infrastructure},
	{"workercrashederror", Infrastructure},
	{"objectlosterror", Infrastructure},
	{"actorunschedulableerror", Infrastructure},
	{"taskunschedulableerror", Infrastructure},
	{"no space left on device", Infrastructure},
	{"connection refused", Infrastructure},
	{"connection reset by peer", Infrastructure},
	{"no route to host", Infrastructure},
	{"gettimeouterror", categoryTimeout},
	{"timeouterror", categoryTimeout},
	{"timed out", categoryTimeout},
	{"deadline exceeded", categoryTimeout},
	{"runtimeenvsetuperror", categoryPipeline},
	{"modulenotfounderror", categoryPipeline},
	{"importerror", categoryPipeline},
	{"syntaxerror", categoryPipeline},
	{"typeerror", categoryPipeline},
	{"valueerror", categoryPipeline},
	{"keyerror", categoryPipeline},
	{"assertionerror", categoryPipeline},
}

// outOfMemoryTexts are the texts of Ray's memory monitor, the kernel, CUDA and Python.
var outOfMemoryTexts = []string{"out of memory", "outofmemory", "outofmemoryerror", "oom", "oom-killed", "memoryerror", "cannot allocate memory"}

// Exit codes 128 + signal. A process that a signal ended was ended from outside.
const (
	exitKilled     = 137 // SIGKILL
	exitTerminated = 143 // SIGTERM
)

// IsOutOfMemory reports that the job ended because memory ran out.
func IsOutOfMemory(j *view.Job) bool {
	return j.ErrType.V == "NODE_OUT_OF_MEMORY" || saysOutOfMemory(string(j.Message.V))
}

func saysOutOfMemory(message string) bool {
	message = strings.ToLower(message)
	for _, text := range outOfMemoryTexts {
		if containsWord(message, text) {
			return true
		}
	}
	return false
}

// containsWord reports whether s contains text as whole words ("oom" isn't in "room").
func containsWord(s, text string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], text)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(text)
		if (i == 0 || !letter(s[i-1])) && (end == len(s) || !letter(s[end])) {
			return true
		}
		from = end
	}
}

func letter(b byte) bool { return 'a' <= b && b <= 'z' }

// CategoryOf a failed job; "" is unknown.
func CategoryOf(j *view.Job) string {
	killed := j.ExitCode.Set && (j.ExitCode.V == exitKilled || j.ExitCode.V == exitTerminated)
	return CategoryFrom(string(j.ErrType.V), string(j.Message.V), killed)
}

// CategoryFrom looks at the most reliable sign first: memory, a known error type, a signal, the message, and last
// that the command ended in an error.
func CategoryFrom(errorType, message string, killed bool) string {
	if errorType == "NODE_OUT_OF_MEMORY" || saysOutOfMemory(message) {
		return Infrastructure
	}
	if c := categoryByErrorType[errorType]; c != "" {
		return c
	}
	if killed {
		return Infrastructure
	}
	message = strings.ToLower(message)
	for _, m := range categoryByMessage {
		if containsWord(message, m.text) {
			return m.category
		}
	}
	if errorType == entrypointError {
		return categoryPipeline
	}
	return ""
}
