// This file reads rows out of the pages of a damaged database, without SQLite: it needs neither the schema nor the way
// through the tree, so a broken page costs the rows on it and no others. Which table a row is of is told by its shape.
// Free pages are passed over, so what retention has removed does not come back.

package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	kindUnknown = 0
	kindRoot    = 1
	kindFree    = 2
	kindTree    = 5

	indexInterior = 0x02
	tableInterior = 0x05
	indexLeaf     = 0x0a
	tableLeaf     = 0x0d

	// maxPayload bounds what a row may claim to hold, in bytes.
	maxPayload = 1 << 30
)

var errMalformed = errors.New("malformed")

// image is a damaged database as its log leaves it.
type image struct {
	files    ledgerFiles
	pageSize int
	pages    uint32           // that may be there
	missing  uint32           // that the header says are there, too
	logged   map[uint32]int64 // where the newest content of a page is in the log
	maps     map[uint32][]byte
}

// openImage reads what there is of the database at path.
func openImage(path string) (_ *image, err error) {
	m := &image{pageSize: 4096, logged: map[uint32]int64{}, maps: map[uint32][]byte{}}
	if m.files, err = openFiles(path); err != nil {
		return nil, err
	}
	log, err := m.files.readLog()
	if err != nil {
		m.files.close()
		return nil, err
	}
	header := make([]byte, 100)
	if m.files.db != nil {
		_, _ = m.files.db.ReadAt(header, 0)
	}
	if headerDamage(header) == "" {
		m.pageSize = pageSizeOf(header)
	}
	last := -1
	for i, frame := range log.frames {
		if frame.ours && frame.commit > 0 {
			last = i
		}
	}
	m.pages = uint32(m.files.dbSize / int64(m.pageSize))
	for _, frame := range log.frames[:last+1] {
		if frame.ours && frame.page < 1<<24 {
			m.logged[frame.page], m.pages = frame.at, max(m.pages, frame.page)
		}
	}
	want := binary.BigEndian.Uint32(header[28:])
	if last >= 0 {
		want = log.frames[last].commit
	}
	if want > m.pages && want/16 < m.pages {
		m.missing = want - m.pages
	}
	return m, nil
}

// page returns the content of a page.
func (m *image) page(n uint32) ([]byte, error) {
	b := make([]byte, m.pageSize)
	if at, ok := m.logged[n]; ok {
		_, err := m.files.wal.ReadAt(b, at)
		return b, err
	}
	if n == 0 || m.files.db == nil {
		return nil, io.ErrUnexpectedEOF
	}
	_, err := m.files.db.ReadAt(b, int64(n-1)*int64(m.pageSize))
	return b, err
}

// kind says what the pointer map knows of a page. Pages of the map itself are kindFree: nothing to read.
func (m *image) kind(n uint32) byte {
	perMap := uint32(m.pageSize/5 + 1)
	at := (n-2)/perMap*perMap + 2
	if int64(at) == lockPage(m.pageSize) {
		at++
	}
	if n <= at {
		return kindFree
	}
	entries, ok := m.maps[at]
	if !ok {
		entries, _ = m.page(at)
		m.maps[at] = entries
	}
	offset := 5 * int(n-at-1)
	if offset >= len(entries) {
		return kindUnknown
	}
	if kind := entries[offset]; kind <= kindTree {
		return kind
	}
	return kindUnknown
}

// place is where a row is.
type place struct {
	page uint32
	cell uint16
}

// record is a row as it is stored.
type record struct {
	rowid  int64 // 0 in an index or a table without
	table  bool
	values []any // int64, float64, string, []byte or nil
}

// scan calls found for every row on a page. lost counts the rows that cannot be read; a page that holds none is none.
func (m *image) scan(n uint32, found func(place, record)) (lost int, err error) {
	b, err := m.page(n)
	if err != nil {
		return 0, err
	}
	kind, cells := b[0], int(binary.BigEndian.Uint16(b[3:]))
	switch kind {
	case tableInterior:
		return 0, nil
	case indexInterior, indexLeaf, tableLeaf:
	default:
		return 0, errMalformed
	}
	if cells > (m.pageSize-8)/4 {
		return 0, errMalformed
	}
	for cell := range cells {
		at := place{n, uint16(cell)}
		r, err := m.record(b, cell)
		if err != nil {
			lost++
			continue
		}
		found(at, r)
	}
	return lost, nil
}

