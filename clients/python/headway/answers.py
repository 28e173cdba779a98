"""What the API answers, as types. Made from the API's description by generate.py: don't edit.

A code of a cause is an open string: a later version may say one that isn't in KnownCauseCode.
"""

from __future__ import annotations

from typing import Any, Literal, Optional, TypedDict, Union

KnownCauseCode = Literal[
    "CAPACITY:NODE_LAUNCHING",
    "CAPACITY:NODE_NOT_JOINING",
    "CAPACITY:NODE_REFUSED",
    "CAPACITY:IN_USE",
    "CAPACITY:IN_USE_BY_ITSELF",
    "CAPACITY:HELD_BY_FINISHED",
    "CAPACITY:AT_LIMIT",
    "CAPACITY:QUOTA",
    "CAPACITY:QUEUED",
    "CAPACITY:HELD",
    "CAPACITY:PREEMPTED",
    "PLACEMENT:TOO_LARGE",
    "PLACEMENT:LABELS",
    "PLACEMENT:GROUP",
    "PLACEMENT:POD_UNSCHEDULABLE",
    "IMAGE:PULLING",
    "IMAGE:PULL_FAILED",
    "IMAGE:REGISTRY",
    "ENVIRONMENT:BUILDING",
    "ENVIRONMENT:FAILED",
    "CONTAINER:STARTING",
    "CONTAINER:CONFIG_ERROR",
    "CONTAINER:SETUP_FAILED",
    "CONTAINER:CRASH_LOOP",
    "CONTAINER:OUT_OF_MEMORY",
    "CONTAINER:EVICTED",
    "RAY:HEAD_LOST",
    "RAY:DRIVER_LOST",
    "RAY:NODE_LOST",
    "RAY:UNREACHABLE",
    "RAY:SUBMITTER_FAILED",
    "RAY:NOT_STARTED",
    "RAY:WORKER_START_FAILED",
    "RAY:OBJECT_STORE_FULL",
    "PROGRAM:STARTING",
    "PROGRAM:STANDS_STILL",
    "PROGRAM:SILENT",
    "PROGRAM:DEPENDENCY",
    "PROGRAM:RETRY_LOOP",
    "PROGRAM:NOT_ENDING",
    "PROGRAM:FAILED",
    "PROGRAM:STOPPED",
    "PROGRAM:DOCUMENTS_FAILED",
    "PROGRAM:OUT_OF_MEMORY",
    "PIPELINE:REJECTED",
    "PIPELINE:DEADLINE",
    "PIPELINE:WAITS_FOR_SUBMISSION",
    "PIPELINE:NO_JOB",
    "PIPELINE:TIER_SKIPPED",
    "PIPELINE:NOT_FINALIZED",
    "PIPELINE:NOT_SUBMITTED",
    "PIPELINE:RUNS_ON",
    "PIPELINE:COMPLETED_SHORT",
    "UNKNOWN",
    "REPORTING:REFUSED",
    "REPORTING:CLOCK",
    "REPORTING:LATE",
    "REPORTING:COUNT_WENT_BACK",
    "REPORTING:FIRST_REPORT_LATE",
    "REPORTING:SOURCE_SILENT",
]
CauseCode = Union[KnownCauseCode, str]
Health = Literal["ok", "scaling", "stuck", "degraded"]
Status = Literal[
    "DRAFT",
    "PENDING",
    "PROCESSING",
    "COMPLETED",
    "COMPLETED_WITH_ERRORS",
    "FAILED",
    "CANCELED",
    "SKIPPED",
    "UNKNOWN",
]

class Action(TypedDict):
    """Action is a step that a person can take, with what it takes. Headway executes none."""

    command: Optional[str]
    href: Optional[str]
    kind: Union[Literal["open", "logs", "stop", "retry", "resubmit", "resize"], str]
    label: str


class Past(TypedDict):
    announced_at: str
    policy_changed: bool


class Subject(TypedDict):
    """Subject is what a cause is about."""

    cluster: Optional[str]
    id: str
    kind: Union[Literal["batch", "tier", "job", "collection", "source"], str]


