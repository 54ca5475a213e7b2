// This file makes SQL of a filter. A list is read along an index, newest first, so that a page costs what it holds and
// not what the ledger holds: the condition that selects least drives, the others are looked at row by row. Where a
// condition allows several values there is an arm for each, and the arms are merged.

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	// manyRows is up to how many rows are counted to find the condition that selects least.
	manyRows = 20000
	// fewRows is up to how many rows are held against all that a text matches; beyond them the text is the better guide.
	fewRows = 500
	// fewRatings is how many different ratings have an arm each; beyond them the list is read along the numbers.
	fewRatings = 20
)

// selection is a filter about to be asked.
type selection struct {
	view       *sql.Tx
	f          ledger.Filter
	phrases    []row.Phrase
	deliveries bool     // rows are deliveries, not conversations
	unfolds    bool     // rows are conversations that have such a delivery
	targets    []string // that have ever had a delivery
	low, high  int64    // numbers between which the time allows conversations
	oldest     bool     // in the order of arrival
	held       []int64  // conversations for which all texts hold, some as the id of a receipt
	died       int64    // deliveries that were dead then and have been so since; 0: any
}

// arm is a part of a selection that one index answers in the order of arrival.
type arm struct {
	from   string // the table that drives comes first
	number string // of the conversation, as an expression
	where  []string
	args   []any
	target string // the only one of its deliveries; "" if there are others
	has    string // aliases of the tables that it has: c conversation, s summary, d delivery, f search
	double bool   // a conversation may be there twice
}

func (a *arm) and(where string, args ...any) {
	a.where, a.args = append(a.where, where), append(a.args, args...)
}

// spot is where a row is in a list.
type spot struct {
	number int64
	target string
}

// newSelection reads what must be known before a question can be put.
func newSelection(ctx context.Context, view *sql.Tx, f ledger.Filter, deliveries bool) (*selection, error) {
	q := &selection{view: view, f: f, phrases: row.Phrases(f.Text), deliveries: deliveries, low: 1, high: math.MaxInt64}
	rows, err := view.QueryContext(ctx, `SELECT target FROM counter`)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		var target string
		err := rows.Scan(&target)
		q.targets = append(q.targets, target)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := q.hold(ctx); err != nil {
		return nil, err
	}
	return q, q.bound(ctx)
}

const hour = 3600e6

// bound finds the numbers between which the time of the filter allows conversations. What has not been indexed may be
// anywhere.
func (q *selection) bound(ctx context.Context) error {
	if q.f.Since.IsZero() && q.f.Until.IsZero() {
		return nil
	}
	since, until := row.Micros(q.f.Since), int64(math.MaxInt64)
	if !q.f.Until.IsZero() {
		until = row.Micros(q.f.Until)
	}
	var behind, before bool
	err := q.view.QueryRowContext(ctx, `SELECT coalesce(min(low), 1), coalesce(max(high), 0),
		(SELECT coalesce(max(number), 0) FROM conversation) > (SELECT n FROM progress WHERE name = 'newest'),
		(SELECT n FROM progress WHERE name = 'oldest') > 1
		FROM arrival WHERE hour BETWEEN ? AND ?`, since/hour, until/hour).Scan(&q.low, &q.high, &behind, &before)
	if behind {
		q.high = math.MaxInt64
	}
	if before {
		q.low = 1
	}
	return err
}

// in is a condition that a column has one of some values.
func in[T any](column string, values []T) (string, []any) {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", args
}

// match is the question to the full-text index.
func (q *selection) match() string { return matching(q.phrases) }

