// This file looks at the files of a ledger before SQLite opens them. SQLite forgets what it cannot read at the end of its
// log, and starts an empty database where the file has gone; both would lose acknowledged hooks without a word. The
// formats are those of https://sqlite.org/fileformat2.html and https://sqlite.org/walformat.html.

package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// quickCheckTime bounds how long a start looks into the tables. What it does not reach is found when it is read.
const quickCheckTime = 500 * time.Millisecond

// damageError says that the files are damaged. SQLite may not have noticed.
type damageError struct{ what string }

func (e *damageError) Error() string { return "the ledger is damaged: " + e.what }

// isDamage tells whether err says that the files are damaged.
func isDamage(err error) bool {
	if _, ok := errors.AsType[*damageError](err); ok {
		return true
	}
	failure, ok := errors.AsType[*sqlite.Error](err)
	if !ok || failure.Code() == sqlite3.SQLITE_CORRUPT_VTAB { // of the full-text index alone
		return false
	}
	return failure.Code()&0xff == sqlite3.SQLITE_CORRUPT || failure.Code()&0xff == sqlite3.SQLITE_NOTADB
}

// isIndexDamage tells whether err says that the full-text index contradicts itself. It is made anew then, out of the
// bodies, see index.go.
func isIndexDamage(err error) bool {
	failure, ok := errors.AsType[*sqlite.Error](err)
	return ok && failure.Code() == sqlite3.SQLITE_CORRUPT_VTAB
}

// inspect returns a damageError if the files at path cannot be what a ledger left behind, however it ended: orderly,
// killed, or by a power cut that took everything that had not been synced. A file that never was a ledger is none of its
// business.
func inspect(path string, left mark) error {
	if info, err := os.Stat(path + "-journal"); err == nil && info.Size() > 0 {
		return nil // the very first transaction was cut; SQLite takes it back
	}
	files, err := openFiles(path)
	if err != nil {
		return err
	}
	defer files.close()
	log, err := files.readLog()
	if err != nil {
		return err
	}
	if what := files.lostLog(log, left); what != "" {
		return &damageError{what}
	}
	if files.db == nil || files.dbSize == 0 {
		switch {
		case len(log.frames) > 0:
			return &damageError{"its log is there, but the database file is missing or empty"}
		case left != unmarked:
			return &damageError{"the database file was there and is missing or empty"}
		}
		return nil
	}
	header := make([]byte, 100)
	if _, err := files.db.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	ours := left != unmarked || binary.BigEndian.Uint32(header[68:]) == applicationID
	if what := headerDamage(header); what != "" {
		if !ours {
			return nil // no ledger; SQLite or migrate refuses it
		}
		return &damageError{what}
	}
	if left != unmarked && binary.BigEndian.Uint32(header[68:]) != applicationID && log.valid == 0 {
		return &damageError{"the database file has lost its application id"}
	}
	if what := files.missingPages(header, log); ours && what != "" {
		return &damageError{what}
	}
	return nil
}

// headerDamage checks what never changes in the header of a ledger's database.
func headerDamage(header []byte) string {
	size := int(binary.BigEndian.Uint16(header[16:]))
	switch {
	case !bytes.Equal(header[:16], []byte("SQLite format 3\x00")):
		return "the database file does not begin as one"
	case size != 1 && (size < 512 || size&(size-1) != 0):
		return fmt.Sprintf("its page size cannot be %d", size)
	case header[18] < 1 || header[18] > 2 || header[19] < 1 || header[19] > 2:
		return "its file format is unknown"
	case header[21] != 64 || header[22] != 32 || header[23] != 32:
		return "its payload fractions are impossible"
	case binary.BigEndian.Uint32(header[44:]) > 4 || binary.BigEndian.Uint32(header[56:]) > 1:
		return "its schema format or text encoding is impossible"
	case !bytes.Equal(header[72:92], make([]byte, 20)):
		return "its reserved bytes are not zero"
	}
	return ""
}

// ledgerFiles are the three files of a ledger. nil: the file is not there.
type ledgerFiles struct {
	db, wal, shm    *os.File
	dbSize, walSize int64
}

