// This file makes SQL of what is looked for in addresses and ids: beginnings, domains, ids of receipts.

package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// externalIDs and emails are what a filter says of them.
func externalIDs(f *ledger.Filter) []row.Match { return matches(f.ExternalIDs, row.MatchExternalID) }
func emails(f *ledger.Filter) []row.Match      { return matches(f.Emails, row.MatchEmail) }

func matches(values []string, read func(string) row.Match) (all []row.Match) {
	for _, v := range values {
		if m := read(v); !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

// matchSQL is SQL for a match with a row s of summary.
func matchSQL(m row.Match) (where string, args []any) {
	column := "s." + m.Column
	if !m.Prefix {
		return column + " = ?", []any{m.Value}
	}
	if behind := row.Behind(m.Value); behind != "" {
		return column + " >= ? AND " + column + " < ?", []any{m.Value, behind}
	}
	return column + " >= ?", []any{m.Value}
}

// anyMatch is SQL for any of some matches.
func anyMatch(all []row.Match) (where string, args []any) {
	var parts []string
	for _, m := range all {
		one, values := matchSQL(m)
		parts, args = append(parts, one), append(args, values...)
	}
	return "(" + strings.Join(parts, " OR ") + ")", args
}

// byMatches has an arm for each match; nil: something else is to drive. What is not in the order of arrival has to be
// sorted, so a beginning that very many have is of no use.
func (q *selection) byMatches(ctx context.Context, all []row.Match) ([]arm, error) {
	arms := byMatch(all)
	if !slices.ContainsFunc(all, func(m row.Match) bool { return m.Prefix }) && len(arms) == len(all) {
		return arms, nil
	}
	if n, err := q.estimate(ctx, arms, manyRows); err != nil || n >= manyRows {
		return nil, err
	}
	return arms, nil
}

// byMatch has an arm for each match; nil: it looks for what is not there. Matches that may find the same share one.
func byMatch(all []row.Match) (arms []arm) {
	whole := true
	for _, m := range all {
		if m.Value == "" {
			return nil
		}
		whole = whole && !m.Prefix && m.Column == all[0].Column
	}
	if len(all) > 1 && !whole {
		var parts []string
		a := arm{from: "summary s", number: "+s.number", has: "s"}
		for _, m := range all {
			where, args := matchSQL(m)
			parts, a.args = append(parts, where+" AND s."+m.Column+" <> ''"), append(a.args, args...)
		}
		a.where = []string{"(" + strings.Join(parts, " OR ") + ")"}
		return []arm{a}
	}
	for _, m := range all {
		a := arm{from: "summary s INDEXED BY summary_" + m.Column, number: "s.number", has: "s"}
		where, args := matchSQL(m)
		a.and(where+" AND s."+m.Column+" <> ''", args...)
		arms = append(arms, a)
	}
	return arms
}

// mostHeld is how many deliveries with a receipt of one id are looked at.
const mostHeld = 1000

// hold finds the conversations for which all texts hold, some of them as the id of a receipt.
func (q *selection) hold(ctx context.Context) error {
	var texts [][2]string
	found := false
	for _, text := range q.f.Text {
		if phrases := row.Phrases([]string{text}); len(phrases) > 0 {
			id := row.ReceiptID(text)
			texts, found = append(texts, [2]string{id, matching(phrases)}), found || id != ""
		}
	}
	if !found {
		return nil
	}
	rows, err := q.view.QueryContext(ctx, `WITH t (i, id, words) AS (SELECT key, value ->> 0, value ->> 1 FROM json_each(?)),
		r AS MATERIALIZED (SELECT t.i, d.conversation FROM t CROSS JOIN delivery d INDEXED BY receipts
			ON d.receipt <> '' AND d.receipt ->> '$.id' = t.id WHERE t.id <> '' LIMIT ?)
		SELECT conversation FROM (SELECT DISTINCT conversation FROM r) u WHERE NOT EXISTS (SELECT 1 FROM t
			WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.i = t.i AND r.conversation = u.conversation)
			AND NOT EXISTS (SELECT 1 FROM search f WHERE f.search MATCH t.words AND f.rowid = u.conversation))`, list(texts), mostHeld)
	if err != nil {
		return err
	}
	return each(rows, func(rows *sql.Rows) error {
		var number int64
		err := rows.Scan(&number)
		q.held = append(q.held, number)
		return err
	})
}
