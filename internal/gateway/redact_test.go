// This file looks for what is removed at intake in everything that a gateway leaves behind: the ledger's own copies, its
// files, the log.

package gateway

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

var loggedConversation = regexp.MustCompile(`conversation=(c[0-9a-z]{26}) revision=(\d+)`)

// TestRedactionAtIntakeLeavesNothing sends one conversation in several spellings, whose removed parts are written in
// ways that no pattern over the body would find.
func TestRedactionAtIntakeLeavesNothing(t *testing.T) {
	t.Parallel()
	const text = hookConfig + `redact:
  strict: {find: [card, {name: canary, regex: 'canary-[a-z]+'}], drop: [visitor.ip, visitor.vars.pin], at: intake}
  later: {find: [email]}
routes:
  - name: everything
    to: {help: {redact: [later]}}
`
	hook := func(card string, ended int, more string) string {
		return fmt.Sprintf("POST /in/shop/SECRET\nContent-Type: application/json\n\n"+
			`{"accountId":1,"beginAt":1427470439703,"endAt":%d,"channel":{"id":24},"visitor":{"name":"Ada","ipAddress":"canary-ip","variables":{"pin":"canary-pin"}},`+
			`"messages":[{"type":"visitor","from":"visitor:a","content":"my card is %s, canary-text, mail ada@example.com","sentAt":1427470439703}%s],"unknown":{"canary-key":"canary-value"}}`, ended, card, more)
	}
	target := &desk{}
	g := startGateway(t, text, target)
	for _, request := range []string{
		hook("4111 1111 1111 1111", 1427470476687, ""),
		hook(`4\u0031\u00311 1111 11\u00311 1111`, 1427470476687, ""), // the same in other bytes
		hook("5555 5555 5555 4444", 1427470476687, ""),                // other content, but not in what is kept
		hook("4111 1111 1111 1111", 1427470476999, `,{"type":"visitor","from":"visitor:a","content":"and canary-more","sentAt":1427470476000}`),
	} {
		if answer := send(t, g.addresses.Hooks.String(), request); !strings.HasPrefix(answer, "200 ") {
			t.Fatal(answer)
		}
		g.settled(t)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	stored, err := sqlite.Open(t.Context(), g.boot.LedgerFile(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stored.Close() })
	var kept bytes.Buffer
	seen := map[string]bool{}
	for _, m := range loggedConversation.FindAllStringSubmatch(g.log.String(), -1) {
		if seen[m[2]] {
			continue
		}
		seen[m[2]] = true
		body, kind, err := stored.Raw(t.Context(), m[1], len(seen))
		if err != nil {
			t.Fatal(err)
		}
		if kind != intake.RedactedType {
			t.Errorf("content type %q", kind)
		}
		c, err := stored.Conversation(t.Context(), m[1])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&kept, "%s\n%+v\n", body, c)
	}
	if len(seen) != 2 {
		t.Errorf("revisions %v, want 1 and 2", seen)
	}
	if !strings.Contains(kept.String(), "ada@example.com") || !strings.Contains(kept.String(), "my card is [removed]") {
		t.Errorf("more is gone than was to be removed at intake:\n%s", kept.String())
	}
	files, err := filepath.Glob(g.boot.LedgerFile() + "*")
	if err != nil || len(files) == 0 {
		t.Fatal("no ledger", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		kept.Write(content)
	}
	kept.WriteString(g.log.String())
	kept.WriteString(strings.Join(target.received, "\n"))
	for _, canary := range []string{"canary-", "4111 1111", "5555 5555", "411111"} {
		if bytes.Contains(kept.Bytes(), []byte(canary)) {
			t.Errorf("%s was kept:\n%.3000s", canary, kept.String())
		}
	}
	if n := len(target.received); n != 2 {
		t.Errorf("the target got %d requests, want 2: repeats are known as such\n%s", n, strings.Join(target.received, "\n"))
	}
}
