// This file tests what only a whole gateway shows: a log-in with a real hash, what viewers do not see, replay jobs over
// restarts, and the series.

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config/password"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

// TestViewers: a viewer sees no name, address or word of a visitor in any answer, and an operator does.
func TestViewers(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	vendor.set("crm.example", http.StatusBadRequest)
	r := startAPI(t, vendor, `, tokens: [{name: v, token: viewer-0123456789abcdef, role: viewer}, {name: o, token: operator-0123456789abcdef, role: operator}]`)
	r.chat(t, chatHook(1, "ada.lovelace@example.com", 1, "my card is stolen"))
	r.chat(t, chatHook(2, "grace.hopper@example.com", 5, "thank you"))
	r.settled(t)
	operator := newClient(t, r, "operator-0123456789abcdef")
	var id string
	eventually(t, "it is found", func() bool {
		found := get[console.List[console.Conversation]](operator, "/conversations?rating=1")
		if len(found.Items) == 1 {
			id = found.Items[0].ID
		}
		return id != ""
	})
	viewer := newClient(t, r, "viewer-0123456789abcdef")
	paths := []string{
		"/status", "/conversations", "/conversations?q=stolen", "/conversations/" + id, "/conversations/" + id + "/revisions/1",
		"/conversations/" + id + "/transcript", "/deliveries", "/deliveries/" + id + "/help", "/failures",
		"/targets", "/targets/help",
	}
	personal := []string{"Ada", "lovelace", "example.com", "stolen"}
	seen := 0
	for _, path := range paths {
		for _, c := range []*client{viewer, operator} {
			status, _, text := c.ask("GET", "/api/v1"+path, "")
			if status != http.StatusOK {
				t.Errorf("%s: %d %s", path, status, text)
			}
			for _, word := range personal {
				switch has := strings.Contains(string(text), word); {
				case has && c == viewer:
					t.Errorf("a viewer sees %q in %s: %s", word, path, text)
				case has:
					seen++
				}
			}
		}
	}
	for _, path := range []string{"/deliveries", "/deliveries/" + id + "/help", "/failures", "/targets", "/targets/help", "/status"} {
		if _, _, text := operator.ask("GET", "/api/v1"+path, ""); !strings.Contains(string(text), "too friendly to Ada") {
			t.Errorf("the operator does not see what the desk answered in %s: %s", path, text)
		}
	}
	for _, path := range []string{"/", "/conversations", "/conversations/" + id, "/deliveries", "/failures", "/targets", "/replays/new"} {
		for _, c := range []*client{viewer, operator} {
			if c == viewer && path == "/replays/new" {
				continue
			}
			status, _, text := c.ask("GET", path, "")
			if status != http.StatusOK {
				t.Errorf("the page %s: %d %s", path, status, text)
			}
			for _, word := range []string{"Ada", "ada.lovelace", "stolen"} { // example.com is in the hint of the search box
				if strings.Contains(string(text), word) {
					t.Errorf("%q is on the page %s: %s", word, path, text)
				}
			}
		}
	}
	if seen < 15 {
		t.Errorf("an operator sees personal data %d times only", seen)
	}
	for _, path := range []string{"/conversations/" + id + "/revisions/1/raw", "/deliveries/" + id + "/help/request", "/quarantine/x/raw", "/audit", "/config"} {
		viewer.refused(http.StatusForbidden, "GET", path, "")
	}
	for _, path := range []string{"/conversations/" + id + "/reveal", "/replays", "/explain", "/targets/help/pause", "/deliveries/" + id + "/help/replay"} {
		viewer.refused(http.StatusForbidden, "POST", path, "")
	}
	operator.refused(http.StatusForbidden, "POST", "/import?source=shop", "{}")
	if got := get[console.List[console.Audited]](operator, "/audit"); len(got.Items) != 0 {
		t.Errorf("audited: %+v", got)
	}
}

