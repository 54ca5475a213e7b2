// This file runs the suite and tests crashes, rotation and trouble with the disk.

//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package file_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/file"
)

// TestMain is another process that writes the same file when the environment says so.
func TestMain(m *testing.M) {
	if path := os.Getenv("AFTERCHAT_TEST_WRITER"); path != "" {
		writer(path, os.Getenv("AFTERCHAT_TEST_NAME"))
		return
	}
	if path := os.Getenv("AFTERCHAT_TEST_LIMITED"); path != "" {
		limited(path)
		return
	}
	os.Exit(m.Run())
}

const perWriter = 200

func writer(path, name string) {
	c, err := file.Type().Open(&file.Settings{Path: path, Mode: 0o600}, connectors.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	for i := range perWriter {
		if _, err := c.Push(context.Background(), record(fmt.Sprintf("%s-%d-%s", name, i, strings.Repeat("x", 5000)))); err != nil {
			panic(err)
		}
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Suite{
		Type: file.Type(),
		Open: func(t *testing.T) connectortest.Target {
			folder := t.TempDir()
			settings := file.Type().Settings().(*file.Settings)
			settings.Path = "out.jsonl"
			return connectortest.Target{Settings: settings, Folder: folder, Count: func() int {
				return len(lines(t, filepath.Join(folder, "out.jsonl")))
			}}
		},
		Record: func(n, revision int) map[string]any {
			return map[string]any{"line": map[string]any{"id": n, "revision": revision, "text": "one\ntwo"}}
		},
		Appends: true,
	})
}

func record(line any) connectors.Record {
	return connectors.Record{Object: "o", Request: "o.1", Revision: 1, Attempt: 1, Fields: map[string]any{"line": line}}
}

func uncertain(line any) connectors.Record {
	rec := record(line)
	rec.Uncertain = true
	return rec
}

func open(t *testing.T, path string) connectors.Connector {
	t.Helper()
	settings := file.Type().Settings().(*file.Settings)
	settings.Path = path
	c, err := file.Type().Open(settings, connectors.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines returns the lines of the file; none if there is no file.
func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		out = append(out, line)
	}
	return out
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFound pushes the line "b" into files that a crash may have left.
func TestFound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	tests := []struct {
		name, before string
		rec          connectors.Record
		after        string
		offset       int
	}{
		{"empty", "", uncertain("b"), "\"b\"\n", 0},
		{"not there", "\"a\"\n", uncertain("b"), "\"a\"\n\"b\"\n", 4},
		{"there", "\"a\"\n\"b\"\n\"c\"\n", uncertain("b"), "\"a\"\n\"b\"\n\"c\"\n", 4},
		{"first line", "\"b\"\n\"c\"\n", uncertain("b"), "\"b\"\n\"c\"\n", 0},
		{"there twice", "\"b\"\n\"b\"\n", uncertain("b"), "\"b\"\n\"b\"\n", 4},
		{"there without its line feed", "\"a\"\n\"b\"", uncertain("b"), "\"a\"\n\"b\"\n", 4},
		{"alone without its line feed", "\"b\"", uncertain("b"), "\"b\"\n", 0},
		{"part of another line", "[\"b\"]\n\"b\" \n", uncertain("b"), "[\"b\"]\n\"b\" \n\"b\"\n", 11},
		{"torn", "\"a\"\n\"b", uncertain("b"), "\"a\"\n\"b\n\"b\"\n", 7},
		{"torn, certain", "\"a\"\n{\"x", record("b"), "\"a\"\n{\"x\n\"b\"\n", 8},
		{"there, certain", "\"b\"\n", record("b"), "\"b\"\n\"b\"\n", 4},
		{"far back", "\"b\"\n" + long + "\n", uncertain("b"), "\"b\"\n" + long + "\n", 0},
		{"far on", long + "\n\"b\"\n", uncertain("b"), long + "\n\"b\"\n", len(long) + 1},
		{"far on, no line feed", long + "\n\"b\"", uncertain("b"), long + "\n\"b\"\n", len(long) + 1},
		{"long line", "1\n\"" + long + "\"\n2\n", uncertain(long), "1\n\"" + long + "\"\n2\n", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "out.jsonl")
			write(t, path, tt.before)
			receipt, err := open(t, path).Push(t.Context(), tt.rec)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.after {
				t.Errorf("the file has %d bytes, want %d: %.100q, %v", len(got), len(tt.after), got, err)
			}
			if want := "out.jsonl:" + strconv.Itoa(tt.offset); receipt.ID != want {
				t.Errorf("receipt %s, want %s", receipt.ID, want)
			}
		})
	}
}

