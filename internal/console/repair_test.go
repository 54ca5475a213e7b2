// This file tests the repair of a ledger through the admin listener.

package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
)

func TestRepair(t *testing.T) {
	t.Parallel()
	repair := func(_ context.Context, file string, progress func(what string, done, of int)) (ledger.Repaired, error) {
		progress("pages", 1, 2)
		if file != "a.db.damaged" {
			return ledger.Repaired{}, errors.New("no such file")
		}
		return ledger.Repaired{File: file, Conversations: 3}, nil
	}
	options := console.Options{Metrics: metrics.New("v1", nil), Repair: repair}
	remote := options
	options.Access = func() console.Access { return console.Access{Local: true} }
	for _, test := range []struct {
		name    string
		handler http.Handler
		method  string
		file    string
		site    string
		status  int
		body    string
	}{
		{
			"repaired", console.New(options), http.MethodPost, "a.db.damaged", "", http.StatusOK,
			`{"what":"pages","done":1,"of":2}` + "\n" + `{"repaired":{"file":"a.db.damaged","conversations":3,"known":0,"bodies":0,"deliveries":0,` +
				`"pending":0,"attempts":0,"quarantined":0,"audited":0,"jobs":0,"points":0,"planned":0,"lost_pages":0,"lost_rows":0,"lost_bodies":0,"lost_deliveries":0,"undeliverable":0}}` + "\n",
		},
		{
			"failed", console.New(options), http.MethodPost, "b", "", http.StatusOK,
			`{"what":"pages","done":1,"of":2}` + "\n" + `{"error":"no such file"}` + "\n",
		},
		{"another site", console.New(options), http.MethodPost, "a.db.damaged", "cross-site", http.StatusForbidden, "a page of another site cannot do this; ask from a page of the console, or from a program\n"},
		{"from elsewhere", console.New(remote), http.MethodPost, "a.db.damaged", "", http.StatusForbidden, ""},
		{"asked", console.New(options), http.MethodGet, "a.db.damaged", "", http.StatusMethodNotAllowed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := httptest.NewRequestWithContext(t.Context(), test.method, "/-/ledger/repair?file="+test.file, nil)
			request.Host = "127.0.0.1:9080"
			if test.site != "" {
				request.Header.Set("Sec-Fetch-Site", test.site)
			}
			recorder := httptest.NewRecorder()
			test.handler.ServeHTTP(recorder, request)
			if recorder.Code != test.status {
				t.Fatalf("%d %s, want %d", recorder.Code, recorder.Body, test.status)
			}
			if diff := cmp.Diff(test.body, recorder.Body.String()); test.body != "" && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
