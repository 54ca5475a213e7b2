// This file takes the secrets out of addresses, those of pages and those within a text: user and password, and query
// parameters that are called like one.

package pipeline

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// stripSecrets returns an address without user information and without the parameters, in query and fragment, whose
// name says that their value is a secret. The rest stays as it was, even if it is no valid URL.
func stripSecrets(address string) string {
	rest, fragment, hasFragment := strings.Cut(address, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	out := stripUser(rest)
	if hasQuery {
		if kept := stripParameters(query); kept != "" || query == "" {
			out += "?" + kept
		}
	}
	if hasFragment {
		if kept := stripParameters(fragment); kept != "" || fragment == "" {
			out += "#" + kept
		}
	}
	return out
}

// link is an address in a text, with what stands right behind it.
var link = regexp.MustCompile(`(?i)https?://[^\s<>"'\x60]+`)

// stripLinks is stripSecrets for each address of the web in a text.
func stripLinks(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return link.ReplaceAllStringFunc(text, func(found string) string {
		url := strings.TrimRight(found, ".,;:!?)]}*_")
		return stripSecrets(url) + found[len(url):]
	})
}

// stripUser removes what stands before the last @ of the host part.
func stripUser(address string) string {
	start := strings.Index(address, "//")
	if start < 0 {
		return address
	}
	start += len("//")
	end := len(address)
	if slash := strings.IndexAny(address[start:], `/\`); slash >= 0 {
		end = start + slash
	}
	at := strings.LastIndex(address[start:end], "@")
	return address[:start] + address[start+at+1:]
}

func stripParameters(query string) string {
	var kept strings.Builder
	for parameter := range splitAfterAny(query, "&;") {
		name, _, hasValue := strings.Cut(parameter, "=")
		if !hasValue || !isSecretName(name) {
			kept.WriteString(parameter)
		}
	}
	if kept.Len() == len(query) {
		return query
	}
	return strings.TrimRight(kept.String(), "&;")
}

// splitAfterAny yields the parts of s that end with one of the separators.
func splitAfterAny(s, separators string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for s != "" {
			end := strings.IndexAny(s, separators) + 1
			if end == 0 {
				end = len(s)
			}
			if !yield(s[:end]) {
				return
			}
			s = s[end:]
		}
	}
}

// isSecretName tells whether a parameter is called like a secret: api_key, accessToken, user[password].
func isSecretName(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name = strings.ToLower(name)
	for _, end := range []string{"token", "password", "passwd", "secret", "apikey", "accesskey", "signature", "sessionid"} {
		if strings.HasSuffix(strings.TrimRight(name, "]"), end) {
			return true
		}
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("_-.[]? /#!", r) })
	return slices.ContainsFunc(parts, func(part string) bool {
		return slices.Contains([]string{"token", "key", "password", "pass", "pwd", "secret", "auth", "authorization", "sig", "session", "sid", "jwt", "otp", "credential", "credentials"}, part)
	})
}
