// This file takes hooks in: what a hook is to what came before, and which deliveries it makes.

package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Accept stores a hook with its deliveries, unless it repeats an earlier one. It returns ledger.ErrFull when there is no
// room and no finished conversation is left to make some; another error means, too, that the hook is not known to be
// stored and that the sender must not be told so. While the database cannot be reached, and while room is made, it waits
// for some seconds.
//
// A stale snapshot changes no revision. Its body is kept under a number of its own, see Raw.
func (l *Ledger) Accept(ctx context.Context, h ledger.Hook) (ledger.Acceptance, error) {
	h.Conversation.ID, h.Conversation.Platform, h.Session = clean(h.Conversation.ID), clean(h.Conversation.Platform), clean(h.Session)
	packed, err := row.NewArrival(l.codec, h)
	if err != nil {
		return ledger.Acceptance{}, err
	}
	a := &arrival{Arrival: packed}
	if err := l.roomy(ctx, len(a.Body), func() error { return l.accepts.submit(ctx, l, a) }); err != nil {
		return ledger.Acceptance{}, err
	}
	return a.answer, nil
}

// arrival is a hook on its way in.
type arrival struct {
	*row.Arrival
	answer ledger.Acceptance
}

// desk is what one batch of arrivals works on.
type desk struct {
	*tx
	talks   talks
	numbers []int64 // for new conversations
	bodies  []body
}

// acceptAll stores a batch of hooks in one transaction.
func (l *Ledger) acceptAll(ctx context.Context, batch []*waiting[arrival]) error {
	if len(batch) >= busyBatch {
		l.busyAt.Store(time.Now().UnixNano())
	}
	if err := l.measure(ctx); err != nil {
		return err
	}
	var d desk
	ids, sessions := make([]string, len(batch)), []string(nil)
	for i, w := range batch {
		ids[i] = w.op.Hook.Conversation.ID
		if session := w.op.Hook.Session; session != "" {
			sessions = append(sessions, session)
		}
	}
	read := func(b *pgx.Batch) {
		d = desk{}
		byIndex(b)
		// Nobody moves bodies to another day meanwhile.
		b.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, l.key("move", ""))
		if len(sessions) == 0 {
			d.talks.queue(b, `id = ANY ($1)`, ids)
		} else {
			b.Queue(`SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) k`, l.sessionKeys(sessions))
			d.talks.queue(b, `id = ANY ($1) OR session = ANY ($2) AND session <> ''`, ids, sessions)
		}
		each(b, func(rows pgx.Rows) error {
			var number int64
			err := rows.Scan(&number)
			d.numbers = append(d.numbers, number)
			return err
		}, `SELECT nextval('conversation_number') FROM generate_series(1, $1::int)`, len(batch))
	}
	return l.transact(ctx, l.slot, len(batch), read, func(t *tx) error {
		d.tx = t
		for _, w := range batch {
			if err := d.take(w.op); errors.Is(err, ledger.ErrFull) {
				w.err = err
			} else if err != nil {
				return err
			}
		}
		slices.SortFunc(d.talks, func(a, b *talk) int { return strings.Compare(a.ID, b.ID) })
		t.storeTalks(d.talks)
		t.storeBodies(d.bodies)
		return t.storeRows(d.talks.touched())
	})
}

