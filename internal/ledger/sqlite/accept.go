// This file takes hooks in: what a hook is to what came before, and which deliveries it makes.

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Accept stores a hook with its deliveries, unless it repeats an earlier one. It returns ledger.ErrFull when there is no
// room; another error means, too, that the hook is not stored and that the sender must not be told so.
//
// A stale snapshot changes no revision. Its body is kept under a number of its own, see Raw.
func (l *Ledger) Accept(ctx context.Context, h ledger.Hook) (ledger.Acceptance, error) {
	a, err := l.newArrival(h)
	if err != nil {
		return ledger.Acceptance{}, err
	}
	if err := l.write(ctx, a.do); err != nil {
		return ledger.Acceptance{}, err
	}
	return a.answer, nil
}

// arrival is a hook on its way in, with all that can be computed outside the transaction.
type arrival struct {
	hook     ledger.Hook
	raw      [16]byte
	content  [16]byte
	chain    []uint64
	body     []byte // packed
	decoded  []byte // packed
	answer   ledger.Acceptance
	asked    bool // plan holds what Plan said of answer.ID and answer.Revision
	plan     ledger.Plan
	planned  string // the id that Plan was asked of
	revision int
}

func (l *Ledger) newArrival(h ledger.Hook) (*arrival, error) {
	decoded, err := l.codec.packConversation(h.Conversation)
	if err != nil {
		return nil, err
	}
	return &arrival{
		hook:    h,
		raw:     chat.RawFingerprint(h.Raw),
		content: h.Conversation.Fingerprint(),
		chain:   h.Conversation.Chain(),
		body:    l.codec.pack(h.Raw),
		decoded: decoded,
	}, nil
}

// known is a conversation that the ledger has.
type known struct {
	number   int64
	id       string
	platform string
	revision int
	stale    int
	endedAt  int64
	bodies   bool
	prints   prints
	chain    []uint64
}

const knownColumns = `number, id, platform, revision, stale, ended_at, bodies, fingerprints, chain`

func scanKnown(scan func(...any) error) (*known, error) {
	var k known
	var fingerprints, chain []byte
	err := scan(&k.number, &k.id, &k.platform, &k.revision, &k.stale, &k.endedAt, &k.bodies, &fingerprints, &chain)
	k.prints, k.chain = fingerprints, unpackChain(chain)
	return &k, err
}

// do decides and stores inside the transaction.
func (a *arrival) do(t *tx) error {
	k, err := a.find(t)
	if err != nil {
		return err
	}
	source, at := a.hook.Conversation.Source, a.hook.Conversation.ReceivedAt
	switch {
	case k == nil:
		err = a.begin(t)
	case a.repeats(k):
		err = a.repeat(t, k)
	case a.isStale(k):
		err = a.keepStale(t, k)
	default:
		err = a.revise(t, k)
	}
	if err == nil {
		t.heard(source, at)
	}
	return err
}

// find returns the conversation that the hook is of, nil for a new one: the one of its id, else one of its session.
func (a *arrival) find(t *tx) (*known, error) {
	s, err := t.statement(`SELECT ` + knownColumns + ` FROM conversation WHERE id = ?`)
	if err != nil {
		return nil, err
	}
	k, err := scanKnown(s.QueryRowContext(context.Background(), a.hook.Conversation.ID).Scan)
	if !errors.Is(err, sql.ErrNoRows) {
		return k, err
	}
	if a.hook.Session == "" {
		return nil, nil
	}
	var session []*known
	err = t.rows(`SELECT `+knownColumns+` FROM conversation WHERE session = ? AND session <> '' ORDER BY ended_at DESC`,
		[]any{a.hook.Session}, func(rows *sql.Rows) error {
			k, err := scanKnown(rows.Scan)
			if k.platform == a.hook.Conversation.Platform {
				session = append(session, k)
			}
			return err
		})
	if err != nil {
		return nil, err
	}
	return a.ofSession(session), nil
}

