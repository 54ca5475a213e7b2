// This file tells what falls due: to the observer here, and by NOTIFY to the other replicas.

package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
)

// channel is the name of what the replicas of this schema listen to.
func (l *Ledger) channel() string {
	return fmt.Sprintf("afterchat_due_%016x", uint64(l.key("due", "")))
}

// tell passes on what a transaction of this replica did, after its commit.
func (l *Ledger) tell(took time.Duration, operations int, due []string, met []ledger.Merged) {
	slices.Sort(due)
	due = slices.Compact(due)
	l.observing.Lock()
	if committed := l.options.Observer.Committed; committed != nil {
		committed(took, operations)
	}
	if merged := l.options.Observer.Merged; merged != nil {
		for _, m := range met {
			merged(m)
		}
	}
	if l.room.mu.TryLock() {
		size := l.room.size
		l.room.mu.Unlock()
		l.crowd.Tell(size, l.retention.Load().MaxSize, l.options.Observer.Crowded)
	}
	l.observing.Unlock()
	l.wakeAll(due)
	l.news.add(due)
}

func (l *Ledger) wakeAll(targets []string) {
	l.observing.Lock()
	defer l.observing.Unlock()
	if due := l.options.Observer.Due; due != nil {
		for _, target := range targets {
			due(target)
		}
	}
}

// newsGap is the least time between two notifications. A notification in the transaction that it is about would be
// simpler, but notifying transactions commit one after the other, in the whole cluster. One that gets lost because this
// process dies just here is made up for when the other replicas look by themselves.
const newsGap = 20 * time.Millisecond

// news collects the targets that the other replicas are to be told of.
type news struct {
	ledger  *Ledger
	mu      sync.Mutex
	targets map[string]bool
	ready   chan struct{} // something is in targets
	closing chan struct{}
	stopped chan struct{}
}

func newNews(l *Ledger) news {
	return news{ledger: l, targets: map[string]bool{}, ready: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{})}
}

func (n *news) add(targets []string) {
	if len(targets) == 0 {
		return
	}
	n.mu.Lock()
	for _, target := range targets {
		n.targets[target] = true
	}
	n.mu.Unlock()
	select {
	case n.ready <- struct{}{}:
	default:
	}
}

// run sends until it is closed, and then what is left.
func (n *news) run() {
	defer close(n.stopped)
	for {
		select {
		case <-n.ready:
			n.send()
		case <-n.closing:
			n.send()
			return
		}
		select {
		case <-time.After(newsGap):
		case <-n.closing:
		}
	}
}

func (n *news) close() {
	close(n.closing)
	<-n.stopped
}

func (n *news) send() {
	n.mu.Lock()
	targets := sortedKeys(n.targets)
	clear(n.targets)
	n.mu.Unlock()
	if len(targets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), transactionTimeout)
	defer cancel()
	var b pgx.Batch
	b.Queue(`BEGIN`)
	b.Queue(`SET LOCAL synchronous_commit = off`) // there is nothing to keep
	for _, target := range targets {
		b.Queue(`SELECT pg_notify($1, $2)`, n.ledger.channel(), n.ledger.replica+" "+target)
	}
	b.Queue(`COMMIT`)
	if err := n.ledger.pool.SendBatch(ctx, &b).Close(); err != nil {
		n.ledger.options.Logger.Debug("the other replicas were not told what is due", "error", err)
	}
}

// listen opens the connection that hears of the other replicas.
func (l *Ledger) listen(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	config := l.pool.Config().ConnConfig
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, `LISTEN `+pgx.Identifier{l.channel()}.Sanitize())
	if err == nil {
		err = l.use(ctx, conn)
	}
	if err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// usePatience is for how long the lock of a process that has just ended is waited for.
const usePatience = 3 * time.Second

// use takes the lock of all that have the ledger open, for as long as the connection lives. A copy has it alone, and so has
// who says that the ledger was restored.
func (l *Ledger) use(ctx context.Context, conn *pgx.Conn) error {
	lock := `SELECT pg_try_advisory_lock_shared($1)`
	if l.options.copies || l.options.alone {
		lock = `SELECT pg_try_advisory_lock($1)`
	}
	for deadline := time.Now().Add(usePatience); ; {
		var mine bool
		err := conn.QueryRow(ctx, lock, l.key("use", "")).Scan(&mine)
		switch {
		case err != nil || mine:
			return err
		case time.Now().After(deadline):
			return errUsed
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hear passes on what the other replicas tell until ctx ends. After an interruption everything may be due.
func (l *Ledger) hear(ctx context.Context, conn *pgx.Conn) {
	for failures := 0; ; failures++ {
		if conn != nil {
			l.hearOn(ctx, conn)
			_ = conn.Close(context.WithoutCancel(ctx))
			failures = 0
			l.fresh.Forget() // a server that takes over may know less
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(min(100*time.Millisecond<<min(failures, 6), time.Second)):
		case <-ctx.Done():
			return
		}
		var err error
		if conn, err = l.listen(ctx); err != nil {
			conn = nil
			l.options.Logger.Debug("listening to the other replicas failed", "error", err)
			continue
		}
		l.wakeAll(l.everyTarget(ctx, conn))
	}
}

// hearOn passes on what comes over one connection until it breaks.
func (l *Ledger) hearOn(ctx context.Context, conn *pgx.Conn) {
	for {
		// The connection is tried now and then: one that is dead says nothing, either.
		waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
		n, err := conn.WaitForNotification(waiting)
		idle := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			if replica, target, ok := strings.Cut(n.Payload, " "); ok && replica != l.replica {
				l.wakeAll([]string{target})
			}
		case idle && !conn.IsClosed():
			trying, cancel := context.WithTimeout(ctx, transactionTimeout)
			err := conn.Ping(trying)
			cancel()
			if err != nil {
				return
			}
		default:
			return
		}
	}
}

// everyTarget lists the targets that the ledger knows.
func (l *Ledger) everyTarget(ctx context.Context, conn *pgx.Conn) []string {
	ctx, cancel := brief(ctx)
	defer cancel()
	rows, err := conn.Query(ctx, `SELECT DISTINCT target FROM counter`)
	if err != nil {
		return nil
	}
	targets, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		l.options.Logger.Debug("listing the targets failed", "error", err)
	}
	return targets
}
