// This file declares what the API and the pages show. A field's json tag is its name in the API, its doc tag what the
// description of the API says about it. Times are in UTC.

package console

import (
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// List is one page of a list, the newest first.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page; absent on the last one"`
}

// Conversation is one line of a list of conversations. What it tells of the chat is that of the newest revision.
type Conversation struct {
	ID         string     `json:"id"`
	Revision   int        `json:"revision"`
	Source     string     `json:"source,omitempty"`
	Brand      string     `json:"brand,omitempty"`
	Platform   string     `json:"platform,omitempty"`
	Outcome    string     `json:"outcome,omitempty"`
	ExternalID string     `json:"external_id,omitempty" doc:"the chat platform's id"`
	Visitor    string     `json:"visitor,omitempty" doc:"name"`
	Email      string     `json:"email,omitempty"`
	Rating     *float64   `json:"rating,omitempty"`
	Messages   int        `json:"messages"`
	Opening    string     `json:"opening,omitempty" doc:"beginning of the first text that a person wrote"`
	FirstAt    time.Time  `json:"first_at,omitzero" doc:"the first hook came"`
	LastAt     time.Time  `json:"last_at,omitzero" doc:"the newest hook came"`
	BodiesGone bool       `json:"bodies_gone,omitempty" doc:"retention has taken what was said"`
	Deliveries []Delivery `json:"deliveries"`
}

// ConversationDetail is all about one conversation.
type ConversationDetail struct {
	Conversation
	Hooks     int        `json:"hooks" doc:"hooks that were told apart: revisions and stale snapshots"`
	Revisions []Revision `json:"revisions"`
	// Said is the newest revision; nil when retention has taken it.
	Said   *chat.Conversation `json:"conversation,omitempty" doc:"the newest revision; absent when retention has taken it"`
	Masked bool               `json:"masked" doc:"personal data is shown as ***"`
}

// Revision is one stored hook of a conversation.
type Revision struct {
	Revision    int       `json:"revision" doc:"1, 2, …; below 0 a stale snapshot, which is not sent"`
	ReceivedAt  time.Time `json:"received_at,omitzero"`
	ContentType string    `json:"content_type,omitempty"`
	Bytes       int       `json:"bytes" doc:"of the body as it came, inflated"`
}

// Delivery is one conversation on its way to one target.
type Delivery struct {
	Conversation string             `json:"conversation" doc:"id of the conversation"`
	Target       string             `json:"target"`
	State        string             `json:"state" enum:"pending,delivered,dead,skipped,superseded"`
	Revision     int                `json:"revision" doc:"to deliver, or delivered"`
	Held         int                `json:"held" doc:"revision that the target is known to hold; 0: none"`
	Attempts     int                `json:"attempts" doc:"of this revision"`
	Uncertain    bool               `json:"uncertain" doc:"an attempt may have been taken although it failed"`
	UnderWay     bool               `json:"under_way" doc:"an attempt is being made"`
	DueAt        time.Time          `json:"due_at,omitzero" doc:"next attempt of a pending one"`
	Since        time.Time          `json:"since,omitzero" doc:"pending since"`
	SettledAt    time.Time          `json:"settled_at,omitzero" doc:"came to its end"`
	Routes       []string           `json:"routes" doc:"names of the routes that it was accepted under"`
	Accepted     string             `json:"accepted_config,omitempty" doc:"hash of the configuration that it was accepted under"`
	Tried        string             `json:"tried_config,omitempty" doc:"hash of the configuration of the newest attempt"`
	Pinned       string             `json:"pinned_config,omitempty" doc:"hash of the configuration that it is rendered with; absent: that of the day"`
	Receipt      connectors.Receipt `json:"receipt" doc:"where the record is at the target"`
	Class        string             `json:"class,omitempty" doc:"what the newest failure has in common with others of its cause"`
	Reason       string             `json:"reason,omitempty" doc:"what the newest failure said"`
	FailedAt     time.Time          `json:"failed_at,omitzero"`
	Source       string             `json:"source,omitempty"`
	Visitor      string             `json:"visitor,omitempty"`
	Email        string             `json:"email,omitempty"`
}

