// This file tests what is left of a reason where nobody may see what a target answered, and of a request where nobody may
// see what it says.

package console

import "testing"

func TestWithoutAnswer(t *testing.T) {
	t.Parallel()
	const hint = "; the target does not take this record as it is; correct the mapping and replay"
	for name, c := range map[string]struct{ reason, want string }{
		"none":             {"", ""},
		"no answer":        {"POST http://help.example/chats got no answer in time; the target is slow", "POST http://help.example/chats got no answer in time; the target is slow"},
		"nothing quoted":   {"POST http://help.example/chats answered 422 Unprocessable Entity" + hint, "POST http://help.example/chats answered 422 Unprocessable Entity" + hint},
		"a status":         {"https://help.example answered 202, which success does not list; add 202 to success or to reject", "https://help.example answered 202, which success does not list; add 202 to success or to reject"},
		"mapping":          {`mapping for help (route "rated"): field subject: absent`, `mapping for help (route "rated"): field subject: absent`},
		"JSON":             {`POST http://help.example:80/chats answered 422 Unprocessable Entity: {"error":"Ada; no"}` + hint, "POST http://help.example:80/chats answered 422 Unprocessable Entity: ***" + hint},
		"a list of JSON":   {`POST /x answered 422: ["Ada"]` + hint, "POST /x answered 422: ***" + hint},
		"JSON with more":   {`POST /x answered 422: {"error":1} Ada` + hint, "POST /x answered 422: ***"},
		"JSON cut":         {`POST /x answered 422: {"error":"Ada; no…` + hint, "POST /x answered 422: ***"},
		"text":             {"POST /x answered 422: Ada; is no word" + hint, "POST /x answered 422: ***"},
		"a batch":          {"POST /x answered 200 with 2 errors: Ada is no number; Bob neither; correct the mapping", "POST /x answered 200 with 2 errors: ***"},
		"given up":         {"gave up after 24h0m0s: POST /x answered 500 Internal Server Error: Ada", "gave up after 24h0m0s: POST /x answered 500 Internal Server Error: ***"},
		"an answer inside": {"POST /x answered 500: she answered 200: no", "POST /x answered 500: ***"},
	} {
		if got := WithoutAnswer(c.reason); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMaskLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"-":                                     "-",
		" {":                                    " {",
		"+  },":                                 "+  },",
		`+  "tags": [],`:                        `+  "tags": [],`,
		`   "visitor": {`:                       `   "visitor": {`,
		`-  "subject": "Ada: \"hi\"",`:          `-  "subject": ***`,
		`+  "a \" b": 4711,`:                    `+  "a \" b": ***`,
		`-    "Ada",`:                           `-    ***`,
		`+    17`:                               `+    ***`,
		"-POST https://desk.example:8080/ada?q": "-POST https://desk.example:8080/***",
		"+PATCH https://desk.example":           "+PATCH https://desk.example/***",
		"-name=Ada&mail=ada%40example.com":      "-***",
		"+Ada wrote {":                          "+***",
		"-error: Ada":                           "-***",
	} {
		if got := maskLine(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
