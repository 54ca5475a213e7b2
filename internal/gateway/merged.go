// This file tells of deliveries that a change of names has made one of: nothing is gone without a line about it.

package gateway

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// merges are what the ledger has merged and nobody has been told of. The zero value is empty.
type merges struct {
	mu   sync.Mutex
	sums map[ledger.Rename]ledger.Merged
}

// add is called by the ledger.
func (m *merges) add(more ledger.Merged) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums == nil {
		m.sums = map[ledger.Rename]ledger.Merged{}
	}
	sum := m.sums[more.Rename]
	sum.Rename = more.Rename
	sum.Conversations += more.Conversations
	sum.Superseded += more.Superseded
	m.sums[more.Rename] = sum
}

// take empties m.
func (m *merges) take() (all []ledger.Merged) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sum := range m.sums {
		all = append(all, sum)
	}
	m.sums = nil
	slices.SortFunc(all, func(a, b ledger.Merged) int {
		return cmp.Or(cmp.Compare(a.New, b.New), cmp.Compare(a.Old, b.Old))
	})
	return all
}

// tellMerged writes what was merged into the log and the audit log.
func (g *Gateway) tellMerged(ctx context.Context) {
	for _, m := range g.merged.take() {
		g.Logger.Warn("targets.merged", "target", m.New, "was", m.Old, "conversations", m.Conversations, "superseded", m.Superseded,
			"hint", "both had deliveries of these conversations, and each has one now; was: is for a target that gets a new name")
		err := g.ledger.Audit(ctx, ledger.Audited{
			At: time.Now().UTC(), Who: "afterchat", Action: "merge", Object: m.New,
			Detail: fmt.Sprintf("was %s; conversations that both had: %d, deliveries superseded: %d", m.Old, m.Conversations, m.Superseded),
		})
		if err != nil {
			g.Logger.Error("the audit log could not be written", "action", "merge", "error", err)
		}
	}
}
