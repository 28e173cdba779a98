package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/judge"

const ActionLogs = judge.ActionLogs
const ActionOpen = judge.ActionOpen
const ActionResize = judge.ActionResize
const ActionResubmit = judge.ActionResubmit
const ActionRetry = judge.ActionRetry
const ActionStop = judge.ActionStop

type ActionTemplate = judge.ActionTemplate
type Announcement = judge.Announcement

func DefaultPolicy() Policy { return judge.DefaultPolicy() }

type Evidence = judge.Evidence
type Policy = judge.Policy
type Publication = judge.Publication
type Settling = judge.Settling
type Verdict = judge.Verdict
type WaitingOn = judge.WaitingOn
