// This file is the way in: an empty database is filled with all that a ledger of another engine has. A page is one
// transaction, and is written only if the database does not have the same already, so a copy that was cut goes on where
// it was, and what is compared at the end is what is written in between.

package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Origin is the ledger that is copied. Nobody changes it meanwhile.
type Origin interface {
	// Name is what a copy that was cut knows it by.
	Name() string
	// Conversations returns how many there are.
	Conversations(ctx context.Context) (int, error)
	// Page returns the rows of a table after a key, nil for the first page, and those of its children. Together pages have
	// everything, each key once.
	Page(ctx context.Context, t row.Table, after any) (row.Page, error)
	// Moved tells whether Move was called.
	Moved(ctx context.Context) (bool, error)
	// Move sees to it that nobody uses the ledger any more. It is called when the copy has been found equal, and before
	// it may be used.
	Move(ctx context.Context) error
}

// copied is the table of one row that tells of a copy. It is no part of the schema, for it is there after a copy only.
const copied = `CREATE TABLE copied (
	origin      text   NOT NULL,
	begun_at    bigint NOT NULL,
	finished_at bigint NOT NULL -- 0: nobody may use the ledger yet
)`

var (
	errUnfinished = errors.New("a copy into it was begun and not finished: run afterchat ledger copy again; or begin anew with DROP SCHEMA … CASCADE")
	errUsed       = errors.New("it is in use: stop the gateways and commands that have it open")
	errNotEmpty   = errors.New("it holds a ledger already: a copy goes into an empty database, or into another schema of it, which search_path in the URL names")
	errOther      = errors.New("a copy of another ledger was begun in it: finish that one, or begin anew with DROP SCHEMA … CASCADE")
	errMovedAway  = errors.New("it was copied to another database before; afterchat ledger copy --undo takes it back into use")
)

// Copy fills the database that url names with everything that from has, and compares both in the end. A copy that was
// cut is continued by doing it again. Until it is finished Open refuses the database; before that, from is told to be
// used no more. Leases of workers that settled nothing are void in the copy, and what they held is in doubt.
//
// progress hears how many of how many conversations have been copied, then compared.
func Copy(ctx context.Context, url string, o Options, from Origin, progress func(what string, done, of int)) (done ledger.Copied, err error) {
	o.copies = true
	l, err := Open(ctx, url, o)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	c := &copying{ledger: l, from: from, progress: progress, columns: map[string][]column{}, days: map[int]bool{}}
	if err := c.run(ctx); err != nil {
		return done, fmt.Errorf("copy to %s: %w", l.place, explain(err))
	}
	return c.done, nil
}

// checkCopied returns errUnfinished for a ledger that a copy has not filled yet.
func checkCopied(ctx context.Context, conn *pgx.Conn) error {
	finished, err := readCopied(ctx, conn, new(copyState))
	if err == nil && !finished {
		return errUnfinished
	}
	return err
}

// copyState is the row of the table copied.
type copyState struct {
	there             bool
	origin            string
	begunAt, finished int64
}

// readCopied returns whether the ledger may be used, as far as copies are concerned.
func readCopied(ctx context.Context, from rower, s *copyState) (bool, error) {
	if err := from.QueryRow(ctx, `SELECT to_regclass('copied') IS NOT NULL`).Scan(&s.there); err != nil || !s.there {
		return err == nil, err
	}
	err := from.QueryRow(ctx, `SELECT origin, begun_at, finished_at FROM copied`).Scan(&s.origin, &s.begunAt, &s.finished)
	return s.finished > 0, err
}

// copying is a copy under way.
type copying struct {
	ledger   *Ledger
	from     Origin
	progress func(what string, done, of int)
	state    copyState
	columns  map[string][]column
	days     map[int]bool // that have partitions
	there    int64        // the highest number of a conversation that an earlier run has written
	done     ledger.Copied
}

// column is a column of this engine.
type column struct {
	name, kind string
	optional   bool // it has a default
}

func (c *copying) run(ctx context.Context) error {
	if ready, err := c.begin(ctx); err != nil || ready {
		return err
	}
	if err := c.pass(ctx, "copied", c.write); err != nil {
		return err
	}
	c.done = ledger.Copied{}
	if err := c.pass(ctx, "compared", c.compare); err != nil {
		return err
	}
	findings, err := c.ledger.Verify(ctx)
	switch {
	case err != nil:
		return err
	case len(findings) > 0:
		return fmt.Errorf("the audit of the copy found %d faults, the first: %s %s", len(findings), findings[0].Target, findings[0].Text)
	}
	if _, err := c.ledger.pool.Exec(ctx, `ANALYZE conversation, body, delivery, attempt`); err != nil {
		return err // what the planner knows of an empty table would make the first minute slow
	}
	if err := c.from.Move(ctx); err != nil {
		return err
	}
	return c.retried(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT setval('conversation_number', greatest((SELECT max(number) FROM conversation), 1)),
			setval(pg_get_serial_sequence('audit', 'number'), greatest((SELECT max(number) FROM audit), 1))`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE copied SET finished_at = `+nowMicros)
		return err
	})
}

