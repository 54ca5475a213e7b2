// This file runs a real Request Tracker on loopback, reads its tickets back, and carries requests to it over a wire
// that loses answers.

package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const requestTrackerServer = "/usr/share/request-tracker5/libexec/rt-server"

// requestTracker is a help desk of its own in a temporary folder.
type requestTracker struct {
	address string // host and port
	token   string
}

// startRequestTracker sets up and starts one, and stops it when the test ends.
func startRequestTracker(t *testing.T) *requestTracker {
	t.Helper()
	setup, err := exec.LookPath("rt-setup-database-5")
	if _, missing := os.Stat(requestTrackerServer); err != nil || missing != nil {
		t.Skip("Request Tracker 5 is not installed; as root on Debian, make request-tracker does that")
	}
	folder := t.TempDir()
	for _, name := range []string{"conf.d", "var", "mason", "sessions", "tmp"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Abs(filepath.Join("testdata", "requesttracker"))
	if err != nil {
		t.Fatal(err)
	}
	rt := &requestTracker{address: freeAddress(t)}
	_, port, err := net.SplitHostPort(rt.address)
	if err != nil {
		t.Fatal(err)
	}
	environment := append(os.Environ(),
		"RT_SITE_CONFIG="+filepath.Join(files, "RT_SiteConfig.pm"), "RT_SITE_CONFIG_DIR="+filepath.Join(folder, "conf.d"),
		"RT_FOLDER="+folder, "RT_PORT="+port, "RT_TOKEN_FILE="+filepath.Join(folder, "token"),
		"TMPDIR="+filepath.Join(folder, "tmp"), "LC_ALL=C.UTF-8")
	for _, args := range [][]string{
		{"--action", "init", "--skip-create"},
		{"--action", "insert", "--skip-create", "--datafile", filepath.Join(files, "seed.initialdata")},
	} {
		command := exec.CommandContext(t.Context(), setup, args...)
		command.Env, command.Dir = environment, folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", setup, strings.Join(args, " "), err, out)
		}
	}
	token, err := os.ReadFile(filepath.Join(folder, "token"))
	if err != nil {
		t.Fatal(err)
	}
	rt.token = string(token)

	log := &process{log: &bytes.Buffer{}, logMu: &sync.Mutex{}}
	writer := &lockedWriter{mu: log.logMu, to: log.log}
	command := exec.CommandContext(context.Background(), requestTrackerServer, "--host", "127.0.0.1", "--port", port, "--max-workers", "2")
	command.Env, command.Dir, command.Stdout, command.Stderr = environment, folder, writer, writer
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("Request Tracker:\n%s", log.output())
		}
	})
	eventually(t, 60*time.Second, func() error {
		var queue struct{ Name string }
		if err := rt.get(t.Context(), "/queue/Chat", nil, &queue); err != nil {
			return fmt.Errorf("%w\n%s", err, log.output())
		}
		if queue.Name != "Chat" {
			return fmt.Errorf("there is no queue Chat\n%s", log.output())
		}
		return nil
	})
	return rt
}

// get reads one JSON answer.
func (rt *requestTracker) get(ctx context.Context, path string, query url.Values, into any) error {
	address := url.URL{Scheme: "http", Host: rt.address, Path: "/REST/2.0" + path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "token "+rt.token)
	response, err := hookClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return json.Unmarshal(body, into)
}

// ticket is what Request Tracker shows of one.
type ticket struct {
	ID, Subject, Status string
	Requestor           []struct{ ID string }
	CustomFields        []struct {
		Name   string
		Values []string
	}
	entries []entry
}

// entry is one text of a ticket: that of its creation, or a comment.
type entry struct{ kind, mediaType, content string }

// field returns the value of a custom field.
func (k ticket) field(name string) string {
	for _, f := range k.CustomFields {
		if f.Name == name {
			return strings.Join(f.Values, ", ")
		}
	}
	return ""
}

// tickets reads every ticket with its texts.
func (rt *requestTracker) tickets(t *testing.T) []ticket {
	t.Helper()
	var all []ticket
	for page, pages := 1, 1; page <= pages; page++ {
		var answer struct {
			Pages int
			Items []ticket
		}
		rt.mustGet(t, "/tickets", url.Values{
			"query": {"id > 0"}, "fields": {"Subject,Status,Requestor,CustomFields"}, "fields[CustomFields]": {"name,values"},
			"per_page": {"100"}, "page": {fmt.Sprint(page)},
		}, &answer)
		pages = answer.Pages
		all = append(all, answer.Items...)
	}
	for i := range all {
		all[i].entries = rt.entries(t, all[i].ID)
	}
	return all
}

