// This file is the part of the API that changes something. Whatever is changed stands in the audit log with who did it.

package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// changes lists the operations that change something, and those that are asked with POST because they take a body.
func (c *console) changes() []endpoint {
	post := func(path string, need Role, doc string, body, answer any, do func(q *request) (any, error), query ...parameter) endpoint {
		return endpoint{method: http.MethodPost, path: path, need: need, doc: doc, body: body, answer: answer, do: do, query: query}
	}
	replays := post("/replays", Operator, "replay all dead deliveries that a search selects; with dry_run, only count them", NewReplay{}, Job{}, postReplays)
	replays.status = http.StatusCreated
	imported := post("/import", Admin, "take a stored hook body, as if it had just come in; it is no sign of life of its source, and a delivery of it that dies raises no alert", nil, Decoded{}, postImport,
		parameter{name: "source", doc: "name of the source that it came to"},
		parameter{name: "only", doc: "target that alone gets it; those of the routes if absent"},
		parameter{name: "received_at", doc: "when it came, RFC 3339; now if absent"})
	imported.raw = true
	return []endpoint{
		post("/conversations/:id/route", Operator, "route again with today's configuration: targets that have no delivery yet get one", nil, Routed{}, postRoute),
		post("/conversations/:id/reveal", Operator, "the same as GET, written into the audit log as a look at personal data", nil, ConversationDetail{}, postReveal),
		post("/deliveries/:id/:target/replay", Operator, "send a dead delivery again", HowReplay{}, Delivery{}, postDeliveryReplay),
		post("/deliveries/:id/:target/cancel", Operator, "give up a pending delivery; it can be replayed", Why{}, Delivery{}, postCancel),
		post("/deliveries/:id/:target/drop", Operator, "never send a pending or dead delivery", Why{}, Delivery{}, postDrop),
		replays,
		post("/replays/:id/cancel", Operator, "end a replay job where it is", nil, Job{}, postReplayCancel),
		post("/quarantine/:id/decode", Operator, "read a hook with today's decoder; what can be read is taken as if it had just come in", nil, Decoded{}, postDecode),
		{
			method: http.MethodDelete, path: "/quarantine/:id", need: Operator, doc: "remove a hook from quarantine, for good",
			do: deleteQuarantined,
		},
		post("/targets/:name/pause", Operator, "stop deliveries to a target until somebody resumes it", Why{}, Target{}, postPause),
		post("/targets/:name/resume", Operator, "end a pause, whoever began it", Why{}, Target{}, postResume),
		post("/targets/:name/probe", Operator, "ask a target whether it works, without sending anything", nil, Probed{}, postProbe),
		post("/explain", Operator, "what a hook would become, with the routes in force or with others; nothing is sent or stored", Explain{}, Explained{}, postExplain),
		imported,
	}
}

// Routed is what routing again came to.
type Routed struct {
	Targets []string `json:"targets" doc:"that have a delivery now and had none"`
}

// HowReplay says how a dead delivery is sent again.
type HowReplay struct {
	With string `json:"with,omitempty" enum:"today,then" doc:"configuration that renders it; today if absent"`
}

// Why is the reason of a change, in words.
type Why struct {
	Reason string `json:"reason,omitempty"`
}

// NewReplay asks for a replay job.
type NewReplay struct {
	Query     string         `json:"q,omitempty" doc:"search as in the search box; state:dead goes without saying"`
	Filter    *ledger.Filter `json:"filter,omitempty" doc:"the same in fields, beside or instead of q"`
	Where     string         `json:"where,omitempty" doc:"a condition on the conversations in the language of routes, such as rating <= 2"`
	With      string         `json:"with,omitempty" enum:"today,then" doc:"configuration that renders; today if absent"`
	PerSecond *float64       `json:"per_second,omitempty" doc:"most deliveries per second; 50 if absent, 0: no limit but that of each target"`
	DryRun    bool           `json:"dry_run,omitempty" doc:"only count: the answer is a count with groups, and no job is made"`
}

// DefaultReplayRate is how many deliveries a replay job makes due per second unless it says otherwise.
const DefaultReplayRate = 50

func postReveal(q *request) (any, error) {
	return q.console.reveal(q.Request().Context(), q.who, q.Param("id"))
}

// reveal shows all of a conversation and says so in the audit log, first.
func (c *console) reveal(ctx context.Context, who Person, id string) (ConversationDetail, error) {
	if _, err := c.Ledger.Look(ctx, id); err != nil {
		return ConversationDetail{}, err
	}
	if err := c.audit(ctx, who, "reveal", id, ""); err != nil {
		return ConversationDetail{}, err
	}
	return c.conversation(ctx, id, false)
}

