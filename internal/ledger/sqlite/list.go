// This file lists conversations and deliveries for operators.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Kinds of cursors.
const (
	ofConversations = 'c'
	ofDeliveries    = 'd'
	ofQuarantine    = 'q'
	ofJobs          = 'j'
	ofAudit         = 'a'
)

// Conversations lists the conversations that f selects, the newest first, with their deliveries.
//
// What the indexer knows is needed by a filter on what was said, on routes or on times; such a list first waits for what
// had been accepted when it was asked, see catchUp. Lists by id, target, state or class need nothing of the sort.
func (l *Ledger) Conversations(ctx context.Context, f ledger.Filter, p ledger.Page) (page ledger.Listed[ledger.ConversationRow], err error) {
	err = l.list(ctx, f, p, ofConversations, func(view *sql.Tx, spots []spot, next string) error {
		described, err := l.describe(ctx, view, numbersOf(spots))
		for _, c := range described {
			page.Items = append(page.Items, c.row)
		}
		page.Next = next
		return err
	})
	return page, err
}

// Deliveries lists the deliveries that f selects, those of the newest conversation first. It waits as Conversations does.
func (l *Ledger) Deliveries(ctx context.Context, f ledger.Filter, p ledger.Page) (page ledger.Listed[ledger.DeliveryRow], err error) {
	err = l.list(ctx, f, p, ofDeliveries, func(view *sql.Tx, spots []spot, next string) error {
		described, err := l.describe(ctx, view, numbersOf(spots))
		if err != nil {
			return err
		}
		rows := map[spot]ledger.DeliveryRow{}
		for _, c := range described {
			for i, d := range c.row.Deliveries {
				rows[spot{c.number, c.targets[i]}] = d
			}
		}
		for _, at := range spots {
			page.Items = append(page.Items, rows[at])
		}
		page.Next = next
		return nil
	})
	return page, err
}

// list finds one page and calls show with it, all in one view.
func (l *Ledger) list(ctx context.Context, f ledger.Filter, p ledger.Page, kind byte, show func(view *sql.Tx, spots []spot, next string) error) error {
	cursor, after, err := row.UnpackCursor(kind, p.After)
	if err != nil {
		return err
	}
	var from *spot
	if after {
		from = &spot{cursor.Number, cursor.Name}
	}
	limit := row.PageLimit(p)
	return l.ask(ctx, f, func(view *sql.Tx, f ledger.Filter) error {
		q, err := newSelection(ctx, view, f, kind == ofDeliveries)
		if err != nil {
			return err
		}
		spots, err := q.spots(ctx, from, limit+1)
		if err != nil {
			return err
		}
		next := ""
		if len(spots) > limit {
			spots = spots[:limit]
			next = row.Cursor{Number: spots[limit-1].number, Name: spots[limit-1].target}.Pack(kind)
		}
		return show(view, spots, next)
	})
}

// ask opens a view for a filter. Targets are asked for under all names that they have had.
func (l *Ledger) ask(ctx context.Context, f ledger.Filter, do func(*sql.Tx, ledger.Filter) error) error {
	if indexed(f) {
		if err := l.catchUp(ctx); err != nil {
			return err
		}
	}
	for _, r := range l.names.Load().list() {
		if slices.Contains(f.Targets, r.New) {
			f.Targets = append(slices.Clip(f.Targets), r.Old)
		}
	}
	return l.view(ctx, func(view *sql.Tx) error { return do(view, f) })
}

// view has do read one moment of the ledger.
func (l *Ledger) view(ctx context.Context, do func(*sql.Tx) error) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	generation := l.generation.Load()
	view, err := l.readers.Load().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = view.Rollback() }()
	err = do(view)
	if isIndexDamage(err) && l.indexer != nil {
		l.renew.Store(true)
		nudge(l.indexer.wake)
	}
	l.suspect(err, generation)
	return err
}

