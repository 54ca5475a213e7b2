// This file holds the rules about pushing while nothing fails, or while only the answer gets lost.

package connectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/afterchat/afterchat/connectors"
)

func pushTests() []test {
	return []test{
		{"opening does no I/O", testOpen},
		{"a push makes one object", testPush},
		{"pushes run at once", testConcurrent},
		{"the same record is the same bytes", testBytes},
		{"a lost answer leaves one object", testLost},
		{"a revision updates", testRevision},
		{"an ended context is noticed", testEnded},
		{"a preview is what is sent", testPreview},
		{"check passes", testCheck},
	}
}

// testOpen opens with a folder that does not exist and a wire that must not be used.
func testOpen(t *testing.T, s Suite) {
	b := s.bench(t)
	env := b.env()
	env.Folder = filepath.Join(t.TempDir(), "not", "there")
	wire := NewWire(nil)
	env.Transport = wire
	if _, err := s.Type.Open(b.target.Settings, env); err != nil {
		t.Errorf("open with a folder that does not exist: %v", err)
	}
	if sent := wire.Sent(); len(sent) > 0 {
		t.Errorf("opening sent %s %s", sent[0].Method, sent[0].URL)
	}
}

func testPush(t *testing.T, s Suite) {
	b := s.bench(t)
	rec := s.record(1, 1)
	receipt := b.mustPush(t, rec)
	b.wantCount(t, 1, "one record was pushed")
	if !reflect.DeepEqual(rec.Fields, s.Record(1, 1)) {
		t.Error("the push changed the record's fields")
	}
	var back connectors.Receipt
	text, err := json.Marshal(receipt)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back.ID != receipt.ID || back.URL != receipt.URL {
		t.Errorf("the receipt %+v does not survive being stored: %+v, %v", receipt, back, err)
	}
	b.mustPush(t, s.record(2, 1))
	b.wantCount(t, 2, "two different records were pushed")
}

func testConcurrent(t *testing.T, s Suite) {
	const n = 16
	b := s.bench(t)
	var pushes sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		pushes.Go(func() { _, errs[i] = b.Push(t.Context(), s.record(i+1, 1)) })
	}
	pushes.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("push %d: %v", i+1, err)
		}
	}
	b.wantCount(t, n, "so many records were pushed at once")
}

// testBytes pushes the same record to three fresh targets: what is sent under one idempotency key must not depend on
// the order of a map or the time of day.
func testBytes(t *testing.T, s Suite) {
	var first []string
	for i := range 3 {
		b := s.bench(t)
		if b.wire == nil {
			t.Skip("the target is not on HTTP")
		}
		b.mustPush(t, s.record(1, 1))
		var sent []string
		for _, r := range b.wire.Sent() {
			sent = append(sent, fmt.Sprintf("%s %s\n%s", r.Method, r.URL, r.Body))
		}
		if i == 0 {
			first = sent
		}
		if !reflect.DeepEqual(first, sent) {
			t.Fatalf("the same record was sent as\n%s\nand as\n%s", first, sent)
		}
	}
}

// testLost pushes again what the target has taken already, as the engine does after a crash.
func testLost(t *testing.T, s Suite) {
	b := s.bench(t)
	if s.Type.Once(b.target.Settings) == connectors.OnceNone {
		t.Skip("nothing holds one object, by declaration")
	}
	b.mustPush(t, s.record(1, 1))
	b.mustPush(t, s.record(2, 1))
	again := s.record(1, 1)
	again.Attempt, again.Uncertain = 2, true
	b.mustPush(t, again)
	b.wantCount(t, 2, "one of two records was pushed again with Uncertain")
}

