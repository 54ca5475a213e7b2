// This file tests where a ledger may be, and that the password of its URL is shown to nobody.

package config_test

import (
	"errors"
	"fmt"
	"io/fs"
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

// TestFolderOfTheLedger: it is asked for only where somebody can tell, and the mistake stands at what names it.
func TestFolderOfTheLedger(t *testing.T) {
	t.Parallel()
	const sources = "sources: {shop: {type: smartsupp, secret: 0123456789abcdef}}\ntargets: {log: {type: file, path: out.jsonl}}\n"
	for text, want := range map[string]string{
		"version: 1\n" + sources: "dir/a.yaml:1:1: nothing can be written in the folder of the ledger, dir: permission denied",
		"version: 1\nledger: {url: 'sqlite:/var/lib/a.db'}\n" + sources:            "dir/a.yaml:2:15: the folder of the ledger, /var/lib, does not exist",
		"version: 1\nledger: {url: 'sqlite:fine/a.db'}\n" + sources:                "",
		"version: 1\nledger: {url: 'postgres://chat@db.example/chat'}\n" + sources: "",
	} {
		env := environment()
		env.Folder = func(path string) error {
			switch path {
			case "dir":
				return &fs.PathError{Op: "access", Path: path, Err: fs.ErrPermission}
			case "/var/lib":
				return fs.ErrNotExist
			}
			return nil
		}
		_, err := config.Parse("dir/a.yaml", []byte(text), known(), env)
		got := ""
		if problems, ok := errors.AsType[config.Problems](err); ok {
			got = problems[0].Place() + ": " + problems[0].Text
		} else if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s\n%q, want %q", text, got, want)
		}
	}
}