// TestFoundAcrossChunks puts the line at every place around the border of what is read at once.
func TestFoundAcrossChunks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	c := open(t, path)
	for shift := -8; shift <= 3; shift++ {
		before := strings.Repeat("x", 1<<20+shift) + "\n"
		write(t, path, before+"\"abc\"\n\"later\"\n")
		receipt, err := c.Push(t.Context(), uncertain("abc"))
		if want := fmt.Sprint("out.jsonl:", len(before)); err != nil || receipt.ID != want {
			t.Errorf("shift %d: receipt %s, error %v, want %s", shift, receipt.ID, err, want)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	c := open(t, path)
	for i := range 6 {
		if i%2 == 0 {
			if err := os.Rename(path, fmt.Sprint(path, ".", i)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if _, err := c.Push(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string][]string{}
	for _, name := range []string{".2", ".4", ""} {
		got[name] = lines(t, path+name)
	}
	if diff := cmp.Diff(map[string][]string{".2": {"0\n", "1\n"}, ".4": {"2\n", "3\n"}, "": {"4\n", "5\n"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestProcesses has three processes write long lines while the file is rotated away.
func TestProcesses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "out.jsonl")
	var writers sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "AFTERCHAT_TEST_WRITER="+path, "AFTERCHAT_TEST_NAME="+name)
		writers.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("writer %s: %v\n%s", name, err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	rotations := 0
	for ticker := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-ticker.C:
			if os.Rename(path, fmt.Sprint(path, ".", rotations)) == nil {
				rotations++
			}
			continue
		case <-done:
			ticker.Stop()
		}
		break
	}
	seen, files := count(t, path+"*")
	for line, n := range seen {
		if n != 1 {
			t.Errorf("%.10q is there %d times", line, n)
		}
	}
	if len(seen) != 3*perWriter {
		t.Errorf("%d lines in %d files, want %d", len(seen), files, 3*perWriter)
	}
}

// count reads every line of the files as JSON and tells how often each is there.
func count(t *testing.T, pattern string) (map[string]int, int) {
	t.Helper()
	seen := map[string]int{}
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for scan := bufio.NewScanner(f); scan.Scan(); {
			var line string
			if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
				t.Fatalf("%s: %v: %.80q", name, err, scan.Text())
			}
			seen[line]++
		}
		_ = f.Close()
	}
	return seen, len(files)
}

// TestLockIsAwaited pushes while somebody else holds the lock.
func TestLockIsAwaited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	other, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Skip("no flock here: ", err)
	}
	c := open(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = c.Push(ctx, record("a"))
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Temporary || e.Uncertain || e.Hint == "" {
		t.Errorf("error = %+v", e)
	}
	pushed := make(chan error)
	go func() {
		_, err := c.Push(t.Context(), record("b"))
		pushed <- err
	}()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-pushed; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"\"b\"\n"}, lines(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTrouble is what an operator may get wrong. Push and Check agree on it.
func TestTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		path func(t *testing.T, folder string) string
		hint string
	}{
		{"folder missing", func(_ *testing.T, folder string) string { return filepath.Join(folder, "no", "out.jsonl") }, "must exist"},
		{"folder is a file", func(t *testing.T, folder string) string {
			write(t, filepath.Join(folder, "file"), "")
			return filepath.Join(folder, "file", "out.jsonl")
		}, "must exist"},
		{"path is a folder", func(_ *testing.T, folder string) string { return folder }, "must name a file"},
		{"path is a pipe", func(t *testing.T, folder string) string {
			path := filepath.Join(folder, "pipe")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Skip("no pipes here: ", err)
			}
			return path
		}, "must name a file"},
		{"no permission", func(t *testing.T, folder string) string {
			path := filepath.Join(folder, "out.jsonl")
			write(t, path, "")
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
			if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
				_ = f.Close()
				t.Skip("this user may write everything")
			}
			return path
		}, "needs the right"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := tt.path(t, t.TempDir())
			c := open(t, path)
			_, err := c.Push(t.Context(), record("a"))
			for doing, err := range map[string]error{"push": err, "check": c.(connectors.Checker).Check(t.Context())} {
				e := connectors.Classify(err)
				if e == nil || e.Kind != connectors.Denied || e.Uncertain || !strings.Contains(e.Hint, tt.hint) {
					t.Errorf("%s: %+v", doing, e)
				} else if strings.Count(e.Error(), path) != 1 {
					t.Errorf("%s names the file more or less than once: %s", doing, e)
				}
			}
		})
	}
}

