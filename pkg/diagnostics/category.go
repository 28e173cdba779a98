package diagnostics

import "strings"

// Categories of a failure.
const (
	categoryInfrastructure = "infrastructure" // node, cluster, memory: outside the pipeline's code
	categoryTimeout        = "timeout"
	categoryOrphaned       = "orphaned" // Ray forgot the job
	categoryPipeline       = "pipeline" // the pipeline's own code or input
)

// Ray's JobErrorType (ray/dashboard/modules/job/common.py) and the compatible API's error types.
var categoryByErrorType = map[string]string{
	"JOB_SUPERVISOR_ACTOR_DIED":            categoryInfrastructure,
	"JOB_SUPERVISOR_ACTOR_START_FAILURE":   categoryInfrastructure,
	"JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE":   categoryInfrastructure,
	"JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE": categoryInfrastructure,
	"JOB_SUPERVISOR_ACTOR_START_TIMEOUT":   categoryTimeout,
	"RUNTIME_ENV_SETUP_FAILURE":            categoryPipeline,
	"JOB_ENTRYPOINT_COMMAND_START_ERROR":   categoryPipeline,
	"JOB_ENTRYPOINT_COMMAND_ERROR":         categoryPipeline,
	"NODE_OUT_OF_MEMORY":                   categoryInfrastructure,
	"ORPHANED":                             categoryOrphaned,
	"orphaned":                             categoryOrphaned,
	"timeout":                              categoryTimeout,
	"network":                              categoryInfrastructure,
	"resource":                             categoryInfrastructure,
	"dependency":                           categoryPipeline,
	"authentication":                       categoryPipeline,
	"validation":                           categoryPipeline,
	"runtime":                              categoryPipeline,
}

// outOfMemoryTexts are how Ray's memory monitor, the kernel, CUDA and Python say it.
var outOfMemoryTexts = []string{"out of memory", "outofmemory", "oom", "memoryerror", "cannot allocate memory"}

// Exit codes 128 + signal.
const (
	exitKilled     = 137 // SIGKILL
	exitTerminated = 143 // SIGTERM
)

func isOutOfMemory(j *job) bool {
	if j.errType.v == "NODE_OUT_OF_MEMORY" {
		return true
	}
	message := strings.ToLower(string(j.message.v))
	for _, text := range outOfMemoryTexts {
		if containsWord(message, text) {
			return true
		}
	}
	return false
}

// containsWord: text stands in s, not as part of a longer word ("oom" isn't in "room").
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

// categoryOf a failed job; "" is unknown.
func categoryOf(j *job) string {
	if isOutOfMemory(j) {
		return categoryInfrastructure
	}
	if j.exitCode.set && (j.exitCode.v == exitKilled || j.exitCode.v == exitTerminated) {
		return categoryInfrastructure
	}
	return categoryByErrorType[string(j.errType.v)]
}

// failureCategory of the batch: of its first tier that failed, else of its own error.
func (d *derived) failureCategory() *string {
	category := ""
	for _, t := range d.tiers {
		if t.status != WordFailed {
			continue
		}
		if j := t.deciding(); j != nil {
			category = categoryOf(j.j)
		}
		if t.a != nil && category == "" {
			category = categoryByErrorType[string(t.a.errType.v)]
		}
		if category != "" {
			return &category
		}
	}
	if d.state != nil && d.status == WordFailed {
		if category = categoryByErrorType[string(d.state.errType.v)]; category != "" {
			return &category
		}
	}
	return nil
}
