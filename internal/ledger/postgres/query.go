// This file makes queries out of filters.

package postgres

import (
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// query is a query that is being written. Conditions name the tables c (conversation), s (summary) and d (delivery).
type query struct {
	args       []any
	talk       []string // of the conversation
	slip       []string // of one delivery
	summarized bool     // talk names s
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

// newQuery reads a filter. names are the names of targets that have changed.
func newQuery(f *ledger.Filter, names *names) *query {
	q := &query{}
	oneOf := func(conditions *[]string, column string, values []string) {
		if len(values) > 0 {
			*conditions = append(*conditions, column+" = ANY ("+q.arg(cleanAll(values))+"::text[])")
		}
	}
	oneOf(&q.talk, "c.id", f.IDs)
	if !f.Since.IsZero() {
		at := q.arg(row.Micros(f.Since))
		q.talk = append(q.talk, "(c.first_at >= "+at+" OR c.first_at = 0 AND c.seen_at >= "+at+")")
	}
	if !f.Until.IsZero() {
		at := q.arg(row.Micros(f.Until))
		q.talk = append(q.talk, "(c.first_at > 0 AND c.first_at < "+at+" OR c.first_at = 0 AND c.seen_at < "+at+")")
	}
	if f.Unrouted {
		q.talk = append(q.talk, "c.unrouted AND NOT EXISTS (SELECT FROM delivery n WHERE n.conversation = c.number)")
	}
	before := len(q.talk)
	oneOf(&q.talk, "s.source", f.Sources)
	oneOf(&q.talk, "s.brand", f.Brands)
	oneOf(&q.talk, "s.outcome", f.Outcomes)
	oneOf(&q.talk, "s.external_id", clipAll(f.ExternalIDs))
	emails := clipAll(f.Emails)
	for i := range emails {
		emails[i] = strings.ToLower(emails[i])
	}
	oneOf(&q.talk, "s.email", emails)
	if f.MinRating != nil {
		q.talk = append(q.talk, "s.rating >= "+q.arg(*f.MinRating)+"::float8")
	}
	if f.MaxRating != nil {
		q.talk = append(q.talk, "s.rating <= "+q.arg(*f.MaxRating)+"::float8")
	}
	if words := searched(f.Text); words != "" {
		q.talk = append(q.talk, "s.words @@ "+q.arg(words)+"::tsquery")
	}
	q.summarized = len(q.talk) > before
	q.ofDeliveries(f, names)
	return q
}

func clipAll(texts []string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = clip(text)
	}
	return all
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
	if !f.FailedSince.IsZero() {
		q.slip = append(q.slip, "d.failed_at > 0 AND d.failed_at >= "+q.arg(row.Micros(f.FailedSince)))
	}
	if !f.FailedUntil.IsZero() {
		q.slip = append(q.slip, "d.failed_at > 0 AND d.failed_at < "+q.arg(row.Micros(f.FailedUntil)))
	}
}

// speaksOfDeliveries tells whether a conversation has to have a certain delivery.
func (q *query) speaksOfDeliveries() bool {
	return len(q.slip) > 0 || q.targets != nil || q.states != nil || q.classes != nil
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
	where := append(append(slices.Clone(q.talk), q.slip...), more...)
	if q.targets == nil && q.states == nil && q.classes == nil {
		return "SELECT d.conversation, d.target FROM delivery d" + q.joins() + " WHERE " + and(where...) + " ORDER BY " + order + " LIMIT " + count
	}
	from, inner := q.branches()
	return "SELECT d.conversation, d.target FROM " + from + " CROSS JOIN LATERAL (SELECT d.conversation, d.target FROM delivery d" + q.joins() +
		" WHERE " + and(append(inner, where...)...) + " ORDER BY " + order + " LIMIT " + count + ") d ORDER BY " + order + " LIMIT " + count
}

// branches are the lists that a list is put together from: where they come from, and the conditions of each.
func (q *query) branches() (from string, inner []string) {
	states := q.states
	if states == nil {
		states = []int32{0, 1, 2, 3, 4}
	}
	targets := "(SELECT DISTINCT target FROM counter)"
	if q.targets != nil {
		targets = "(SELECT DISTINCT unnest(" + q.arg(q.targets) + "::text[]) AS target)"
	}
	from = targets + " AS t CROSS JOIN (SELECT DISTINCT unnest(" + q.arg(states) + "::int[]) AS state) AS u"
	inner = []string{"d.target = t.target", "d.state = u.state"}
	if q.classes != nil {
		from += " CROSS JOIN (SELECT DISTINCT unnest(" + q.arg(q.classes) + "::text[]) AS class) AS v"
		inner = append(inner, "d.class = v.class", "d.class <> ''")
	}
	return from, inner
}

// matching are all conditions of a delivery, for what is counted.
func (q *query) matching() []string {
	all := append(slices.Clone(q.talk), q.slip...)
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

// conversations writes the query of the numbers of conversations that the filter selects, the newest first. before is a
// condition of n, the number; "true" for the first page.
func (q *query) conversations(limit int, before func(column string) string) string {
	if q.targets != nil || q.states != nil || q.classes != nil {
		// Each branch has a conversation once, so limit of each are enough.
		keys := q.deliveries(limit, false, before("d.conversation"))
		_, rest, _ := strings.Cut(keys, " FROM ")
		rest = rest[:strings.LastIndex(rest, " ORDER BY ")]
		return "SELECT DISTINCT d.conversation FROM " + rest + " ORDER BY d.conversation DESC LIMIT " + q.arg(limit)
	}
	text := "SELECT c.number FROM conversation c"
	if q.summarized {
		text += " JOIN summary s ON s.conversation = c.number"
	}
	where := append(slices.Clone(q.talk), before("c.number"))
	if len(q.slip) > 0 {
		where = append(where, "EXISTS (SELECT FROM delivery d WHERE d.conversation = c.number AND "+and(q.slip...)+")")
	}
	return text + " WHERE " + and(where...) + " ORDER BY c.number DESC LIMIT " + q.arg(limit)
}