// read returns the row at a place that scan has found.
func (m *image) read(at place) (record, error) {
	b, err := m.page(at.page)
	if err != nil {
		return record{}, err
	}
	return m.record(b, int(at.cell))
}

func (m *image) record(b []byte, cell int) (r record, err error) {
	pointers := 8
	if b[0] == indexInterior {
		pointers = 12
	}
	if pointers+2*cell+2 > len(b) {
		return r, errMalformed
	}
	at := int(binary.BigEndian.Uint16(b[pointers+2*cell:]))
	if b[0] == indexInterior {
		at += 4
	}
	if at < pointers || at >= len(b) {
		return r, errMalformed
	}
	rest := b[at:]
	size, n := varint(rest)
	if n == 0 || size < 0 || size > maxPayload {
		return r, errMalformed
	}
	rest = rest[n:]
	if r.table = b[0] == tableLeaf; r.table {
		if r.rowid, n = varint(rest); n == 0 {
			return r, errMalformed
		}
		rest = rest[n:]
	}
	payload, err := m.payload(rest, int(size), r.table)
	if err != nil {
		return r, err
	}
	r.values, err = values(payload)
	return r, err
}

// payload puts the part of a row that is on its page and its overflow pages together.
func (m *image) payload(rest []byte, size int, table bool) ([]byte, error) {
	most := m.pageSize - 35
	if !table {
		most = (m.pageSize-12)*64/255 - 23
	}
	if size <= most {
		if size > len(rest) {
			return nil, errMalformed
		}
		return rest[:size], nil
	}
	least := (m.pageSize-12)*32/255 - 23
	local := least + (size-least)%(m.pageSize-4)
	if local > most {
		local = least
	}
	if local+4 > len(rest) {
		return nil, errMalformed
	}
	whole := bytes.Clone(rest[:local])
	for next := binary.BigEndian.Uint32(rest[local:]); len(whole) < size; {
		b, err := m.page(next)
		if err != nil {
			return nil, fmt.Errorf("overflow page %d: %w", next, err)
		}
		next = binary.BigEndian.Uint32(b)
		whole = append(whole, b[4:4+min(m.pageSize-4, size-len(whole))]...)
	}
	return whole, nil
}

// varint reads SQLite's variable-length integer; n is 0 if there is none.
func varint(b []byte) (v int64, n int) {
	var u uint64
	for i := range min(9, len(b)) {
		if i == 8 {
			return int64(u<<8 | uint64(b[i])), 9
		}
		u = u<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return int64(u), i + 1
		}
	}
	return 0, 0
}

// values decodes a record.
func values(payload []byte) (list []any, err error) {
	size, n := varint(payload)
	if n == 0 || size < int64(n) || size > int64(len(payload)) {
		return nil, errMalformed
	}
	types, body := payload[n:size], payload[size:]
	for len(types) > 0 {
		kind, n := varint(types)
		if n == 0 || kind < 0 {
			return nil, errMalformed
		}
		types = types[n:]
		width := widthOf(kind)
		if width > int64(len(body)) {
			return nil, errMalformed
		}
		list = append(list, value(kind, body[:width]))
		body = body[width:]
	}
	return list, nil
}

func widthOf(kind int64) int64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return [...]int64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind]
}

func value(kind int64, b []byte) any {
	switch {
	case kind == 0, kind == 10, kind == 11:
		return nil
	case kind == 7:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	case kind == 8, kind == 9:
		return kind - 8
	case kind >= 12 && kind%2 == 0:
		return bytes.Clone(b)
	case kind >= 12:
		return string(b)
	}
	v := int64(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return v
}
