package row

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/ledger"
)

func TestFailures(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 14, 15, minute, 0, 0, time.UTC) }
	group := func(target string, state ledger.State, n int64, first, last int, example string) ledger.Failure {
		return ledger.Failure{
			Target: target, Class: "rejected 422", State: state, Count: n, First: at(first), Last: at(last), Reason: "why " + example, Example: example,
		}
	}
	got := Failures([]ledger.Failure{
		group("help", ledger.Dead, 1, 5, 20, "newest"), group("crm", ledger.Dead, 2, 1, 9, "a"), group("help", ledger.Pending, 3, 1, 9, "b"),
		group("help", ledger.Dead, 4, 2, 10, "older"), group("crm", ledger.Dead, 1, 1, 9, "as new"),
	})
	want := []ledger.Failure{
		group("help", ledger.Dead, 5, 2, 20, "newest"), group("crm", ledger.Dead, 3, 1, 9, "as new"), group("help", ledger.Pending, 3, 1, 9, "b"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
