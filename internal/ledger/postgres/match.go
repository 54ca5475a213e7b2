// This file looks for beginnings and domains of addresses and ids, and for ids of receipts.

package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// match adds that a column of summary is one of some values, or begins with it.
func (q *query) match(values []string, read func(string) row.Match) {
	whole := map[string][]string{} // by column
	var columns, parts []string
	for _, v := range values {
		m := read(clean(v))
		column := "s." + m.Column
		switch behind := row.Behind(clip(m.Value)); {
		case !m.Prefix:
			if whole[column] == nil {
				columns = append(columns, column)
			}
			whole[column] = append(whole[column], clip(m.Value))
		case behind == "":
			parts = append(parts, column+" >= "+q.arg(clip(m.Value)))
		default:
			parts = append(parts, column+" >= "+q.arg(clip(m.Value))+" AND "+column+" < "+q.arg(behind))
		}
	}
	for _, column := range columns {
		parts = append(parts, column+" = ANY ("+q.arg(whole[column])+"::text[])")
	}
	if len(parts) > 0 {
		q.talk = append(q.talk, "("+strings.Join(parts, " OR ")+")")
	}
}

// longestID is how many characters of an id an index of receipts compares.
const longestID = 250

func cutID(id string) string { return fmt.Sprintf("left(%s, %d)", id, longestID) }

// wholeID is SQL for the id in a receipt, as it stands in row.PackReceipt's JSON; NULL: it has none. It is not read as JSON:
// PostgreSQL refuses some that we may have to store, and a settlement must not fail because of an index.
func wholeID(receipt string) string {
	return `substring(` + receipt + ` FROM '^\{"id":"((?:[^"\\]|\\.)*)"')`
}

// receiptID is wholeID as its index has it.
func receiptID(receipt string) string { return cutID(wholeID(receipt)) }

// packedID is an id as it stands in a receipt; "" of none.
func packedID(id string) string {
	packed, err := row.PackReceipt(connectors.Receipt{ID: clean(id)})
	if err != nil {
		return ""
	}
	return clean(strings.TrimSuffix(strings.TrimPrefix(packed, `{"id":"`), `"}`))
}

// mostHeld is how many deliveries with a receipt of one id are looked at.
const mostHeld = 1000

// findHeld finds the conversations for which all texts hold, some of them as the id of a receipt.
func findHeld(ctx context.Context, from querier, texts []string) ([]int64, error) {
	var ids, words []string
	for _, text := range texts {
		if word := searched([]string{text}); word != "" {
			ids, words = append(ids, packedID(row.ReceiptID(text))), append(words, word)
		}
	}
	if !slices.ContainsFunc(ids, func(id string) bool { return id != "" }) {
		return nil, nil
	}
	rows, err := from.Query(ctx, `WITH t AS (SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (id, words, i)),
		r AS MATERIALIZED (SELECT t.i, d.conversation FROM t CROSS JOIN LATERAL (SELECT conversation FROM delivery WHERE receipt <> ''
			AND `+receiptID("receipt")+` = `+cutID("t.id")+` AND `+wholeID("receipt")+` = t.id LIMIT $3) d WHERE t.id <> '')
		SELECT DISTINCT u.conversation FROM r AS u WHERE NOT EXISTS (SELECT FROM t
			WHERE NOT EXISTS (SELECT FROM r WHERE r.i = t.i AND r.conversation = u.conversation)
			AND NOT EXISTS (SELECT FROM summary s WHERE s.conversation = u.conversation AND s.words @@ t.words::tsquery))`, ids, words, mostHeld)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