class Cause(TypedDict):
    """Cause is why something waits, failed or is in doubt."""

    asked: list[Any]
    certainty: Literal["known", "inferred", "unknown"]
    code: CauseCode
    demand: Any
    detail: Optional[str]
    evidence: list[str]
    fixes: list[Any]
    holders: list[Any]
    offered: Any
    sentence: str
    since: Optional[str]
    subject: Subject
    waiting_helps: Optional[Literal["yes", "perhaps", "no"]]
    who_acts: Optional[Literal["pipeline", "platform", "orchestrator", "producer", "nobody"]]


class CollectionDiagnostic(TypedDict):
    """CollectionDiagnostic is one collection; status is ready, processing or empty."""

    collection_id: str
    collection_name: str
    document_count: int
    expected_documents: Optional[int]
    status: Literal["ready", "processing", "empty"]
    tier_num: Optional[int]


class ErrorDiagnostic(TypedDict):
    """ErrorDiagnostic is one kind of error, counted."""

    affected_count: int
    affected_document_ids: list[str]
    component: str
    error_type: str
    message: str
    recovery_suggestion: Optional[str]
    stage: str
    tier_num: int


class ETA(TypedDict):
    confidence: Literal["low", "medium", "high"]
    method: str
    p50: str
    p90: str


class WaitingOn(TypedDict):
    """WaitingOn is what a job waits for, and what the cluster offers."""

    code: Optional[str]
    demand: Any
    detail: Optional[str]
    infeasible: Optional[bool]
    kind: Union[Literal["resources", "runtime_env", "node_launch", "image_pull", "quota"], str]
    nodes_pending: Optional[int]
    offered: Any
    since: str


class Evidence(TypedDict):
    """Evidence is what a verdict follows from."""

    event_ids: list[str]
    last_heard: Optional[str]
    ray_job_id: Optional[str]
    signal: str
    since: Optional[str]
    threshold_seconds: Optional[float]
    tier_num: Optional[int]
    waiting_on: Optional[WaitingOn]


class Insight(TypedDict):
    """Insight is a sentence that rests on a stated number."""

    message: str
    metric_value: Optional[float]
    recommendation: Optional[str]
    severity: Literal["info", "warning", "critical"]
    stage: Optional[str]
    type: Union[Literal["bottleneck", "optimization", "warning"], str]


class Message(TypedDict):
    """Message is a text with its code and parameters, so that it can be written in another language or time zone."""

    code: str
    params: dict[str, str]
    text: str


class Window(TypedDict):
    """Window is a part of a list: limit elements from offset on. The zero value is all of it."""

    limit: int
    offset: int
    total: int


class Page(TypedDict):
    """Page says which tiers and collections of a large batch an answer shows. Everything else in it counts all."""

    collections: Window
    tiers: Window


class PhaseTime(TypedDict):
    """PhaseTime is how long the jobs of a batch together were in a phase."""

    job_seconds: float
    jobs: int
    phase: str


class StagePerformance(TypedDict):
    """StagePerformance is one stage's share, over all tiers and workers."""

    avg_time_ms: float
    component: str
    execution_count: int
    max_time_ms: float
    p50_ms: Optional[float]
    p95_ms: Optional[float]
    p99_ms: Optional[float]
    pct_of_total: float
    quantile_error_ms: Optional[float]
    rank: int
    stage_name: str
    total_time_ms: float


class TierPerformance(TypedDict):
    """TierPerformance is one tier's share of the time."""

    docs_per_second: Optional[float]
    duration_seconds: float
    pct_of_total: float
    queue_seconds: float
    tier_num: int


class PerformanceSummary(TypedDict):
    bottlenecks: list[str]
    cold_start_seconds: float
    documents_failed: int
    documents_processed: int
    hand_over_seconds: float
    idle_seconds: float
    phases: list[PhaseTime]
    processing_seconds: float
    queue_seconds: float
    stages: list[StagePerformance]
    throughput_docs_per_second: float
    tiers: list[TierPerformance]
    total_time_seconds: float


