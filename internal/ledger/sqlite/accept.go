// This file takes hooks in: what a hook is to what came before, and which deliveries it makes.

package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Accept stores a hook with its deliveries, unless it repeats an earlier one. It returns ledger.ErrFull when there is no
// room and no finished conversation is left to make some; another error means, too, that the hook is not stored and that
// the sender must not be told so.
//
// A stale snapshot changes no revision. Its body is kept under a number of its own, see Raw.
func (l *Ledger) Accept(ctx context.Context, h ledger.Hook) (ledger.Acceptance, error) {
	packed, err := row.NewArrival(l.codec, h)
	if err != nil {
		return ledger.Acceptance{}, err
	}
	a := &arrival{Arrival: packed}
	if err := l.writeRoomy(ctx, len(a.Body), a.do); err != nil {
		return ledger.Acceptance{}, err
	}
	return a.answer, nil
}

// arrival is a hook on its way in.
type arrival struct {
	*row.Arrival
	answer ledger.Acceptance
}

const knownColumns = `number, id, platform, revision, stale, ended_at, bodies, fingerprints, chain`

// conversationColumns are all of them.
const conversationColumns = `number, id, platform, session, revision, stale, ended_at, seen_at, bodies, fingerprints, chain, first_at`

func scanKnown(scan func(...any) error) (*row.Known, error) {
	var k row.Known
	var fingerprints, chain []byte
	err := scan(&k.Number, &k.ID, &k.Platform, &k.Revision, &k.Stale, &k.EndedAt, &k.Bodies, &fingerprints, &chain)
	k.Prints, k.Chain = fingerprints, row.UnpackChain(chain)
	return &k, err
}

// do decides and stores inside the transaction.
func (a *arrival) do(t *tx) error {
	var k *row.Known
	begun, err := false, error(nil)
	if a.Hook.Session == "" && t.fits(len(a.Body)) { // nearly always it is new, which need not be looked up first
		begun, err = a.begin(t)
	}
	if err == nil && !begun {
		k, err = a.find(t)
	}
	source, at := a.Hook.Conversation.Source, a.Hook.Conversation.ReceivedAt
	switch {
	case err != nil, begun:
	case k == nil:
		_, err = a.begin(t)
	case a.Repeats(k):
		err = a.repeat(t, k)
	case a.IsStale(k):
		err = a.keepStale(t, k)
	default:
		err = a.revise(t, k)
	}
	if err == nil && !a.Hook.Import {
		t.heard(source, at)
	}
	return err
}

// find returns the conversation that the hook is of, nil for a new one: the one of its id, else one of its session.
func (a *arrival) find(t *tx) (*row.Known, error) {
	s, err := t.statement(`SELECT ` + knownColumns + ` FROM conversation WHERE id = ?`)
	if err != nil {
		return nil, err
	}
	k, err := scanKnown(s.QueryRowContext(context.Background(), a.Hook.Conversation.ID).Scan)
	if !errors.Is(err, sql.ErrNoRows) {
		return k, err
	}
	if a.Hook.Session == "" {
		return nil, nil
	}
	var session []*row.Known
	err = t.rows(`SELECT `+knownColumns+` FROM conversation WHERE session = ? AND session <> '' ORDER BY ended_at DESC`,
		[]any{a.Hook.Session}, func(rows *sql.Rows) error {
			k, err := scanKnown(rows.Scan)
			session = append(session, k)
			return err
		})
	if err != nil {
		return nil, err
	}
	return a.OfSession(session), nil
}

// repeat stores nothing but a new spelling of known content.
func (a *arrival) repeat(t *tx, k *row.Known) error {
	revision, changed := a.Repeated(k)
	if changed {
		if err := t.exec(`UPDATE conversation SET fingerprints = ? WHERE number = ?`, []byte(k.Prints), k.Number); err != nil {
			return err
		}
	}
	a.answer = ledger.Acceptance{ID: k.ID, Revision: revision, Result: ledger.Repeated}
	return nil
}

// keepStale keeps the body, unless retention has taken the bodies of the conversation already.
func (a *arrival) keepStale(t *tx, k *row.Known) error {
	if k.Bodies {
		if err := a.storeBody(t, k.Number, -k.Stale-1); err != nil {
			return err
		}
	}
	a.See(k, k.Revision)
	a.answer = ledger.Acceptance{ID: k.ID, Revision: k.Revision, Result: ledger.Stale}
	return t.exec(`UPDATE conversation SET stale = stale + 1, seen_at = ?, fingerprints = ? WHERE number = ?`,
		row.Micros(t.now), []byte(k.Prints), k.Number)
}

// begin stores a new conversation, unless there is one with its id.
func (a *arrival) begin(t *tx) (begun bool, err error) {
	if !t.fits(len(a.Body)) {
		return false, t.full()
	}
	number, err := t.nextNumber()
	if err != nil {
		return false, err
	}
	if begun, err = a.insert(t, number); !begun {
		t.number-- // nobody has it
		return false, err
	}
	return true, a.began(t, number)
}

// nextNumber returns the number of a new conversation.
func (t *tx) nextNumber() (int64, error) {
	if t.number == 0 {
		if err := t.row(`SELECT coalesce(max(number), 0) FROM conversation`, nil, &t.number); err != nil {
			return 0, err
		}
	}
	t.number++
	return t.number, nil
}

