// This file is the group commit: what waits while a transaction commits shares the next one.

package postgres

import (
	"context"
	"fmt"
)

// waiting is one operation that waits for its commit.
type waiting[T any] struct {
	ctx  context.Context
	op   *T
	err  error
	lost bool          // a commit of it was under way when the connection broke
	done chan struct{} // closed after the commit
}

// group commits operations of one kind together.
type group[T any] struct {
	queue   chan *waiting[T]
	limit   int
	stopped chan struct{}
	// commit does all of batch in one transaction, or nothing. It sets err of those that it refuses without changing
	// anything.
	commit func(ctx context.Context, batch []*waiting[T]) error
}

func newGroup[T any](limit int, commit func(context.Context, []*waiting[T]) error) group[T] {
	return group[T]{queue: make(chan *waiting[T], limit), limit: limit, stopped: make(chan struct{}), commit: commit}
}

// submit has op committed. When ctx ends first, its error comes back and op may still happen.
func (g *group[T]) submit(ctx context.Context, l *Ledger, op *T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiting[T]{ctx: ctx, op: op, done: make(chan struct{})}
	if err := g.enqueue(ctx, l, w); err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *group[T]) enqueue(ctx context.Context, l *Ledger, w *waiting[T]) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	select {
	case g.queue <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends run after what is queued.
func (g *group[T]) close() {
	close(g.queue)
	<-g.stopped
}

// run commits what comes until the queue is closed. It adds no delay: what queued up during a commit is the next batch.
func (g *group[T]) run(l *Ledger) {
	defer close(g.stopped)
	batch := make([]*waiting[T], 0, g.limit)
	for w := range g.queue {
		batch = append(batch[:0], w)
		for more := true; more && len(batch) < cap(batch); {
			select {
			case w, ok := <-g.queue:
				if more = ok; ok {
					batch = append(batch, w)
				}
			default:
				more = false
			}
		}
		g.do(l, batch)
		for _, w := range batch {
			close(w.done)
		}
		clear(batch)
	}
}

// do commits batch. If that fails it commits the halves, down to the one operation whose fault it is, so that one bad
// record refuses nobody else's.
func (g *group[T]) do(l *Ledger, batch []*waiting[T]) {
	var alive []*waiting[T]
	err := l.persist(context.Background(), hookPatience, func() error {
		alive = alive[:0]
		for _, w := range batch {
			if w.err = w.ctx.Err(); w.err == nil {
				alive = append(alive, w)
			}
		}
		if len(alive) == 0 {
			return nil
		}
		err := g.attempt(alive)
		if isLost(err) {
			for _, w := range alive {
				w.lost = true
			}
		}
		return err
	})
	switch {
	case err == nil:
	case len(alive) == 1 || isLost(err):
		for _, w := range alive {
			w.err = err
		}
	default:
		g.do(l, alive[:len(alive)/2])
		g.do(l, alive[len(alive)/2:])
	}
}

// attempt keeps a panic in what a caller handed in from taking down the group, and with it everybody's hooks.
func (g *group[T]) attempt(batch []*waiting[T]) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in the ledger's transaction: %v", cause)
		}
	}()
	return g.commit(context.Background(), batch)
}