// DeliveryDetail is one delivery with its attempts.
type DeliveryDetail struct {
	Delivery
	Log    []Attempt `json:"log" doc:"attempts, the oldest first"`
	Masked bool      `json:"masked" doc:"personal data is shown as ***"`
}

// Attempt is one attempt of a delivery.
type Attempt struct {
	At           time.Time `json:"at"`
	Revision     int       `json:"revision" doc:"that was tried"`
	Number       int       `json:"number" doc:"1, 2, … within the revision; a replay begins anew"`
	Kind         string    `json:"kind" doc:"ok, temporary, throttled, rejected, denied, mapping, panic, crash, uncertain or shutdown"`
	Milliseconds float64   `json:"ms"`
	Status       int       `json:"status,omitempty" doc:"HTTP status"`
	Reason       string    `json:"reason,omitempty"`
	Class        string    `json:"class,omitempty"`
	Config       string    `json:"config,omitempty" doc:"hash of the configuration that rendered it"`
	Response     string    `json:"response,omitempty" doc:"beginning of what the target answered to a failure"`
}

// Failure is a group of deliveries that failed alike.
type Failure struct {
	Target  string    `json:"target"`
	Class   string    `json:"class"`
	State   string    `json:"state" enum:"dead,pending"`
	Count   int64     `json:"count"`
	FirstAt time.Time `json:"first_at,omitzero"`
	LastAt  time.Time `json:"last_at,omitzero"`
	Reason  string    `json:"reason,omitempty" doc:"what the newest one said"`
	Example string    `json:"example,omitempty" doc:"conversation of the newest one"`
}

// Quarantined is one hook that no decoder could read.
type Quarantined struct {
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	ContentType string    `json:"content_type,omitempty"`
	Reason      string    `json:"reason"`
	ReceivedAt  time.Time `json:"received_at"`
	Bytes       int       `json:"bytes"`
}

// Decoded is what became of a hook from quarantine, or of an imported one.
type Decoded struct {
	Conversation string   `json:"conversation,omitempty" doc:"id; absent if it could not be read"`
	Revision     int      `json:"revision,omitempty"`
	Result       string   `json:"result" enum:"accepted,unrouted,repeated,stale,revised,quarantined"`
	Targets      []string `json:"targets" doc:"that have a delivery due because of it"`
	Reason       string   `json:"reason,omitempty" doc:"why it is in quarantine"`
}

// Target is a target with what waits for it.
type Target struct {
	Name       string `json:"name"`
	Type       string `json:"type,omitempty"`
	Configured bool   `json:"configured" doc:"false: deliveries wait for a target that the configuration does not have"`
	Workers    int    `json:"workers,omitempty"`
	Rate       string `json:"rate,omitempty" doc:"most attempts per time; absent: no limit"`

	Accepted   int64 `json:"accepted" doc:"the sum of the five below, each revision counted; they outlive retention"`
	Pending    int64 `json:"pending"`
	Delivered  int64 `json:"delivered"`
	Dead       int64 `json:"dead"`
	Skipped    int64 `json:"skipped"`
	Superseded int64 `json:"superseded"`
	Replayable int64 `json:"replayable" doc:"dead deliveries that can still be replayed"`

	OldestPendingAt time.Time `json:"oldest_pending_at,omitzero"`
	OverdueSince    time.Time `json:"overdue_since,omitzero" doc:"the delivery that has waited longest could have been tried since then; absent: nothing waits, but for a pause, the rate, or the target's wish for no more"`
	Pause           *Pause    `json:"pause,omitempty" doc:"absent: it runs"`
	HeldUntil       time.Time `json:"held_until,omitzero" doc:"it asked for nothing more until then"`
	InFlight        int       `json:"in_flight" doc:"attempts under way"`
	LastSuccessAt   time.Time `json:"last_success_at,omitzero" doc:"since the start"`
	LastFailureAt   time.Time `json:"last_failure_at,omitzero"`
	LastError       string    `json:"last_error,omitempty"`
	RateUse         *RateUse  `json:"rate_use,omitempty" doc:"absent: there is no rate"`
	Attempts        *Took     `json:"attempts,omitempty" doc:"how long attempts took in the last hour; absent: there was none since the start"`
}

