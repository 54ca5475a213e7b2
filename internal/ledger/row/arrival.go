// This file is what a hook is to what came before, and which deliveries it makes.

package row

import (
	"cmp"
	"slices"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Arrival is a hook on its way in, with all that can be computed outside a transaction.
type Arrival struct {
	Hook    ledger.Hook
	Raw     [16]byte
	Content [16]byte
	Chain   []uint64
	Body    []byte // packed, see Codec.PackBody

	asked    bool // plan holds what Plan said of id and revision
	plan     ledger.Plan
	id       string
	revision int
}

// NewArrival packs and digests a hook.
func NewArrival(c Codec, h ledger.Hook) (*Arrival, error) {
	body, content, err := c.PackBody(h.Raw, &h.Conversation)
	if err != nil {
		return nil, err
	}
	return &Arrival{Hook: h, Raw: chat.RawFingerprint(h.Raw), Content: content, Chain: h.Conversation.Chain(), Body: body}, nil
}

// Known is a conversation that the ledger has.
type Known struct {
	Number   int64
	ID       string
	Platform string
	Revision int   // the newest
	Stale    int   // how many stale snapshots came; their bodies are numbered -1, -2, …
	EndedAt  int64 // of the newest revision
	Bodies   bool  // its bodies are here
	Prints   Prints
	Chain    []uint64 // of the newest revision
}

// OfSession returns the conversation of the same session that the hook is of, nil if it is none of them: one that has
// seen this hook, else the nearest that ended within the window and of which one transcript begins the other.
func (a *Arrival) OfSession(session []*Known) *Known {
	session = slices.DeleteFunc(slices.Clone(session), func(k *Known) bool { return k.Platform != a.Hook.Conversation.Platform })
	for _, k := range session {
		if a.Repeats(k) {
			return k
		}
	}
	ended := Micros(a.Hook.Conversation.EndedAt)
	distance := func(k *Known) int64 { return max(k.EndedAt-ended, ended-k.EndedAt) }
	session = slices.DeleteFunc(session, func(k *Known) bool {
		return ended == 0 || k.EndedAt == 0 || distance(k) > a.Hook.SessionWindow.Microseconds() ||
			!chat.IsPrefix(k.Chain, a.Chain) && !chat.IsPrefix(a.Chain, k.Chain)
	})
	if len(session) == 0 {
		return nil
	}
	return slices.MinFunc(session, func(a, b *Known) int { return cmp.Compare(distance(a), distance(b)) })
}

// Repeats tells whether the body or the content equals that of any earlier hook of k.
func (a *Arrival) Repeats(k *Known) bool {
	_, raw := k.Prints.Find(a.Raw)
	_, content := k.Prints.Find(a.Content)
	return raw || content
}

// Repeated returns the revision that the hook repeats. If it is a new spelling of known content, that is added to what k
// has seen, and changed is true.
func (a *Arrival) Repeated(k *Known) (revision int, changed bool) {
	revision, exact := k.Prints.Find(a.Raw)
	if !exact {
		revision, _ = k.Prints.Find(a.Content)
		k.Prints = k.Prints.Add(a.Raw, revision)
	}
	return revision, !exact
}

// IsStale tells whether the hook is an older snapshot: shorter, the same as far as it goes, and of an earlier end.
func (a *Arrival) IsStale(k *Known) bool {
	ended := Micros(a.Hook.Conversation.EndedAt)
	return len(a.Chain) < len(k.Chain) && chat.IsPrefix(a.Chain, k.Chain) && (ended == 0 || ended < k.EndedAt)
}

// See adds the hook to what k has seen, as revision.
func (a *Arrival) See(k *Known, revision int) {
	k.Prints = k.Prints.Add(a.Raw, revision).Add(a.Content, revision)
}

// PlanFor asks the hook for its plan, once for every id and revision.
func (a *Arrival) PlanFor(id string, revision int) ledger.Plan {
	if !a.asked || a.id != id || a.revision != revision {
		a.plan = a.Hook.Plan(id, revision)
		a.plan.Import = a.Hook.Import && !a.Hook.Released
		a.asked, a.id, a.revision = true, id, revision
	}
	return a.plan
}

// Fanned is what a new revision did to one delivery.
type Fanned struct {
	*Delivery
	Changes []Counts
	Due     bool // something falls due because of it
}

// FanOut takes a revision of conversation number to the rows of its targets: those that are there, and new ones for
// targets that the plan adds. expired tells that retention has taken the bodies of the revisions before. now is in
// microseconds. reached is false when no target gets the revision.
func FanOut(number int64, revision int, p ledger.Plan, rows []*Delivery, expired bool, now int64) (fanned []Fanned, reached bool, err error) {
	plans := make(map[string]Plan, len(p.Deliveries))
	for _, d := range p.Deliveries {
		routes, err := PackRoutes(d.Routes)
		if err != nil {
			return nil, false, err
		}
		plans[d.Target] = Plan{
			Revision: revision, Planned: true, Ignore: d.IgnoreUpdates, Hold: max(d.Hold, 0).Microseconds(),
			Routes: routes, Config: p.Config, Expired: expired, Import: p.Import,
		}
		if !slices.ContainsFunc(rows, func(r *Delivery) bool { return r.Target == d.Target }) {
			rows = append(rows, &Delivery{Conversation: number, Target: d.Target, Fence: now})
		}
	}
	for _, r := range rows {
		one, ok := plans[r.Target]
		if !ok {
			one = Plan{Revision: revision, Expired: expired, Import: p.Import}
		}
		reached = reached || ok || r.Holds()
		changes, due := r.Revise(one, now)
		fanned = append(fanned, Fanned{r, changes, due})
	}
	return fanned, reached, nil
}
