// This file lists: conversations and deliveries that a filter selects, and failures by what they have in common.

package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Kinds of cursors.
const (
	cursorConversations = 'c'
	cursorDeliveries    = 'd'
	cursorJobs          = 'j'
	cursorQuarantine    = 'q'
	cursorAudit         = 'a'
)

// view reads one moment of the ledger.
func (l *Ledger) view(ctx context.Context, do func(*view) error) error {
	return l.once(ctx, patience, func() error {
		ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
		defer cancel()
		return pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			v := &view{Ledger: l, ctx: ctx, tx: tx}
			// A filter that selects little is planned in another way than one that selects much.
			// The server gives a question up when nobody waits for the answer any more.
			err := tx.QueryRow(ctx, `SELECT `+nowMicros+` FROM set_config('plan_cache_mode', 'force_custom_plan', true) AS a,
				set_config('statement_timeout', $1, true) AS b`, milliseconds(transactionTimeout)).Scan(&v.now)
			if err != nil {
				return err
			}
			return do(v)
		})
	})
}

// view is one moment of the ledger.
type view struct {
	*Ledger
	ctx context.Context
	tx  pgx.Tx
	now int64 // microseconds
}

// all reads the rows of a query.
func (v *view) all(scan func(pgx.Rows) error, sql string, args ...any) error {
	var b pgx.Batch
	each(&b, scan, sql, args...)
	return v.tx.SendBatch(v.ctx, &b).Close()
}

// knownQuery lists the targets that the ledger has.
const knownQuery = `SELECT DISTINCT target FROM counter`

// scanText adds the one text of a row.
func scanText(rows pgx.Rows, texts *[]string) error {
	var text string
	err := rows.Scan(&text)
	*texts = append(*texts, text)
	return err
}

// query reads a filter.
func (v *view) query(f *ledger.Filter) (*query, error) {
	var known []string
	err := v.all(func(rows pgx.Rows) error { return scanText(rows, &known) }, knownQuery)
	if err != nil {
		return nil, err
	}
	held, err := findHeld(v.ctx, v.tx, f.Text)
	if err != nil {
		return nil, err
	}
	q := newQuery(f, known, held, v.names.Load())
	if f.Since.IsZero() && f.Until.IsZero() {
		return q, nil
	}
	behind, err := isBehind(v.ctx, v.tx)
	if err != nil || behind {
		return q, err // what is not indexed may be anywhere
	}
	since, until := hour(row.Micros(f.Since)), int32(math.MaxInt32)
	if !f.Until.IsZero() {
		until = hour(row.Micros(f.Until))
	}
	q.bounded = true
	err = v.tx.QueryRow(v.ctx, `SELECT coalesce(min(low), 1), coalesce(max(high), 0) FROM arrival WHERE hour BETWEEN $1 AND $2`, since, until).Scan(&q.low, &q.high)
	return q, err
}

// Conversations lists the conversations that f selects, the newest first, with their deliveries. What the filter looks
// for in a conversation is known some moments after its hook; a list that depends on it waits until it is, but not
// longer than two seconds.
func (l *Ledger) Conversations(ctx context.Context, f ledger.Filter, p ledger.Page) (page ledger.Listed[ledger.ConversationRow], err error) {
	after, paged, err := row.UnpackCursor(cursorConversations, p.After)
	if err != nil {
		return page, err
	}
	if err := l.prepareList(ctx, &f); err != nil {
		return page, err
	}
	limit := row.PageLimit(p)
	err = l.view(ctx, func(v *view) error {
		page = ledger.Listed[ledger.ConversationRow]{}
		q, err := v.query(&f)
		if err != nil {
			return err
		}
		sql := q.conversations(limit+1, func(column string) string {
			if !paged {
				return "true"
			}
			return column + " < " + q.arg(after.Number)
		})
		var numbers []int64
		err = v.all(func(rows pgx.Rows) error {
			var number int64
			err := rows.Scan(&number)
			numbers = append(numbers, number)
			return err
		}, sql, q.args...)
		if err != nil {
			return err
		}
		if len(numbers) > limit {
			numbers = numbers[:limit]
			page.Next = row.Cursor{Number: numbers[limit-1]}.Pack(cursorConversations)
		}
		page.Items, err = v.conversations(numbers)
		return err
	})
	return page, err
}

