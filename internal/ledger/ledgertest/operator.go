// This file declares what an engine offers to operators, and the words that cases of it use.

package ledgertest

import (
	"context"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Operator is what an engine offers to operators. The comments of package ledger's types are its protocol.
type Operator interface {
	Conversations(ctx context.Context, f ledger.Filter, p ledger.Page) (ledger.Listed[ledger.ConversationRow], error)
	Look(ctx context.Context, id string) (ledger.ConversationRow, error)
	Revision(ctx context.Context, id string, revision int) (chat.Conversation, error)
	Deliveries(ctx context.Context, f ledger.Filter, p ledger.Page) (ledger.Listed[ledger.DeliveryRow], error)
	Count(ctx context.Context, f ledger.Filter, limit int64) (int64, error)
	Failures(ctx context.Context, f ledger.Filter) ([]ledger.Failure, error)
	ReplayDelivery(ctx context.Context, id, target string, how ledger.Replay) error
	Cancel(ctx context.Context, id, target string, reason string) error
	Drop(ctx context.Context, id, target string, reason string) error
	Route(ctx context.Context, id string, plan ledger.Plan) ([]string, error)
	CreateReplay(ctx context.Context, job ledger.ReplayJob) (ledger.ReplayJob, error)
	StepReplay(ctx context.Context, id string, limit int) (ledger.ReplayJob, error)
	CancelReplay(ctx context.Context, id string) (ledger.ReplayJob, error)
	ReplayJobs(ctx context.Context, p ledger.Page) (ledger.Listed[ledger.ReplayJob], error)
	ReplayJob(ctx context.Context, id string) (ledger.ReplayJob, error)
	Quarantined(ctx context.Context, sources []string, p ledger.Page) (ledger.Listed[ledger.QuarantineRow], error)
	Release(ctx context.Context, id string) error
	Audit(ctx context.Context, a ledger.Audited) error
	AuditLog(ctx context.Context, p ledger.Page) (ledger.Listed[ledger.Audited], error)
	AddPoints(ctx context.Context, points []ledger.Point) error
	Series(ctx context.Context, kind string, since time.Time) ([]ledger.Point, error)
	Note(ctx context.Context, name string) (ledger.Note, error)
	SaveNote(ctx context.Context, name string, n ledger.Note) error
}

// operator is the engine, as operators have it.
func (d *desk) operator() Operator {
	return d.engine
}

// all reads a whole list, page by page.
func all[T any](d *desk, limit int, page func(ledger.Page) (ledger.Listed[T], error)) (items []T) {
	d.Helper()
	for p := (ledger.Page{Limit: limit}); ; {
		got, err := page(p)
		d.must(err)
		if len(got.Items) > limit || got.Next != "" && len(got.Items) < limit {
			d.Fatalf("a page of %d has %d items, and its next one is %q", limit, len(got.Items), got.Next)
		}
		items = append(items, got.Items...)
		if p.After = got.Next; p.After == "" {
			return items
		}
	}
}

// conversations are the ids that a filter selects.
func (d *desk) conversations(f ledger.Filter) (ids []string) {
	d.Helper()
	o := d.operator()
	rows := all(d, 3, func(p ledger.Page) (ledger.Listed[ledger.ConversationRow], error) {
		return o.Conversations(d.Context(), f, p)
	})
	for _, c := range rows {
		ids = append(ids, c.ID)
	}
	return ids
}

// deliveries are the deliveries that a filter selects, as "id target".
func (d *desk) deliveries(f ledger.Filter) (names []string) {
	d.Helper()
	o := d.operator()
	rows := all(d, 3, func(p ledger.Page) (ledger.Listed[ledger.DeliveryRow], error) { return o.Deliveries(d.Context(), f, p) })
	for _, r := range rows {
		names = append(names, r.ID+" "+r.Target)
	}
	n, err := o.Count(d.Context(), f, 0)
	d.must(err)
	if int(n) != len(names) {
		d.Fatalf("%d deliveries are counted, %d are listed", n, len(names))
	}
	return names
}