func postRoute(q *request) (any, error) {
	targets, err := q.console.route(q.Request().Context(), q.who, q.Param("id"))
	return Routed{Targets: targets}, err
}

// route adds the deliveries that today's routes want and that are not there.
func (c *console) route(ctx context.Context, who Person, id string) ([]string, error) {
	if c.Plan == nil {
		return nil, errNoGateway
	}
	said, err := c.Ledger.Revision(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	targets, err := c.Ledger.Route(ctx, id, c.Plan(&said))
	if err != nil {
		return nil, err
	}
	if targets == nil {
		targets = []string{}
	}
	return targets, c.audit(ctx, who, "route", id, strings.Join(targets, ", "))
}

func postDeliveryReplay(q *request) (any, error) {
	var how HowReplay
	if err := q.decode(&how); err != nil {
		return nil, err
	}
	pinned, err := pinnedBy(how.With)
	if err != nil {
		return nil, err
	}
	return q.changed("replay", "with "+withOf(pinned), func(ctx context.Context, id, target string) error {
		return q.console.Ledger.ReplayDelivery(ctx, id, target, ledger.Replay{Pinned: pinned})
	})
}

func postCancel(q *request) (any, error) { return q.ended("cancel", q.console.Ledger.Cancel) }

func postDrop(q *request) (any, error) { return q.ended("drop", q.console.Ledger.Drop) }

// ended cancels or drops a delivery. Who did it, and why, is the reason that the delivery shows.
func (q *request) ended(action string, do func(ctx context.Context, id, target, reason string) error) (any, error) {
	var why Why
	if err := q.decode(&why); err != nil {
		return nil, err
	}
	reason := byWhom(q.who, why.Reason)
	return q.changed(action, oneLine(why.Reason), func(ctx context.Context, id, target string) error { return do(ctx, id, target, reason) })
}

// byWhom is the reason of a change as it is shown: who made it, and what they said.
func byWhom(who Person, reason string) string {
	if reason = oneLine(reason); reason != "" {
		return "by " + who.Name + ": " + reason
	}
	return "by " + who.Name
}

// changed makes a change to the delivery of the path and returns it as it is then.
func (q *request) changed(action, detail string, do func(ctx context.Context, id, target string) error) (any, error) {
	return q.console.changeDelivery(q.Request().Context(), q.who, q.Param("id"), q.Param("target"), action, detail, do)
}

func (c *console) changeDelivery(
	ctx context.Context, who Person, id, target, action, detail string, do func(ctx context.Context, id, target string) error,
) (Delivery, error) {
	if err := do(ctx, id, target); err != nil {
		return Delivery{}, err
	}
	if err := c.audit(ctx, who, action, id+"/"+target, detail); err != nil {
		return Delivery{}, err
	}
	row, err := c.row(ctx, id, target)
	return deliveryOf(row), err
}

func postReplays(q *request) (any, error) {
	var n NewReplay
	if err := q.decode(&n); err != nil {
		return nil, err
	}
	return q.console.replay(q.Request().Context(), q.who, n)
}

// replay makes a job, or counts what it would replay: the answer is a Job or a DryRun.
func (c *console) replay(ctx context.Context, who Person, n NewReplay) (any, error) {
	job, err := c.newJob(ctx, n)
	if err != nil {
		return nil, err
	}
	if n.DryRun {
		return c.dryRun(ctx, job.Filter)
	}
	job.By = who.Name
	made, err := c.Ledger.CreateReplay(ctx, job)
	if err != nil {
		return nil, err
	}
	if c.Replayed != nil {
		c.Replayed(made)
	}
	shown := jobOf(made)
	return shown, c.audit(ctx, who, "replay", "job "+made.ID, fmt.Sprintf("%d deliveries, with %s", made.Total, shown.With))
}

// newJob reads what is asked for.
func (c *console) newJob(ctx context.Context, n NewReplay) (ledger.ReplayJob, error) {
	job := ledger.ReplayJob{PerSecond: DefaultReplayRate}
	f, err := ParseQuery(n.Query, time.Now())
	if err != nil {
		return job, err
	}
	if n.Filter != nil {
		if n.Query != "" {
			return job, &InputError{Text: "both q and filter are given", Hint: "give one of them"}
		}
		f = *n.Filter
	}
	if slices.ContainsFunc(f.States, func(s ledger.State) bool { return s != ledger.Dead }) {
		return job, &InputError{Text: "only dead deliveries can be replayed", Hint: "leave out state:, or write state:dead"}
	}
	if f.Unrouted {
		return job, &InputError{Text: "an unrouted conversation has no delivery to replay", Hint: "route it again: POST /conversations/{id}/route"}
	}
	f.States = []ledger.State{ledger.Dead}
	if job.Pinned, err = pinnedBy(n.With); err != nil {
		return job, err
	}
	if n.PerSecond != nil {
		if job.PerSecond = *n.PerSecond; job.PerSecond < 0 || math.IsNaN(job.PerSecond) || job.PerSecond > 1e6 {
			return job, &InputError{Text: "per_second is out of range", Hint: "write a number from 0 to 1000000; 0 is no limit"}
		}
	}
	if job.Filter, err = c.selected(ctx, f, n.Where); err != nil {
		return job, err
	}
	return job, nil
}

// MaxWhere is how many conversations a condition may select for one job.
const MaxWhere = 10_000

// selected narrows a filter to the conversations that a condition holds for, as they are now.
func (c *console) selected(ctx context.Context, f ledger.Filter, where string) (ledger.Filter, error) {
	if where == "" {
		return f, nil
	}
	if c.Select == nil {
		return f, errNoGateway
	}
	holds, err := c.Select(where)
	if err != nil {
		return f, err
	}
	asked, ids := map[string]bool{}, []string{}
	for p := (ledger.Page{Limit: ledger.MaxPage}); ; {
		rows, err := c.Ledger.Deliveries(ctx, f, p)
		if err != nil {
			return f, err
		}
		for _, row := range rows.Items {
			if asked[row.ID] {
				continue
			}
			asked[row.ID] = true
			if yes, err := c.holds(ctx, row.ID, holds); err != nil {
				return f, err
			} else if yes {
				ids = append(ids, row.ID)
			}
		}
		if len(ids) > MaxWhere {
			return f, &InputError{Text: fmt.Sprintf("the condition holds for more than %d conversations", MaxWhere), Hint: "narrow it by target, class or time"}
		}
		if p.After = rows.Next; p.After == "" {
			break
		}
	}
	if f.IDs = ids; len(ids) == 0 {
		f.IDs = []string{noConversation}
	}
	return f, nil
}

// noConversation is an id that no conversation has: without one in it, a list of ids would select all.
const noConversation = "none"

// holds evaluates a condition on the newest revision; what retention has taken is not selected.
func (c *console) holds(ctx context.Context, id string, condition func(*chat.Conversation) (bool, error)) (bool, error) {
	said, err := c.Ledger.Revision(ctx, id, 0)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	yes, err := condition(&said)
	if err != nil {
		return false, &InputError{Text: fmt.Sprintf("the condition fails for conversation %s: %s", id, err), Hint: "correct it"}
	}
	return yes, nil
}

// dryRun counts what a filter selects.
func (c *console) dryRun(ctx context.Context, f ledger.Filter) (DryRun, error) {
	count, err := c.Ledger.Count(ctx, f, 0)
	if err != nil {
		return DryRun{}, err
	}
	groups, err := c.Ledger.Failures(ctx, f)
	query, chosen := shownQuery(f)
	return DryRun{Query: query, Chosen: chosen, Count: count, Groups: each(groups, failureOf)}, err
}

func postReplayCancel(q *request) (any, error) {
	return q.console.cancelReplay(q.Request().Context(), q.who, q.Param("id"))
}

func (c *console) cancelReplay(ctx context.Context, who Person, id string) (Job, error) {
	job, err := c.Ledger.CancelReplay(ctx, id)
	if err != nil {
		return Job{}, err
	}
	return jobOf(job), c.audit(ctx, who, "cancel", "job "+id, fmt.Sprintf("%d of %d done", job.Done, job.Total))
}

func postDecode(q *request) (any, error) {
	return q.console.decode(q.Request().Context(), q.who, q.Param("id"))
}

// decode reads a hook in quarantine once more. One that still cannot be read stays.
func (c *console) decode(ctx context.Context, who Person, id string) (Decoded, error) {
	if c.Take == nil {
		return Decoded{}, errNoGateway
	}
	u, err := c.Ledger.Unreadable(ctx, id)
	if err != nil {
		return Decoded{}, err
	}
	d, err := c.Take(ctx, StoredHook{Source: u.Source, ContentType: u.ContentType, Body: u.Raw, ReceivedAt: u.ReceivedAt, Released: true})
	if unreadable, ok := errors.AsType[*UnreadableError](err); ok {
		d, err = Decoded{Result: resultQuarantined, Reason: unreadable.Reason}, nil
	} else if err == nil {
		err = c.Ledger.Release(ctx, id)
	}
	if err != nil {
		return Decoded{}, err
	}
	return d.whole(), c.audit(ctx, who, "decode", "quarantine "+id, strings.TrimSpace(d.Result+" "+d.Conversation))
}

// resultQuarantined is the result of a hook that cannot be read.
const resultQuarantined = "quarantined"

func (d Decoded) whole() Decoded {
	if d.Targets == nil {
		d.Targets = []string{}
	}
	return d
}

func deleteQuarantined(q *request) (any, error) {
	return nil, q.console.release(q.Request().Context(), q.who, q.Param("id"))
}

func (c *console) release(ctx context.Context, who Person, id string) error {
	if err := c.Ledger.Release(ctx, id); err != nil {
		return err
	}
	return c.audit(ctx, who, "drop", "quarantine "+id, "")
}

func postPause(q *request) (any, error) { return q.turned("pause", q.console.Pause) }

func postResume(q *request) (any, error) { return q.turned("resume", q.console.Resume) }

func (q *request) turned(action string, do func(ctx context.Context, target, reason string) error) (any, error) {
	var why Why
	if err := q.decode(&why); err != nil {
		return nil, err
	}
	if err := q.console.turn(q.Request().Context(), q.who, q.Param("name"), action, why.Reason, do); err != nil {
		return nil, err
	}
	return getTarget(q)
}

// turn pauses or resumes a target.
func (c *console) turn(ctx context.Context, who Person, target, action, reason string, do func(ctx context.Context, target, reason string) error) error {
	if do == nil {
		return errNoGateway
	}
	if err := do(ctx, target, byWhom(who, reason)); err != nil {
		return err
	}
	return c.audit(ctx, who, action, "target "+target, oneLine(reason))
}

func postProbe(q *request) (any, error) {
	return q.console.probe(q.Request().Context(), q.who, q.Param("name"))
}

func (c *console) probe(ctx context.Context, who Person, target string) (Probed, error) {
	if c.Probe == nil {
		return Probed{}, errNoGateway
	}
	began := time.Now()
	err := c.Probe(ctx, target)
	p := Probed{OK: err == nil, Milliseconds: milliseconds(time.Since(began))}
	if failed, ok := errors.AsType[*ProbeError](err); ok {
		p.Error, p.Hint = failed.Err.Error(), failed.Hint
	} else if err != nil {
		return p, err
	}
	detail := "it works"
	if !p.OK {
		detail = oneLine(p.Error)
	}
	return p, c.audit(ctx, who, "probe", "target "+target, detail)
}

// ProbeError is what Gateway.Probe returns when the target was asked and does not work.
type ProbeError struct {
	Err  error
	Hint string
}

func (e *ProbeError) Error() string { return e.Err.Error() }

// Unwrap returns what the target said.
func (e *ProbeError) Unwrap() error { return e.Err }

func postExplain(q *request) (any, error) {
	var e Explain
	if err := q.decode(&e); err != nil {
		return nil, err
	}
	return q.console.explain(q.Request().Context(), e)
}

func (c *console) explain(ctx context.Context, e Explain) (*Explained, error) {
	switch {
	case c.Explain == nil:
		return nil, errNoGateway
	case e.Source == "":
		return nil, &InputError{Text: "source is missing", Hint: "name the source that the hook is for"}
	case len(e.Payload) == 0:
		return nil, &InputError{Text: "payload is missing", Hint: "send the body of a hook: its JSON, or any text as a string"}
	case !json.Valid(e.Payload):
		return nil, &InputError{Text: "payload is no JSON value", Hint: "send any other text as a string"}
	}
	return c.Explain(ctx, e)
}

func postImport(q *request) (any, error) {
	h := StoredHook{Source: q.values.Get("source"), Only: q.values.Get("only"), ContentType: q.Request().Header.Get("Content-Type"), ReceivedAt: time.Now().UTC()}
	if h.Source == "" {
		return nil, &InputError{Text: "source is missing", Hint: "name the source that the hook came to: ?source=NAME"}
	}
	if at := q.values.Get("received_at"); at != "" {
		parsed, err := time.Parse(time.RFC3339Nano, at)
		if err != nil || parsed.After(time.Now()) {
			return nil, &InputError{Text: fmt.Sprintf("received_at is %q", at), Hint: "write a time that has passed, such as 2026-11-01T08:00:00Z"}
		}
		h.ReceivedAt = parsed.UTC()
	}
	var err error
	if h.Body, err = q.raw(); err != nil {
		return nil, err
	}
	return q.console.take(q.Request().Context(), q.who, h)
}

func (c *console) take(ctx context.Context, who Person, h StoredHook) (Decoded, error) {
	if c.Take == nil {
		return Decoded{}, errNoGateway
	}
	if len(h.Body) == 0 {
		return Decoded{}, &InputError{Text: "the body is empty", Hint: "send the body of a hook"}
	}
	d, err := c.Take(ctx, h)
	if err != nil {
		return Decoded{}, err
	}
	return d.whole(), c.audit(ctx, who, "import", "source "+h.Source, strings.TrimSpace(d.Result+" "+d.Conversation))
}
