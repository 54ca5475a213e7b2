// This file makes queries out of filters.

package postgres

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// query is a query that is being written. Conditions name the tables c (conversation), s (summary) and d (delivery).
type query struct {
	args       []any
	talk       []string // of the conversation
	slip       []string // of one delivery
	summarized bool     // talk names s
	bounded    bool     // only numbers from low to high are looked at
	low, high  int64
	known      []string // all targets
	targets    []string // nil: any
	states     []int32
	classes    []string
}

// arg adds an argument and returns its name.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// cleanAll makes texts that a database takes.
func cleanAll(texts []string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = clean(text)
	}
	return all
}

// newQuery reads a filter. known are all targets of the ledger, held what findHeld found, names those that have changed.
func newQuery(f *ledger.Filter, known []string, held []int64, names *names) *query {
	q := &query{known: known}
	oneOf := func(conditions *[]string, column string, values []string) {
		if len(values) > 0 {
			*conditions = append(*conditions, column+" = ANY ("+q.arg(cleanAll(values))+"::text[])")
		}
	}
	oneOf(&q.talk, "c.id", f.IDs)
	if !f.Since.IsZero() {
		q.talk = append(q.talk, "c.first_at >= "+q.arg(row.Micros(f.Since)))
	}
	if !f.Until.IsZero() {
		q.talk = append(q.talk, "c.first_at > 0 AND c.first_at < "+q.arg(row.Micros(f.Until)))
	}
	if f.Unrouted {
		q.talk = append(q.talk, "c.unrouted AND NOT EXISTS (SELECT FROM delivery n WHERE n.conversation = c.number)")
	}
	if f.Chats {
		q.talk = append(q.talk, "c.platform <> "+q.arg(chat.OwnPlatform))
	}
	words := searched(f.Text)
	if words != "" && len(held) > 0 {
		q.talk = append(q.talk, "c.number IN (SELECT unnest("+q.arg(held)+"::bigint[]) UNION SELECT conversation FROM summary WHERE words @@ "+q.arg(words)+"::tsquery)")
	}
	before := len(q.talk)
	oneOf(&q.talk, "s.source", f.Sources)
	oneOf(&q.talk, "s.brand", f.Brands)
	oneOf(&q.talk, "s.outcome", f.Outcomes)
	q.match(f.ExternalIDs, row.MatchExternalID)
	q.match(f.Emails, row.MatchEmail)
	if f.MinRating != nil {
		q.talk = append(q.talk, "s.rating >= "+q.arg(*f.MinRating)+"::float8")
	}
	if f.MaxRating != nil {
		q.talk = append(q.talk, "s.rating <= "+q.arg(*f.MaxRating)+"::float8")
	}
	if words != "" && len(held) == 0 {
		q.talk = append(q.talk, "s.words @@ "+q.arg(words)+"::tsquery")
	}
	q.summarized = len(q.talk) > before
	q.ofDeliveries(f, names)
	return q
}

// ofDeliveries reads what a filter says of deliveries.
func (q *query) ofDeliveries(f *ledger.Filter, names *names) {
	if len(f.Targets) > 0 {
		q.targets = cleanAll(f.Targets)
		for _, rename := range names.list() {
			// What was finished under the earlier name is moved bit by bit.
			if slices.Contains(q.targets, rename.New) {
				q.targets = append(q.targets, rename.Old)
			}
		}
	}
	for _, state := range f.States {
		q.states = append(q.states, int32(state))
	}
	switch classes := cleanAll(f.Classes); {
	case slices.Contains(classes, ""):
		q.slip = append(q.slip, "d.class = ANY ("+q.arg(classes)+"::text[])")
	case len(classes) > 0:
		q.classes = classes
	}
	if len(f.Routes) > 0 {
		routes := q.arg(cleanAll(f.Routes))
		q.talk = append(q.talk, "c.routes <> '{}' AND c.routes && "+routes+"::text[]")
		q.slip = append(q.slip, "d.routes::jsonb ?| "+routes+"::text[]")
	}
	if f.Live {
		q.slip = append(q.slip, "NOT d.imported")
	}
	if len(f.Receipts) > 0 {
		packed := make([]string, len(f.Receipts))
		for i, id := range f.Receipts {
			packed[i] = packedID(id)
		}
		ids := q.arg(packed)
		q.slip = append(q.slip, "d.receipt <> '' AND "+receiptID("d.receipt")+" IN (SELECT "+cutID("u.id")+" FROM unnest("+ids+"::text[]) AS u (id)) AND "+
			wholeID("d.receipt")+" = ANY ("+ids+"::text[])")
	}
	if !f.FailedSince.IsZero() {
		q.slip = append(q.slip, "d.failed_at > 0 AND d.failed_at >= "+q.arg(row.Micros(f.FailedSince)))
	}
	if !f.FailedUntil.IsZero() {
		q.slip = append(q.slip, "d.failed_at > 0 AND d.failed_at < "+q.arg(row.Micros(f.FailedUntil)))
	}
}

