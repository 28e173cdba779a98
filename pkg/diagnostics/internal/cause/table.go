package cause

import "time"

// Code names a cause. The set is open: readers have to accept codes that they don't know.
type Code string

// The codes. The table below has for each one when it applies, who has to act, and what follows.
const (
	NodeLaunching   Code = "CAPACITY:NODE_LAUNCHING"
	NodeNotJoining  Code = "CAPACITY:NODE_NOT_JOINING"
	NodeRefused     Code = "CAPACITY:NODE_REFUSED"
	InUse           Code = "CAPACITY:IN_USE"
	InUseByItself   Code = "CAPACITY:IN_USE_BY_ITSELF"
	HeldByFinished  Code = "CAPACITY:HELD_BY_FINISHED"
	AtLimit         Code = "CAPACITY:AT_LIMIT"
	Quota           Code = "CAPACITY:QUOTA"
	Queued          Code = "CAPACITY:QUEUED"
	Held            Code = "CAPACITY:HELD"
	Preempted       Code = "CAPACITY:PREEMPTED"
	TooLarge        Code = "PLACEMENT:TOO_LARGE"
	Labels          Code = "PLACEMENT:LABELS"
	Group           Code = "PLACEMENT:GROUP"
	Unschedulable   Code = "PLACEMENT:POD_UNSCHEDULABLE"
	Pulling         Code = "IMAGE:PULLING"
	PullFailed      Code = "IMAGE:PULL_FAILED"
	Registry        Code = "IMAGE:REGISTRY"
	EnvBuilding     Code = "ENVIRONMENT:BUILDING"
	EnvFailed       Code = "ENVIRONMENT:FAILED"
	ContainerStarts Code = "CONTAINER:STARTING"
	ConfigError     Code = "CONTAINER:CONFIG_ERROR"
	SetupFailed     Code = "CONTAINER:SETUP_FAILED"
	CrashLoop       Code = "CONTAINER:CRASH_LOOP"
	ContainerOOM    Code = "CONTAINER:OUT_OF_MEMORY"
	Evicted         Code = "CONTAINER:EVICTED"
	HeadLost        Code = "RAY:HEAD_LOST"
	DriverLost      Code = "RAY:DRIVER_LOST"
	NodeLost        Code = "RAY:NODE_LOST"
	Unreachable     Code = "RAY:UNREACHABLE"
	SubmitterFailed Code = "RAY:SUBMITTER_FAILED"
	NotStarted      Code = "RAY:NOT_STARTED"
	WorkerFailed    Code = "RAY:WORKER_START_FAILED"
	StoreFull       Code = "RAY:OBJECT_STORE_FULL"
	Starting        Code = "PROGRAM:STARTING"
	StandsStill     Code = "PROGRAM:STANDS_STILL"
	Silent          Code = "PROGRAM:SILENT"
	Dependency      Code = "PROGRAM:DEPENDENCY"
	RetryLoop       Code = "PROGRAM:RETRY_LOOP"
	NotEnding       Code = "PROGRAM:NOT_ENDING"
	Failed          Code = "PROGRAM:FAILED"
	Stopped         Code = "PROGRAM:STOPPED"
	DocumentsFailed Code = "PROGRAM:DOCUMENTS_FAILED"
	ProgramOOM      Code = "PROGRAM:OUT_OF_MEMORY"
	Rejected        Code = "PIPELINE:REJECTED"
	Deadline        Code = "PIPELINE:DEADLINE"
	WaitsForSubmit  Code = "PIPELINE:WAITS_FOR_SUBMISSION"
	NoJob           Code = "PIPELINE:NO_JOB"
	TierSkipped     Code = "PIPELINE:TIER_SKIPPED"
	NeverFinalized  Code = "PIPELINE:NOT_FINALIZED"
	NotSubmitted    Code = "PIPELINE:NOT_SUBMITTED"
	RunsOn          Code = "PIPELINE:RUNS_ON"
	CompletedShort  Code = "PIPELINE:COMPLETED_SHORT"
	Unknown         Code = "UNKNOWN"
	Refused         Code = "REPORTING:REFUSED"
	Clock           Code = "REPORTING:CLOCK"
	Late            Code = "REPORTING:LATE"
	CountWentBack   Code = "REPORTING:COUNT_WENT_BACK"
	FirstReportLate Code = "REPORTING:FIRST_REPORT_LATE"
	SourceSilent    Code = "REPORTING:SOURCE_SILENT"
)

