// This file runs the statements that change something. A hook and its delivery take half a dozen of them, one after the
// other, on one connection that nobody else has: they go to the driver directly, past what database/sql does for others.

package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
)

// command is a prepared statement that answers nothing.
type command struct {
	statement  driver.Stmt
	run        driver.StmtExecContext
	deliveries bool // it may change rows of deliveries
}

// prepare prepares a text once per connection.
func (w *writer) prepare(text string) (c command, err error) {
	if c, ok := w.commands[text]; ok {
		return c, nil
	}
	err = w.conn.Raw(func(connection any) error {
		c.statement, err = connection.(driver.ConnPrepareContext).PrepareContext(context.Background(), text)
		return err
	})
	if err != nil {
		return c, err
	}
	c.run = c.statement.(driver.StmtExecContext)
	c.deliveries = strings.Contains(text, "delivery")
	w.commands[text] = c
	return c, nil
}

func (w *writer) closeStatements() {
	for _, s := range w.statements {
		_ = s.Close()
	}
	for _, c := range w.commands {
		_ = c.statement.Close()
	}
}

// exec runs a statement that answers nothing. Its context never ends: a statement that stops in the middle of a
// shared transaction would hurt the others.
func (t *tx) exec(text string, args ...any) error {
	_, err := t.change(text, false, args)
	return err
}

// change runs a statement and returns how many rows it has changed. known tells that what it does to deliveries is in
// recent.
func (t *tx) change(text string, known bool, args []any) (rows int64, err error) {
	c, err := t.prepare(text)
	if err != nil {
		return 0, err
	}
	t.wrote = true
	if c.deliveries && !known {
		if err := t.sow(); err != nil {
			return 0, err
		}
		clear(t.recent)
		t.touched = true
	}
	t.args = t.args[:0]
	for i, arg := range args {
		value, err := valueOf(arg)
		if err != nil {
			return 0, err
		}
		t.args = append(t.args, driver.NamedValue{Ordinal: i + 1, Value: value})
	}
	result, err := c.run.ExecContext(context.Background(), t.args)
	clear(t.args) // bodies need not stay in memory
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// valueOf returns what the driver stores for an argument.
func valueOf(arg any) (driver.Value, error) {
	switch v := arg.(type) {
	case nil, int64, float64, bool, string, []byte:
		return v, nil
	case int:
		return int64(v), nil
	}
	value, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if err != nil {
		return nil, fmt.Errorf("an argument of a statement: %w", err)
	}
	return value, nil
}