// ofSession returns the conversation of the same session that the hook is of, nil if it is none of them: one that has
// seen this hook, else the nearest that ended within the window and of which one transcript begins the other.
func (a *arrival) ofSession(session []*known) *known {
	for _, k := range session {
		if a.repeats(k) {
			return k
		}
	}
	ended := micros(a.hook.Conversation.EndedAt)
	distance := func(k *known) int64 { return max(k.endedAt-ended, ended-k.endedAt) }
	session = slices.DeleteFunc(session, func(k *known) bool {
		return ended == 0 || k.endedAt == 0 || distance(k) > a.hook.SessionWindow.Microseconds() ||
			!chat.IsPrefix(k.chain, a.chain) && !chat.IsPrefix(a.chain, k.chain)
	})
	if len(session) == 0 {
		return nil
	}
	return slices.MinFunc(session, func(a, b *known) int { return cmp.Compare(distance(a), distance(b)) })
}

func (a *arrival) repeats(k *known) bool {
	_, raw := k.prints.find(a.raw)
	_, content := k.prints.find(a.content)
	return raw || content
}

// isStale tells whether the hook is an older snapshot: shorter, the same as far as it goes, and of an earlier end.
func (a *arrival) isStale(k *known) bool {
	ended := micros(a.hook.Conversation.EndedAt)
	return len(a.chain) < len(k.chain) && chat.IsPrefix(a.chain, k.chain) && (ended == 0 || ended < k.endedAt)
}

// repeat stores nothing but a new spelling of known content.
func (a *arrival) repeat(t *tx, k *known) error {
	revision, exact := k.prints.find(a.raw)
	if !exact {
		revision, _ = k.prints.find(a.content)
		if err := t.exec(`UPDATE conversation SET fingerprints = ? WHERE number = ?`, []byte(k.prints.add(a.raw, revision)), k.number); err != nil {
			return err
		}
	}
	a.answer = ledger.Acceptance{ID: k.id, Revision: revision, Result: ledger.Repeated}
	return nil
}

// keepStale keeps the body, unless retention has taken the bodies of the conversation already.
func (a *arrival) keepStale(t *tx, k *known) error {
	if k.bodies {
		if err := a.storeBody(t, k.number, -k.stale-1); err != nil {
			return err
		}
	}
	a.answer = ledger.Acceptance{ID: k.id, Revision: k.revision, Result: ledger.Stale}
	return t.exec(`UPDATE conversation SET stale = stale + 1, seen_at = ?, fingerprints = ? WHERE number = ?`,
		micros(t.now), a.addPrints(k, k.revision), k.number)
}

// begin stores a new conversation.
func (a *arrival) begin(t *tx) error {
	c := &a.hook.Conversation
	var number int64
	err := t.row(`SELECT coalesce(max(number), 0) + 1 FROM conversation`, nil, &number)
	if err != nil {
		return err
	}
	if err := a.storeBody(t, number, 1); err != nil {
		return err
	}
	err = t.exec(`INSERT INTO conversation VALUES (?, ?, ?, ?, 1, 0, ?, ?, 1, ?, ?)`, number, c.ID, c.Platform, a.hook.Session,
		micros(c.EndedAt), micros(t.now), a.addPrints(&known{}, 1), packChain(a.chain))
	if err != nil {
		return err
	}
	t.add("conversations", 1)
	a.answer = ledger.Acceptance{ID: c.ID, Revision: 1, Result: ledger.Accepted}
	return a.fanOut(t, number, false)
}