func testRevision(t *testing.T, s Suite) {
	b := s.bench(t)
	once := s.Type.Once(b.target.Settings)
	if once != connectors.OnceUpsert && once != connectors.OnceLookup {
		t.Skip("the target cannot find an object again, by declaration: " + once.String())
	}
	stored, err := json.Marshal(b.mustPush(t, s.record(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	next := s.record(1, 2)
	if err := json.Unmarshal(stored, &next.Prior); err != nil {
		t.Fatal(err)
	}
	receipt := b.mustPush(t, next)
	want := 1
	if s.Appends {
		want = 2
	}
	b.wantCount(t, want, "a second revision was pushed")
	if !s.Appends && receipt.ID != next.Prior.ID {
		t.Errorf("the update changed the id from %q to %q", next.Prior.ID, receipt.ID)
	}
}

// testPreview compares what would be sent with what is. Later writes may name ids that only the target gives; the first
// one has none.
func testPreview(t *testing.T, s Suite) {
	b := s.bench(t)
	previewer, ok := b.Connector.(connectors.Previewer)
	if !ok {
		t.Skip("the connector has no preview")
	}
	rec := s.record(1, 1)
	preview, err := previewer.Preview(rec)
	if err != nil {
		t.Fatalf("preview: %v", err)
	}
	if again, err := previewer.Preview(s.record(1, 1)); err != nil || !reflect.DeepEqual(preview, again) {
		t.Errorf("the same record is previewed as\n%+v\nand as\n%+v, %v", preview, again, err)
	}
	if !reflect.DeepEqual(rec.Fields, s.Record(1, 1)) {
		t.Error("the preview changed the record's fields")
	}
	b.wantCount(t, 0, "a preview makes nothing")
	if log := b.logs.String(); strings.Contains(log, rec.Object) {
		t.Errorf("the preview logged\n%s", log)
	}
	if b.wire != nil && len(b.wire.Sent()) > 0 {
		t.Errorf("the preview sent %+v", b.wire.Sent())
	}
	b.mustPush(t, rec)
	if b.wire == nil {
		hidesSecrets(t, preview, nil)
		return
	}
	hidesSecrets(t, preview, b.wire.Sent())
	var sent, previewed []string
	for _, r := range b.wire.Sent() {
		if !strings.Contains(r.Body, Canary) { // that fetches credentials
			sent = append(sent, r.Method+" "+r.Body)
		}
	}
	for _, r := range preview.Requests {
		previewed = append(previewed, r.Method+" "+r.Body)
	}
	if i := slices.IndexFunc(preview.Requests, func(r connectors.Request) bool { return !r.Reads }); i < 0 || !slices.Contains(sent, previewed[i]) {
		t.Errorf("the first write of the preview was not sent:\n%s\nthese were:\n%s", previewed, sent)
	}
	rest := withoutIDs(sent)
	for i, r := range withoutIDs(previewed) {
		at := slices.Index(rest, r)
		if at < 0 {
			t.Fatalf("this was previewed and not sent, or not in this order:\n%s\nthese were sent:\n%s", previewed[i], strings.Join(sent, "\n"))
		}
		rest = rest[at+1:] // a vendor may lead a push another way in between
	}
}

var digits = regexp.MustCompile(`[0-9]+`)

// withoutIDs replaces what only the target gives.
func withoutIDs(requests []string) []string {
	var out []string
	for _, r := range requests {
		out = append(out, digits.ReplaceAllString(r, "#"))
	}
	return out
}

// hidesSecrets fails if the preview holds the canary, or credentials that were sent.
func hidesSecrets(t *testing.T, preview connectors.Preview, sent []Sent) {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(preview); err != nil {
		t.Fatalf("the preview is no JSON: %v", err)
	}
	text := b.String()
	if strings.Contains(text, Canary) || strings.Contains(text, url.QueryEscape(Canary)) {
		t.Errorf("the preview holds a secret:\n%s", text)
	}
	for _, r := range sent {
		if _, credentials, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.Contains(text, credentials) {
			t.Errorf("the preview holds credentials that were sent:\n%s", text)
		}
	}
}

func testEnded(t *testing.T, s Suite) {
	b := s.bench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Push(ctx, s.record(1, 1)); err != nil {
		if e := b.sound(t, err); e.Kind != connectors.Temporary {
			t.Errorf("an ended context is %v, want temporary: the record and the target are fine", e.Kind)
		}
	}
}

func testCheck(t *testing.T, s Suite) {
	b := s.bench(t)
	checker, ok := b.Connector.(connectors.Checker)
	if !ok {
		t.Skip("the connector has no check")
	}
	if err := checker.Check(t.Context()); err != nil {
		t.Errorf("check of a target that works: %v", err)
	}
	b.wantCount(t, 0, "a check makes nothing")
}