// Look returns one conversation with its deliveries and revisions, or ledger.ErrNotFound.
func (l *Ledger) Look(ctx context.Context, id string) (c ledger.ConversationRow, err error) {
	err = l.view(ctx, func(view *sql.Tx) error {
		var number int64
		err := view.QueryRowContext(ctx, `SELECT number FROM conversation WHERE id = ?`, id).Scan(&number)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("conversation %s: %w", id, ledger.ErrNotFound)
		}
		if err != nil {
			return err
		}
		described, err := l.describe(ctx, view, []int64{number})
		if err != nil {
			return err
		}
		c = described[0].row
		rows, err := view.QueryContext(ctx, `SELECT revision, received_at, content_type, substr(`+sentColumn+`, 1, ?) FROM body
			WHERE conversation = ? ORDER BY received_at, abs(revision)`, row.PackedHead, number)
		if err != nil {
			return err
		}
		return each(rows, func(rows *sql.Rows) error {
			var r ledger.RevisionRow
			var received int64
			var head []byte
			err := rows.Scan(&r.Revision, &received, &r.ContentType, &head)
			r.ReceivedAt, r.Bytes = row.FromMicros(received), l.codec.Size(head)
			c.Revisions = append(c.Revisions, r)
			return err
		})
	})
	return c, err
}

// Revision returns what a revision of a conversation said; revision 0 is the newest. It returns ledger.ErrNotFound if
// there is none or retention has taken it.
func (l *Ledger) Revision(ctx context.Context, id string, revision int) (chat.Conversation, error) {
	if revision == 0 {
		return l.Conversation(ctx, id)
	}
	var packed []byte
	err := l.read(ctx, `SELECT decoded FROM body WHERE conversation = (SELECT number FROM conversation WHERE id = ?) AND revision = ?`,
		[]any{id, revision}, &packed)
	if err != nil {
		return chat.Conversation{}, fmt.Errorf("conversation %s, revision %d: %w", id, revision, err)
	}
	return l.codec.UnpackConversation(packed, id, revision)
}

// Count tells how many deliveries f selects, counting to at most limit; 0 means no limit. It waits as Conversations does.
func (l *Ledger) Count(ctx context.Context, f ledger.Filter, limit int64) (n int64, err error) {
	if limit <= 0 {
		limit = math.MaxInt64
	}
	err = l.ask(ctx, f, func(view *sql.Tx, f ledger.Filter) error {
		q, err := newSelection(ctx, view, f, true)
		if err == nil {
			n, err = q.count(ctx, limit)
		}
		return err
	})
	return n, err
}

// described is a conversation as lists show it.
type described struct {
	number  int64
	row     ledger.ConversationRow
	targets []string // of row.Deliveries, as they are stored
}

func numbersOf(spots []spot) (numbers []int64) {
	for _, s := range spots {
		numbers = append(numbers, s.number)
	}
	return slices.Compact(numbers)
}

