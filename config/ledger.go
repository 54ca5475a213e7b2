// This file is where the ledger is kept: its URL, whose password is shown to nobody.

package config

import (
	"errors"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
)

// LedgerURL says where the ledger is. Every way of printing it masks the password.
type LedgerURL string

var (
	urlPassword       = regexp.MustCompile(`(://[^:@/?\s]*:).*@`) // greedy: a password may hold anything
	parameterPassword = regexp.MustCompile(`(?i)((?:password|passfile|passphrase)\s*=\s*)[^&\s]*`)
)

// String returns the URL with the password masked.
func (u LedgerURL) String() string {
	masked := urlPassword.ReplaceAllString(string(u), "${1}"+secret.Mask+"@")
	return parameterPassword.ReplaceAllString(masked, "${1}"+secret.Mask)
}

// GoString is String.
func (u LedgerURL) GoString() string { return u.String() }

// MarshalText is String.
func (u LedgerURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Reveal returns the URL with its password, for the one place that needs it.
func (u LedgerURL) Reveal() string { return string(u) }

// Shared tells whether the ledger is a database that several replicas may share.
func (u LedgerURL) Shared() bool {
	scheme, _, _ := strings.Cut(string(u), ":")
	return scheme == "postgres" || scheme == "postgresql"
}

// ledger checks where the ledger is.
func (l *loader) ledger() {
	n := l.root.value("ledger").valueOrNil("url")
	if !l.readable(n) {
		if n == nil {
			l.ledgerFolder(span{l.root.at.from, l.root.at.from + 1})
		}
		return
	}
	at := l.config.Ledger.URL
	scheme, rest, found := strings.Cut(at.Reveal(), ":")
	switch {
	case at.Shared():
		if parsed, err := url.Parse(at.Reveal()); err != nil || !strings.HasPrefix(rest, "//") || parsed.Opaque != "" {
			l.masks.hide(l.file, n) // where the password begins is anybody's guess
			l.add(n.at, "write postgres://user:password@host:5432/database, and in the password @ as %40, / as %2F, % as %25",
				"this is no URL of a PostgreSQL database")
		}
	case !found || scheme != "sqlite":
		l.add(n.at, "write sqlite: and the path of a file, such as sqlite:afterchat.db, or postgres://user@host/database", "%q is no ledger", LedgerURL(n.shown()).String())
	case rest == "" || strings.HasPrefix(rest, "//") || strings.ContainsAny(rest, "?#"):
		l.add(n.at, "write sqlite:afterchat.db or sqlite:/var/lib/afterchat/afterchat.db, without //, ? and #", "%q names no file", n.shown())
	default:
		l.ledgerFolder(n.at)
	}
}

// ledgerFolder asks whether there is a place for the ledger.
func (l *loader) ledgerFolder(at span) {
	if l.env.Folder == nil {
		return
	}
	folder := filepath.Dir(l.config.LedgerFile())
	err := l.env.Folder(folder)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		l.add(at, "make it, as the user that runs afterchat serve, or write ledger: {url: sqlite:FILE} with a file in a folder that is there",
			"the folder of the ledger, %s, does not exist", folder)
	default:
		l.add(at, "let the user that runs afterchat serve write there (and run check as that user), or write ledger: {url: sqlite:FILE} with a file elsewhere",
			"nothing can be written in the folder of the ledger, %s: %v", folder, cause(err))
	}
}

// LedgerFile returns the path of the ledger's database file, as seen from the working directory; "" if it is in no file.
func (c *Config) LedgerFile() string {
	if c.Ledger.URL.Shared() {
		return ""
	}
	return c.Resolve(strings.TrimPrefix(c.Ledger.URL.Reveal(), "sqlite:"))
}