func matching(phrases []row.Phrase) string {
	var parts []string
	for _, p := range phrases {
		part := `"` + strings.Join(p.Words, " ") + `"`
		if p.Prefix {
			part += " *"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " AND ")
}

// ofDeliveries tells whether the filter says anything of deliveries.
func (q *selection) ofDeliveries() bool {
	f := &q.f
	return len(f.Targets)+len(f.States)+len(f.Routes)+len(f.Classes)+len(f.Receipts) > 0 || f.Live || !f.FailedSince.IsZero() || !f.FailedUntil.IsZero()
}

// ofSummary tells whether the filter says anything that only summary knows.
func (q *selection) ofSummary() bool {
	f := &q.f
	return len(f.Sources)+len(f.Brands)+len(f.Outcomes)+len(f.ExternalIDs)+len(f.Emails) > 0 ||
		f.MinRating != nil || f.MaxRating != nil || f.Unrouted
}

// indexed tells whether the answer depends on what the indexer has done.
func indexed(f ledger.Filter) bool {
	q := &selection{f: f}
	return q.ofSummary() || len(row.Phrases(f.Text))+len(f.Routes) > 0 || !f.Since.IsZero() || !f.Until.IsZero()
}

// delivery are the conditions on a row d of delivery.
func (q *selection) delivery(a *arm) {
	f := &q.f
	for column, values := range map[string][]string{"d.target": f.Targets, "d.class": f.Classes} {
		if len(values) > 0 {
			where, args := in(column, values)
			a.and(where, args...)
		}
	}
	if len(f.States) > 0 {
		numbers := make([]int, len(f.States))
		for i, s := range f.States {
			numbers[i] = int(s)
		}
		where, args := in("d.state", numbers)
		a.and(where, args...)
	}
	if len(f.Routes) > 0 {
		where, args := in("value", f.Routes)
		a.and("EXISTS (SELECT 1 FROM json_each(d.routes) WHERE "+where+")", args...)
	}
	if f.Live {
		a.and("d.imported = 0")
	}
	if len(f.Receipts) > 0 {
		where, args := in("d.receipt ->> '$.id'", f.Receipts)
		a.and("d.receipt <> '' AND "+where, args...)
	}
	if !f.FailedSince.IsZero() {
		a.and("d.failed_at >= ?", row.Micros(f.FailedSince))
	}
	if !f.FailedUntil.IsZero() {
		a.and("d.failed_at > 0 AND d.failed_at < ?", row.Micros(f.FailedUntil))
	}
}

// summary are the conditions on a row s of summary.
func (q *selection) summary(a *arm) {
	f := &q.f
	for column, values := range map[string][]string{
		"s.source": f.Sources, "s.brand": f.Brands, "s.outcome": f.Outcomes,
	} {
		if len(values) > 0 {
			where, args := in(column, values)
			a.and(where, args...)
		}
	}
	for _, m := range [][]row.Match{externalIDs(f), emails(f)} {
		if len(m) > 0 {
			where, args := anyMatch(m)
			a.and(where, args...)
		}
	}
	if f.MinRating != nil {
		a.and("s.rating >= ?", *f.MinRating)
	}
	if f.MaxRating != nil {
		a.and("s.rating <= ?", *f.MaxRating)
	}
	if f.Unrouted {
		a.and("s.unrouted = 1 AND NOT EXISTS (SELECT 1 FROM delivery u WHERE u.conversation = s.number)")
	}
}

// complete adds to an arm all that the filter says, and after it, what follows the spot after.
func (q *selection) complete(a arm, after *spot) arm {
	a.where, a.args = slices.Clone(a.where), slices.Clone(a.args)
	join := func(alias, table, column string) {
		if !strings.Contains(a.has, alias) {
			a.from += fmt.Sprintf(" CROSS JOIN %s %s ON %s.%s = %s", table, alias, alias, column, a.number)
			a.has += alias
		}
	}
	if q.ofSummary() {
		join("s", "summary", "number")
		q.summary(&a)
	}
	if q.f.Chats {
		join("c", "conversation", "number")
		a.and("c.platform <> ?", chat.OwnPlatform)
	}
	if len(q.f.IDs) > 0 {
		join("c", "conversation", "number")
		a.and("c.id IN (SELECT value FROM json_each(?))", list(q.f.IDs))
	}
	if !q.f.Since.IsZero() || !q.f.Until.IsZero() {
		join("c", "conversation", "number")
		a.and(a.number+" BETWEEN ? AND ?", q.low, q.high)
		const first = `CASE c.first_at WHEN 0 THEN
			coalesce((SELECT received_at FROM body b WHERE b.conversation = c.number AND b.revision = 1), c.seen_at) ELSE c.first_at END`
		if !q.f.Since.IsZero() {
			a.and(first+" >= ?", row.Micros(q.f.Since))
		}
		if !q.f.Until.IsZero() {
			a.and(first+" < ?", row.Micros(q.f.Until))
		}
	}
	if len(q.phrases) > 0 && !strings.Contains(a.has, "f") {
		// Not a question for each row: the beginning of a word is looked up as a whole. Hits that are not of this arm are left
		// out in passing, for to remember a million takes twice as long. The sign keeps SQLite from asking for each of them.
		where := a.number + " IN (SELECT f.rowid FROM search f WHERE f.search MATCH ? AND f.rowid BETWEEN ? AND ? AND +f.rowid IN (SELECT " + a.number + " FROM " + a.from + a.condition() + "))"
		args := append([]any{q.match(), q.low, q.high}, a.args...)
		if len(q.held) > 0 {
			where, args = "("+where+" OR "+a.number+" IN (SELECT value FROM json_each(?)))", append(args, list(q.held))
		}
		a.and(where, args...)
	}
	switch {
	case q.deliveries:
		join("d", "delivery", "conversation")
		q.delivery(&a)
		q.dead(&a)
	case strings.Contains(a.has, "d"):
		q.delivery(&a)
		q.dead(&a)
	case q.ofDeliveries() || q.unfolds:
		b := arm{}
		b.and("d.conversation = " + a.number)
		q.delivery(&b)
		q.dead(&b)
		a.and("EXISTS (SELECT 1 FROM delivery d"+b.condition()+")", b.args...)
	}
	if after == nil {
		return a
	}
	// The row after a spot has a later target of the same conversation, or another conversation.
	op := " < ?"
	switch later := q.deliveries && a.target > after.target; {
	case q.oldest && later:
		op = " >= ?"
	case q.oldest:
		op = " > ?"
	case later:
		op = " <= ?"
	}
	a.and(a.number+op, after.number)
	return a
}

// dead is that a delivery d is dead since before the selection was made.
func (q *selection) dead(a *arm) {
	if q.died > 0 {
		a.and("d.state = 2 AND d.settled_at <= ?", q.died)
	}
}

func list(values any) string {
	text, _ := json.Marshal(values) // of strings and numbers
	return string(text)
}

// condition is SQL for an arm's end.
func (a *arm) condition() string {
	if len(a.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(a.where, " AND ")
}

// drive returns the arms along which the selection is best read: those of the condition that selects least.
func (q *selection) drive(ctx context.Context) ([]arm, error) {
	candidates, err := q.drivers(ctx)
	text := q.byText()
	switch {
	case err != nil:
		return nil, err
	case len(candidates) == 0 && text == nil:
		return q.everything(), nil
	case len(candidates) == 0:
		return text, nil
	case len(candidates) == 1 && text == nil:
		return candidates[0], nil
	}
	best, least := candidates[0], manyRows
	for _, arms := range candidates {
		n, err := q.estimate(ctx, arms, least)
		if err != nil {
			return nil, err
		}
		if n < least {
			best, least = arms, n
		}
	}
	if text == nil {
		return best, nil
	}
	n, err := q.estimate(ctx, text, least)
	if n < least || least > fewRows {
		best = text
	}
	return best, err
}

// estimate counts the rows of arms, but for the other conditions, up to a limit.
func (q *selection) estimate(ctx context.Context, arms []arm, limit int) (n int, err error) {
	for _, a := range arms {
		var more int
		err := q.view.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+a.from+a.condition()+` LIMIT ?)`,
			append(slices.Clone(a.args), limit-n)...).Scan(&more)
		if err != nil {
			return 0, err
		}
		if n += more; n >= limit {
			break
		}
	}
	return n, nil
}

// byText is the arm of the full-text index; nil: no text is asked for.
func (q *selection) byText() []arm {
	if len(q.phrases) == 0 || len(q.f.IDs) > 0 {
		return nil
	}
	a := arm{from: "search f", number: "f.rowid", has: "f"}
	a.and("f.search MATCH ?", q.match())
	if len(q.held) == 0 {
		return []arm{a}
	}
	a.and("f.rowid NOT IN (SELECT value FROM json_each(?))", list(q.held))
	held := arm{from: "conversation c", number: "+c.number", has: "cf"}
	held.and("c.number IN (SELECT value FROM json_each(?))", list(q.held))
	return []arm{a, held}
}

// everything is read along the numbers.
func (q *selection) everything() []arm {
	return []arm{{from: "conversation c", number: "c.number", has: "c"}}
}

// drivers lists the conditions that can drive; where counting does not tell, an earlier one does.
func (q *selection) drivers(ctx context.Context) (candidates [][]arm, err error) {
	f := &q.f
	if len(f.IDs) > 0 {
		// The sign keeps SQLite from looking at all numbers in their order for the few that are wanted.
		a := arm{from: "conversation c", number: "+c.number", has: "c"}
		a.and("c.id IN (SELECT value FROM json_each(?))", list(f.IDs))
		return [][]arm{{a}}, nil
	}
	bySummary := func(column string, values []string) {
		var arms []arm
		for _, v := range distinct(values) {
			a := arm{from: "summary s INDEXED BY summary_" + column, number: "s.number", has: "s"}
			a.and("s."+column+" = ?", v)
			arms = append(arms, a)
		}
		if len(arms) > 0 {
			candidates = append(candidates, arms)
		}
	}
	for _, m := range [][]row.Match{externalIDs(f), emails(f)} {
		arms, err := q.byMatches(ctx, m)
		if err != nil {
			return nil, err
		}
		if len(arms) > 0 {
			candidates = append(candidates, arms)
		}
	}
	if len(f.Receipts) > 0 {
		a := arm{from: "delivery d INDEXED BY receipts", number: "+d.conversation", has: "d", double: true}
		where, args := in("d.receipt ->> '$.id'", f.Receipts)
		a.and("d.receipt <> '' AND "+where, args...)
		candidates = append(candidates, []arm{a})
	}
	if arms := q.byDelivery(); len(arms) > 0 {
		candidates = append(candidates, arms)
	}
	if !f.FailedSince.IsZero() || !f.FailedUntil.IsZero() {
		a := arm{from: "delivery d INDEXED BY failed", number: "+d.conversation", has: "d", double: true}
		until := int64(math.MaxInt64)
		if !f.FailedUntil.IsZero() {
			until = row.Micros(f.FailedUntil)
		}
		a.and("d.failed_at > 0 AND d.failed_at BETWEEN ? AND ?", row.Micros(f.FailedSince), until)
		candidates = append(candidates, []arm{a})
	}
	if f.Unrouted {
		a := arm{from: "summary s INDEXED BY summary_unrouted", number: "s.number", has: "s"}
		a.and("s.unrouted = 1")
		candidates = append(candidates, []arm{a})
	}
	if arms, err := q.byRating(ctx); err != nil {
		return nil, err
	} else if arms != nil {
		candidates = append(candidates, arms)
	}
	if len(f.Routes) == 1 {
		a := arm{from: "routed r", number: "r.number"}
		a.and("r.route = ?", f.Routes[0])
		candidates = append(candidates, []arm{a})
	} else if len(f.Routes) > 1 {
		where, args := in("route", f.Routes)
		candidates = append(candidates, []arm{{from: "(SELECT DISTINCT number FROM routed WHERE " + where + ") r", number: "r.number", args: args}})
	}
	bySummary("outcome", f.Outcomes)
	bySummary("brand", f.Brands)
	bySummary("source", f.Sources)
	return candidates, nil
}

func distinct(values []string) []string { return slices.Compact(slices.Sorted(slices.Values(values))) }

// byDelivery are arms for each target, state and class.
func (q *selection) byDelivery() (arms []arm) {
	f := &q.f
	if len(f.Targets)+len(f.States)+len(f.Classes) == 0 {
		return nil
	}
	targets, states := q.targets, []ledger.State{ledger.Pending, ledger.Delivered, ledger.Dead, ledger.Skipped, ledger.Superseded}
	if len(f.Targets) > 0 {
		targets = distinct(f.Targets)
	}
	byClass := len(f.Classes) > 0 && !slices.Contains(f.Classes, "")
	if byClass {
		states = []ledger.State{ledger.Pending, ledger.Dead} // no others have failed
	}
	if len(f.States) > 0 {
		states = slices.DeleteFunc(states, func(s ledger.State) bool { return !slices.Contains(f.States, s) })
	}
	for _, target := range targets {
		for _, state := range states {
			if !byClass {
				a := arm{from: "delivery d INDEXED BY listing", number: "d.conversation", target: target, has: "d"}
				a.and("d.target = ? AND d.state = ?", target, int(state))
				arms = append(arms, a)
				continue
			}
			for _, class := range distinct(f.Classes) {
				a := arm{from: "delivery d INDEXED BY failing", number: "d.conversation", target: target, has: "d"}
				a.and("d.class <> '' AND d.target = ? AND d.class = ? AND d.state = ?", target, class, int(state))
				arms = append(arms, a)
			}
		}
	}
	if len(arms) == 0 { // nothing can be selected
		a := arm{from: "delivery d", number: "d.conversation", has: "d"}
		a.and("false")
		return []arm{a}
	}
	return arms
}

// byRating has an arm for each rating in the range; nil: there are too many.
func (q *selection) byRating(ctx context.Context) ([]arm, error) {
	if q.f.MinRating == nil && q.f.MaxRating == nil {
		return nil, nil
	}
	least, most := math.Inf(-1), math.Inf(1)
	if q.f.MinRating != nil {
		least = *q.f.MinRating
	}
	if q.f.MaxRating != nil {
		most = *q.f.MaxRating
	}
	arms := []arm{}
	for op := ">="; ; op = ">" {
		var next sql.NullFloat64
		err := q.view.QueryRowContext(ctx, `SELECT min(rating) FROM summary WHERE rating IS NOT NULL AND rating `+op+` ? AND rating <= ?`,
			least, most).Scan(&next)
		switch {
		case err != nil:
			return nil, err
		case !next.Valid && len(arms) == 0:
			a := arm{from: "summary s", number: "s.number", has: "s"}
			a.and("false")
			return []arm{a}, nil
		case !next.Valid:
			return arms, nil
		case len(arms) == fewRatings:
			return nil, nil
		}
		least = next.Float64
		a := arm{from: "summary s INDEXED BY summary_rating", number: "s.number", has: "s"}
		a.and("s.rating = ? AND s.rating IS NOT NULL", least)
		arms = append(arms, a)
	}
}

// spots reads the first rows of the selection after a spot, at most so many.
func (q *selection) spots(ctx context.Context, after *spot, limit int) (found []spot, err error) {
	arms, err := q.drive(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range arms {
		var part []spot
		if q.deliveries && a.target == "" {
			part, err = q.unfold(ctx, a, after, limit)
		} else {
			part, err = q.ask(ctx, q.complete(a, after), limit)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, part...)
	}
	slices.SortFunc(found, q.order)
	found = slices.Compact(found)
	return found[:min(len(found), limit)], nil
}

// order compares two rows of the list.
func (q *selection) order(a, b spot) int {
	byNumber := cmp.Compare(a.number, b.number)
	if !q.oldest {
		byNumber = -byNumber
	}
	return cmp.Or(byNumber, cmp.Compare(a.target, b.target))
}

// ask reads the first rows of a complete arm.
func (q *selection) ask(ctx context.Context, a arm, limit int) (found []spot, err error) {
	columns, order := a.number, ""
	if a.double {
		columns = "DISTINCT " + columns
	}
	if !q.oldest {
		order = " DESC"
	}
	rows, err := q.view.QueryContext(ctx, "SELECT "+columns+" FROM "+a.from+a.condition()+" ORDER BY "+a.number+order+" LIMIT 0 + ?", append(a.args, limit)...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		p := spot{}
		if q.deliveries {
			p.target = a.target
		}
		err := rows.Scan(&p.number)
		found = append(found, p)
		return err
	})
	return found, err
}

// unfold reads deliveries along an arm that has conversations, or several deliveries of one: the conversations that have
// any first, then which.
func (q *selection) unfold(ctx context.Context, a arm, after *spot, limit int) (found []spot, err error) {
	outer := *q
	outer.deliveries, outer.unfolds = false, true
	var from *spot
	if after != nil {
		from = &spot{number: after.number + 1} // that of after has more, perhaps
		if q.oldest {
			from.number = after.number - 1
		}
	}
	conversations, err := outer.ask(ctx, outer.complete(a, from), limit+1)
	if err != nil || len(conversations) == 0 {
		return nil, err
	}
	inner := arm{from: "delivery d", number: "d.conversation", has: "d"}
	inner.and("d.conversation IN (SELECT value FROM json_each(?))", list(numbersOf(conversations)))
	q.delivery(&inner)
	q.dead(&inner)
	rows, err := q.view.QueryContext(ctx, "SELECT d.conversation, d.target FROM "+inner.from+inner.condition(), inner.args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		var p spot
		err := rows.Scan(&p.number, &p.target)
		if after == nil || q.order(p, *after) > 0 {
			found = append(found, p)
		}
		return err
	})
	return found, err
}

// count counts the selection, to at most limit.
func (q *selection) count(ctx context.Context, limit int64) (n int64, err error) {
	arms, err := q.drive(ctx)
	if err != nil {
		return 0, err
	}
	for _, a := range arms {
		a = q.complete(a, nil)
		var more int64
		err := q.view.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+a.from+a.condition()+" LIMIT ?)", append(a.args, limit-n)...).Scan(&more)
		if err != nil {
			return 0, err
		}
		if n += more; n >= limit {
			return limit, nil
		}
	}
	return n, nil
}