func openFiles(path string) (f ledgerFiles, err error) {
	for suffix, file := range map[string]**os.File{"": &f.db, "-wal": &f.wal, "-shm": &f.shm} {
		*file, err = os.Open(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			f.close()
			return f, err
		}
	}
	for file, size := range map[*os.File]*int64{f.db: &f.dbSize, f.wal: &f.walSize} {
		if file == nil {
			continue
		}
		info, err := file.Stat()
		if err != nil {
			f.close()
			return f, err
		}
		*size = info.Size()
	}
	return f, nil
}

func (f ledgerFiles) close() {
	for _, file := range []*os.File{f.db, f.wal, f.shm} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// lostLog tells whether the log has lost something that was synced.
func (f ledgerFiles) lostLog(log walLog, left mark) string {
	indexed, salts := f.indexed()
	switch {
	case f.walSize < walHeader && left == running && indexed > 0:
		return "its log is missing or empty, although it held transactions"
	case f.wal == nil && left == running && f.writeVersion() == 2:
		return "its log is missing, although the gateway that wrote it was not stopped"
	case f.walSize >= walHeader+24 && !log.sound && !log.blank:
		return "the header of its log is damaged"
	case log.broken:
		return fmt.Sprintf("its log is damaged behind its frame %d, in front of transactions that had been synced", log.valid)
	case log.sound && bytes.Equal(salts, log.salts) && indexed > log.valid:
		return fmt.Sprintf("its log holds %d frames of %d that had been synced", log.valid, indexed)
	}
	return ""
}

// writeVersion is 2 in a database with a log.
func (f ledgerFiles) writeVersion() byte {
	var b [1]byte
	if f.db == nil {
		return 0
	}
	if _, err := f.db.ReadAt(b[:], 18); err != nil {
		return 0
	}
	return b[0]
}

// indexed reads from the index of the log how many frames had been committed. It is written after the sync of what it
// counts, so it never promises too much. 0: it says nothing.
func (f ledgerFiles) indexed() (frames int, salts []byte) {
	header := make([]byte, 96)
	if f.shm == nil {
		return 0, nil
	}
	if _, err := f.shm.ReadAt(header, 0); err != nil || !bytes.Equal(header[:48], header[48:]) || header[12] != 1 {
		return 0, nil
	}
	var sum checksum
	sum.add(header[:40], binary.NativeEndian)
	if sum[0] != binary.NativeEndian.Uint32(header[40:]) || sum[1] != binary.NativeEndian.Uint32(header[44:]) {
		return 0, nil
	}
	return int(binary.NativeEndian.Uint32(header[16:])), header[32:40]
}

// missingPages tells whether the database is shorter than it says, and the log does not have the rest.
func (f ledgerFiles) missingPages(header []byte, log walLog) string {
	pageSize := pageSizeOf(header)
	there, want := f.dbSize/int64(pageSize), int64(binary.BigEndian.Uint32(header[28:]))
	logged := map[uint32]bool{}
	for _, frame := range log.frames[:log.valid] {
		logged[frame.page] = true
		if frame.commit > 0 {
			want = int64(frame.commit)
		}
	}
	if want-there > int64(len(logged))+1 {
		return fmt.Sprintf("the database file has %d pages of %d", there, want)
	}
	for page := there + 1; page <= want; page++ {
		if !logged[uint32(page)] && page != lockPage(pageSize) {
			return fmt.Sprintf("the database file ends before its page %d of %d", page, want)
		}
	}
	return ""
}

func pageSizeOf(header []byte) int {
	if size := int(binary.BigEndian.Uint16(header[16:])); size != 1 {
		return size
	}
	return 1 << 16
}

// lockPage is the page that holds SQLite's locks and is never written.
func lockPage(pageSize int) int64 { return 1<<30/int64(pageSize) + 1 }

const walHeader = 32

// walLog is what the log holds.
type walLog struct {
	sound    bool // the header is what was written
	blank    bool // the header is all zero: never written
	pageSize int
	salts    []byte
	frames   []walFrame // all places for frames, whoever wrote them
	valid    int        // as many frames from the first are there and committed
	broken   bool       // there is a hole in front of a transaction that had been synced
}

// walFrame is one page in the log.
type walFrame struct {
	page   uint32
	commit uint32 // the size of the database in pages, at the end of a transaction; else 0
	ours   bool   // of this generation of the log
	at     int64  // where the page begins
}

// checksum is that of the log's frames.
type checksum [2]uint32

func (s *checksum) add(b []byte, order binary.ByteOrder) {
	for ; len(b) >= 8; b = b[8:] {
		s[0] += order.Uint32(b) + s[1]
		s[1] += order.Uint32(b[4:]) + s[0]
	}
}

func stored(b []byte) checksum {
	return checksum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// readLog reads all frames and checks them.
func (f ledgerFiles) readLog() (log walLog, err error) {
	if f.wal == nil || f.walSize < walHeader {
		return log, nil
	}
	header := make([]byte, walHeader)
	if _, err := f.wal.ReadAt(header, 0); err != nil {
		return log, err
	}
	log.blank = bytes.Equal(header, make([]byte, walHeader))
	log.salts, log.pageSize = header[16:24], int(binary.BigEndian.Uint32(header[8:]))
	magic := binary.BigEndian.Uint32(header)
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	var sum checksum
	sum.add(header[:24], order)
	log.sound = magic&^1 == 0x377f0682 && sum == stored(header[24:])
	if !log.sound {
		log.pageSize = 4096
	}
	read := io.NewSectionReader(f.wal, walHeader, f.walSize-walHeader)
	buffered := make([]byte, 24+log.pageSize)
	unbroken, ended := log.sound, false // the chain of checksums holds; a frame before, behind the break, ended a transaction
	var before checksum                 // as stored in the frame before
	for at := int64(walHeader); ; at += int64(len(buffered)) {
		if _, err := io.ReadFull(read, buffered); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return log, nil
			}
			return log, err
		}
		frame := walFrame{binary.BigEndian.Uint32(buffered), binary.BigEndian.Uint32(buffered[4:]), false, at + 24}
		if !log.sound && len(log.frames) == 0 {
			log.salts = bytes.Clone(buffered[8:16]) // the header cannot tell which frames are of this generation
		}
		frame.ours = frame.page > 0 && bytes.Equal(buffered[8:16], log.salts)
		log.frames = append(log.frames, frame)
		follows := before
		follows.add(buffered[:8], order)
		follows.add(buffered[24:], order)
		if unbroken {
			sum.add(buffered[:8], order)
			sum.add(buffered[24:], order)
			unbroken = frame.ours && sum == stored(buffered[16:])
		} else if ended && frame.ours && follows == stored(buffered[16:]) {
			// It was written behind a transaction that is behind the break: after the sync of that and of the break.
			log.broken = true
		}
		if unbroken && frame.commit > 0 {
			log.valid = len(log.frames)
		}
		ended = !unbroken && frame.ours && frame.commit > 0
		before = stored(buffered[16:])
	}
}

// quickCheck has SQLite look into the tables, for quickCheckTime at most. A full-text index that contradicts itself is no
// damage to the ledger: it is to be made anew.
func quickCheck(ctx context.Context, conn *sql.Conn) (renew bool, err error) {
	limited, cancel := context.WithTimeout(ctx, quickCheckTime)
	defer cancel()
	var first string
	rows, err := conn.QueryContext(limited, "PRAGMA quick_check(10)")
	if err == nil {
		err = each(rows, func(rows *sql.Rows) error {
			var text string
			err := rows.Scan(&text)
			switch {
			case strings.Contains(strings.ToLower(text), "fts5"):
				renew = true
			case first == "" && text != "ok":
				first = text
			}
			return err
		})
	}
	switch {
	case first != "":
		return false, &damageError{first}
	case isIndexDamage(err):
		return true, nil
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return renew, nil // a large ledger; what is damaged further behind is found when it is read
	}
	return renew, err
}