// retried runs do in a transaction, again if the connection was lost: what it does can be repeated.
func (c *copying) retried(ctx context.Context, do func(pgx.Tx) error) error {
	return c.ledger.once(ctx, hookPatience, func() error { return pgx.BeginFunc(ctx, c.ledger.pool, do) })
}

// begin marks the database as one that is being filled, or finds the mark of an earlier run. It returns true if nothing
// is left to do.
func (c *copying) begin(ctx context.Context) (ready bool, err error) {
	moved, err := c.from.Moved(ctx)
	if err != nil {
		return false, err
	}
	err = c.retried(ctx, func(tx pgx.Tx) error {
		c.state = copyState{}
		if ready, err = readCopied(ctx, tx, &c.state); err != nil {
			return err
		}
		ready = ready && c.state.there
		switch {
		case c.state.there && c.state.origin != c.from.Name():
			return errOther
		case ready && !moved:
			return errNotEmpty
		case c.state.there:
			return nil
		case moved:
			return errMovedAway
		}
		var used bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM conversation) OR EXISTS (SELECT FROM quarantine) OR EXISTS (SELECT FROM counter)`).Scan(&used); err != nil {
			return err
		}
		if used {
			return errNotEmpty
		}
		if _, err := tx.Exec(ctx, copied); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO copied (origin, begun_at, finished_at) VALUES ($1, `+nowMicros+`, 0) RETURNING begun_at`, c.from.Name()).
			Scan(&c.state.begunAt)
	})
	if err != nil || ready {
		c.done.Before = ready
		return ready, err
	}
	return false, c.ledger.pool.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM conversation`).Scan(&c.there)
}

// pass takes every page of every table to do.
func (c *copying) pass(ctx context.Context, what string, do func(context.Context, row.Table, row.Page) error) error {
	of, err := c.from.Conversations(ctx)
	if err != nil {
		return err
	}
	for _, t := range row.Tables() {
		for more, after := true, any(nil); more; {
			p, err := c.from.Page(ctx, t, after)
			if err != nil {
				return err
			}
			if err := c.adapt(ctx, &p); err != nil {
				return err
			}
			if err := do(ctx, t, p); err != nil {
				return err
			}
			c.count(p)
			if t.Name == "conversation" {
				c.progress(what, c.done.Conversations, of)
			}
			more, after = p.Last != nil, p.Last
		}
	}
	return nil
}

// count adds a page to what is reported.
func (c *copying) count(p row.Page) {
	for _, r := range p.Rows {
		switch r.Table {
		case "conversation":
			c.done.Conversations += len(r.Values)
		case "body":
			c.done.Bodies += len(r.Values)
		case "attempt":
			c.done.Attempts += len(r.Values)
		case "quarantine":
			c.done.Quarantined += len(r.Values)
		case "delivery":
			c.done.Deliveries += len(r.Values)
			state, doubt, trying := r.Column("state"), r.Column("doubt"), r.Column("trying")
			for _, v := range r.Values {
				switch {
				case v[state] == int64(ledger.Dead):
					c.done.Dead++
				case v[state] == int64(ledger.Pending):
					c.done.Pending++
					if v[doubt] != int64(0) || v[trying] != int64(0) {
						c.done.Doubtful++
					}
				}
			}
		}
	}
}

// adapt makes rows of this engine out of those of another one: its columns, in their order, and its types.
func (c *copying) adapt(ctx context.Context, p *row.Page) error {
	c.void(p)
	days := c.daysOf(p)
	for i := range p.Rows {
		r := &p.Rows[i]
		columns, err := c.columnsOf(ctx, r.Table)
		if err != nil {
			return err
		}
		for _, name := range r.Columns {
			if name != "" && !slices.ContainsFunc(columns, func(to column) bool { return to.name == name }) {
				return fmt.Errorf("there is no column for %s of %s: both engines have to be of the same version", name, r.Table)
			}
		}
		number := r.Column(childKey)
		if number < 0 {
			number = r.Column("number")
		}
		adapted := row.Rows{Table: r.Table}
		places := make([]int, 0, len(columns))
		for _, to := range columns {
			place := r.Column(to.name)
			if place < 0 && to.name != "day" && to.name != "slot" {
				if to.optional {
					continue
				}
				return fmt.Errorf("there is nothing for column %s of %s: both engines have to be of the same version", to.name, r.Table)
			}
			adapted.Columns, places = append(adapted.Columns, to.name), append(places, place)
		}
		kinds := c.kinds(r.Table, adapted.Columns)
		for _, from := range r.Values {
			values := make([]any, len(places))
			for k, place := range places {
				switch {
				case place >= 0:
					values[k] = from[place]
				case adapted.Columns[k] == "day":
					values[k] = int64(days[from[number]])
				default:
					values[k] = int64(0)
				}
				if values[k], err = cell(values[k], kinds[k]); err != nil {
					return fmt.Errorf("column %s of %s: %w", adapted.Columns[k], r.Table, err)
				}
			}
			adapted.Values = append(adapted.Values, values)
		}
		p.Rows[i] = adapted
	}
	return nil
}

// void ends the leases of workers that are gone. A claim finds the row in doubt.
func (c *copying) void(p *row.Page) {
	for _, r := range p.Rows {
		if r.Table != "delivery" {
			continue
		}
		state, trying, due := r.Column("state"), r.Column("trying"), r.Column("due_at")
		for _, v := range r.Values {
			if at, ok := v[due].(int64); ok && v[state] == int64(ledger.Pending) && v[trying] != int64(0) {
				v[due] = min(at, c.state.begunAt)
			}
		}
	}
}

// daysOf says in which partitions the bodies and attempts of conversations belong: that of the first hook, or of the
// newest where its bodies are gone.
func (c *copying) daysOf(p *row.Page) map[any]int {
	days := map[any]int{}
	first := func(number any, micros any) {
		at, ok := micros.(int64)
		if day := dayOf(row.FromMicros(min(max(at, 0), c.state.begunAt))); ok && at > 0 {
			if known, there := days[number]; !there || day < known {
				days[number] = day
			}
		}
	}
	for _, r := range p.Rows {
		if at := r.Column("received_at"); r.Table == "body" {
			for _, v := range r.Values {
				first(v[r.Column("conversation")], v[at])
			}
		}
	}
	for _, r := range p.Rows {
		if r.Table != "conversation" {
			continue
		}
		for _, v := range r.Values {
			number := v[r.Column("number")]
			if _, there := days[number]; !there {
				first(number, v[r.Column("seen_at")])
			}
		}
	}
	return days
}

// columnsOf lists the columns of a table.
func (c *copying) columnsOf(ctx context.Context, table string) ([]column, error) {
	if known, ok := c.columns[table]; ok {
		return known, nil
	}
	rows, err := c.ledger.pool.Query(ctx, `SELECT a.attname, t.typname, a.atthasdef OR a.attidentity <> '' FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`, table)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (to column, err error) {
		err = r.Scan(&to.name, &to.kind, &to.optional)
		return to, err
	})
	c.columns[table] = found
	return found, err
}

func (c *copying) kinds(table string, names []string) (kinds []string) {
	for _, name := range names {
		at := slices.IndexFunc(c.columns[table], func(known column) bool { return known.name == name })
		kinds = append(kinds, c.columns[table][at].kind)
	}
	return kinds
}

// cell makes a value of a column's type, the same one for what is copied and for what is read back.
func cell(v any, kind string) (any, error) {
	switch kind {
	case "bool":
		switch v := v.(type) {
		case int64:
			return v != 0, nil
		case bool:
			return v, nil
		}
	case "text":
		if s, ok := v.(string); ok {
			return clean(s), nil
		}
	case "bytea":
		switch v := v.(type) {
		case nil:
			return []byte{}, nil
		case []byte:
			return append([]byte{}, v...), nil
		}
	case "int2", "int4", "int8":
		switch v := v.(type) {
		case int64:
			return v, nil
		case int32:
			return int64(v), nil
		case int16:
			return int64(v), nil
		}
	case "float8":
		switch v := v.(type) {
		case int64:
			return float64(v), nil
		case float64:
			return v, nil
		}
	}
	return nil, fmt.Errorf("a value of type %T cannot become %s", v, kind)
}

// write brings the database's rows of a page to those of the page.
func (c *copying) write(ctx context.Context, t row.Table, p row.Page) error {
	for _, r := range p.Rows {
		if at := r.Column("day"); at >= 0 {
			for _, v := range r.Values {
				if err := c.needDay(ctx, v[at]); err != nil {
					return err
				}
			}
		}
	}
	return c.retried(ctx, func(tx pgx.Tx) error {
		after, numbered := p.After.(int64)
		fresh, changed := numbered && c.there <= after, false
		for i, r := range p.Rows {
			g := c.ranged(t, p, i)
			if changed { // of another day before, perhaps
				g = ranged{table: r.Table}
				g.where, g.args = keys(childKey, p)
			}
			if !fresh {
				there, err := g.read(ctx, tx, c.kinds(r.Table, r.Columns), r.Columns)
				if err != nil {
					return err
				}
				if equal(there, r.Values) {
					continue
				}
				changed = true
				if _, err := tx.Exec(ctx, `DELETE FROM `+r.Table+` WHERE `+g.where, g.args...); err != nil {
					return err
				}
			}
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{r.Table}, r.Columns, pgx.CopyFromRows(r.Values)); err != nil {
				return fmt.Errorf("%s: %w", r.Table, err)
			}
		}
		return nil
	})
}

// needDay makes the partitions of a day.
func (c *copying) needDay(ctx context.Context, cell any) error {
	day, ok := cell.(int64)
	if !ok || c.days[int(day)] {
		return nil
	}
	c.days[int(day)] = true
	return c.ledger.once(ctx, hookPatience, func() error { return c.ledger.ensureDays(ctx, int(day)) })
}

// compare returns an error if the database has not the rows of a page.
func (c *copying) compare(ctx context.Context, t row.Table, p row.Page) error {
	for i, r := range p.Rows {
		var there [][]any
		err := c.retried(ctx, func(tx pgx.Tx) (err error) {
			there, err = c.ranged(t, p, i).read(ctx, tx, c.kinds(r.Table, r.Columns), r.Columns)
			return err
		})
		if err != nil {
			return err
		}
		if !equal(there, r.Values) {
			return fmt.Errorf("%s: %d rows after %v differ from the %d that were copied: something else writes to one of the two", r.Table, len(there), p.After, len(r.Values))
		}
	}
	return nil
}

// ranged are the rows of one table in the range of a page.
type ranged struct {
	table, where string
	args         []any
}

// childKey is the column by which rows belong to one of a conversation.
const childKey = "conversation"

// keys is the condition that a page puts on a key, with its arguments.
func keys(key string, p row.Page) (where string, args []any) {
	conditions := []string{"true"}
	if p.After != nil {
		args = append(args, p.After)
		conditions = append(conditions, fmt.Sprintf("%s > $%d", key, len(args)))
	}
	if p.Last != nil {
		args = append(args, p.Last)
		conditions = append(conditions, fmt.Sprintf("%s <= $%d", key, len(args)))
	}
	return strings.Join(conditions, " AND "), args
}

// ranged returns the range of the i-th rows of a page. Partitions of days that it has nothing of are left alone.
func (c *copying) ranged(t row.Table, p row.Page, i int) ranged {
	key := t.Key
	if i > 0 {
		key = childKey
	}
	g := ranged{table: p.Rows[i].Table}
	g.where, g.args = keys(key, p)
	if p.Rows[i].Column("day") < 0 || i == 0 || p.Last == nil {
		return g
	}
	days := []int64{}
	at := p.Rows[0].Column("day")
	for _, v := range p.Rows[0].Values {
		if day, ok := v[at].(int64); ok && !slices.Contains(days, day) {
			days = append(days, day)
		}
	}
	g.args = append(g.args, days)
	g.where += fmt.Sprintf(" AND day = ANY ($%d)", len(g.args))
	return g
}

// read reads the rows of a range.
func (g ranged) read(ctx context.Context, tx pgx.Tx, kinds, columns []string) (all [][]any, err error) {
	rows, err := tx.Query(ctx, `SELECT `+strings.Join(columns, ", ")+` FROM `+g.table+` WHERE `+g.where, g.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) {
		values, err := r.Values()
		for i := range values {
			if err == nil {
				values[i], err = cell(values[i], kinds[i])
			}
		}
		return values, err
	})
}

// equal tells whether both have the same rows, in whatever order.
func equal(a, b [][]any) bool {
	if len(a) != len(b) {
		return false
	}
	return slices.EqualFunc(encodeRows(a), encodeRows(b), bytes.Equal)
}

func encodeRows(rows [][]any) [][]byte {
	encoded := make([][]byte, len(rows))
	for i, values := range rows {
		var b []byte
		for _, v := range values {
			switch v := v.(type) {
			case int64:
				b = binary.BigEndian.AppendUint64(b, uint64(v))
			case float64:
				b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
			case bool:
				b = append(b, map[bool]byte{true: 1}[v])
			case string:
				b = append(binary.BigEndian.AppendUint64(b, uint64(len(v))), v...)
			case []byte:
				b = append(binary.BigEndian.AppendUint64(b, uint64(len(v))), v...)
			}
		}
		encoded[i] = b
	}
	slices.SortFunc(encoded, bytes.Compare)
	return encoded
}