// prepareList waits for the indexer if the filter needs what it knows.
func (l *Ledger) prepareList(ctx context.Context, f *ledger.Filter) error {
	if !needsIndex(f) {
		return nil
	}
	return l.once(ctx, patience, func() error { return l.catchUp(ctx) })
}

// listed is a conversation of a list.
type listed struct {
	ledger.ConversationRow
	number    int64
	day       int
	first     int64
	seen      int64
	stale     int
	bodies    bool
	unindexed bool
}

const listedColumns = `c.number, c.id, c.platform, c.revision, c.stale, c.first_at, c.seen_at, c.bodies, c.day, c.bodies AND c.indexed < c.revision,
	coalesce(s.source, ''), coalesce(s.brand, ''), coalesce(s.outcome, ''), coalesce(s.external_id, ''), coalesce(s.visitor, ''),
	coalesce(s.email, ''), s.rating, coalesce(s.messages, 0), coalesce(s.opening, '')`

// places are where listedColumns go.
func (c *listed) places() []any {
	return []any{
		&c.number, &c.ID, &c.Platform, &c.Revision, &c.stale, &c.first, &c.seen, &c.bodies, &c.day, &c.unindexed,
		&c.Source, &c.Brand, &c.Outcome, &c.ExternalID, &c.Visitor, &c.Email, &c.Rating, &c.Messages, &c.Opening,
	}
}

// complete fills in what follows from the columns.
func (c *listed) complete() {
	c.Hooks, c.BodiesGone = c.Revision+c.stale, !c.bodies
	if c.BodiesGone {
		c.Platform = ""
	}
	c.FirstAt, c.LastAt = row.FirstAt(c.first, 0, c.seen), row.FromMicros(c.seen)
}

// conversations reads what a list shows of conversations, in the order of their numbers.
func (v *view) conversations(numbers []int64) ([]ledger.ConversationRow, error) {
	found := make([]*listed, 0, len(numbers))
	err := v.all(func(rows pgx.Rows) error {
		c := &listed{}
		err := rows.Scan(c.places()...)
		c.complete()
		found = append(found, c)
		return err
	}, `SELECT `+listedColumns+` FROM conversation c LEFT JOIN summary s ON s.conversation = c.number
		WHERE c.number = ANY ($1) ORDER BY c.number DESC`, numbers)
	if err != nil {
		return nil, err
	}
	if err := v.describe(found); err != nil {
		return nil, err
	}
	err = v.all(func(rows pgx.Rows) error {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		c := found[slices.IndexFunc(found, func(c *listed) bool { return c.number == r.Conversation })]
		d, err := v.delivery(r, c)
		c.Deliveries = append(c.Deliveries, d)
		return err
	}, `SELECT `+rowColumns+` FROM delivery WHERE conversation = ANY ($1) ORDER BY conversation, target`, numbers)
	if err != nil {
		return nil, err
	}
	items := make([]ledger.ConversationRow, len(found))
	for i, c := range found {
		items[i] = c.ConversationRow
	}
	return items, nil
}

