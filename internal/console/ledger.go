// This file is what the console needs of a ledger.

package console

import (
	"context"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Ledger is read and changed by the console. Both engines are one. The comments of package ledger's types say what the
// lists hold; ledger.ErrNotFound, ErrCursor and ErrState say what cannot be done.
type Ledger interface {
	Stats(ctx context.Context) (ledger.Stats, error)
	Verify(ctx context.Context) ([]ledger.Finding, error)

	// Conversations lists the conversations that f selects, with their deliveries.
	Conversations(ctx context.Context, f ledger.Filter, p ledger.Page) (ledger.Listed[ledger.ConversationRow], error)
	// Look returns one conversation with its deliveries and revisions, also when retention has taken its bodies.
	Look(ctx context.Context, id string) (ledger.ConversationRow, error)
	// Revision returns what a revision of a conversation said; revision 0 is the newest.
	Revision(ctx context.Context, id string, revision int) (chat.Conversation, error)
	Raw(ctx context.Context, id string, revision int) (body []byte, contentType string, err error)
	// Attempts returns the log of attempts of a delivery, the oldest first, with their Detail.
	Attempts(ctx context.Context, id, target string) ([]ledger.Attempt, error)

	// Deliveries lists the deliveries that f selects: each field of f that speaks of deliveries must hold for the very one.
	Deliveries(ctx context.Context, f ledger.Filter, p ledger.Page) (ledger.Listed[ledger.DeliveryRow], error)
	// Count tells how many deliveries f selects, counting to at most limit; 0 means no limit.
	Count(ctx context.Context, f ledger.Filter, limit int64) (int64, error)
	// Failures groups the failed deliveries, dead or tried again, that f selects by target, class and state, the largest
	// group first.
	Failures(ctx context.Context, f ledger.Filter) ([]ledger.Failure, error)

	// Replay makes a dead delivery due now, see ledger.Replay.
	ReplayDelivery(ctx context.Context, id, target string, how ledger.Replay) error
	// Cancel makes a pending delivery dead, with class cancelled: it can be replayed. It returns ledger.ErrState while an
	// attempt is under way or when it is not pending.
	Cancel(ctx context.Context, id, target string, reason string) error
	// Drop makes a pending or dead delivery skipped, for good. It returns ledger.ErrState as Cancel does.
	Drop(ctx context.Context, id, target string, reason string) error
	// Route adds the deliveries that plan has and the newest revision of a conversation does not, as if it had just come
	// in; those that exist stay as they are. It returns the targets that were added.
	Route(ctx context.Context, id string, plan ledger.Plan) ([]string, error)

	// CreateReplay stores a job, whose ID, Total and times the engine sets.
	CreateReplay(ctx context.Context, job ledger.ReplayJob) (ledger.ReplayJob, error)
	// StepReplay replays at most limit further deliveries of a running job, in one transaction with its progress. A job
	// that has come to its end is done. A job that is not running is returned as it is.
	StepReplay(ctx context.Context, id string, limit int) (ledger.ReplayJob, error)
	// CancelReplay ends a job where it is; one that has ended stays as it is.
	CancelReplay(ctx context.Context, id string) (ledger.ReplayJob, error)
	// ReplayJobs lists jobs.
	ReplayJobs(ctx context.Context, p ledger.Page) (ledger.Listed[ledger.ReplayJob], error)
	ReplayJob(ctx context.Context, id string) (ledger.ReplayJob, error)

	Quarantined(ctx context.Context, sources []string, p ledger.Page) (ledger.Listed[ledger.QuarantineRow], error)
	Unreadable(ctx context.Context, id string) (ledger.Unreadable, error)
	// Release removes a hook from quarantine, because it was read after all or is not wanted.
	Release(ctx context.Context, id string) error

	Audit(ctx context.Context, a ledger.Audited) error
	AuditLog(ctx context.Context, p ledger.Page) (ledger.Listed[ledger.Audited], error)

	// Series returns the stored points of kind since a time, the oldest first.
	Series(ctx context.Context, kind string, since time.Time) ([]ledger.Point, error)
}
