// This file tests the writer: who shares a commit, who waits, and who has gone.

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// occupy keeps the writer busy until release is called, which waits until so many others have queued up, so that they become
// one batch. At its end do is called in the transaction.
func occupy(t testing.TB, l *Ledger, do func(*tx)) (release func(others int)) {
	t.Helper()
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- l.write(t.Context(), func(tx *tx) error {
			close(begun)
			<-end
			do(tx)
			return nil
		})
	}()
	<-begun
	return func(others int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); len(l.queue) < others; <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				close(end)
				t.Fatal("the operations do not queue up")
			}
		}
		close(end)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestBadOperationInBatch(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	release := occupy(t, l, func(*tx) {})
	var all sync.WaitGroup
	const n = 30
	failures := make([]error, n)
	for i := range n {
		all.Go(func() {
			h := hook(fmt.Sprint("c", i), "help")
			switch i {
			case 7:
				h.Plan = func(string, int) ledger.Plan { panic("no plan") }
			case 13:
				failures[i] = l.write(t.Context(), func(tx *tx) error {
					return errors.Join(tx.exec(`DELETE FROM body`), tx.exec(`INSERT INTO nowhere VALUES (1)`))
				})
				return
			case 21: // refused without a change, in the batch and by itself
				failures[i] = l.Drop(t.Context(), "nobody", "help", "")
				return
			}
			_, failures[i] = l.Accept(t.Context(), h)
		})
	}
	release(n)
	all.Wait()
	for i, err := range failures {
		if bad := i == 7 || i == 13 || i == 21; bad != (err != nil) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	sound(t, l)
	if got := len(claim(t, l, "help", time.Hour).Deliveries); got != n-3 {
		t.Errorf("%d deliveries, want %d", got, n-3)
	}
}

// What was acknowledged while the ledger closed is there, what was refused is not.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{BatchLimit: 4})
	var all sync.WaitGroup
	acknowledged := make([][]string, 8)
	started := make(chan struct{}, len(acknowledged))
	for worker := range acknowledged {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("c%d-%d", worker, i)
				_, err := l.Accept(t.Context(), hook(id, "help"))
				if errors.Is(err, ledger.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged[worker] = append(acknowledged[worker], id)
				if i == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range acknowledged {
		<-started
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	l = open(t, path, Options{})
	count := 0
	for _, ids := range acknowledged {
		count += len(ids)
		for _, id := range ids {
			if _, err := l.Conversation(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	}
	if s, err := l.Stats(t.Context()); err != nil || s.Conversations != int64(count) {
		t.Errorf("%d conversations, %v, want %d", s.Conversations, err, count)
	}
	sound(t, l)
}

// A caller that has gone gets its context's error while its operation still waits.
func TestCallerGoes(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	release := occupy(t, l, func(*tx) {})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Accept(ctx, hook("c1", "help")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("accept: %v, want context.DeadlineExceeded", err)
	}
	release(0)
	if a := accept(t, l, hook("c1", "help")); a.Result != ledger.Accepted {
		t.Errorf("the hook of a caller that had gone before its turn was stored: %+v", a)
	}
}

// What takes its time has a commit behind the others, but where a commit takes longer it is the last in theirs.
func TestWriteLast(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		synced time.Duration // lately, whatever the disk here does
		want   []int         // operations in each commit
	}{
		"fast disk": {-time.Hour, []int{1, 2, 1}},
		"slow disk": {time.Hour, []int{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var commits []int
			l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{Observer: ledger.Observer{
				Committed: func(_ time.Duration, n int) { commits = append(commits, n) },
			}})
			stopIndexer(t, l)
			release := occupy(t, l, func(tx *tx) { commits, tx.synced = nil, tt.synced })
			var all sync.WaitGroup
			var order []string
			write := func(what string, write func(context.Context, func(*tx) error) error) {
				all.Go(func() {
					err := write(t.Context(), func(*tx) error { order = append(order, what); return nil })
					if err != nil {
						t.Error(err)
					}
				})
			}
			write("last", l.writeLast)
			write("first", l.write)
			write("first", l.write)
			release(3)
			all.Wait()
			if want := []string{"first", "first", "last"}; !slices.Equal(order, want) || !slices.Equal(commits, tt.want) {
				t.Errorf("%v in commits of %v, want %v of %v", order, commits, want, tt.want)
			}
		})
	}
}