// revise stores new content of a known conversation.
func (a *arrival) revise(t *tx, k *known) error {
	revision := k.revision + 1
	if err := a.storeBody(t, k.number, revision); err != nil {
		return err
	}
	err := t.exec(`UPDATE conversation SET revision = ?, ended_at = ?, seen_at = ?, bodies = 1, fingerprints = ?, chain = ? WHERE number = ?`,
		revision, micros(a.hook.Conversation.EndedAt), micros(t.now), a.addPrints(k, revision), packChain(a.chain), k.number)
	if err != nil {
		return err
	}
	a.answer = ledger.Acceptance{ID: k.id, Revision: revision, Result: ledger.Revised}
	return a.fanOut(t, k.number, !k.bodies)
}

func (a *arrival) addPrints(k *known, revision int) []byte {
	return k.prints.add(a.raw, revision).add(a.content, revision)
}

func (a *arrival) storeBody(t *tx, number int64, revision int) error {
	if err := t.reserve(len(a.decoded) + len(a.body)); err != nil {
		return err
	}
	return t.exec(`INSERT INTO body VALUES (?, ?, ?, ?, ?, ?)`, number, revision, micros(a.hook.Conversation.ReceivedAt),
		a.hook.ContentType, a.decoded, a.body)
}

// fanOut asks for the plan of the revision in a.answer and takes it to the rows of the targets.
func (a *arrival) fanOut(t *tx, number int64, expired bool) error {
	if id, revision := a.answer.ID, a.answer.Revision; !a.asked || a.planned != id || a.revision != revision {
		a.plan = a.hook.Plan(id, revision)
		a.asked, a.planned, a.revision = true, id, revision
	}
	today := t.ledger.names.Load().planned(a.plan)
	plans, err := packPlans(today, a.answer.Revision, expired)
	if err != nil {
		return err
	}
	var rows []*row
	if a.answer.Revision > 1 {
		if err := t.moveAll(number); err != nil {
			return err
		}
		if rows, err = t.deliveries(number); err != nil {
			return err
		}
	}
	for _, planned := range today.Deliveries {
		if !slices.ContainsFunc(rows, func(r *row) bool { return r.target == planned.Target }) {
			rows = append(rows, &row{conversation: number, target: planned.Target, fence: micros(t.now)})
		}
	}
	now, reached := micros(t.now), false
	for _, r := range rows {
		p, ok := plans[r.target]
		if !ok {
			p = plan{revision: a.answer.Revision, expired: expired}
		}
		reached = reached || ok || r.holds()
		changes, due := r.revise(p, now)
		if err := t.store(r, changes); err != nil {
			return err
		}
		if due {
			a.answer.Targets = append(a.answer.Targets, r.target)
			t.wake(r.target)
		}
	}
	if !reached {
		a.answer.Result = ledger.Unrouted
	}
	return nil
}

// packPlans returns the deliveries of a plan by target.
func packPlans(p ledger.Plan, revision int, expired bool) (map[string]plan, error) {
	plans := make(map[string]plan, len(p.Deliveries))
	for _, d := range p.Deliveries {
		routes, err := packRoutes(d.Routes)
		if err != nil {
			return nil, err
		}
		plans[d.Target] = plan{
			revision: revision, planned: true, ignore: d.IgnoreUpdates, hold: max(d.Hold, 0).Microseconds(),
			routes: routes, config: p.Config, expired: expired,
		}
	}
	return plans, nil
}

// Quarantine keeps a hook that nobody could read, once. It returns ledger.ErrFull as Accept does.
func (l *Ledger) Quarantine(ctx context.Context, u ledger.Unreadable) (ledger.Quarantined, error) {
	answer := ledger.Quarantined{ID: "q" + chat.NewID("quarantine", u.Source, string(u.Raw))[1:]}
	packed := l.codec.pack(u.Raw)
	err := l.write(ctx, func(t *tx) error {
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
			err := t.exec(`INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)`, answer.ID, u.Source, micros(received), u.ContentType, u.Reason, packed)
			if err != nil {
				return err
			}
			t.add("quarantined", 1)
		}
		t.heard(u.Source, u.ReceivedAt)
		return nil
	})
	if err != nil {
		return ledger.Quarantined{}, err
	}
	return answer, nil
}