// entries reads the texts of one ticket, oldest first.
func (rt *requestTracker) entries(t *testing.T, id string) []entry {
	t.Helper()
	many := url.Values{"per_page": {"100"}}
	var history struct {
		Items []map[string]any // beside Type, an item has a type
	}
	many.Set("fields", "Type")
	rt.mustGet(t, "/ticket/"+id+"/history", many, &history)
	var texts struct {
		Items []struct {
			ContentType, Content string
			TransactionID        string `json:"TransactionId"`
		}
	}
	many.Set("fields", "ContentType,Content,TransactionId")
	rt.mustGet(t, "/ticket/"+id+"/attachments", many, &texts)
	var out []entry
	for _, step := range history.Items {
		e := entry{kind: fmt.Sprint(step["Type"])}
		if e.kind != "Create" && e.kind != "Comment" && e.kind != "Correspond" {
			continue
		}
		for _, text := range texts.Items {
			if text.TransactionID == step["id"] {
				e.mediaType, e.content = text.ContentType, e.content+text.Content
			}
		}
		out = append(out, e)
	}
	return out
}

func (rt *requestTracker) mustGet(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	if err := rt.get(t.Context(), path, query, into); err != nil {
		t.Fatal(err)
	}
}

// The moments of a request on the wire.
const (
	arrived  = "arrived"  // the help desk has not seen it yet
	answered = "answered" // the help desk has done it; the gateway does not know yet
)

// wire stands between the gateway and the help desk. What has arrived is carried on even if the gateway is gone, as
// networks and proxies do, and some answers are lost on the way back.
type wire struct {
	address string
	to      string
	lose    func(kind string, nth int) bool // tells whether the nth answer to a kind of request is lost

	mu    sync.Mutex
	count map[string]int                 // requests by kind
	lost  map[string]int                 // answers by kind
	watch func(kind, moment string) bool // true ends the watch
	seen  chan struct{}                  // closed when the watch has ended
}

// newWire opens one to the help desk.
func newWire(t *testing.T, to string, lose func(kind string, nth int) bool) *wire {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: listener.Addr().String(), to: to, lose: lose, count: map[string]int{}, lost: map[string]int{}}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return w
}

// await returns a channel that is closed as soon as a request of this kind is at this moment.
func (w *wire) await(kind, moment string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = make(chan struct{})
	w.watch = func(k, m string) bool { return k == kind && m == moment }
	return w.seen
}

// at notes that a request is at a moment, and counts how many of its kind have been there.
func (w *wire) at(kind, moment string) (nth int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if moment == arrived {
		w.count[kind]++
	}
	if w.watch != nil && w.watch(kind, moment) {
		close(w.seen)
		w.watch = nil
	}
	return w.count[kind]
}

// kind is what a request asks for, without the id of a ticket.
func kind(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "REST" || strings.Trim(p, "0123456789.") == "" })
	return r.Method + " " + strings.Join(parts, "/")
}

func (w *wire) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	kind := kind(in)
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return // the gateway was killed while it wrote
	}
	nth := w.at(kind, arrived)
	status, header, answer, err := w.pass(in, body)
	w.at(kind, answered)
	if err == nil && !w.lose(kind, nth) {
		maps.Copy(out.Header(), header)
		out.WriteHeader(status)
		_, _ = out.Write(answer)
		return
	}
	w.mu.Lock()
	w.lost[kind]++
	w.mu.Unlock()
	panic(http.ErrAbortHandler) // breaks the connection
}

// pass hands a request to the help desk, whatever has become of the gateway.
func (w *wire) pass(in *http.Request, body []byte) (status int, header http.Header, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.Context()), 60*time.Second)
	defer cancel()
	address := url.URL{Scheme: "http", Host: w.to, Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery}
	request, err := http.NewRequestWithContext(ctx, in.Method, address.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header = in.Header.Clone()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, nil, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header, answer, errors.Join(err, response.Body.Close())
}

// report shows what went over the wire.
func (w *wire) report() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for kind, n := range w.count {
		out = append(out, fmt.Sprintf("%d × %s (%d answers lost)", n, kind, w.lost[kind]))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
