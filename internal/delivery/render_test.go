// This file tests which configuration renders a delivery.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// version is a Mapper of which only the name and the routes matter.
type version struct {
	hash   string
	routes []string
}

func (v version) Hash() string { return v.hash }

func (v version) Has(_ string, routes []string) bool {
	for _, r := range routes {
		found := false
		for _, mine := range v.routes {
			found = found || mine == r
		}
		if !found {
			return false
		}
	}
	return true
}

func (version) Map(*chat.Conversation, string, []string) (pipeline.Rendered, error) {
	return pipeline.Rendered{}, nil
}

// shelf keeps snapshots: the hash is the snapshot. "spoiled" cannot be opened, "stuck" cannot be read now.
type shelf struct {
	Ledger
	reads int
}

func (s *shelf) Config(_ context.Context, hash string) ([]byte, error) {
	s.reads++
	switch hash {
	case "lost":
		return nil, fmt.Errorf("configuration %s: %w", hash, ledger.ErrNotFound)
	case "stuck":
		return nil, errDisk
	}
	return []byte(hash), nil
}

func TestWhichConfigurationRenders(t *testing.T) {
	t.Parallel()
	today := version{"today", []string{"a", "b"}}
	open := func(snapshot []byte) (Mapper, error) {
		switch string(snapshot) {
		case "spoiled":
			return nil, errors.New("no such function")
		case "other routes":
			return version{"other routes", []string{"c"}}, nil
		}
		return version{string(snapshot), []string{"a", "old"}}, nil
	}
	for name, c := range map[string]struct {
		d    ledger.Delivery
		want string
		err  error
	}{
		"never tried":                           {ledger.Delivery{Routes: []string{"a"}, Accepted: "first"}, "today", nil},
		"tried, with a certain outcome":         {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "second"}, "today", nil},
		"in doubt":                              {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "second", Uncertain: true, Resend: true}, "second", nil},
		"in doubt under today's":                {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "today", Uncertain: true, Resend: true}, "today", nil},
		"pinned by an operator":                 {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "second", Pinned: "second"}, "second", nil},
		"pinned, and another one in doubt":      {ledger.Delivery{Routes: []string{"a"}, Tried: "second", Pinned: "first", Uncertain: true, Resend: true}, "second", nil},
		"pinned, and lost":                      {ledger.Delivery{Routes: []string{"a"}, Pinned: "lost"}, "today", nil},
		"another revision is in doubt":          {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "second", Uncertain: true}, "today", nil},
		"a route is gone":                       {ledger.Delivery{Routes: []string{"a", "old"}, Accepted: "first"}, "first", nil},
		"in doubt, and its route was gone":      {ledger.Delivery{Routes: []string{"old"}, Accepted: "first", Tried: "other routes", Uncertain: true, Resend: true}, "first", nil},
		"in doubt, and the version is lost":     {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "lost", Uncertain: true, Resend: true}, "today", nil},
		"in doubt, and the version is spoiled":  {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "spoiled", Uncertain: true, Resend: true}, "today", nil},
		"a route is gone, the version, too":     {ledger.Delivery{Routes: []string{"old"}, Accepted: "lost"}, "today", nil},
		"in doubt, and the ledger fails":        {ledger.Delivery{Routes: []string{"a"}, Accepted: "first", Tried: "stuck", Uncertain: true, Resend: true}, "", errDisk},
		"a route is gone, and the ledger fails": {ledger.Delivery{Routes: []string{"old"}, Accepted: "stuck"}, "", errDisk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRenderer(new(shelf), Setup{Mapper: today, Open: open})
			m, err := r.mapper(t.Context(), &c.d)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && m.Hash() != c.want {
				t.Errorf("rendered with %q, want %q", m.Hash(), c.want)
			}
		})
	}
}

func TestEarlierConfigurationsAreKept(t *testing.T) {
	t.Parallel()
	s := new(shelf)
	r := newRenderer(s, Setup{Mapper: version{hash: "today"}, Open: func(b []byte) (Mapper, error) { return version{hash: string(b)}, nil }})
	for range 3 {
		if _, err := r.version(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "reads of the ledger", s.reads, 1)
	for i := range 100 {
		if _, err := r.version(t.Context(), fmt.Sprint("version ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.earlier) > keptMappers {
		t.Errorf("%d earlier configurations are kept, at most %d are wanted", len(r.earlier), keptMappers)
	}
}
