// This file is a ledger as rows and columns, for a copy from one engine to another. Both engines call tables and columns
// by the same names, so a column that a later version of both schemas adds is copied without a word here.

package row

// Table is a table in a copy.
type Table struct {
	Name string
	Key  string // column by which it is read, page by page
	// Children are tables of which the rows that name the same number in their column conversation belong to a row.
	Children []string
	// Without is a column that SQLite has for itself.
	Without string
}

// Tables are all tables of a ledger but those that one engine has for itself.
func Tables() []Table {
	return []Table{
		{Name: "config", Key: "hash"},
		{Name: "target", Key: "name"},
		{Name: "note", Key: "name"},
		{Name: "conversation", Key: "number", Children: []string{"body", "delivery", "attempt"}},
		{Name: "quarantine", Key: "id"},
		{Name: "replay_job", Key: "id", Without: "number"},
		{Name: "audit", Key: "number"},
		{Name: "series", Key: "at"},
		{Name: "counter", Key: "target"},
		{Name: "total", Key: "name"},
		{Name: "source", Key: "name"},
	}
}

// Derived are the tables of SQLite that are made out of the others; PostgreSQL makes its own.
func Derived() []string {
	return []string{"summary", "routed", "arrival", "outdated", "progress", "search"}
}

// Page is all that a ledger has in a range of keys.
type Page struct {
	After any // the key before the first; nil: from the beginning
	Last  any // the last key; nil: to the end
	// Rows of the table itself are the first, those of its children follow in their order.
	Rows []Rows
}

// Rows are rows of one table. A value is an int64, a string or a []byte.
type Rows struct {
	Table   string
	Columns []string
	Values  [][]any
}

// Column returns the place of a column, -1 if there is none.
func (r *Rows) Column(name string) int {
	for i, column := range r.Columns {
		if column == name {
			return i
		}
	}
	return -1
}

// Moved is the name among the totals of when a ledger was copied to another database, in microseconds. It stays behind.
const Moved = "moved"