// needsIndex tells whether the answer depends on the indexer.
func needsIndex(f *ledger.Filter) bool {
	return len(f.Sources)+len(f.Brands)+len(f.Outcomes)+len(f.ExternalIDs)+len(f.Emails)+len(f.Text)+len(f.Routes) > 0 ||
		f.MinRating != nil || f.MaxRating != nil || f.Unrouted || !f.Since.IsZero() || !f.Until.IsZero()
}

// and joins conditions.
func and(conditions ...string) string {
	if len(conditions) == 0 {
		return "true"
	}
	return strings.Join(conditions, " AND ")
}

// joins are the tables beside d that the conditions name.
func (q *query) joins() string {
	text := ""
	if len(q.talk) > 0 {
		text += " JOIN conversation c ON c.number = d.conversation"
	}
	if q.summarized {
		text += " JOIN summary s ON s.conversation = d.conversation"
	}
	return text
}

// between bounds a column with numbers.
func (q *query) between(column string) []string {
	if !q.bounded || strings.HasPrefix(column, "c.") && len(q.talk) == 0 {
		return nil
	}
	return []string{column + " BETWEEN " + q.arg(q.low) + " AND " + q.arg(q.high)}
}

// deliveries writes the query of the keys of deliveries that the filter selects, the newest first, or the oldest first.
// more are further conditions of d.
//
// An index has the deliveries of one target in one state in order, so a list of several is put together from as many
// lists of limit rows: it costs the same however many deliveries there are that are not wanted.
func (q *query) deliveries(limit int, oldest bool, more ...string) string {
	order := "d.conversation DESC, d.target"
	if oldest {
		order = "d.conversation, d.target"
	}
	count := q.arg(limit)
	selection := "SELECT d.conversation, d.target FROM delivery d" + q.joins() + " WHERE " +
		and(slices.Concat(q.talk, q.slip, more, q.between("d.conversation"), q.between("c.number"))...)
	end := " ORDER BY " + order + " LIMIT " + count
	if !q.branched() {
		return selection + end
	}
	branches := q.branches()
	for i, branch := range branches {
		branches[i] = "(" + selection + " AND " + branch + end + ")"
	}
	return "SELECT d.conversation, d.target FROM (" + strings.Join(branches, " UNION ALL ") + ") AS d" + end
}

// branched tells whether lists are put together from others.
func (q *query) branched() bool { return q.targets != nil || q.states != nil || q.classes != nil }

// branches are the conditions of the lists that a list is put together from.
func (q *query) branches() (conditions []string) {
	targets, states := q.targets, q.states
	if targets == nil {
		targets = q.known
	}
	switch {
	case states != nil:
	case q.classes != nil:
		states = []int32{int32(ledger.Pending), int32(ledger.Dead)} // no others have a class
	default:
		states = []int32{0, 1, 2, 3, 4}
	}
	for _, target := range distinct(targets) {
		for _, state := range distinct(states) {
			condition := "d.target = " + q.arg(target) + " AND d.state = " + q.arg(state)
			if q.classes == nil {
				conditions = append(conditions, condition)
			}
			for _, class := range distinct(q.classes) {
				conditions = append(conditions, condition+" AND d.class <> '' AND d.class = "+q.arg(class))
			}
		}
	}
	if conditions == nil {
		return []string{"false"}
	}
	return conditions
}

// distinct returns every value once.
func distinct[T cmp.Ordered](values []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// matching are all conditions of a delivery, for what is counted.
func (q *query) matching() []string {
	all := slices.Concat(q.talk, q.slip, q.between("d.conversation"))
	if q.targets != nil {
		all = append(all, "d.target = ANY ("+q.arg(q.targets)+"::text[])")
	}
	if q.states != nil {
		all = append(all, "d.state = ANY ("+q.arg(q.states)+"::int[])")
	}
	if q.classes != nil {
		all = append(all, "d.class <> '' AND d.class = ANY ("+q.arg(q.classes)+"::text[])")
	}
	return all
}

// conversations writes the query of the numbers of conversations that the filter selects, the newest first. before makes
// a condition of a column with numbers.
func (q *query) conversations(limit int, before func(column string) string) string {
	if q.branched() {
		// Each of the lists has a conversation once, so limit rows of each are enough; all together have it more often.
		branches := strings.TrimPrefix(q.deliveries(limit, false, before("d.conversation")), "SELECT d.conversation, d.target FROM ")
		branches = branches[:strings.LastIndex(branches, " ORDER BY ")]
		return "SELECT DISTINCT d.conversation FROM " + branches + " ORDER BY d.conversation DESC LIMIT " + q.arg(limit)
	}
	text := "SELECT c.number FROM conversation c"
	if q.summarized {
		text += " JOIN summary s ON s.conversation = c.number"
	}
	where := append(slices.Concat(q.talk, q.between("c.number")), before("c.number"))
	if len(q.slip) > 0 {
		where = append(where, "EXISTS (SELECT FROM delivery d WHERE d.conversation = c.number AND "+and(q.slip...)+")")
	}
	return text + " WHERE " + and(where...) + " ORDER BY c.number DESC LIMIT " + q.arg(limit)
}
