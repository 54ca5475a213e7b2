// This file makes what lists and searches know of conversations, in the background, so that no hook waits for it. The
// indexer takes bodies beyond a mark, in small batches that go through the writer like everything else, and moves the mark
// in the same transaction; so a crash costs nothing. It lets hooks and settlements go first, but never falls further
// behind than giveWayFor unless the machine is saturated. Conversations that change are noted by whoever changes them.
//
// After an upgrade it goes on with what was there before, the newest first, using a part of the machine only.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

const (
	indexBatch = 8                      // conversations that are read together
	indexFor   = 500 * time.Microsecond // of a transaction of the indexer, for hooks wait while it runs
	indexSlow  = 4 * time.Millisecond   // the same, at most, where commits take longer
	indexLate  = 10 * time.Second       // so far behind it reads indexMany at a time and takes indexSlow, which is less work
	indexMany  = 64
	mergePages = 8                      // of the full-text index, before it looks at the time again
	indexDelay = 100 * time.Millisecond // after the first hook, so that one batch takes what comes together
	patience   = 2 * time.Second        // how long a list waits for the indexer
	giveWayFor = 30 * time.Second       // how long the indexer gives way to hooks and settlements if no list waits
	indexRetry = 5 * time.Second        // after a failure
	indexBytes = 2 << 20                // of conversations that wait in memory, as they were sent; the others are read back
	restShare  = 4                      // after an upgrade: how many times the work it rests
)

// offered names what was accepted just now.
type offered struct {
	id       string
	revision int
}

// indexer is the goroutine that indexes.
type indexer struct {
	ledger *Ledger
	wake   chan struct{} // holds one: there is something to do
	hurry  chan struct{} // holds one: somebody waits for it
	stop   context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	held  map[offered]*chat.Conversation // accepted just now
	bytes int
	moved chan struct{} // closed and replaced after every batch
}

func startIndexer(l *Ledger) *indexer {
	ctx, stop := context.WithCancel(context.Background())
	x := &indexer{
		ledger: l, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), stop: stop, ended: make(chan struct{}),
		held: map[offered]*chat.Conversation{}, moved: make(chan struct{}),
	}
	nudge(x.wake)
	go x.run(ctx)
	return x
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// offer hands over a conversation that has just been committed. bytes is the size of its body.
func (x *indexer) offer(c *chat.Conversation, bytes int) {
	if x == nil {
		return
	}
	x.mu.Lock()
	if x.bytes+bytes <= indexBytes {
		x.held[offered{c.ID, c.Revision}] = c
		x.bytes += bytes
	}
	x.mu.Unlock()
	nudge(x.wake)
}

// take returns what was offered and forgets it.
func (x *indexer) take(key offered) *chat.Conversation {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.held[key]
	delete(x.held, key)
	return c
}

// close ends the goroutine.
func (x *indexer) close() {
	x.stop()
	<-x.ended
}

// pause waits, and tells whether to go on. Whoever waits for the indexer cuts it short.
func (x *indexer) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-x.hurry:
		nudge(x.hurry) // for the pauses to come, until there is nothing more to do
	case <-timer.C:
	}
	return true
}

// run indexes what is new, then what is old, then waits.
func (x *indexer) run(ctx context.Context) {
	defer close(x.ended)
	log, failed := x.ledger.options.Logger, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.wake:
		case <-x.hurry:
			nudge(x.hurry)
		}
		if !x.pause(ctx, indexDelay) {
			return
		}
		err := x.work(ctx)
		if isIndexDamage(err) || x.ledger.renew.Load() {
			log.Error("the full-text index is damaged and is made anew; until then searches find less")
			err = x.renew(ctx)
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, ledger.ErrClosed):
			return
		case err != nil:
			if !failed {
				log.Warn("searches and lists fall behind", "cause", err.Error())
			}
			failed = true
			nudge(x.wake)
			if !x.rest(ctx, indexRetry) {
				return
			}
		default:
			failed = false
		}
	}
}