// sessionKeys are the locks of sessions, sorted: hooks of one session, which have different ids, come one by one.
func (l *Ledger) sessionKeys(sessions []string) []int64 {
	keys := make([]int64, len(sessions))
	for i, session := range sessions {
		keys[i] = l.key("session", session)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// take decides on one hook. It changes nothing when it returns ledger.ErrFull.
func (d *desk) take(a *arrival) error {
	k := d.find(a)
	var err error
	switch {
	case k == nil:
		err = d.begin(a)
	case a.Repeats(&k.Known):
		revision, changed := a.Repeated(&k.Known)
		k.changed = k.changed || changed
		a.answer = ledger.Acceptance{ID: k.ID, Revision: revision, Result: ledger.Repeated}
	case a.IsStale(&k.Known):
		err = d.keepStale(a, k)
	default:
		err = d.revise(a, k)
	}
	if err == nil && !a.Hook.Import {
		d.heard(a.Hook.Conversation.Source, a.Hook.Conversation.ReceivedAt)
	}
	return err
}

// find returns the conversation that the hook is of, nil for a new one: the one of its id, else one of its session.
func (d *desk) find(a *arrival) *talk {
	byID := func(id string) *talk {
		if i := slices.IndexFunc(d.talks, func(k *talk) bool { return k.ID == id }); i >= 0 {
			return d.talks[i]
		}
		return nil
	}
	if k := byID(a.Hook.Conversation.ID); k != nil || a.Hook.Session == "" {
		return k
	}
	var session []*row.Known
	for _, k := range d.talks {
		if k.session == a.Hook.Session {
			session = append(session, &k.Known)
		}
	}
	slices.SortStableFunc(session, func(a, b *row.Known) int { return int(min(max(b.EndedAt-a.EndedAt, -1), 1)) })
	if known := a.OfSession(session); known != nil {
		return byID(known.ID)
	}
	return nil
}

// keepStale keeps the body, unless retention has taken the bodies of the conversation already.
func (d *desk) keepStale(a *arrival, k *talk) error {
	if k.Bodies {
		if err := d.keep(a, k, -k.Stale-1); err != nil {
			return err
		}
	}
	a.See(&k.Known, k.Revision)
	k.Stale, k.seenAt, k.changed = k.Stale+1, row.Micros(d.now), true
	a.answer = ledger.Acceptance{ID: k.ID, Revision: k.Revision, Result: ledger.Stale}
	return nil
}

// begin stores a new conversation.
func (d *desk) begin(a *arrival) error {
	c := &a.Hook.Conversation
	k := &talk{
		Known:   row.Known{Number: d.numbers[0], ID: c.ID, Platform: c.Platform, Revision: 1, EndedAt: row.Micros(c.EndedAt), Bodies: true, Chain: a.Chain},
		session: a.Hook.Session, seenAt: row.Micros(d.now), day: dayOf(d.now), fresh: true, changed: true,
	}
	if k.firstAt = row.Micros(c.ReceivedAt); k.firstAt == 0 {
		k.firstAt = k.seenAt
	}
	if err := d.keep(a, k, 1); err != nil {
		return err
	}
	d.numbers = d.numbers[1:]
	a.See(&k.Known, 1)
	d.talks = append(d.talks, k)
	d.add("conversations", row.Chats(c.Platform))
	a.answer = ledger.Acceptance{ID: k.ID, Revision: 1, Result: ledger.Accepted}
	return d.fanOut(a, k, false)
}

// revise stores new content of a known conversation.
func (d *desk) revise(a *arrival, k *talk) error {
	expired := !k.Bodies
	if expired {
		k.day = dayOf(d.now)
	}
	if err := d.keep(a, k, k.Revision+1); err != nil {
		return err
	}
	k.Revision, k.EndedAt, k.seenAt, k.Bodies, k.Chain, k.changed = k.Revision+1, row.Micros(a.Hook.Conversation.EndedAt), row.Micros(d.now), true, a.Chain, true
	a.See(&k.Known, k.Revision)
	a.answer = ledger.Acceptance{ID: k.ID, Revision: k.Revision, Result: ledger.Revised}
	return d.fanOut(a, k, expired)
}

// keep stores the body of the hook as revision.
func (d *desk) keep(a *arrival, k *talk, revision int) error {
	if err := d.ledger.reserve(len(a.Body)); err != nil {
		return err
	}
	d.bodies = append(d.bodies, body{k.day, k.Number, revision, row.Micros(a.Hook.Conversation.ReceivedAt), a.Hook.ContentType, a.Body})
	return nil
}

// fanOut asks for the plan of the revision in a.answer and takes it to the rows of the targets.
func (d *desk) fanOut(a *arrival, k *talk, expired bool) error {
	plan := row.Planned(d.ledger.names.Load().list(), a.PlanFor(k.ID, k.Revision))
	d.move(k)
	fanned, reached, err := row.FanOut(k.Number, k.Revision, plan, k.rows, expired, row.Micros(d.now))
	if err != nil {
		return err
	}
	k.rows = nil
	for _, f := range fanned {
		f.Misgive(&a.Hook.Conversation, d.ledger.restored.Load())
		k.rows = append(k.rows, f.Delivery)
		d.count(f.Target, f.Changes...)
		if f.Due {
			a.answer.Targets = append(a.answer.Targets, f.Target)
			d.wake(f.Target)
		}
	}
	k.touched = true
	if !reached {
		a.answer.Result = ledger.Unrouted
	}
	c, uses := a.Hook.Conversation, len(a.answer.Targets)
	c.ID, c.Revision, c.Transcript = k.ID, k.Revision, nil
	d.then = append(d.then, func() { d.ledger.fresh.Put(c, len(a.Hook.Raw), uses) })
	return nil
}

// Quarantine keeps a hook that nobody could read, once. It returns ledger.ErrFull as Accept does.
func (l *Ledger) Quarantine(ctx context.Context, u ledger.Unreadable) (ledger.Quarantined, error) {
	answer := ledger.Quarantined{ID: "q" + chat.NewID("quarantine", u.Source, string(u.Raw))[1:]}
	packed := l.codec.Pack(u.Raw)
	err := l.roomy(ctx, len(packed), func() error {
		return l.once(ctx, hookPatience, func() error { return l.quarantine(ctx, u, packed, &answer) })
	})
	if err != nil {
		return ledger.Quarantined{}, err
	}
	return answer, nil
}

// quarantine is one try of Quarantine.
func (l *Ledger) quarantine(ctx context.Context, u ledger.Unreadable, packed []byte, answer *ledger.Quarantined) error {
	if err := l.measure(ctx); err != nil {
		return err
	}
	answer.Repeat = false
	return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
		b.Queue(`SELECT pg_advisory_xact_lock($1)`, l.key("quarantine", answer.ID))
		each(b, func(pgx.Rows) error { answer.Repeat = true; return nil }, `SELECT true FROM quarantine WHERE id = $1`, answer.ID)
	}, func(t *tx) error {
		if !answer.Repeat {
			if err := l.reserve(len(packed)); err != nil {
				return err
			}
			received := u.ReceivedAt
			if received.IsZero() {
				received = t.now
			}
			t.write(`INSERT INTO quarantine (id, source, received_at, content_type, reason, raw) VALUES ($1, $2, $3, $4, $5, $6)`,
				answer.ID, clean(u.Source), row.Micros(received), clean(u.ContentType), clean(u.Reason), packed)
			t.add("quarantined", 1)
		}
		t.heard(u.Source, u.ReceivedAt)
		return nil
	})
}
