// This file tests that no secret gets into a text.

package rest_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// TestNoSecretLeaks has a target that echoes everything it got, in every kind of failure.
func TestNoSecretLeaks(t *testing.T) {
	t.Parallel()
	const canary = "canary-7e1f"
	echo := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("do") {
		case "status":
			w.WriteHeader(http.StatusUnauthorized)
			user, password, _ := r.BasicAuth()
			_, _ = fmt.Fprintf(w, "%s | %s | %s %s | %s", r.Header, r.Header.Get("X-Key"), user, password, strings.Repeat(canary, 500))
		case "throttle":
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, canary)
		default:
			panic(http.ErrAbortHandler)
		}
	}
	server := serve(t, echo)
	server.Config.ErrorLog = quiet()
	closed := "http://" + closedAddress(t)
	for _, authorize := range []func(*http.Request, []byte) error{
		func(r *http.Request, _ []byte) error { r.Header.Set("Authorization", "Bearer "+canary); return nil },
		func(r *http.Request, _ []byte) error { r.SetBasicAuth("user", canary); return nil },
	} {
		var logs bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		client := rest.New(connectors.Env{Logger: log}, rest.Options{Authorize: authorize, Secrets: []secret.String{secret.New(canary)}})
		for _, address := range []string{server.URL + "/" + canary + "?do=status&", server.URL + "?do=throttle&", server.URL + "?do=abort&", closed + "?"} {
			req := post(address + "token=" + canary)
			req.Header = http.Header{"X-Key": {canary}}
			_, err := client.Do(t.Context(), req)
			e := classified(t, err)
			for _, text := range []string{e.Error(), e.Hint, fmt.Sprintf("%v %q", e, e), logs.String()} {
				if strings.Contains(text, canary) || strings.Contains(text, "token") {
					t.Errorf("%s: %s", address, text)
				}
			}
		}
		if logs.Len() == 0 {
			t.Error("nothing was logged, so nothing was tested")
		}
	}
}

func TestShowPath(t *testing.T) {
	t.Parallel()
	server := serve(t, http.NotFound)
	_, err := rest.New(connectors.Env{}, rest.Options{ShowPath: true}).Do(t.Context(), post(server.URL+"/api/v2/tickets?token=x"))
	if want := "POST " + server.URL + "/api/v2/tickets answered 404 Not Found: 404 page not found"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// TestHide: a target writes what it repeats in its own way.
func TestHide(t *testing.T) {
	t.Parallel()
	odd := secret.New(`+/="<&` + "canary7e1f0000" + `>%'`)
	for text, want := range map[string]string{
		"Bearer " + odd.Reveal():                             "Bearer ***",
		`{"key": "+/=\"<&canary7e1f0000>%'"}`:                `{"key": "***"}`,
		`{"key": "+/=\"\u003c\u0026canary7e1f0000\u003e%'"}`: `{"key": "***"}`,
		"key=%2B%2F%3D%22%3C%26canary7e1f0000%3E%25%27&a=b":  "key=***&a=b",
		"<b>+/=&#34;&lt;&amp;canary7e1f0000&gt;%&#39;</b>":   "<b>***</b>",
		"Ky89IjwmY2FuYXJ5N2UxZjAwMDA+JSc=":                   "***",
		`\\\"canary7e1f0000\\\"`:                             `\\\"***\\\"`, // escaped more than once
		"abc canary":                                         "abc canary",
	} {
		if got := rest.Hide(text, odd, secret.New("abc")); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	host := secret.New("https://automation1234.example.com/services/T0/B0")
	if got := rest.Hide("dial automation1234.example.com: refused", host); got != "dial automation1234.example.com: refused" {
		t.Errorf("the host is hidden: %s", got)
	}
}
