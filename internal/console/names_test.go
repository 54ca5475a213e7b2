package console_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	known := console.KnownNames{Targets: []string{"help", "crm"}, Sources: []string{"shop"}, Routes: []string{"bad rating", "everything"}}
	for _, test := range []struct {
		f    ledger.Filter
		want []string
	}{
		{ledger.Filter{}, nil},
		{ledger.Filter{Targets: []string{"help", "crm"}, Sources: []string{"shop"}}, nil},
		{ledger.Filter{Targets: []string{"hepl"}}, []string{"there is no target hepl; did you mean help?"}},
		{ledger.Filter{Targets: []string{"shop"}, Sources: []string{"shp"}}, []string{"there is no target shop", "there is no source shp; did you mean shop?"}},
		{ledger.Filter{Routes: []string{"everything", "bad ratng"}}, []string{"there is no route bad ratng in the configuration; did you mean bad rating?"}},
	} {
		if diff := cmp.Diff(test.want, console.UnknownNames(test.f, known)); diff != "" {
			t.Errorf("%+v:\n%s", test.f, diff)
		}
	}
}
