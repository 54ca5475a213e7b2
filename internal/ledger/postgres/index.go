// This file keeps what lists and searches know of conversations, in the background: hooks are acknowledged without it.

package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	// indexGap is how long hooks wait for company before they are indexed, and how often what other replicas left is
	// looked for.
	indexGap = time.Second
	// indexBatch is how many conversations share a transaction: few, for a hook of one of them waits for it. indexBytes
	// bounds them, packed, so that a transaction takes seconds at most.
	indexBatch = 100
	indexBytes = 512 << 10
	// indexPatience is for about how long a list waits until what has come in is indexed. After an upgrade of a large
	// ledger that is not enough, and a list shows what there is.
	indexPatience = 2 * time.Second
	// giveWayFor is how long the indexer leaves processors and database to a crowd of hooks, if no list waits for it.
	giveWayFor = 30 * time.Second
	// busyBatch is how many hooks are a crowd that commit together, busyFor how long others may be expected after them.
	busyBatch = 8
	busyFor   = 50 * time.Millisecond
)

// givesWay tells whether the indexer lets hooks go first, which were a crowd at busy. All that had come was indexed at
// done, and a list waited for what had not been at wanted.
func givesWay(now, busy, done, wanted time.Time) bool {
	return now.Sub(busy) < busyFor && now.Sub(done) < giveWayFor && now.Sub(wanted) >= giveWayFor
}

// index brings summaries up to date until ctx ends: one replica at a time, the others look whether it is still there. It
// gives way to hooks, but not for ever; then it rests as long as it works, so that they have the better half of the database.
func (l *Ledger) index(ctx context.Context) {
	wait, done := indexGap, time.Now()
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if wait = buildGap; !l.indexed.Load() {
			l.buildBeside(ctx)
			continue
		}
		began := time.Now()
		if wait = indexGap; givesWay(began, time.Unix(0, l.busyAt.Load()), done, time.Unix(0, l.wantedAt.Load())) {
			continue
		}
		more, err := l.indexSome(ctx, false)
		switch {
		case more:
			wait = time.Since(began)
		case err == nil:
			done = time.Now() // by another replica perhaps
		}
		if err != nil && ctx.Err() == nil {
			l.options.Logger.Debug("indexing failed; it is tried again", "error", err)
		}
	}
}

// catchUp indexes what has come in, for a list that is asked for now.
func (l *Ledger) catchUp(ctx context.Context) error {
	if !l.indexed.Load() {
		return nil
	}
	for deadline := time.Now().Add(indexPatience); time.Now().Before(deadline); {
		behind, err := isBehind(ctx, l.pool)
		if err != nil || !behind {
			return err
		}
		l.wantedAt.Store(time.Now().UnixNano())
		more, err := l.indexSome(ctx, true)
		if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == "55P03" {
			return nil // a replica is at it and hangs
		}
		if err != nil || !more {
			return err
		}
	}
	return nil // the list shows what is indexed
}

// isBehind tells whether something is not indexed. The order has the planner take the index, which it thinks is large.
func isBehind(ctx context.Context, from rower) (behind bool, err error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	err = from.QueryRow(ctx, `SELECT EXISTS (SELECT FROM (SELECT number FROM conversation WHERE indexed < revision ORDER BY number DESC LIMIT 1) x)`).
		Scan(&behind)
	return behind, err
}

// unindexed is a conversation whose turn has come.
type unindexed struct {
	number   int64
	id       string
	revision int
	bodies   bool
	packed   []byte // nil: it is missing
	first    int64  // when its first hook came
	routes   map[string]bool
	routed   bool
}

// indexSome indexes a batch and tells whether there is more. If another replica is at it, it waits for that one or does
// nothing.
func (l *Ledger) indexSome(ctx context.Context, wait bool) (more bool, err error) {
	lock := `SELECT pg_try_advisory_xact_lock($1)`
	if wait {
		lock = `SELECT true FROM pg_advisory_xact_lock($1)`
	}
	mine := false
	err = l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
		byIndex(b)
		b.Queue(`SET LOCAL synchronous_commit = off`) // what is lost is indexed again
		b.Queue(`SET LOCAL lock_timeout = '1s'`)
		each(b, func(rows pgx.Rows) error { return rows.Scan(&mine) }, lock, l.key("index", ""))
	}, func(t *tx) error {
		if more = false; !mine {
			return nil
		}
		found, rest, err := t.readUnindexed()
		if err != nil || len(found) == 0 {
			return err
		}
		more = rest
		return t.storeSummaries(found)
	})
	return more, err
}

