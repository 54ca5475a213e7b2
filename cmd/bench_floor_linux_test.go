// This file measures what no gateway can beat on the machine: the bare Echo handler, the disk's sync, the database's
// group commit of the same rows.

package cmd_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	_ "modernc.org/sqlite" // the driver, for rows that no gateway has written
)

// bareEcho is a program of its own, as the gateway is one: a handler that decodes the body and answers, and nothing that
// anybody has tuned. GOMAXPROCS, GOGC and GOMEMLIMIT are those of the environment of both. It prints its address.
func bareEcho() {
	e := echo.New()
	e.POST("/*", func(c echo.Context) error {
		var body map[string]any
		if err := c.Bind(&body); err != nil {
			return err
		}
		return c.JSONBlob(http.StatusOK, []byte(`{"result":"ok"}`))
	})
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, listener.Addr())
	server := &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	panic(server.Serve(listener))
}

// startProgram runs one of the programs of TestMain, and returns it with its input and the first line that it prints.
func startProgram(b testing.TB, args ...string) (command *exec.Cmd, in io.Closer, line string) {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	command = exec.CommandContext(context.WithoutCancel(b.Context()), program)
	command.Args, command.Stderr = args, os.Stderr
	in, err = command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatal(err)
	}
	return command, in, strings.TrimSpace(line)
}

// startCeiling runs bareEcho.
func startCeiling(b testing.TB) served {
	b.Helper()
	command, _, address := startProgram(b, "bare-echo")
	b.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return served{address, command.Process.Pid}
}

// syncTimes writes 4 kB and syncs, again and again, as a log does.
func syncTimes(b testing.TB, folder string, d time.Duration) latencies {
	b.Helper()
	file, err := os.Create(filepath.Join(folder, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	page := make([]byte, 4096)
	for range 1024 { // the log is reused, so its blocks are there
		if _, err := file.Write(page); err != nil {
			b.Fatal(err)
		}
	}
	if err := file.Sync(); err != nil {
		b.Fatal(err)
	}
	var took latencies
	for begin := time.Now(); time.Since(begin) < d; {
		if _, err := file.WriteAt(page, int64(len(took)%1024)*4096); err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(now))
	}
	slices.Sort(took)
	return took
}

// openRows opens a ledger that no gateway has open, for plain SQL.
func openRows(b testing.TB, path, synchronous string) *sql.Conn {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=cache_size(-65536)&_pragma=synchronous("+synchronous+")")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		_ = db.Close()
	})
	return conn
}

// copies are statements that copy the rows of the first conversation of a ledger to conversation number; tables are
// further tables of their FROM.
func copies(number, tables string) []string {
	return []string{
		`INSERT INTO body (conversation, revision, received_at, content_type, decoded, raw) SELECT ` + number + `, revision, received_at, content_type, decoded, raw FROM body` + tables + ` WHERE conversation = 1`,
		`INSERT INTO conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, fingerprints, chain, first_at)
			SELECT ` + number + `, 'c' || lower(hex(randomblob(13))), platform, session, revision, stale, ended_at, seen_at, bodies,
			randomblob(length(fingerprints)), chain, seen_at FROM conversation` + tables + ` WHERE number = 1`,
		`INSERT INTO delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims,
			tries, first_at, planned, ignore, routes, config, tried, receipt) SELECT ` + number + `, target, 0, want, 0, 0, 0, 0, pending_since + ` + number + `, pending_since, 0, fence, 0, 0, 0,
			planned, ignore, routes, config, '', '' FROM delivery` + tables + ` WHERE conversation = 1`,
	}
}

// seed adds n pending deliveries to the ledger of a gateway that is stopped and has taken one hook: rows like those of
// that hook, each of another conversation.
func seed(b testing.TB, path string, n int) {
	b.Helper()
	conn := openRows(b, path, "off")
	const batch = 50_000
	for from := 2; from <= n+1; from += batch {
		plain(b, conn, "BEGIN IMMEDIATE")
		for _, text := range copies("n.value", ", n") {
			plain(b, conn, "WITH RECURSIVE n(value) AS (SELECT ?1 UNION ALL SELECT value + 1 FROM n WHERE value < ?2) "+text, from, min(from+batch-1, n+1))
		}
		plain(b, conn, "COMMIT")
	}
	plain(b, conn, `UPDATE counter SET accepted = accepted + ?1, pending = pending + ?1`, n)
	plain(b, conn, `UPDATE total SET n = n + ?1 WHERE name = 'conversations'`, n)
	plain(b, conn, `UPDATE progress SET n = ?1 WHERE name = 'newest'`, n+1) // a backlog has been indexed as it came
	plain(b, conn, "PRAGMA wal_checkpoint(TRUNCATE)")
}

// rawInserts writes the rows of a conversation, 64 conversations per transaction, and returns conversations per second.
func rawInserts(b testing.TB, path string, d time.Duration) float64 {
	b.Helper()
	conn := openRows(b, path, "full")
	var prepared []*sql.Stmt
	for _, text := range copies("?1", "") {
		s, err := conn.PrepareContext(b.Context(), text)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		prepared = append(prepared, s)
	}
	run := func(s *sql.Stmt, args ...any) {
		if _, err := s.ExecContext(b.Context(), args...); err != nil {
			b.Fatal(err)
		}
	}
	number, begin := 10, time.Now()
	for time.Since(begin) < d {
		plain(b, conn, "BEGIN IMMEDIATE")
		for range 64 {
			number++
			for _, s := range prepared {
				run(s, number)
			}
		}
		plain(b, conn, "COMMIT")
	}
	return float64(number-10) / time.Since(begin).Seconds()
}

func plain(b testing.TB, conn *sql.Conn, text string, args ...any) {
	b.Helper()
	if _, err := conn.ExecContext(b.Context(), text, args...); err != nil {
		b.Fatalf("%v: %s", err, text)
	}
}
