// This file holds the test of the vendors' own sample hooks through the built binary.

package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line is one message as role, time and text.
type line struct{ Role, At, Text string }

func lines(object map[string]any) []line {
	var out []line
	messages, _ := object["messages"].([]any)
	for _, m := range messages {
		message, _ := m.(map[string]any)
		text := func(key string) string { s, _ := message[key].(string); return s }
		content := text("text")
		if content == "" {
			content = text("event")
		}
		out = append(out, line{text("role"), text("at"), content})
	}
	return out
}

func TestE2EFixtures(t *testing.T) {
	binary(t)
	samples := filepath.Join("..", "..", "shared", "fixtures")
	smartsupp, err := os.ReadFile(filepath.Join(samples, "smartsupp-completed.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the vendors' sample hooks are not beside this checkout")
	}
	proprofs, err2 := os.ReadFile(filepath.Join(samples, "proprofs-transcript.json"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	folder, target := t.TempDir(), newSink(t)
	path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"'}\n  log: {type: file, path: outbox.jsonl}\n")
	start(t, path, hooks, admin, startOptions{})
	send := func(source string, body []byte, want string) {
		t.Helper()
		if status, answer := post(t.Context(), "http://"+hooks+"/in/"+source+"/"+e2eSecret, body); status != http.StatusOK || !strings.HasPrefix(answer, want) {
			t.Fatalf("%d %s, want %s", status, answer, want)
		}
	}
	send("shop", smartsupp, `{"result":"ok"}`)
	send("desk", proprofs, `{"result":"ok"}`)
	send("shop", smartsupp, `{"result":"ok"}`)
	send("desk", proprofs, `{"result":"ok"}`)
	outbox := func(n int) (objects []map[string]any) {
		eventually(t, time.Minute, func() error {
			objects = nil
			text, err := os.ReadFile(filepath.Join(folder, "outbox.jsonl"))
			if err != nil {
				return err
			}
			for l := range bytes.SplitSeq(bytes.TrimSpace(text), []byte("\n")) {
				var object map[string]any
				if err := json.Unmarshal(l, &object); err != nil {
					return err
				}
				objects = append(objects, object)
			}
			if ids := target.externalIDs(); len(objects) != n || len(ids) != n {
				return fmt.Errorf("%d lines, %d objects, want %d of each", len(objects), len(ids), n)
			}
			return nil
		})
		return objects
	}
	wantShop := []line{
		{"visitor", "2015-03-27T15:33:59.703Z", "Hello"},
		{"system", "2015-03-27T15:34:06.219Z", "agent.join"},
		{"bot", "2015-03-27T15:34:09.706Z", "This is triggered message"},
		{"agent", "2015-03-27T15:34:13.772Z", "Hi, how can i help you ?"},
		{"visitor", "2015-03-27T15:34:33.124Z", "tanks."},
		{"system", "2015-03-27T15:34:36.687Z", "close.visitorClose"},
	}
	wantDesk := []line{ // the zone of the source is five and a half hours ahead of UTC
		{"agent", "2020-01-01T17:01:31Z", "How may i help you today?"},
		{"agent", "2020-01-09T17:01:32Z", "test5"},
		{"agent", "2020-01-09T17:01:33Z", "hi"},
	}
	check := func(where string, objects []map[string]any) {
		t.Helper()
		for _, object := range objects {
			want := wantShop
			if object["source"] == "desk" {
				want = wantDesk
			}
			if diff := cmp.Diff(want, lines(object)); diff != "" {
				t.Errorf("%s, %v (-want +got):\n%s", where, object["source"], diff)
			}
		}
	}
	check("file", outbox(2))
	var received []map[string]any
	target.mu.Lock()
	for _, o := range target.objects {
		received = append(received, o)
	}
	target.mu.Unlock()
	check("http", received)

	more := bytes.Replace(smartsupp, []byte(`"endAt": 1427470476687`), []byte(`"endAt": 1427470486687`), 1)
	more = bytes.Replace(more, []byte("\n  ]\n}"), []byte(`,{"type":"agent","name":"John Doe","from":"agent:3","content":"One more thing","sentAt":1427470486687,"triggeredBy":null}`+"\n  ]\n}"), 1)
	if bytes.Equal(more, smartsupp) || !json.Valid(more) {
		t.Fatal("the sample has changed; adapt this test")
	}
	send("shop", more, `{"result":"ok"}`)
	objects := outbox(3)
	last := objects[2]
	if last["revision"] != 2.0 || last["id"] != objects[0]["id"] && last["id"] != objects[1]["id"] || len(lines(last)) != 7 {
		t.Errorf("revision 2: revision %v, id %v, %d messages", last["revision"], last["id"], len(lines(last)))
	}

	send("shop", []byte(`{"accountId": 1, oops`), `{"result":"ok","quarantined":"`)
	if status, _ := post(t.Context(), "http://"+hooks+"/in/shop/wrong-secret-wrong-secret", smartsupp); status != http.StatusNotFound {
		t.Errorf("wrong secret: %d", status)
	}
	metrics := get(t, "http://"+admin+"/metrics")
	for _, want := range []string{
		`afterchat_hooks_total{result="quarantined",source="shop"} 1`,
		`afterchat_hooks_total{result="repeated",source="shop"} 1`,
		`afterchat_hooks_total{result="revised",source="shop"} 1`,
		`afterchat_deliveries_total{outcome="delivered",target="desk"} 3`,
		`afterchat_pending{target="desk"} 0`,
		`afterchat_quarantined 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(metrics, e2eSecret) {
		t.Error("the secret is in /metrics")
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := hookClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