class FunnelCounts(TypedDict):
    """FunnelCounts are the counters of a tier's funnel; null where never said."""

    after_filter: Optional[int]
    fetched: Optional[int]
    missing_inputs: Optional[int]
    submitted: Optional[int]
    written: Optional[int]


class JobPhase(TypedDict):
    """JobPhase is what a job waited for, or that it worked, for a time."""

    duration_seconds: float
    ended_at: Optional[str]
    phase: str
    started_at: str


class Progress(TypedDict):
    """Progress of a tier or job in documents; percentage 0 to 100 with two decimals."""

    percentage: float
    processed_documents: int
    total_documents: int


class ProofInfo(TypedDict):
    """ProofInfo is a look at a process of a job, without its text."""

    frame: Optional[str]
    frame_since: Optional[str]
    kind: str
    looks: Optional[int]
    name: Optional[str]
    process: str
    taken_at: str
    unavailable: Optional[str]


class JobDiagnostic(TypedDict):
    """JobDiagnostic is one Ray job of a tier (extension)."""

    attempt: int
    cause: Optional[Cause]
    cluster: Optional[str]
    collections: list[str]
    duration_seconds: Optional[float]
    ended_at: Optional[str]
    error_type: Optional[str]
    exit_code: Optional[int]
    extractor: Optional[str]
    job_id: Optional[str]
    message: Optional[str]
    phases: list[JobPhase]
    progress: Progress
    proofs: list[ProofInfo]
    queue_seconds: Optional[float]
    ray_dashboard_url: Optional[str]
    ray_job_id: str
    resources: Optional[dict[str, Any]]
    session: Optional[str]
    started_at: Optional[str]
    status: Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]
    submitted_at: Optional[str]
    superseded: bool
    waiting_on: Optional[WaitingOn]


class Series(TypedDict):
    """Series is progress over time: for each time bucket with a word in it the greatest count said."""

    points: list[list[int]]
    width_seconds: int


class TierDiagnostic(TypedDict):
    """TierDiagnostic is one tier, in its highest attempt."""

    attempt: int
    cause: Optional[Cause]
    completed_at: Optional[str]
    counts: Optional[FunnelCounts]
    duration_seconds: Optional[float]
    error: Optional[str]
    error_type: Optional[str]
    failed_documents: int
    jobs: list[JobDiagnostic]
    progress: Progress
    queue_seconds: Optional[float]
    ray_dashboard_url: Optional[str]
    ray_job_id: Optional[str]
    ray_job_status: Optional[Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]]
    requires_gpu: Optional[bool]
    series: Series
    started_at: Optional[str]
    status: Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "SKIPPED", "CANCELED"]
    submission_params: Optional[dict[str, Any]]
    task_id: Optional[str]
    throughput_docs_per_second: Optional[float]
    tier_num: int


class TimelineEntry(TypedDict):
    """TimelineEntry is one change of state, in order of time."""

    at: str
    change: str
    kind: Union[Literal["batch", "tier", "job", "health"], str]
    reason: Optional[str]
    subject: str


class _ViewInfo(TypedDict, total=False):
    left_out: list[str]


class ViewInfo(_ViewInfo):
    """ViewInfo says how fresh and how whole an answer is."""

    as_of: str
    id: str
    incomplete: bool
    lag_seconds: float
    revision: int
    truncated: bool


class _Snapshot(TypedDict, total=False):
    at: Optional[Past]
    page: Optional[Page]


class Snapshot(_Snapshot):
    actions: list[Action]
    attempt: int
    batch_id: str
    batch_name: str
    blocked_reason: Optional[str]
    bucket_id: str
    cause: Optional[Cause]
    collections: list[CollectionDiagnostic]
    completed_at: Optional[str]
    created_at: Optional[str]
    current_tier: int
    doubts: list[Cause]
    duration_seconds: Optional[float]
    error: Optional[str]
    error_type: Optional[str]
    errors: list[ErrorDiagnostic]
    estimated_completion: Optional[str]
    eta: Optional[ETA]
    failed_documents_sample: list[str]
    failed_tier_count: int
    failure_category: Optional[Union[Literal["infrastructure", "timeout", "orphaned", "pipeline"], str]]
    has_failures: bool
    health: Health
    health_evidence: Evidence
    insights: list[Insight]
    labels: Optional[dict[str, Any]]
    last_activity_at: Optional[str]
    messages: list[Message]
    next_actions: list[str]
    overall_progress: float
    owner: Optional[str]
    performance_summary: Optional[PerformanceSummary]
    pipeline: Optional[str]
    retry_of: Optional[str]
    started_at: Optional[str]
    status: Status
    stuck_seconds: Optional[float]
    submitted_at: Optional[str]
    tiers: list[TierDiagnostic]
    timeline: list[TimelineEntry]
    total_objects: int
    total_tiers: int
    view: ViewInfo


