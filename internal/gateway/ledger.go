// This file opens the ledger, by the scheme of its URL.

package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgres"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

// Ledger is what the gateway needs of an engine. What intake and delivery need is said there.
type Ledger interface {
	intake.Ledger
	delivery.Ledger
	console.Ledger
	// AddPoints adds to the series.
	AddPoints(ctx context.Context, points []ledger.Point) error
	// Note returns what is remembered under a name. SaveNote replaces that of n's version; ledger.ErrChanged: it has gone on.
	Note(ctx context.Context, name string) (ledger.Note, error)
	SaveNote(ctx context.Context, name string, n ledger.Note) error
	// SaveConfig keeps a snapshot that deliveries may need later.
	SaveConfig(ctx context.Context, hash string, snapshot []byte) error
	// Rename takes over the earlier names of targets and sources.
	Rename(ctx context.Context, r ledger.Renames) error
	// Keep replaces the limits that Retain and Accept go by.
	Keep(r ledger.Retention)
	// Retain removes what has outlived its retention at now.
	Retain(ctx context.Context, now time.Time) error
	// Ready tells why nothing can be stored now; nil if it can.
	Ready(ctx context.Context) error
	// Close is called once, after everything else.
	Close() error
}

// settlePatience is how long a settlement waits for a hook to share its commit with. At a few hundred hooks a second that
// leaves the disk free for those whose senders wait.
const settlePatience = 4 * time.Millisecond

func (g *Gateway) openLedger(ctx context.Context) error {
	observer := ledger.Observer{Committed: g.metrics.Committed, Due: g.wake, Merged: g.merged.add, Crowded: g.tidyUp}
	if url := g.boot.Ledger.URL; url.Shared() {
		l, err := postgres.Open(ctx, url.Reveal(), postgres.Options{Retention: retention(g.boot), Observer: observer, Logger: g.Logger})
		if err != nil {
			return fmt.Errorf("opening the %w", err)
		}
		g.ledger = l
		return nil
	}
	path := g.boot.LedgerFile()
	l, err := sqlite.Open(ctx, path, sqlite.Options{Retention: retention(g.boot), Observer: observer, Logger: g.Logger, Patience: settlePatience})
	if err != nil {
		return fmt.Errorf("opening the ledger %s: %w", path, err)
	}
	g.ledger = l
	return nil
}
