package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/event"

type BatchFacts = event.BatchFacts
type Bucket = event.Bucket
type CollectionFacts = event.CollectionFacts
type CollectionPlan = event.CollectionPlan

const CountAfterFilter = event.CountAfterFilter
const CountFetched = event.CountFetched
const CountMissingInputs = event.CountMissingInputs
const CountSubmitted = event.CountSubmitted
const CountWritten = event.CountWritten

type Decoder = event.Decoder
type ErrorFact = event.ErrorFact
type Event = event.Event
type Health = event.Health

const HealthDegraded = event.HealthDegraded

type HealthFacts = event.HealthFacts

const HealthOK = event.HealthOK
const HealthScaling = event.HealthScaling
const HealthStuck = event.HealthStuck

func Hint(t Type, unknown string) string { return event.Hint(t, unknown) }

type JobFacts = event.JobFacts
type Message = event.Message

func Nearest(t Type, unknown string) (field string, ok bool) { return event.Nearest(t, unknown) }

type Opt[T any] = event.Opt[T]

func ParseHealth(s string) (h Health, ok bool) { return event.ParseHealth(s) }

type Rejection = event.Rejection
type StageFacts = event.StageFacts
type TierFacts = event.TierFacts
type TierPlan = event.TierPlan
type Type = event.Type

const TypeBatch = event.TypeBatch
const TypeBatchV1 = event.TypeBatchV1
const TypeCollection = event.TypeCollection
const TypeCollectionV1 = event.TypeCollectionV1
const TypeHealth = event.TypeHealth
const TypeHealthV1 = event.TypeHealthV1
const TypeJob = event.TypeJob
const TypeJobV1 = event.TypeJobV1
const TypeStage = event.TypeStage
const TypeStageV1 = event.TypeStageV1
const TypeTier = event.TypeTier
const TypeTierV1 = event.TypeTierV1
const TypeUnknown = event.TypeUnknown

func ValidID(id string) bool { return event.ValidID(id) }

type Waiting = event.Waiting
type Word = event.Word

const WordCanceled = event.WordCanceled
const WordCompleted = event.WordCompleted
const WordCompletedWithErrors = event.WordCompletedWithErrors
const WordDraft = event.WordDraft
const WordFailed = event.WordFailed
const WordInProgress = event.WordInProgress
const WordNone = event.WordNone
const WordPending = event.WordPending
const WordProcessing = event.WordProcessing
const WordQueued = event.WordQueued
const WordRunning = event.WordRunning
const WordSkipped = event.WordSkipped
const WordStopped = event.WordStopped
const WordSucceeded = event.WordSucceeded