// TestPassword: whoever has the password of the hash is let in, and stays in when the gateway starts again.
func TestPassword(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, fmt.Sprintf(apiConfig, `, password: '`+password.Hash("correct horse battery")+`'`))
	r := startFrom(t, path, newMoody(), nil)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, form url.Values) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.addresses.Admin.String()+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := browser.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var status console.Status
		_ = json.NewDecoder(response.Body).Decode(&status)
		return response.StatusCode, response.Header.Get("Location") + status.You.Name
	}
	if code, _ := ask("GET", "/api/v1/status", nil); code != http.StatusUnauthorized {
		t.Errorf("before the log-in: %d", code)
	}
	if code, to := ask("POST", "/login", url.Values{"password": {"wrong horse battery"}}); code != http.StatusSeeOther || !strings.Contains(to, "error=wrong") {
		t.Errorf("a wrong password: %d %s", code, to)
	}
	if code, to := ask("POST", "/login", url.Values{"password": {"correct horse battery"}}); code != http.StatusSeeOther || to != "/" {
		t.Errorf("the password: %d %s", code, to)
	}
	if code, name := ask("GET", "/api/v1/status", nil); code != http.StatusOK || name != "admin" {
		t.Errorf("after the log-in: %d %s", code, name)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	before := r.addresses.Admin.String()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.Replace(string(text), `admin: {listen: "127.0.0.1:0"`, `admin: {listen: "`+before+`"`, 1))
	r = startFrom(t, path, newMoody(), nil)
	if code, name := ask("GET", "/api/v1/status", nil); code != http.StatusOK || name != "admin" {
		t.Errorf("after a restart: %d %s", code, name)
	}
}

// TestReplayOverRestart: a job that is cut in the middle is gone on with by the next process; every delivery goes out once.
func TestReplayOverRestart(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, fmt.Sprintf(apiConfig, ""))
	r := startFrom(t, path, vendor, nil)
	const chats = 60
	for i := range chats {
		r.chat(t, chatHook(i+1, "", 1, fmt.Sprint("chat ", i)))
	}
	r.settled(t)
	vendor.set("help.example", 0)
	c := newClient(t, r, "")
	job := answered[console.Job](c, "POST", "/replays", `{"q":"target:help","per_second":40}`)
	if job.Total != chats {
		t.Fatalf("the job: %+v", job)
	}
	eventually(t, "a part is done", func() bool {
		job = get[console.Job](c, "/replays/"+job.ID)
		return job.Done >= 10
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if job.State != ledger.JobRunning || job.Done >= chats {
		t.Fatalf("the job was not cut: %+v", job)
	}
	r = startFrom(t, path, vendor, nil)
	c = newClient(t, r, "")
	eventually(t, "the job is done", func() bool {
		job = get[console.Job](c, "/replays/"+job.ID)
		return job.State == ledger.JobDone
	})
	r.settled(t)
	if job.Done != chats || job.Skipped != 0 {
		t.Errorf("the job: %+v", job)
	}
	once := map[string]int{}
	for _, body := range vendor.bodies("help.example") {
		once[body]++
	}
	for body, n := range once {
		if n != 1 {
			t.Errorf("%s came %d times", body, n)
		}
	}
	if len(once) != chats {
		t.Errorf("%d chats came, want %d", len(once), chats)
	}
}

// TestReplayRate: a job makes no more due than it may, and a cancelled one nothing more.
func TestReplayRate(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	r := startAPI(t, vendor, "")
	const chats = 30
	for i := range chats {
		r.chat(t, chatHook(i+1, "", 1, fmt.Sprint("chat ", i)))
	}
	r.settled(t)
	vendor.set("help.example", 0)
	c := newClient(t, r, "")
	began := time.Now()
	job := answered[console.Job](c, "POST", "/replays", `{"q":"target:help","per_second":5}`)
	eventually(t, "a part is done", func() bool {
		job = get[console.Job](c, "/replays/"+job.ID)
		return job.Done >= 3 // the others take five seconds, whatever else the machine has to do
	})
	if took := time.Since(began); float64(job.Done) > 5*took.Seconds()+5 {
		t.Errorf("%d in %s", job.Done, took)
	}
	job = answered[console.Job](c, "POST", "/replays/"+job.ID+"/cancel", "")
	if job.State != ledger.JobCancelled || job.Done >= chats {
		t.Fatalf("cancelled: %+v", job)
	}
	r.settled(t)
	if n := len(vendor.bodies("help.example")); int64(n) != job.Done {
		t.Errorf("%d chats came, and the job had made %d due", n, job.Done)
	}
	dead := get[console.List[console.Delivery]](c, "/deliveries?state=dead&limit=500")
	if int64(len(dead.Items)) != chats-job.Done {
		t.Errorf("%d are dead, want %d", len(dead.Items), chats-job.Done)
	}
}

// TestSeries: what happens is in the series once, also what happened just before the stop.
func TestSeries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, fmt.Sprintf(apiConfig, ""))
	r := startFrom(t, path, newMoody(), nil)
	for i := range 5 {
		r.chat(t, chatHook(i+1, "", 1, "hello"))
		if i == 2 {
			r.recordOnce(t.Context())
		}
	}
	r.settled(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startFrom(t, path, newMoody(), nil)
	c := newClient(t, r, "")
	for kind, what := range map[string]string{"source": "accepted", "target": "ok"} {
		got := map[string]int64{}
		for _, p := range get[console.Series](c, "/series?kind="+kind+"&step=1h").Points {
			if p.What == what {
				got[p.Name] += p.Count
			}
		}
		for _, name := range map[string][]string{"source": {"shop"}, "target": {"help", "crm"}}[kind] {
			if got[name] != 5 {
				t.Errorf("%s %s: %d, want 5", kind, name, got[name])
			}
		}
	}
}

