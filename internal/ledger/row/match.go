// This file reads what a filter says of addresses and ids: whole ones, beginnings, domains. Each is a comparison with one
// column that has an index, so none of them looks at all rows.

package row

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Match is one value of a filter, and the column of summary that it is compared with.
type Match struct {
	Column string
	Value  string
	Prefix bool // the column begins with Value
}

// MatchEmail reads a value of ledger.Filter.Emails.
func MatchEmail(value string) Match {
	value, prefix := strings.CutSuffix(strings.ToLower(value), "*")
	if domain, ok := strings.CutPrefix(value, "@"); ok {
		return Match{"domain", domain, prefix}
	}
	return Match{"email", value, prefix || value != "" && !strings.Contains(value, "@")}
}

// MatchExternalID reads a value of ledger.Filter.ExternalIDs.
func MatchExternalID(value string) Match {
	value, prefix := strings.CutSuffix(value, "*")
	return Match{"external_id", value, prefix}
}

// Domain is that of an address, in lower case; "" if it has none.
func Domain(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return ""
	}
	return strings.ToLower(email[at+1:])
}

// Behind returns the first text that is behind all that begin with prefix, in the order of code points; "" if there is
// none.
func Behind(prefix string) string {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch r {
		case utf8.MaxRune:
			continue // nothing is behind it, but behind the letter before
		case 0xd7ff:
			r = 0xdfff // what follows is no character
		}
		return prefix + string(r+1)
	}
	return ""
}

// ReceiptID is the id of a receipt that a text of a filter may be; "" if it cannot be one.
func ReceiptID(text string) string {
	id := strings.TrimPrefix(strings.TrimSpace(text), "#")
	if len(id) > maxReceiptID || strings.ContainsFunc(id, unicode.IsSpace) {
		return ""
	}
	return id
}

// maxReceiptID is how long an id may be, in bytes, that somebody types into a search.
const maxReceiptID = 200