// readUnindexed locks and reads the newest conversations that are not indexed, so that after an upgrade what is asked for
// most is there first. One that is being changed has its turn later.
func (t *tx) readUnindexed() (found []*unindexed, more bool, err error) {
	var b pgx.Batch
	var numbers []int64
	of := 0
	each(&b, func(rows pgx.Rows) error {
		u := &unindexed{routes: map[string]bool{}}
		err := rows.Scan(&u.number, &u.id, &u.revision, &u.bodies, &u.packed, &u.first, &of)
		found, numbers = append(found, u), append(numbers, u.number)
		return err
	}, `WITH next AS MATERIALIZED (SELECT number, id, day, revision, bodies, first_at, seen_at FROM conversation WHERE indexed < revision
			ORDER BY number DESC LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
		SELECT n.number, n.id, n.revision, n.bodies, n.decoded, `+firstAt("n")+`, n.of FROM (
			SELECT n.*, b.decoded, count(*) OVER () AS of, sum(length(b.decoded)) OVER (ORDER BY n.number DESC) - length(b.decoded) AS before
			FROM next n LEFT JOIN body b ON n.bodies AND b.day = n.day AND b.conversation = n.number AND b.revision = n.revision) n
		WHERE n.before IS NULL OR n.before < $2`, indexBatch, indexBytes)
	if err := t.send(&b); err != nil || len(found) == 0 {
		return nil, false, err
	}
	b = pgx.Batch{}
	each(&b, func(rows pgx.Rows) error {
		var number int64
		var routes string
		if err := rows.Scan(&number, &routes); err != nil {
			return err
		}
		names, err := row.UnpackRoutes(routes)
		if err != nil {
			return err
		}
		u := found[slices.Index(numbers, number)]
		u.routed = true
		for _, name := range names {
			u.routes[name] = true
		}
		return nil
	}, `SELECT conversation, routes FROM delivery WHERE conversation = ANY ($1)`, numbers)
	return found, of == indexBatch || of > len(found), t.send(&b)
}

// firstAt is when the first hook of a conversation came. Of what programs of version 1 stored that is when the oldest body
// came, or if all are gone the newest hook.
func firstAt(table string) string {
	return strings.ReplaceAll(`CASE WHEN c.first_at > 0 THEN c.first_at ELSE coalesce((SELECT min(f.received_at) FROM body f
		WHERE c.bodies AND f.day = c.day AND f.conversation = c.number AND f.received_at > 0), c.seen_at) END`, "c.", table+".")
}

// hour is that of a time in microseconds, since 1970.
func hour(micros int64) int32 { return int32(micros / time.Hour.Microseconds()) }

// storeSummaries queues the summaries of conversations.
func (t *tx) storeSummaries(all []*unindexed) error {
	var c struct {
		numbers                                                                            []int64
		messages                                                                           []int32
		ratings                                                                            []*float64
		sources, brands, outcomes, externals, visitors, emails, domains, openings, vectors []string
	}
	for _, u := range all {
		if !u.bodies {
			continue
		}
		s, err := t.ledger.summarize(u)
		if err != nil {
			t.ledger.options.Logger.Warn("a conversation cannot be searched", "conversation", u.id, "error", err)
		}
		c.numbers, c.messages, c.ratings = append(c.numbers, u.number), append(c.messages, int32(s.Messages)), append(c.ratings, s.Rating)
		c.sources, c.brands = append(c.sources, clean(s.Source)), append(c.brands, clean(s.Brand))
		c.outcomes, c.externals = append(c.outcomes, clean(s.Outcome)), append(c.externals, clip(s.ExternalID))
		c.visitors, c.emails = append(c.visitors, clean(s.Visitor)), append(c.emails, clip(s.Email))
		c.domains = append(c.domains, clip(s.Domain))
		c.openings, c.vectors = append(c.openings, clean(s.Opening)), append(c.vectors, vector(strings.Fields(s.SearchText())))
	}
	t.write(`INSERT INTO summary (conversation, source, brand, outcome, external_id, visitor, email, domain, rating, messages, opening, words)
		SELECT conversation, source, brand, outcome, external_id, visitor, email, domain, rating, messages, opening, words::tsvector
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::float8[], $10::int[],
		$11::text[], $12::text[]) AS u (conversation, source, brand, outcome, external_id, visitor, email, domain, rating, messages, opening, words)
		ON CONFLICT (conversation) DO UPDATE SET source = excluded.source, brand = excluded.brand, outcome = excluded.outcome,
		external_id = excluded.external_id, visitor = excluded.visitor, email = excluded.email, domain = excluded.domain, rating = excluded.rating,
		messages = excluded.messages, opening = excluded.opening, words = excluded.words`,
		c.numbers, c.sources, c.brands, c.outcomes, c.externals, c.visitors, c.emails, c.domains, c.ratings, c.messages, c.openings, c.vectors)
	return t.storeIndexed(all)
}