// RateUse is how much of its rate a target has used.
type RateUse struct {
	Used        int     `json:"used" doc:"attempts of this process within the time"`
	Allowed     float64 `json:"allowed" doc:"that the rate allows in it"`
	OverSeconds float64 `json:"over_seconds"`
	UsedUp      bool    `json:"used_up" doc:"deliveries wait for the rate now"`
}

// Took is how long attempts took.
type Took struct {
	Count           int     `json:"count" doc:"the newest 512 of this process at most"`
	P50Milliseconds float64 `json:"p50_ms" doc:"half of them took no longer"`
	P95Milliseconds float64 `json:"p95_ms" doc:"95 of 100 took no longer"`
}

// Pause is the pause of a target.
type Pause struct {
	Since       time.Time `json:"since"`
	NextProbeAt time.Time `json:"next_probe_at,omitzero" doc:"absent: only a person resumes it"`
	Reason      string    `json:"reason"`
}

// Probed is what a probe of a target found.
type Probed struct {
	OK           bool    `json:"ok"`
	Error        string  `json:"error,omitempty"`
	Hint         string  `json:"hint,omitempty"`
	Milliseconds float64 `json:"ms"`
}

// Source is a source and when it was last heard of.
type Source struct {
	Name               string    `json:"name"`
	Type               string    `json:"type,omitempty"`
	Brand              string    `json:"brand,omitempty"`
	Since              time.Time `json:"since,omitzero" doc:"first seen in the configuration of this process"`
	LastHookAt         time.Time `json:"last_hook_at,omitzero"`
	ExpectEverySeconds float64   `json:"expect_every_seconds,omitempty" doc:"longer silence is an alert"`
	Silent             bool      `json:"silent" doc:"it is silent for longer than expected"`
}

// Status is the gateway at a glance.
type Status struct {
	Version   string       `json:"version"`
	StartedAt time.Time    `json:"started_at,omitzero"`
	Ready     bool         `json:"ready" doc:"hooks are taken"`
	NotReady  string       `json:"not_ready,omitempty" doc:"why not"`
	Config    Config       `json:"config"`
	Ledger    LedgerStatus `json:"ledger"`
	Targets   []Target     `json:"targets"`
	Sources   []Source     `json:"sources"`
	Alerts    []Alert      `json:"alerts" doc:"what should not last"`
	You       Person       `json:"you" doc:"as whom the request was made"`
}

// OwnSource is the source of alerts, which are conversations of our own.
const OwnSource = "afterchat"

// Alert is something that should not last, told or not.
type Alert struct {
	Kind   string    `json:"kind" enum:"dead,paused,overdue,silent,quarantined,ledger" doc:"as in alerts.on"`
	Name   string    `json:"name,omitempty" doc:"of the target or source; absent: it is the gateway's"`
	Class  string    `json:"class,omitempty" doc:"of dead deliveries"`
	Text   string    `json:"text"`
	Count  int64     `json:"count,omitempty" doc:"of deliveries or hooks"`
	Since  time.Time `json:"since"`
	ToldAt time.Time `json:"told_at,omitzero" doc:"when people were told last; absent: nobody was"`
	ToldTo []string  `json:"told_to,omitempty" doc:"targets that told them"`
}

// LedgerStatus are the sums of the ledger.
type LedgerStatus struct {
	Conversations int64 `json:"conversations"`
	Quarantined   int64 `json:"quarantined"`
	Bytes         int64 `json:"bytes" doc:"on disk"`
	Used          int64 `json:"used" doc:"bytes that count to ledger.retention.max_size"`
	SetAside      int64 `json:"set_aside" doc:"damaged ledgers beside this one that have not been repaired"`
}

