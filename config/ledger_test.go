// This file tests that the password of a ledger's URL is shown to nobody.

package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config"
)

func TestLedgerURLIsMasked(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"sqlite:afterchat.db":                           "sqlite:afterchat.db",
		"postgres://db/chats":                           "postgres://db/chats",
		"postgres://chat@db/chats":                      "postgres://chat@db/chats",
		"postgres://chat:canary@db:5432/chats?x=y":      "postgres://chat:***@db:5432/chats?x=y",
		"postgres://chat:canary@canary/canary@db/chats": "postgres://chat:***@db/chats",
		"postgres://:canary@db/chats":                   "postgres://:***@db/chats",
		"postgres://chat@db/chats?password=canary&a=b":  "postgres://chat@db/chats?password=***&a=b",
		"host=db password=canary dbname=chats":          "host=db password=*** dbname=chats",
	} {
		u := config.LedgerURL(url)
		text, err := u.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{u.String(), string(text), fmt.Sprint(u), fmt.Sprintf("%v", u), fmt.Sprintf("%#v", u)} {
			if got != want || strings.Contains(got, "canary") {
				t.Errorf("%s is shown as %s", want, got)
			}
		}
		if u.Reveal() != url {
			t.Errorf("%s is revealed as something else", want)
		}
	}
}