// renew begins a new index, to be filled as after an upgrade.
func (x *indexer) renew(ctx context.Context) error {
	err := x.ledger.write(ctx, func(t *tx) error {
		for _, statement := range []string{
			`DROP TABLE search`,
			`CREATE VIRTUAL TABLE search ` + searchTable,
			`INSERT INTO search (search, rank) VALUES ('automerge', 0)`,
			`DELETE FROM summary`,
			`DELETE FROM outdated`,
			`UPDATE progress SET n = (SELECT coalesce(max(number), 0) FROM conversation) WHERE name = 'newest'`,
			`UPDATE progress SET n = (SELECT coalesce(max(number), 0) + 1 FROM conversation) WHERE name = 'oldest'`,
		} {
			if err := t.exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		x.ledger.renew.Store(false)
		nudge(x.wake)
	}
	return err
}

// searchTable is how the full-text index was made by schema version 2.
const searchTable = `USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii')`

// rest waits without being cut short.
func (x *indexer) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// work goes on until there is nothing to do.
func (x *indexer) work(ctx context.Context) error {
	behind := time.Now()
	for {
		if !x.giveWay(ctx, behind) {
			return ctx.Err()
		}
		began := time.Now()
		more, err := x.step(ctx, newer, time.Since(behind) > indexLate)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		x.settled()
		behind = time.Now()
		if more, err = x.step(ctx, older, false); err != nil || !more {
			return err
		}
		if !x.pause(ctx, restShare*time.Since(began)) {
			return ctx.Err()
		}
	}
}

// settled forgets what has been offered in vain and that somebody was in a hurry.
func (x *indexer) settled() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.held)
	x.bytes = 0
	select {
	case <-x.hurry:
	default:
	}
}

// giveWay waits while others want to write, but not for ever.
func (x *indexer) giveWay(ctx context.Context, behind time.Time) bool {
	for x.ledger.busy() && time.Since(behind) < giveWayFor {
		if len(x.hurry) > 0 {
			break
		}
		if !x.pause(ctx, 5*time.Millisecond) {
			return false
		}
	}
	return ctx.Err() == nil
}

const (
	busyBatch = 8                     // who commit together when the processors are busy
	busyFor   = 20 * time.Millisecond // how long others may be expected after them
)

// busy tells whether others want to write, or will in a moment.
func (l *Ledger) busy() bool {
	return len(l.queue) > 0 || time.Since(time.Unix(0, l.busyAt.Load())) < busyFor
}

// step indexes one batch, and tells whether there may be more.
func (x *indexer) step(ctx context.Context, stretches []stretch, late bool) (more bool, err error) {
	limit, least := indexBatch, indexFor
	if late {
		limit, least = indexMany, indexSlow
	}
	for _, s := range stretches {
		entries, err := x.read(ctx, s, limit)
		if err != nil {
			return false, err
		}
		if len(entries) == 0 {
			continue
		}
		return true, x.store(ctx, s, entries, least)
	}
	return false, nil
}

// store indexes entries, in transactions of a quarter of what a commit takes, or of least if that is longer. Between them it
// has the full-text index merged, which would otherwise take its time when it likes. A merge gives way, too.
func (x *indexer) store(ctx context.Context, s stretch, entries []entry, least time.Duration) error {
	merging, began := false, time.Now()
	for len(entries) > 0 || merging {
		if merging && !x.giveWay(ctx, began) {
			return ctx.Err()
		}
		done := 0
		err := x.ledger.writeLast(ctx, func(t *tx) (err error) {
			until := time.Now().Add(min(max(least, t.synced/4), indexSlow))
			if done = 0; !merging || len(x.hurry) > 0 {
				done, err = t.indexSome(s, entries, until)
			}
			if err == nil {
				merging, err = t.merge(until)
			}
			return err
		})
		if err != nil {
			return err
		}
		entries = entries[done:]
		x.mu.Lock()
		close(x.moved)
		x.moved = make(chan struct{})
		x.mu.Unlock()
	}
	return nil
}

// read reads the next batch of a stretch, outside of the writer.
func (x *indexer) read(ctx context.Context, s stretch, limit int) (entries []entry, err error) {
	l := x.ledger
	err = l.view(ctx, func(view *sql.Tx) error {
		rows, err := view.QueryContext(ctx, s.query, limit)
		if err != nil {
			return err
		}
		err = each(rows, func(rows *sql.Rows) error {
			e := entry{again: s.mark != "newest"}
			err := rows.Scan(&e.number, &e.id, &e.revision, &e.bodies, &e.first)
			entries = append(entries, e)
			return err
		})
		for i := range entries {
			if err == nil && entries[i].bodies {
				err = x.describe(ctx, view, &entries[i])
				runtime.Gosched()
			}
		}
		return err
	})
	return entries, err
}

// catchUp waits until what has been accepted by now is indexed, for patience at most: beyond that a list without the last
// moments is better than none. What came before an upgrade is not waited for.
func (l *Ledger) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.options.indexWait)
	defer cancel()
	last := int64(-1)
	for {
		l.indexer.mu.Lock()
		moved := l.indexer.moved
		l.indexer.mu.Unlock()
		var newest, done int64
		var outdated bool
		err := l.read(ctx, `SELECT (SELECT coalesce(max(number), 0) FROM conversation), (SELECT n FROM progress WHERE name = 'newest'),
			EXISTS (SELECT 1 FROM outdated)`, nil, &newest, &done, &outdated)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if last < 0 {
			last = newest
		}
		if done >= last && !outdated {
			return nil
		}
		nudge(l.indexer.hurry)
		select {
		case <-moved:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil
			}
			return ctx.Err()
		}
	}
}