// Who has to act.
const (
	Pipeline     = "pipeline"     // whoever wrote or submitted the program
	Platform     = "platform"     // whoever runs the cluster
	Orchestrator = "orchestrator" // what submits jobs and reports the batch's progress
	Producer     = "producer"     // what sends the events
	Nobody       = "nobody"
)

// Whether waiting helps.
const (
	Yes     = "yes"
	Perhaps = "perhaps"
	No      = "no"
)

// What a cause means for health from the moment at which it applies.
const (
	Scaling  = "scaling"  // the batch is on its way
	AsBefore = ""         // nothing
	Degraded = "degraded" // something failed
)

// Limit is the time after which a cause makes a tier stuck.
type Limit struct {
	Kind LimitKind
	Time time.Duration // of LimitOwn
}

// LimitKind is where a limit comes from.
type LimitKind uint8

const (
	LimitTimer   LimitKind = iota // the row of the health table alone decides
	LimitNever                    // it never makes anything stuck
	LimitAtOnce                   // as soon as it applies
	LimitGrace                    // the policy's grace
	LimitWindow                   // the tier's start window
	LimitTimeout                  // the progress timeout
	LimitQueued                   // the policy's threshold for a batch that waits to begin
	LimitOwn                      // a time of its own, a key of the policy
)

var (
	byTimer = Limit{}
	never   = Limit{Kind: LimitNever}
	atOnce  = Limit{Kind: LimitAtOnce}
	grace   = Limit{Kind: LimitGrace}
	window  = Limit{Kind: LimitWindow}
	timeout = Limit{Kind: LimitTimeout}
	queued  = Limit{Kind: LimitQueued}
)

func after(d time.Duration) Limit { return Limit{LimitOwn, d} }

// Depths: of two causes of the same kind the more basic one is shown.
const (
	depthContainer = iota
	depthPod       // image, environment, pod
	depthCluster   // cluster and Ray
	depthProgram
	depthTimer
	depthReporting
)

// Row is what holds for one code.
type Row struct {
	Code   Code
	Said   string // when it applies
	Who    string
	Helps  string
	Health string
	Stuck  Limit
	Depth  int
	Timer  bool // it follows from time alone; what a source reports comes first

	// Sentence and Action are texts with {parameters}; see Fill.
	Sentence, Action string
}

// Table has a row for each code, in the order of the documentation.
func Table() []Row { return table }

// RowOf is the row of a code; ok is false for a code that isn't in the table.
func RowOf(c Code) (r *Row, ok bool) {
	i, ok := index[c]
	if !ok {
		return nil, false
	}
	return &table[i], true
}

// Of is the row of a code that is in the table.
func Of(c Code) *Row {
	r, ok := RowOf(c)
	if !ok {
		panic("cause: no row for " + string(c))
	}
	return r
}

var index = func() map[Code]int {
	out := make(map[Code]int, len(table))
	for i := range table {
		out[table[i].Code] = i
	}
	return out
}()