// describe reads the conversations of some numbers, in their order. What has not been indexed is read from its body.
func (l *Ledger) describe(ctx context.Context, view *sql.Tx, numbers []int64) ([]described, error) {
	found := make(map[int64]*described, len(numbers))
	rows, err := view.QueryContext(ctx, `SELECT c.number, c.id, c.revision, c.stale, c.seen_at, c.first_at, c.bodies, s.number IS NOT NULL,
		s.source, s.brand, s.platform, s.outcome, s.external_id, s.visitor, s.email, s.rating, s.messages, s.opening
		FROM conversation c LEFT JOIN summary s ON s.number = c.number AND s.revision = c.revision
		WHERE c.number IN (SELECT value FROM json_each(?))`, list(numbers))
	if err != nil {
		return nil, err
	}
	var plain []*described // to be read from their bodies
	firsts := map[*described]int64{}
	err = each(rows, func(rows *sql.Rows) error {
		d, first, plainly, err := scanDescribed(rows)
		if found[d.number] = d; plainly {
			plain = append(plain, d)
		}
		if first == 0 {
			firsts[d] = row.Micros(d.row.LastAt)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, d := range plain {
		if err := l.summarize(ctx, view, d); err != nil {
			return nil, err
		}
	}
	for d, seen := range firsts {
		var received int64
		if err := view.QueryRowContext(ctx, `SELECT coalesce(min(received_at), 0) FROM body WHERE conversation = ?`, d.number).Scan(&received); err != nil {
			return nil, err
		}
		d.row.FirstAt = row.FirstAt(0, received, seen)
	}
	if err := l.describeDeliveries(ctx, view, numbers, found); err != nil {
		return nil, err
	}
	list := make([]described, 0, len(numbers))
	for _, n := range numbers {
		if d, ok := found[n]; ok {
			list = append(list, *d)
		}
	}
	return list, nil
}

// scanDescribed reads a row of describe's. plain: it has bodies and is not indexed.
func scanDescribed(rows *sql.Rows) (d *described, first int64, plain bool, err error) {
	var stale, seen int64
	var bodies, known bool
	var texts [8]sql.NullString
	var rating sql.NullFloat64
	var messages sql.NullInt64
	d = &described{}
	err = rows.Scan(&d.number, &d.row.ID, &d.row.Revision, &stale, &seen, &first, &bodies, &known,
		&texts[0], &texts[1], &texts[2], &texts[3], &texts[4], &texts[5], &texts[6], &rating, &messages, &texts[7])
	if err != nil {
		return d, 0, false, err
	}
	d.row.Hooks = d.row.Revision + int(stale)
	d.row.FirstAt, d.row.LastAt, d.row.BodiesGone = row.FromMicros(first), row.FromMicros(seen), !bodies
	s := row.Summary{
		Source: texts[0].String, Brand: texts[1].String, Platform: texts[2].String, Outcome: texts[3].String, ExternalID: texts[4].String,
		Visitor: texts[5].String, Email: texts[6].String, Messages: int(messages.Int64), Opening: texts[7].String,
	}
	if rating.Valid {
		s.Rating = &rating.Float64
	}
	s.Describe(&d.row)
	return d, first, bodies && !known, nil
}

// summarize reads from a body what the indexer has not come to. A body that cannot be read leaves the fields empty: a
// list is where such a conversation must be seen.
func (l *Ledger) summarize(ctx context.Context, view *sql.Tx, d *described) error {
	var packed []byte
	err := view.QueryRowContext(ctx, `SELECT decoded FROM body WHERE conversation = ? AND revision = ?`, d.number, d.row.Revision).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if c, err := l.codec.UnpackConversation(packed, d.row.ID, d.row.Revision); err == nil {
		s := row.Summarize(&c)
		s.Describe(&d.row)
	}
	return nil
}

// describeDeliveries adds their deliveries to conversations.
func (l *Ledger) describeDeliveries(ctx context.Context, view *sql.Tx, numbers []int64, found map[int64]*described) error {
	rows, err := view.QueryContext(ctx, `SELECT `+rowColumns+` FROM delivery WHERE conversation IN (SELECT value FROM json_each(?))
		ORDER BY conversation, target`, list(numbers))
	if err != nil {
		return err
	}
	now := row.Micros(l.clock())
	return each(rows, func(rows *sql.Rows) error {
		r, err := scanRow(rows.Scan)
		if err != nil {
			return err
		}
		c, ok := found[r.Conversation]
		if !ok {
			return nil // a delivery without its conversation is for the audit to find
		}
		d, err := r.Listed(c.row.ID, now)
		d.Target = row.Today(l.names.Load().list(), r.Target)
		d.Source, d.Visitor, d.Email = c.row.Source, c.row.Visitor, c.row.Email
		c.row.Deliveries, c.targets = append(c.row.Deliveries, d), append(c.targets, r.Target)
		return err
	})
}