// Job is a replay job.
type Job struct {
	ID        string          `json:"id"`
	By        string          `json:"by"`
	CreatedAt time.Time       `json:"created_at"`
	Query     string          `json:"q" doc:"what it replays, as in the search box"`
	Chosen    int             `json:"chosen,omitempty" doc:"conversations that it was narrowed to by a condition or by their ids; they are too many for q"`
	With      string          `json:"with" enum:"today,then" doc:"configuration that renders: that of the day, or of the newest attempt"`
	PerSecond float64         `json:"per_second" doc:"0: no limit but that of each target"`
	State     ledger.JobState `json:"state" enum:"running,done,cancelled"`
	Total     int64           `json:"total" doc:"that were selected when it was made"`
	Done      int64           `json:"done" doc:"made due again"`
	Skipped   int64           `json:"skipped" doc:"that were no longer dead, or whose bodies retention has taken"`
	UpdatedAt time.Time       `json:"updated_at,omitzero"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
}

// DryRun is what a replay job would replay.
type DryRun struct {
	Query  string    `json:"q"`
	Chosen int       `json:"chosen,omitempty" doc:"conversations that it is narrowed to by a condition or by their ids; they are too many for q"`
	Count  int64     `json:"count"`
	Groups []Failure `json:"groups" doc:"by target and class, the largest first"`
}

// Audited is one line of the audit log.
type Audited struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Address string    `json:"address,omitempty"`
	Action  string    `json:"action"`
	Object  string    `json:"object,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

// Series is what happened over time.
type Series struct {
	Kind        string    `json:"kind" enum:"source,target"`
	Since       time.Time `json:"since"`
	StepSeconds int64     `json:"step_seconds"`
	Points      []Point   `json:"points" doc:"the oldest first; what did not happen is left out"`
}

// Point is what happened to one source or target in one step.
type Point struct {
	At    time.Time `json:"at" doc:"begin of the step"`
	Name  string    `json:"name"`
	What  string    `json:"what" doc:"of a source the result of hooks, of a target the kind of attempts"`
	Count int64     `json:"count"`
}

// ConfigDetail is the configuration in force.
type ConfigDetail struct {
	Config
	YAML string `json:"yaml" doc:"the effective configuration, with every default and with secrets as ***"`
}

// Rendered is what a delivery would send.
type Rendered struct {
	With     string               `json:"with" enum:"today,then"`
	Config   string               `json:"config" doc:"hash of the configuration that rendered it"`
	Revision int                  `json:"revision"`
	Fields   map[string]any       `json:"fields,omitempty" doc:"what the mapping gives the target"`
	Notes    []string             `json:"notes,omitempty" doc:"what was cut or left out because it does not fit the target"`
	Requests []connectors.Request `json:"requests,omitempty" doc:"as they would go out, secrets as ***"`
	NotSent  []connectors.NotSent `json:"not_sent,omitempty"`
	Error    string               `json:"error,omitempty" doc:"it cannot be rendered, or would fail before it is sent"`
	// Unknown is why nobody can tell what an attempt had sent.
	Unknown string `json:"unknown,omitempty" doc:"why what the attempt had sent cannot be known; nothing is rendered then"`
}

// RenderedDelivery is what a delivery would send with one configuration, and how that differs from the other one.
type RenderedDelivery struct {
	Rendered
	// Difference are the lines of both, as a unified diff from then to today: the first character of each is a space, - or +.
	Difference []string `json:"difference" doc:"from then to today, line by line: the first character is a space, - or +; empty: they are the same"`
	// Attempt is the attempt that was asked for, with what the target answered to it.
	Attempt *Attempt `json:"attempt,omitempty" doc:"the one that was asked for, with what the target answered to it"`
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// each maps a slice; the result is never nil, so that it is [] in JSON.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

func listOf[A, B any](l ledger.Listed[A], f func(A) B) List[B] {
	return List[B]{Items: each(l.Items, f), Next: l.Next}
}

func conversationOf(r ledger.ConversationRow) Conversation {
	return Conversation{
		ID: r.ID, Revision: r.Revision, Source: r.Source, Brand: r.Brand, Platform: r.Platform, Outcome: r.Outcome,
		ExternalID: r.ExternalID, Visitor: r.Visitor, Email: r.Email, Rating: r.Rating, Messages: r.Messages, Opening: r.Opening,
		FirstAt: utc(r.FirstAt), LastAt: utc(r.LastAt), BodiesGone: r.BodiesGone, Deliveries: each(r.Deliveries, deliveryOf),
	}
}

func revisionOf(r ledger.RevisionRow) Revision {
	return Revision{Revision: r.Revision, ReceivedAt: utc(r.ReceivedAt), ContentType: r.ContentType, Bytes: r.Bytes}
}

func deliveryOf(r ledger.DeliveryRow) Delivery {
	d := Delivery{
		Conversation: r.ID, Target: r.Target, State: r.State.String(), Revision: r.Revision, Held: r.Held, Attempts: r.Attempts,
		Uncertain: r.Uncertain, UnderWay: r.Leased, DueAt: utc(r.DueAt), Since: utc(r.Since), SettledAt: utc(r.SettledAt),
		Routes: r.Routes, Accepted: r.Accepted, Tried: r.Tried, Pinned: r.Pinned, Receipt: r.Receipt,
		Class: r.Class, Reason: r.Reason, FailedAt: utc(r.FailedAt), Source: r.Source, Visitor: r.Visitor, Email: r.Email,
	}
	if d.Routes == nil {
		d.Routes = []string{}
	}
	if r.State != ledger.Pending {
		d.DueAt = time.Time{}
	}
	return d
}

func attemptOf(a ledger.Attempt) Attempt {
	return Attempt{
		At: utc(a.At), Revision: a.Revision, Number: a.Number, Kind: a.Kind, Milliseconds: milliseconds(a.Duration), Status: a.Status, Reason: a.Reason,
		Class: a.Class, Config: a.Config, Response: a.Response,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func failureOf(f ledger.Failure) Failure {
	return Failure{
		Target: f.Target, Class: f.Class, State: f.State.String(), Count: f.Count, FirstAt: utc(f.First), LastAt: utc(f.Last),
		Reason: f.Reason, Example: f.Example,
	}
}

func quarantinedOf(r ledger.QuarantineRow) Quarantined {
	return Quarantined{ID: r.ID, Source: r.Source, ContentType: r.ContentType, Reason: r.Reason, ReceivedAt: utc(r.ReceivedAt), Bytes: r.Bytes}
}

// manyIDs is from how many ids on they are counted instead of being shown.
const manyIDs = 20

// shownQuery writes a filter without a long list of ids, and tells how many those are.
func shownQuery(f ledger.Filter) (query string, chosen int) {
	if len(f.IDs) > manyIDs {
		chosen, f.IDs = len(f.IDs), nil
	}
	return FormatQuery(f), chosen
}

func jobOf(j ledger.ReplayJob) Job {
	query, chosen := shownQuery(j.Filter)
	return Job{
		ID: j.ID, By: j.By, CreatedAt: utc(j.CreatedAt), Query: query, Chosen: chosen, With: withOf(j.Pinned), PerSecond: j.PerSecond,
		State: j.State, Total: j.Total, Done: j.Done, Skipped: j.Skipped, UpdatedAt: utc(j.UpdatedAt), EndedAt: utc(j.EndedAt),
	}
}

// The configurations that a delivery can be rendered with: that of the day, and that of an attempt.
const (
	WithToday = "today"
	WithThen  = "then"
)

func withOf(pinned bool) string {
	if pinned {
		return WithThen
	}
	return WithToday
}

func auditedOf(a ledger.Audited) Audited {
	return Audited{At: utc(a.At), Who: a.Who, Address: a.Address, Action: a.Action, Object: a.Object, Detail: a.Detail}
}
