// This file reads and writes rows: many at once, each kind in one statement.

package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// talk is a conversation in a transaction, with its deliveries, locked.
type talk struct {
	row.Known
	session string
	seenAt  int64
	firstAt int64 // of a fresh one
	day     int
	fresh   bool // not in the database yet
	changed bool
	touched bool // rows have changed
	rows    []*row.Delivery
}

const talkColumns = `number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain`

func scanTalk(rows pgx.Rows) (*talk, error) {
	var k talk
	var fingerprints, chain []byte
	err := rows.Scan(&k.Number, &k.ID, &k.Platform, &k.session, &k.Revision, &k.Stale, &k.EndedAt, &k.seenAt, &k.Bodies, &k.day,
		&fingerprints, &chain)
	k.Prints, k.Chain = fingerprints, row.UnpackChain(chain)
	return &k, err
}

const rowColumns = `conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries,
	first_at, planned, ignore, routes, config, tried, receipt, class, reason, failed_at, pinned, imported`

func scanRow(rows pgx.Rows, more ...any) (*row.Delivery, error) {
	var r row.Delivery
	var receipt string
	err := rows.Scan(append([]any{
		&r.Conversation, &r.Target, &r.State, &r.Want, &r.Have, &r.Trying, &r.Doubt, &r.Lapsed, &r.DueAt, &r.PendingSince, &r.SettledAt,
		&r.Fence, &r.Claims, &r.Tries, &r.FirstAt, &r.Planned, &r.Ignore, &r.Routes, &r.Config, &r.Tried, &receipt,
		&r.Class, &r.Reason, &r.FailedAt, &r.Pinned, &r.Imported,
	}, more...)...)
	if err != nil {
		return nil, err
	}
	r.Receipt, err = row.UnpackReceipt(receipt)
	return &r, err
}

// talks collects conversations as they are read.
type talks []*talk

// queue locks and reads the conversations that where chooses, and their deliveries. Locks are taken in the order of
// numbers and targets by everybody, so that no two transactions wait for each other.
func (ts *talks) queue(b *pgx.Batch, where string, args ...any) {
	*ts = nil
	each(b, func(rows pgx.Rows) error {
		k, err := scanTalk(rows)
		*ts = append(*ts, k)
		return err
	}, `SELECT `+talkColumns+` FROM conversation WHERE `+where+` ORDER BY number FOR NO KEY UPDATE`, args...)
	each(b, func(rows pgx.Rows) error {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(*ts, func(k *talk) bool { return k.Number == r.Conversation }); i >= 0 {
			(*ts)[i].rows = append((*ts)[i].rows, r)
		}
		return nil
	}, `SELECT `+rowColumns+` FROM delivery WHERE conversation IN (SELECT number FROM conversation WHERE `+where+`)
		ORDER BY conversation, target FOR NO KEY UPDATE`, args...)
}

// touched are the rows of all conversations whose rows have changed.
func (ts talks) touched() (rows []*row.Delivery) {
	for _, k := range ts {
		if k.touched {
			rows = append(rows, k.rows...)
		}
	}
	return rows
}

// storeTalks queues the conversations that are new or have changed.
func (t *tx) storeTalks(all []*talk) {
	for _, fresh := range []bool{true, false} {
		var c struct {
			numbers, ended         []int64
			seen, first            []int64
			ids, platforms, sessns []string
			revisions, stale, days []int32
			bodies                 []bool
			prints, chains         [][]byte
		}
		for _, k := range all {
			if k.fresh != fresh || !k.changed {
				continue
			}
			c.numbers, c.ended = append(c.numbers, k.Number), append(c.ended, k.EndedAt)
			c.seen, c.first = append(c.seen, k.seenAt), append(c.first, k.firstAt)
			c.ids, c.platforms, c.sessns = append(c.ids, k.ID), append(c.platforms, k.Platform), append(c.sessns, k.session)
			c.revisions, c.stale = append(c.revisions, int32(k.Revision)), append(c.stale, int32(k.Stale))
			c.days, c.bodies = append(c.days, int32(k.day)), append(c.bodies, k.Bodies)
			c.prints, c.chains = append(c.prints, k.Prints), append(c.chains, row.PackChain(k.Chain))
		}
		switch {
		case len(c.numbers) == 0:
		case fresh:
			t.write(`INSERT INTO conversation (`+talkColumns+`, first_at) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],
				$5::int[], $6::int[], $7::bigint[], $8::bigint[], $9::boolean[], $10::int[], $11::bytea[], $12::bytea[], $13::bigint[])`,
				c.numbers, c.ids, c.platforms, c.sessns, c.revisions, c.stale, c.ended, c.seen, c.bodies, c.days, c.prints, c.chains, c.first)
		default:
			t.write(`UPDATE conversation c SET revision = u.revision, stale = u.stale, ended_at = u.ended_at, seen_at = u.seen_at,
				bodies = u.bodies, day = u.day, fingerprints = u.fingerprints, chain = u.chain
				FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::boolean[], $7::int[], $8::bytea[], $9::bytea[])
				AS u (number, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) WHERE c.number = u.number`,
				c.numbers, c.revisions, c.stale, c.ended, c.seen, c.bodies, c.days, c.prints, c.chains)
		}
	}
}