// insert stores the row of a conversation, unless there is one with its id.
func (a *arrival) insert(t *tx, number int64) (inserted bool, err error) {
	c := &a.Hook.Conversation
	k := &row.Known{}
	a.See(k, 1)
	first := c.ReceivedAt
	if first.IsZero() {
		first = t.now
	}
	n, err := t.change(`INSERT INTO conversation (`+conversationColumns+`) VALUES (?, ?, ?, ?, 1, 0, ?, ?, 1, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		false, []any{
			number, c.ID, c.Platform, a.Hook.Session, row.Micros(c.EndedAt), row.Micros(t.now), []byte(k.Prints), row.PackChain(a.Chain),
			row.Micros(first),
		})
	return n > 0, err
}

// began stores the rest of a new conversation.
func (a *arrival) began(t *tx, number int64) error {
	c := &a.Hook.Conversation
	if err := a.storeBody(t, number, 1); err != nil {
		return err
	}
	t.add("conversations", row.Chats(c.Platform))
	a.answer = ledger.Acceptance{ID: c.ID, Revision: 1, Result: ledger.Accepted}
	return a.fanOut(t, number, false)
}

// revise stores new content of a known conversation.
func (a *arrival) revise(t *tx, k *row.Known) error {
	revision := k.Revision + 1
	if err := a.storeBody(t, k.Number, revision); err != nil {
		return err
	}
	a.See(k, revision)
	err := t.exec(`UPDATE conversation SET revision = ?, ended_at = ?, seen_at = ?, bodies = 1, fingerprints = ?, chain = ? WHERE number = ?`,
		revision, row.Micros(a.Hook.Conversation.EndedAt), row.Micros(t.now), []byte(k.Prints), row.PackChain(a.Chain), k.Number)
	if err == nil {
		err = t.outdate(k.Number)
	}
	if err != nil {
		return err
	}
	a.answer = ledger.Acceptance{ID: k.ID, Revision: revision, Result: ledger.Revised}
	return a.fanOut(t, k.Number, !k.Bodies)
}

func (a *arrival) storeBody(t *tx, number int64, revision int) error {
	if err := t.reserve(len(a.Body)); err != nil {
		return err
	}
	return t.exec(`INSERT INTO body VALUES (?, ?, ?, ?, ?, x'')`, number, revision, row.Micros(a.Hook.Conversation.ReceivedAt),
		a.Hook.ContentType, a.Body)
}

// fanOut asks for the plan of the revision in a.answer and takes it to the rows of the targets.
func (a *arrival) fanOut(t *tx, number int64, expired bool) error {
	plan := row.Planned(t.ledger.names.Load().list(), a.PlanFor(a.answer.ID, a.answer.Revision))
	var rows []*row.Delivery
	if a.answer.Revision > 1 {
		var err error
		if err = t.moveAll(number); err != nil {
			return err
		}
		if rows, err = t.deliveries(number); err != nil {
			return err
		}
	}
	fanned, reached, err := row.FanOut(number, a.answer.Revision, plan, rows, expired, row.Micros(t.now))
	if err != nil {
		return err
	}
	for _, f := range fanned {
		t.ledger.doubtful(f.Delivery, &a.Hook.Conversation)
		if a.answer.Revision == 1 {
			t.plant(a.answer.ID, f)
		} else if err := t.store(f.Delivery, f.Changes); err != nil {
			return err
		}
		if f.Due {
			a.answer.Targets = append(a.answer.Targets, f.Target)
			t.wake(f.Target)
		}
	}
	if !reached {
		a.answer.Result = ledger.Unrouted
	}
	c, uses := a.Hook.Conversation, len(a.answer.Targets)
	c.ID, c.Revision, c.Transcript = a.answer.ID, a.answer.Revision, nil
	t.op.then = func() {
		t.ledger.fresh.Put(c, len(a.Hook.Raw), uses)
		t.ledger.indexer.offer(&c, len(a.Hook.Raw))
	}
	return nil
}

// Quarantine keeps a hook that nobody could read, once. It returns ledger.ErrFull as Accept does.
func (l *Ledger) Quarantine(ctx context.Context, u ledger.Unreadable) (ledger.Quarantined, error) {
	answer := ledger.Quarantined{ID: "q" + chat.NewID("quarantine", u.Source, string(u.Raw))[1:]}
	packed := l.codec.Pack(u.Raw)
	err := l.writeRoomy(ctx, len(packed), func(t *tx) error {
		answer.Repeat = false
		err := t.row(`SELECT true FROM quarantine WHERE id = ?`, []any{answer.ID}, &answer.Repeat)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if !answer.Repeat {
			if err := t.reserve(len(packed)); err != nil {
				return err
			}
			received := u.ReceivedAt
			if received.IsZero() {
				received = t.now
			}
			err := t.exec(`INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)`, answer.ID, u.Source, row.Micros(received), u.ContentType, u.Reason, packed)
			if err != nil {
				return err
			}
			t.add("quarantined", 1)
		}
		if !answer.Repeat || !u.ReceivedAt.IsZero() { // a second repair is no sign of life
			t.heard(u.Source, u.ReceivedAt)
		}
		return nil
	})
	if err != nil {
		return ledger.Quarantined{}, err
	}
	return answer, nil
}