class Change(TypedDict):
    """Change is the moment at which the verdict changes if no event comes."""

    at: str
    because: str
    cause: Optional[CauseCode]
    health: Health


class Alternative(TypedDict):
    """Alternative is a verdict that wasn't reached."""

    because: str
    health: Health


class ThresholdPolicy(TypedDict):
    """ThresholdPolicy holds the thresholds that applied, in seconds."""

    grace_seconds: float
    scaling_delay_seconds: float
    settle_seconds: float
    timeout_seconds: float
    window_gpu_seconds: float
    window_no_gpu_seconds: float


class Proof(TypedDict):
    """Proof is a look at a process of a job, with its text."""

    frame: Optional[str]
    frame_since: Optional[str]
    kind: str
    looks: Optional[int]
    name: Optional[str]
    process: str
    ray_job_id: str
    taken_at: str
    text: Optional[str]
    unavailable: Optional[str]


class EventStamp(TypedDict):
    """EventStamp names an event."""

    id: str
    source: str
    time: str


class Step(TypedDict):
    """Step is one fact of a derivation and what it rests on."""

    events: list[EventStamp]
    says: str


class Case(TypedDict):
    """Case is the result of the health table for one open tier."""

    cause: Optional[Cause]
    elapsed_seconds: float
    finding: Literal["moving", "waiting", "stuck"]
    ray_job_id: Optional[str]
    reason: Optional[str]
    signal: str
    since: Optional[str]
    threshold_seconds: float
    tier_num: Optional[int]


class _Explanation(TypedDict, total=False):
    at: Optional[Past]


class Explanation(_Explanation):
    """Explanation is a verdict as a derivation: what it follows from, what would change it, and why it is no other."""

    batch_id: str
    blocked_reason: Optional[str]
    cause: Optional[Cause]
    doubts: list[Cause]
    elapsed_seconds: Optional[float]
    health: Health
    next_check: Optional[Change]
    not_taken: list[Alternative]
    policy: ThresholdPolicy
    proofs: list[Proof]
    rule: str
    since: Optional[str]
    status: Status
    steps: list[Step]
    threshold_seconds: Optional[float]
    tiers: list[Case]
    view: ViewInfo


class RowETA(TypedDict):
    """RowETA is the range in which the end is expected."""

    p50: str
    p90: str


class _Row(TypedDict, total=False):
    alike: Optional[str]
    sentence: Optional[str]


class Row(_Row):
    as_of: str
    batch_id: str
    batch_name: str
    blocked_reason: Optional[str]
    cause: Optional[CauseCode]
    completed_at: Optional[str]
    current_tier: int
    eta: Optional[RowETA]
    has_failures: bool
    health: Health
    labels: Optional[dict[str, Any]]
    last_activity_at: Optional[str]
    ordered_at: str
    overall_progress: float
    owner: Optional[str]
    pipeline: Optional[str]
    revision: int
    spark: list[int]
    started_at: Optional[str]
    status: Status
    total_tiers: int
    until: Optional[str]


class Counts(TypedDict):
    """of the whole namespace, regardless of the filter"""

    health: dict[str, int]
    status: dict[str, int]
    total: int


class _BatchList(TypedDict, total=False):
    incomplete_reasons: list[dict[str, Any]]


class BatchList(_BatchList):
    batches: list[Row]
    counts: Counts
    incomplete: bool
    next_cursor: Optional[str]