// TestManyAtOnce: readers and changes at the same time; the race detector looks on.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := startAPI(t, newMoody(), "")
	for i := range 10 {
		r.chat(t, chatHook(i+1, "", 1, "hello"))
	}
	r.settled(t)
	c := newClient(t, r, "")
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for range 10 {
				for _, path := range []string{"/status", "/conversations", "/deliveries?state=delivered", "/targets", "/config"} {
					if status, _, text := c.ask("GET", "/api/v1"+path, ""); status != http.StatusOK {
						t.Errorf("%s: %d %s", path, status, text)
					}
				}
				for _, action := range []string{"pause", "resume"} {
					if status, _, text := c.ask("POST", fmt.Sprintf("/api/v1/targets/%s/%s", []string{"help", "crm"}[i%2], action), ""); status != http.StatusOK {
						t.Errorf("%s: %d %s", action, status, text)
					}
				}
			}
		})
	}
	work.Wait()
}

// TestReplayWhere: a condition narrows a job to the conversations that it holds for.
func TestReplayWhere(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	r := startAPI(t, vendor, "")
	const chats = 300
	for i := range chats {
		r.chat(t, chatHook(i+1, "", i%5+1, fmt.Sprint("chat ", i)))
	}
	r.settled(t)
	vendor.set("help.example", 0)
	c := newClient(t, r, "")
	const where = `{"where":"rating <= 2 and any(messages, .text contains \"chat\")","q":"target:help","per_second":0`
	if dry := answered[console.DryRun](c, "POST", "/replays", where+`,"dry_run":true}`); dry.Count != chats*2/5 || dry.Chosen != chats*2/5 {
		t.Errorf("dry run: %+v", dry)
	}
	job := answered[console.Job](c, "POST", "/replays", where+"}")
	eventually(t, "the job is done", func() bool {
		job = get[console.Job](c, "/replays/"+job.ID)
		return job.State == ledger.JobDone
	})
	r.settled(t)
	if n := len(vendor.bodies("help.example")); n != chats*2/5 || job.Done != chats*2/5 || job.Chosen != chats*2/5 || job.Query != "target:help state:dead" {
		t.Errorf("%d came by %+v", n, job)
	}
	if dry := answered[console.DryRun](c, "POST", "/replays", `{"where":"rating > 9","dry_run":true}`); dry.Count != 0 {
		t.Errorf("a condition that never holds: %+v", dry)
	}
}

// TestAccessReload: tokens are changed by a reload, without a restart.
func TestAccessReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	text := fmt.Sprintf(apiConfig, `, tokens: [{name: old, token: old-token-0123456789, role: admin}]`)
	writeFile(t, path, text)
	r := startFrom(t, path, newMoody(), nil)
	old := newClient(t, r, "old-token-0123456789")
	get[console.Status](old, "/status")
	writeFile(t, path, strings.ReplaceAll(text, "old", "new"))
	if status, _, answer := old.ask("POST", "/-/reload", ""); status != http.StatusOK || !strings.Contains(string(answer), `"hash"`) || strings.Contains(string(answer), "needs_restart") {
		t.Fatalf("the reload: %d %s", status, answer)
	}
	old.refused(http.StatusUnauthorized, "GET", "/status", "")
	fresh := newClient(t, r, "new-token-0123456789")
	lines := get[console.List[console.Audited]](fresh, "/audit").Items
	if len(lines) != 1 || lines[0].Who != "old" || lines[0].Action != "reload" {
		t.Errorf("audit: %+v", lines)
	}
}