// describe fills in what the indexer has not come to yet.
func (v *view) describe(found []*listed) error {
	byNumber := map[int64][]*listed{}
	var numbers []int64
	for _, c := range found {
		if c.unindexed {
			byNumber[c.number] = append(byNumber[c.number], c)
			numbers = append(numbers, c.number)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	return v.all(func(rows pgx.Rows) error {
		u := unindexed{}
		if err := rows.Scan(&u.number, &u.id, &u.revision, &u.packed, &u.first); err != nil {
			return err
		}
		s, err := v.summarize(&u)
		if err != nil {
			v.options.Logger.Debug("a conversation cannot be shown", "conversation", u.id, "error", err)
		}
		for _, c := range byNumber[u.number] {
			s.Describe(&c.ConversationRow)
			c.FirstAt = row.FromMicros(u.first)
		}
		return nil
	}, `SELECT c.number, c.id, c.revision, b.decoded, `+firstAt("c")+` FROM conversation c LEFT JOIN body b ON b.day = c.day AND b.conversation = c.number AND b.revision = c.revision
		WHERE c.number = ANY ($1)`, numbers)
}

// delivery is a delivery as an operator sees it.
func (v *view) delivery(r *row.Delivery, c *listed) (ledger.DeliveryRow, error) {
	if r.State != ledger.Pending && r.State != ledger.Dead {
		r.Class, r.FailedAt = "", 0 // a program of version 1 knows of no class and leaves it
	}
	d, err := r.Listed(c.ID, v.now)
	d.Target = row.Today(v.names.Load().list(), d.Target)
	d.Source, d.Visitor, d.Email = c.Source, c.Visitor, c.Email
	return d, err
}

// Look returns one conversation with its deliveries and revisions, also when retention has taken its bodies; or
// ledger.ErrNotFound.
func (l *Ledger) Look(ctx context.Context, id string) (c ledger.ConversationRow, err error) {
	err = l.view(ctx, func(v *view) error {
		var number int64
		var day int
		err := v.all(func(rows pgx.Rows) error { return rows.Scan(&number, &day) }, `SELECT number, day FROM conversation WHERE id = $1`, clean(id))
		if err != nil {
			return err
		}
		items, err := v.conversations([]int64{number})
		switch {
		case err != nil:
			return err
		case len(items) == 0:
			return fmt.Errorf("conversation %s: %w", id, ledger.ErrNotFound)
		}
		if c = items[0]; c.BodiesGone {
			return nil
		}
		return v.all(func(rows pgx.Rows) error {
			var r ledger.RevisionRow
			var received int64
			var head []byte
			err := rows.Scan(&r.Revision, &received, &r.ContentType, &head)
			r.ReceivedAt, r.Bytes = row.FromMicros(received), l.codec.Size(head)
			c.Revisions = append(c.Revisions, r)
			return err
		}, `SELECT revision, received_at, content_type, substring(`+sentColumn+` FROM 1 FOR $3) FROM body b WHERE day = $1 AND conversation = $2
			ORDER BY revision`, day, number, row.PackedHead)
	})
	return c, err
}

// Revision returns what a revision of a conversation said; revision 0 is the newest one, and one below 0 a stale
// snapshot. It returns ledger.ErrNotFound if there is none or retention has taken it.
func (l *Ledger) Revision(ctx context.Context, id string, revision int) (chat.Conversation, error) {
	var packed []byte
	err := l.read(ctx, `SELECT b.revision, b.decoded FROM conversation c
		JOIN body b ON b.day = c.day AND b.conversation = c.number AND b.revision = CASE WHEN $2 = 0 THEN c.revision ELSE $2 END
		WHERE c.id = $1 AND c.bodies`, []any{clean(id), revision}, &revision, &packed)
	if err != nil {
		return chat.Conversation{}, fmt.Errorf("conversation %s, revision %d: %w", id, revision, err)
	}
	return l.codec.UnpackConversation(packed, id, revision)
}

// Deliveries lists the deliveries that f selects, those of the newest conversation first. What is said of Conversations
// holds here, too.
func (l *Ledger) Deliveries(ctx context.Context, f ledger.Filter, p ledger.Page) (page ledger.Listed[ledger.DeliveryRow], err error) {
	after, paged, err := row.UnpackCursor(cursorDeliveries, p.After)
	if err != nil {
		return page, err
	}
	if err := l.prepareList(ctx, &f); err != nil {
		return page, err
	}
	limit := row.PageLimit(p)
	err = l.view(ctx, func(v *view) error {
		page = ledger.Listed[ledger.DeliveryRow]{}
		q, err := v.query(&f)
		if err != nil {
			return err
		}
		before := "true"
		if paged {
			number, target := q.arg(after.Number), q.arg(after.Name)
			before = "d.conversation <= " + number + " AND (d.conversation < " + number + " OR d.target > " + target + ")"
		}
		keys, err := v.keys(q.deliveries(limit+1, false, before), q.args)
		if err != nil {
			return err
		}
		if len(keys) > limit {
			keys = keys[:limit]
			page.Next = row.Cursor{Number: keys[limit-1].number, Name: keys[limit-1].target}.Pack(cursorDeliveries)
		}
		page.Items, err = v.deliveries(keys)
		return err
	})
	return page, err
}

// key names a delivery.
type key struct {
	number int64
	target string
}

func (v *view) keys(sql string, args []any) (keys []key, err error) {
	err = v.all(func(rows pgx.Rows) error {
		var k key
		err := rows.Scan(&k.number, &k.target)
		keys = append(keys, k)
		return err
	}, sql, args...)
	return keys, err
}

// deliveries reads what a list shows of deliveries, in their order.
func (v *view) deliveries(keys []key) ([]ledger.DeliveryRow, error) {
	numbers, targets := make([]int64, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		numbers[i], targets[i] = k.number, k.target
	}
	type pair struct {
		*row.Delivery
		*listed
	}
	var pairs []pair
	var talks []*listed
	err := v.all(func(rows pgx.Rows) error {
		c := &listed{}
		r, err := scanRow(rows, c.places()...)
		c.complete()
		pairs, talks = append(pairs, pair{r, c}), append(talks, c)
		return err
	}, `SELECT `+prefixed("d", rowColumns)+`, `+listedColumns+` FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS k (number, target, n)
		JOIN delivery d ON d.conversation = k.number AND d.target = k.target JOIN conversation c ON c.number = k.number
		LEFT JOIN summary s ON s.conversation = k.number ORDER BY k.n`, numbers, targets)
	if err != nil {
		return nil, err
	}
	if err := v.describe(talks); err != nil {
		return nil, err
	}
	items := make([]ledger.DeliveryRow, len(pairs))
	for i, p := range pairs {
		if items[i], err = v.delivery(p.Delivery, p.listed); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// Count tells how many deliveries f selects, counting to at most limit; 0 means no limit.
func (l *Ledger) Count(ctx context.Context, f ledger.Filter, limit int64) (n int64, err error) {
	if err := l.prepareList(ctx, &f); err != nil {
		return 0, err
	}
	err = l.view(ctx, func(v *view) error {
		q, err := v.query(&f)
		if err != nil {
			return err
		}
		sql := `SELECT FROM delivery d` + q.joins() + ` WHERE ` + and(q.matching()...)
		if limit > 0 {
			sql += ` LIMIT ` + q.arg(limit)
		}
		return v.all(func(rows pgx.Rows) error { return rows.Scan(&n) }, `SELECT count(*) FROM (`+sql+`) AS x`, q.args...)
	})
	return n, err
}

// Failures groups the failed deliveries, dead or tried again, that f selects by target, class and state, the largest
// group first.
func (l *Ledger) Failures(ctx context.Context, f ledger.Filter) (groups []ledger.Failure, err error) {
	if err := l.prepareList(ctx, &f); err != nil {
		return nil, err
	}
	err = l.view(ctx, func(v *view) error {
		groups = nil
		q, err := v.query(&f)
		if err != nil {
			return err
		}
		conditions := append(q.matching(), "d.class <> ''", "d.state IN (0, 2)")
		return v.all(func(rows pgx.Rows) error {
			var g ledger.Failure
			var first, last int64
			err := rows.Scan(&g.Target, &g.Class, &g.State, &g.Count, &first, &last, &g.Reason, &g.Example)
			g.First, g.Last = row.FromMicros(first), row.FromMicros(last)
			g.Target = row.Today(l.names.Load().list(), g.Target)
			groups = append(groups, g)
			return err
		}, `WITH g AS MATERIALIZED (SELECT d.target, d.class, d.state, count(*) AS n, min(d.failed_at) AS first, max(d.failed_at) AS last,
				max(ARRAY[d.failed_at, d.conversation]) AS newest
				FROM delivery d`+q.joins()+` WHERE `+and(conditions...)+` GROUP BY d.target, d.class, d.state)
			SELECT g.target, g.class, g.state, g.n, g.first, g.last, d.reason, c.id FROM g
			JOIN delivery d ON d.conversation = g.newest[2] AND d.target = g.target JOIN conversation c ON c.number = d.conversation`, q.args...)
	})
	return row.Failures(groups), err
}