var table = []Row{
	{Code: NodeLaunching, Said: "a node that fits is on its way; without any source, a job of a tier that needs a GPU is PENDING", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: after(15 * time.Minute), Depth: depthCluster,
		Sentence: "{job} waits for a node that is being launched{needs}{detail}", Action: "If it doesn't come, look at what launches nodes of that kind."},
	{Code: NodeNotJoining, Said: "nodes or pods run and don't join the cluster, or launch after launch comes to nothing", Who: Platform, Helps: No, Health: AsBefore, Stuck: after(10 * time.Minute), Depth: depthCluster,
		Sentence: "{job} waits for nodes that run and don't join the cluster{detail}", Action: "Read the logs of the nodes that don't join."},
	{Code: NodeRefused, Said: "the provider has no stock, or refuses the node", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthCluster,
		Sentence: "{job} waits for a node that the provider refuses{needs}{detail}", Action: "Let {job} take another node type or zone."},
	{Code: InUse, Said: "a live node is large enough, and others hold it", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: window, Depth: depthCluster,
		Sentence: "{job} waits for resources that are in use{needs}{offered}{detail}", Action: "If it takes too long, add a node or stop what holds them."},
	{Code: InUseByItself, Said: "its own actors or groups hold what it waits for, and nothing of it runs", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: atOnce, Depth: depthCluster,
		Sentence: "{job} waits for resources that it holds itself{needs}{detail}", Action: "Let {job} ask for less at a time, or give its cluster more."},
	{Code: HeldByFinished, Said: "what was left behind by a job that is over holds the resources", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "{job} waits for resources that a finished job still holds{needs}{detail}", Action: "Ask the owner of what holds them to release it."},
	{Code: AtLimit, Said: "a type fits, and may not grow", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: window, Depth: depthCluster,
		Sentence: "{job} waits at the limit of a node group{needs}{detail}", Action: "Raise that limit, or free what others hold."},
	{Code: Quota, Said: "a quota is named", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(5 * time.Minute), Depth: depthCluster,
		Sentence: "{job} waits for quota{needs}{detail}", Action: "Raise the quota, or free some of it."},
	{Code: Queued, Said: "an admission queue hasn't let it in", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: after(2 * time.Hour), Depth: depthCluster,
		Sentence: "{job} waits in a queue{needs}{detail}", Action: "If it takes too long, ask who runs the queue."},
	{Code: Held, Said: "a queue was stopped, or the workload deactivated, gated, refused or suspended", Who: Platform, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "{job} is held back{detail}", Action: "Ask who held {job} back to release it."},
	{Code: Preempted, Said: "what it ran on was taken", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: window, Depth: depthCluster,
		Sentence: "what {job} ran on was taken{detail}", Action: "If it happens again and again, let it run where it isn't preempted."},
	{Code: TooLarge, Said: "no node has room for it even when all is idle", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "{job} asks for more than any node has{needs}{offered}{detail}", Action: "Add a node type that is large enough, or lower what {job} asks for and submit it again."},
	{Code: Labels, Said: "no node satisfies the labels", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "{job} asks for labels that no node has{needs}{detail}", Action: "Label a node so, or change the labels that {job} asks for and submit it again."},
	{Code: Group, Said: "a placement group can't be laid out", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "{job} waits for a placement group that can't be laid out{needs}{detail}", Action: "Make the bundles of {job} smaller, or spread them otherwise, and submit it again."},
	{Code: Unschedulable, Said: "the scheduler of Kubernetes says so, and no node is being added", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthPod,
		Sentence: "a pod of {job} can't be scheduled{needs}{detail}", Action: "Add a node that fits the pod, or change what the pod asks for."},
	{Code: Pulling, Said: "an image is being pulled", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: window, Depth: depthPod,
		Sentence: "an image of {job} is being pulled{detail}", Action: "If it takes too long, look at the registry and the size of the image."},
	{Code: PullFailed, Said: "an image can't be pulled: name, tag, platform or access is wrong", Who: Pipeline, Helps: No, Health: Scaling, Stuck: grace, Depth: depthPod,
		Sentence: "an image of {job} can't be pulled{detail}", Action: "Correct the image's name, tag or access, then submit {job} again."},
	{Code: Registry, Said: "the registry fails or throttles", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthPod,
		Sentence: "the registry doesn't give an image of {job}{detail}", Action: "Look at the registry and at the way to it."},
	{Code: EnvBuilding, Said: "the runtime environment is being built", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthPod,
		Sentence: "the runtime environment of {job} is being built{detail}", Action: "If it takes too long, bake its packages into the image."},
	{Code: EnvFailed, Said: "the runtime environment can't be built", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthPod,
		Sentence: "the runtime environment of {job} can't be built{detail}", Action: "Correct the runtime environment of {job} and submit it again."},
	{Code: ContainerStarts, Said: "a pod has its node, and its containers aren't up", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthContainer,
		Sentence: "a container of {job} is being started{detail}", Action: "If it takes too long, look at the pod's events."},
	{Code: ConfigError, Said: "a secret, config map, command or hook is wrong", Who: Pipeline, Helps: No, Health: Scaling, Stuck: after(2 * time.Minute), Depth: depthContainer,
		Sentence: "a container of {job} can't be made as it is described{detail}", Action: "Correct the description of the container, then submit {job} again."},
	{Code: SetupFailed, Said: "a volume, sandbox or network can't be set up", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(6 * time.Minute), Depth: depthContainer,
		Sentence: "what a container of {job} needs can't be set up{detail}", Action: "Look at the pod's volumes and its node."},
	{Code: CrashLoop, Said: "a container ends again and again", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: atOnce, Depth: depthContainer,
		Sentence: "a container of {job} ends again and again{detail}", Action: "Read the last lines of that container's log."},
	{Code: ContainerOOM, Said: "a container was killed for its memory limit", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: atOnce, Depth: depthContainer,
		Sentence: "a container of {job} was killed for its memory limit{detail}", Action: "Give that container more memory."},
	{Code: Evicted, Said: "a node was short of disk or memory and evicted a pod", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthContainer,
		Sentence: "a pod of {job} was evicted{detail}", Action: "Look at the disk and the memory of that node."},
	{Code: HeadLost, Said: "the head of the cluster is gone", Who: Platform, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "the head of the cluster of {job} is gone{detail}", Action: "Bring the head back, then submit {job} again."},
	{Code: DriverLost, Said: "the driver is gone, and how it ended isn't known", Who: Platform, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "the driver of {job} is gone, and how its work ended isn't known{detail}", Action: "Submit {job} again."},
	{Code: NodeLost, Said: "a node that held work died", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(10 * time.Minute), Depth: depthCluster,
		Sentence: "a node that held work of {job} died{detail}", Action: "Look at that node."},
	{Code: Unreachable, Said: "the source doesn't answer", Who: Platform, Helps: Perhaps, Health: AsBefore, Stuck: after(2 * time.Minute), Depth: depthCluster,
		Sentence: "what knows how {job} is doesn't answer{detail}", Action: "Look at the way to the cluster of {job}."},
	{Code: SubmitterFailed, Said: "what submits the job can't start or gave up", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthCluster,
		Sentence: "what submits {job} failed{detail}", Action: "Read the log of the submitter."},
	{Code: NotStarted, Said: "every source says that nothing is in its way, and it isn't begun", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: after(2 * time.Minute), Depth: depthCluster,
		Sentence: "nothing is known to be in the way of {job}, and it hasn't begun{detail}", Action: "Look at the logs of the cluster on which {job} is to run: its scheduler and its job supervisor."},
	{Code: WorkerFailed, Said: "worker processes don't start or register", Who: Platform, Helps: No, Health: AsBefore, Stuck: after(2 * time.Minute), Depth: depthCluster,
		Sentence: "worker processes of {job} don't start{detail}", Action: "Read the logs of the workers."},
	{Code: StoreFull, Said: "work waits for object store memory", Who: Pipeline, Helps: Perhaps, Health: AsBefore, Stuck: byTimer, Depth: depthCluster,
		Sentence: "work of {job} waits for object store memory{detail}", Action: "Give the object store more memory, or hold fewer objects at a time."},
	{Code: Starting, Said: "it runs, and is inside the time in which a first report is expected", Who: Nobody, Helps: Yes, Health: Scaling, Stuck: timeout, Depth: depthTimer, Timer: true,
		Sentence: "{subject} runs since {since}, and has counted no document yet", Action: "If no document comes, read the logs of {runs}."},
	{Code: StandsStill, Said: "it is heard of, without progress", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: timeout, Depth: depthTimer, Timer: true,
		Sentence: "{tier} stands still since {since}{while}, and is still heard of", Action: "Read the logs of {runs} from {since} on."},
	{Code: Silent, Said: "nothing is heard of it, longer than its own rhythm allows", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: timeout, Depth: depthTimer, Timer: true,
		Sentence: "nothing was heard of {tier} since {heard}{still}", Action: "Check that {runs}, and what sends its events, still run."},
	{Code: Dependency, Said: "all that is left waits for results that nothing computes", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: after(2 * time.Minute), Depth: depthProgram,
		Sentence: "what is left of {job} waits for results that nothing computes{detail}", Action: "Read the logs of {job}."},
	{Code: RetryLoop, Said: "the same work ended again and again without passing where it ended before", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: atOnce, Depth: depthProgram,
		Sentence: "{tier} was begun again and again: {count} runs ended without {reach}{error}", Action: "Find out what ends it{error}, and fix that before {tier} is begun again."},
	{Code: NotEnding, Said: "all documents are handled, and it hasn't ended", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: timeout, Depth: depthTimer, Timer: true,
		Sentence: "all {total} of {tier} are handled since {since}, and it hasn't ended", Action: "Look at how {runs} ends: writers, uploads, or a process that isn't closed. If it is over, say that {tier} is COMPLETED."},
	{Code: Failed, Said: "it ended with an error", Who: Pipeline, Helps: No, Health: Degraded, Stuck: never, Depth: depthProgram,
		Sentence: "{what} failed{error}", Action: "Fix the cause and run it again."},
	{Code: Stopped, Said: "a user stopped it", Who: Nobody, Helps: No, Health: AsBefore, Stuck: never, Depth: depthProgram,
		Sentence: "{what} was stopped{error}", Action: "Run {tier} again if that wasn't meant."},
	{Code: DocumentsFailed, Said: "documents failed", Who: Pipeline, Helps: No, Health: Degraded, Stuck: never, Depth: depthProgram,
		Sentence: "{count} of {tier} failed{error}", Action: "Look at the documents that failed and run them again once the cause is fixed."},
	{Code: ProgramOOM, Said: "tasks were killed for want of memory", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: never, Depth: depthProgram,
		Sentence: "tasks of {job} were killed for want of memory{detail}", Action: "Give the tasks of {job} more memory and run it again."},
	{Code: Rejected, Said: "the object is refused", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: grace, Depth: depthPod,
		Sentence: "{job} was refused{detail}", Action: "Correct what was refused, then submit {job} again."},
	{Code: Deadline, Said: "a limit of time ended it", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: never, Depth: depthProgram,
		Sentence: "a limit of time ended {job}{detail}", Action: "Raise that limit, or fix what made it take so long, then run it again."},
	{Code: WaitsForSubmit, Said: "a cluster is there and no job was submitted to it", Who: Pipeline, Helps: No, Health: Scaling, Stuck: window, Depth: depthProgram,
		Sentence: "the cluster of {job} waits for a submission{detail}", Action: "Submit the job."},
	{Code: NoJob, Said: "nothing runs for the tier, and something should", Who: Orchestrator, Helps: No, Health: Scaling, Stuck: window, Depth: depthTimer, Timer: true,
		Sentence: "{nojob}", Action: "Check the orchestrator{submit}."},
	{Code: TierSkipped, Said: "a tier between others was never begun, and the later ones are over", Who: Orchestrator, Helps: No, Health: AsBefore, Stuck: window, Depth: depthTimer, Timer: true,
		Sentence: "{tier} was never begun, and later tiers were over at {since}", Action: "Check the orchestrator: run {tier}, or say that it is SKIPPED."},
	{Code: NeverFinalized, Said: "every tier is over, and the batch's end was never said", Who: Orchestrator, Helps: No, Health: AsBefore, Stuck: timeout, Depth: depthTimer, Timer: true,
		Sentence: "{unfinished}", Action: "Check the orchestrator: it has to say how the batch ended{again}."},
	{Code: NotSubmitted, Said: "the batch waits to begin for longer than its own threshold", Who: Orchestrator, Helps: No, Health: AsBefore, Stuck: queued, Depth: depthTimer, Timer: true,
		Sentence: "the batch is known since {since}, and nothing of it has begun", Action: "Check the orchestrator: begin the batch, or cancel it."},
	{Code: RunsOn, Said: "it is over, and a job of it was heard of later than its end and a grace", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: never, Depth: depthProgram,
		Sentence: "{job} runs on, though {over} {since}", Action: "Stop {job}, if it isn't meant to run."},
	{Code: CompletedShort, Said: "it COMPLETED, and documents, collections or tiers were never accounted for", Who: Pipeline, Helps: No, Health: AsBefore, Stuck: never, Depth: depthProgram,
		Sentence: "{short}", Action: "{rest}"},
	{Code: Unknown, Said: "none of these can be said", Who: Platform, Helps: Perhaps, Health: Scaling, Stuck: window, Depth: depthTimer, Timer: true,
		Sentence: "{job} is PENDING{needs}{offered}{detail}, and {unsaid}", Action: "Look at {job} and its pods on the cluster. Headway names what a job waits for where a relay asks the cluster."},
	{Code: Refused, Said: "events of this batch are refused", Who: Producer, Helps: No, Health: AsBefore, Stuck: byTimer, Depth: depthReporting,
		Sentence: "{count} refused, the last at {since}{error}", Action: "{correct}"},
	{Code: Clock, Said: "the clock of a source is off", Who: Producer, Helps: No, Health: AsBefore, Stuck: never, Depth: depthReporting,
		Sentence: "{clock}", Action: "Compare the clock of the machine on which {source} runs with the right time."},
	{Code: Late, Said: "a source that was in time sends late", Who: Producer, Helps: No, Health: AsBefore, Stuck: never, Depth: depthReporting,
		Sentence: "the latest word of {source} arrived {by} after the time that it carries", Action: "Look at what holds back the events of {source}."},
	{Code: CountWentBack, Said: "a count fell", Who: Producer, Helps: No, Health: AsBefore, Stuck: never, Depth: depthReporting,
		Sentence: "the count of {tier} fell from {from} to {to}", Action: "{action}"},
	{Code: FirstReportLate, Said: "the first report came so late that start-up and work can't be told apart", Who: Producer, Helps: No, Health: AsBefore, Stuck: never, Depth: depthReporting,
		Sentence: "the first report of {tier} came at {since} with {count}: start-up and work can't be told apart", Action: "Report 0 documents at the start, and report more often."},
	{Code: SourceSilent, Said: "a source that used to speak of this batch doesn't", Who: Platform, Helps: Perhaps, Health: AsBefore, Stuck: never, Depth: depthReporting,
		Sentence: "nothing was heard of {source} since {since}, longer than its rhythm, while others speak", Action: "Look whether {source} is done, or gone."},
}