// storeIndexed queues what the conversations themselves tell after they were indexed.
func (t *tx) storeIndexed(all []*unindexed) error {
	var numbers, first []int64
	var revisions, hours []int32
	var unrouted []bool
	var lists []string
	for _, u := range all {
		routes, err := row.PackRoutes(slices.Sorted(maps.Keys(u.routes)))
		if err != nil {
			return err
		}
		numbers, first, hours = append(numbers, u.number), append(first, u.first), append(hours, hour(u.first))
		revisions, unrouted, lists = append(revisions, int32(u.revision)), append(unrouted, !u.routed), append(lists, routes)
	}
	t.write(`UPDATE conversation c SET indexed = u.revision, unrouted = u.unrouted, first_at = u.first,
		routes = ARRAY(SELECT jsonb_array_elements_text(u.routes::jsonb))
		FROM unnest($1::bigint[], $2::int[], $3::boolean[], $4::text[], $5::bigint[]) AS u (number, revision, unrouted, routes, first)
		WHERE c.number = u.number`, numbers, revisions, unrouted, lists, first)
	t.write(`INSERT INTO arrival AS a (hour, low, high) SELECT hour, min(number), max(number) FROM unnest($1::int[], $2::bigint[]) AS u (hour, number)
		GROUP BY hour ON CONFLICT (hour) DO UPDATE SET low = least(a.low, excluded.low), high = greatest(a.high, excluded.high)
		WHERE a.low > excluded.low OR a.high < excluded.high`, hours, numbers)
	return nil
}

func (l *Ledger) summarize(u *unindexed) (row.Summary, error) {
	if u.packed == nil {
		return row.Summary{}, row.ErrNoBody
	}
	conversation, err := l.codec.UnpackConversation(u.packed, u.id, u.revision)
	if err != nil {
		return row.Summary{}, err
	}
	return row.Summarize(&conversation), nil
}

// longestKey is how many bytes an index compares of a text that a stranger chose; PostgreSQL takes no entry that is much
// longer.
const longestKey = 1000

// clip makes text that an index takes.
func clip(s string) string {
	if s = clean(s); len(s) > longestKey {
		s = clean(s[:longestKey])
	}
	return s
}

const (
	// mostPositions is how many places of one word are kept in one conversation, as many as PostgreSQL keeps: later ones
	// are found as words and not as parts of phrases. All words together have fewer places than it takes.
	// https://www.postgresql.org/docs/current/textsearch-limitations.html
	mostPositions = 255
	// mostWords bounds the different words of one conversation, in bytes: a tsvector takes a mebibyte.
	mostWords = 700 << 10
)

// vector writes words as a tsvector. They are letters and digits, so nothing needs an escape.
func vector(words []string) string {
	places := map[string][]int{}
	size := 0
	for i, word := range words {
		at, known := places[word]
		if !known {
			if size += len(word) + 1; size > mostWords {
				continue
			}
		}
		if len(at) < mostPositions {
			at = append(at, i+1)
		}
		places[word] = at
	}
	var text strings.Builder
	for _, word := range slices.Sorted(maps.Keys(places)) {
		fmt.Fprintf(&text, "'%s'", word)
		for i, at := range places[word] {
			fmt.Fprintf(&text, "%c%d", ":,"[min(i, 1)], at)
		}
		text.WriteByte(' ')
	}
	return text.String()
}

// searched writes what Filter.Text asks for as a tsquery; "" if there is no word in it.
func searched(texts []string) string {
	var all []string
	for _, phrase := range row.Phrases(texts) {
		words := make([]string, len(phrase.Words))
		for i, word := range phrase.Words {
			words[i] = "'" + word + "'"
		}
		if phrase.Prefix {
			words[len(words)-1] += ":*"
		}
		all = append(all, "("+strings.Join(words, " <-> ")+")")
	}
	return strings.Join(all, " & ")
}
