// This file tests the parsers and the signature from within.

package http

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config/secret"
)

// TestStandardWebhooks is the vector that the Standard Webhooks project publishes.
func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	key, err := signingKey(secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{idHeader: {"msg_p5jXN8AQM9LWM0D4loKWxJek"}}
	new(HMAC).sign(header, key, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0))
	want := http.Header{
		"Webhook-Id":        {"msg_p5jXN8AQM9LWM0D4loKWxJek"},
		"Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPlainSignature is test case 2 of RFC 4231.
func TestPlainSignature(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]HMAC{
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843":        {Header: "X-Sig"},
		"sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843": {Header: "X-Sig", Encoding: "hex", Prefix: "sha256="},
		"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=":                            {Header: "X-Sig", Encoding: "base64"},
	} {
		header := http.Header{}
		h.sign(header, []byte("Jefe"), []byte("what do ya want for nothing?"), time.Time{})
		if got := header.Get("X-Sig"); got != want {
			t.Errorf("%+v: %s, want %s", h, got, want)
		}
	}
}

// TestPointer holds the examples of RFC 6901, section 5.
func TestPointer(t *testing.T) {
	t.Parallel()
	doc, err := parse([]byte(`{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`))
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[Pointer]string{
		"/foo/0": "bar", "/": "0", "/a~1b": "1", "/c%d": "2", "/e^f": "3", "/g|h": "4", `/i\j`: "5", `/k"l`: "6", "/ ": "7", "/m~0n": "8",
		"/foo": "", "/foo/2": "", "/foo/-1": "", "/foo/00": "", "/foo/-": "", "/foo/0/x": "", "/nothing": "", "": "",
	} {
		if got := pointer.text(doc); got != want {
			t.Errorf("%q: %q, want %q", pointer, got, want)
		}
	}
	for text, ok := range map[string]bool{"": true, "/a~0b~1": true, "a": false, "/~": false, "/~2": false} {
		if err := new(Pointer).UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Status{
		"2xx": "2xx", "2XX": "2xx", " 409 ": "409", "599": "599",
		"": "", "xx": "", "1xx": "", "100": "", "6xx": "", "2x0": "", "20": "", "2000": "", "+12": "", "2-1": "",
	} {
		var got Status
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add("/a~1b/0", `{"a/b":[1]}`)
	f.Fuzz(func(_ *testing.T, pointer, doc string) {
		var p Pointer
		if p.UnmarshalText([]byte(pointer)) != nil {
			return
		}
		if parsed, err := parse([]byte(doc)); err == nil {
			p.text(parsed)
			p.in(parsed)
		}
	})
}

// FuzzAddress: whatever is mapped, the request goes to the configured host, below the configured path.
func FuzzAddress(f *testing.F) {
	f.Add("/a/b", "q", "id")
	f.Add("../..", "&", "..")
	f.Add("//evil.example", "#", "{id}")
	f.Add("{id}", "", "/../")
	base, err := url.Parse("https://api.example/v1/chats?key=k")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, query, id string) {
		for _, mapped := range []any{path, []any{"x", path}} {
			got, err := address(base, mapped, map[string]any{"q": query}, id)
			if err != nil {
				continue
			}
			u, err := url.Parse(got)
			if err != nil {
				t.Fatalf("%q: %v", got, err)
			}
			if u.Host != "api.example" || u.Scheme != "https" || u.User != nil || u.Fragment != "" || !strings.HasPrefix(u.EscapedPath(), "/v1/chats") {
				t.Errorf("%q leads elsewhere", got)
			}
			if q := u.Query(); q.Get("q") != query || q.Get("key") != "k" || len(q) != 2 {
				t.Errorf("%q has the query %v", got, q)
			}
			if clean := u.JoinPath(); clean.EscapedPath() != u.EscapedPath() && !strings.Contains(u.EscapedPath(), "//") {
				t.Errorf("%q is resolved to %q", u.EscapedPath(), clean.EscapedPath())
			}
		}
	})
}