// TestTakenBack has another process run into a limit of the file's size in the middle of its second line.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "AFTERCHAT_TEST_LIMITED="+path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "denied, uncertain false"; string(out) != want {
		t.Errorf("the second push was %q, want %q", out, want)
	}
	if diff := cmp.Diff([]string{"\"" + strings.Repeat("x", 60) + "\"\n"}, lines(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// limited allows files of 100 bytes and writes two lines of 63.
func limited(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	var normal syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &normal); err != nil {
		panic(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: normal.Max}); err != nil {
		panic(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &normal) }()
	c, err := file.Type().Open(&file.Settings{Path: path, Mode: 0o600}, connectors.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	line := strings.Repeat("x", 60)
	if _, err := c.Push(context.Background(), record(line)); err != nil {
		panic(err)
	}
	_, err = c.Push(context.Background(), record(line))
	e := connectors.Classify(err)
	_, _ = fmt.Fprintf(os.Stdout, "%v, uncertain %v", e.Kind, e.Uncertain)
}

func TestCheckLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := open(t, filepath.Join(folder, "out.jsonl")).(connectors.Checker)
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestMode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	settings := &file.Settings{Path: path, Mode: 0o600}
	c, err := file.Type().Open(settings, connectors.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Push(t.Context(), record("a")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	for text, want := range map[string]file.Mode{"0640": 0o640, "640": 0o640, "0o600": 0o600, "": 0, "0999": 0, "1777": 0, "rw": 0, "-1": 0} {
		var got file.Mode
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %o, %v", text, got, err)
		}
	}
	if text, err := file.Mode(0o640).MarshalText(); err != nil || string(text) != "0640" {
		t.Errorf("%s, %v", text, err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		settings file.Settings
		want     string
	}{
		{file.Settings{Path: "x", Mode: 0o640}, ""},
		{file.Settings{Mode: 0o640}, "path: is missing; write a path such as outbox.jsonl"},
		{file.Settings{Path: "x", Mode: 0o440}, "mode: must let the owner read and write; write 0640 or 0600"},
	} {
		got := ""
		if err := file.Type().Validate(&tt.settings); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.settings, got, tt.want)
		}
	}
}

// TestPreview: what is shown is what the file holds after the push.
func TestPreview(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	s := file.Type().Settings().(*file.Settings)
	s.Path = path
	c, err := file.Type().Open(s, connectors.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rec := connectors.Record{Object: "o", Request: "o.1", Revision: 1, Attempt: 1, Fields: map[string]any{"line": map[string]any{"b": "<é>", "a": int64(1)}}}
	preview, err := c.(connectors.Previewer).Preview(rec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the preview touched the file: %v", err)
	}
	want := connectors.Preview{Requests: []connectors.Request{{Method: "APPEND", URL: path, Body: `{"a":1,"b":"<é>"}`}}}
	if diff := cmp.Diff(want, preview); diff != "" {
		t.Errorf("preview (-want +got):\n%s", diff)
	}
	if _, err := c.Push(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if held, err := os.ReadFile(path); string(held) != preview.Requests[0].Body+"\n" {
		t.Errorf("the file holds %q, %v", held, err)
	}
}