// storeRows queues deliveries, new or old.
func (t *tx) storeRows(rows []*row.Delivery) error {
	if len(rows) == 0 {
		return nil
	}
	n := len(rows)
	conversations, dueAt, since, settled, fences, firstAt, failed := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	states, want, have, trying, doubt, claims, tries := make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	lapsed, planned, ignore, imported := make([]bool, n), make([]bool, n), make([]bool, n), make([]bool, n)
	targets, routes, configs, tried, receipts := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	classes, reasons, pinned := make([]string, n), make([]string, n), make([]string, n)
	for i, r := range rows {
		receipt, err := row.PackReceipt(r.Receipt)
		if err != nil {
			return err
		}
		conversations[i], dueAt[i], since[i], settled[i], fences[i], firstAt[i] = r.Conversation, r.DueAt, r.PendingSince, r.SettledAt, r.Fence, r.FirstAt
		states[i], want[i], have[i], trying[i], doubt[i] = int32(r.State), int32(r.Want), int32(r.Have), int32(r.Trying), int32(r.Doubt)
		claims[i], tries[i] = int32(r.Claims), int32(r.Tries)
		lapsed[i], planned[i], ignore[i], imported[i] = r.Lapsed, r.Planned, r.Ignore, r.Imported
		targets[i], routes[i], configs[i], tried[i], receipts[i] = r.Target, r.Routes, r.Config, r.Tried, receipt
		classes[i], reasons[i], failed[i], pinned[i] = clean(r.Class), clean(r.Reason), r.FailedAt, clean(r.Pinned)
	}
	t.write(`INSERT INTO delivery (`+rowColumns+`) SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[],
		$7::int[], $8::boolean[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::int[], $14::int[], $15::bigint[],
		$16::boolean[], $17::boolean[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::bigint[], $25::text[],
		$26::boolean[])
		ON CONFLICT (conversation, target) DO UPDATE SET state = excluded.state, want = excluded.want, have = excluded.have,
		trying = excluded.trying, doubt = excluded.doubt, lapsed = excluded.lapsed, due_at = excluded.due_at,
		pending_since = excluded.pending_since, settled_at = excluded.settled_at, fence = excluded.fence, claims = excluded.claims,
		tries = excluded.tries, first_at = excluded.first_at, planned = excluded.planned, ignore = excluded.ignore,
		routes = excluded.routes, config = excluded.config, tried = excluded.tried, receipt = excluded.receipt,
		class = excluded.class, reason = excluded.reason, failed_at = excluded.failed_at, pinned = excluded.pinned,
		imported = excluded.imported`,
		conversations, targets, states, want, have, trying, doubt, lapsed, dueAt, since, settled, fences, claims, tries, firstAt,
		planned, ignore, routes, configs, tried, receipts, classes, reasons, failed, pinned, imported)
	return nil
}

// line is a line of the log of attempts.
type line struct {
	day      int
	row      *row.Delivery
	fence    int64
	revision int
	attempt  ledger.Attempt
}

// storeLines queues lines of the log of attempts.
func (t *tx) storeLines(lines []line) error {
	if len(lines) == 0 {
		return nil
	}
	n := len(lines)
	days, revisions, numbers, statuses := make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	conversations, fences, at, durations := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	targets, kinds, reasons := make([]string, n), make([]string, n), make([]string, n)
	classes, configs, responses, known := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, l := range lines {
		days[i], revisions[i], numbers[i], statuses[i] = int32(l.day), int32(l.revision), int32(l.attempt.Number), int32(l.attempt.Status)
		conversations[i], fences[i], at[i], durations[i] = l.row.Conversation, l.fence, row.Micros(l.attempt.At), l.attempt.Duration.Microseconds()
		targets[i], kinds[i], reasons[i] = l.row.Target, l.attempt.Kind, clean(l.attempt.Reason)
		classes[i], configs[i], responses[i] = clean(l.attempt.Class), clean(l.attempt.Config), clean(l.attempt.Response)
		knows, err := row.PackKnowledge(l.attempt.Detail)
		if err != nil {
			return err
		}
		known[i] = clean(knows)
	}
	t.write(`INSERT INTO attempt (day, conversation, target, fence, revision, number, at, kind, duration, status, reason, class, config, response, known)
		SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[], $5::int[], $6::int[], $7::bigint[], $8::text[], $9::bigint[],
		$10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])`,
		days, conversations, targets, fences, revisions, numbers, at, kinds, durations, statuses, reasons, classes, configs, responses, known)
	return nil
}

// body is the body of one hook.
type body struct {
	day         int
	number      int64
	revision    int
	received    int64
	contentType string
	packed      []byte
}

// storeBodies queues bodies.
func (t *tx) storeBodies(bodies []body) {
	if len(bodies) == 0 {
		return
	}
	n := len(bodies)
	days, revisions := make([]int32, n), make([]int32, n)
	numbers, received := make([]int64, n), make([]int64, n)
	types, packed := make([]string, n), make([][]byte, n)
	for i, b := range bodies {
		days[i], numbers[i], revisions[i], received[i] = int32(b.day), b.number, int32(b.revision), b.received
		types[i], packed[i] = clean(b.contentType), b.packed
	}
	t.write(`INSERT INTO body (day, conversation, revision, received_at, content_type, decoded, raw)
		SELECT *, ''::bytea FROM unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::text[], $6::bytea[])`,
		days, numbers, revisions, received, types, packed)
}
