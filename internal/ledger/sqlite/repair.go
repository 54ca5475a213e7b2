// This file takes what can be read of a damaged ledger into the one that is open.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// repairBatch is how many conversations are recovered in one transaction, so that hooks never wait long for it.
const repairBatch = 20

// RepairOptions say how to repair. The zero value is silent and plans nothing.
type RepairOptions struct {
	// Plan says which targets get a conversation of which no delivery can be read; nil: none. Its routes are those of
	// today.
	Plan func(*chat.Conversation) ledger.Plan
	// Progress hears how many of how many pages, then conversations, are done; nil: nobody.
	Progress func(what string, done, of int)
}

// Repair reads the damaged ledger in file, one that was set aside or any other, and takes what can be read into l:
// conversations with their bodies, deliveries with their receipts, attempts, quarantine, the audit log, replay jobs and
// series. Every delivery counts as
// uncertain. What l has already stays, and learns what the targets hold; so a repair that was cut is repeated. The file
// is not changed; when all is done, one that was set aside is renamed, and new deliveries are no longer in doubt.
func (l *Ledger) Repair(ctx context.Context, file string, o RepairOptions) (done ledger.Repaired, err error) {
	done.File = file
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if same, err := filepath.Abs(file); err != nil || same == l.path {
		return done, errors.Join(err, errors.New("repair: that is the ledger in use; name the file that was set aside"))
	}
	if _, err := os.Stat(file); err != nil {
		return done, fmt.Errorf("repair: %w", err)
	}
	m, err := openImage(file)
	if err != nil {
		return done, fmt.Errorf("repair: %w", err)
	}
	defer m.files.close()
	w, err := explore(ctx, m, func(done, of int) { o.Progress("pages", done, of) })
	if err != nil {
		return done, err
	}
	r := &repair{ledger: l, wreck: w, options: o, done: &done}
	if err := r.run(ctx); err != nil {
		return done, fmt.Errorf("repair of %s: %w", file, err)
	}
	done.LostPages, done.LostRows = w.lostPages, w.lostRows
	if done.File, err = markRepaired(file); err != nil {
		return done, fmt.Errorf("repair: %w", err)
	}
	return done, l.countAside()
}

// repair is a repair under way.
type repair struct {
	ledger  *Ledger
	wreck   *wreck
	options RepairOptions
	done    *ledger.Repaired
	configs map[string]bool // snapshots that the open ledger has
}

func (r *repair) run(ctx context.Context) error {
	if err := r.takeConfigs(ctx); err != nil {
		return err
	}
	if err := r.takeQuarantine(ctx); err != nil {
		return err
	}
	if err := r.takeJournal(ctx); err != nil {
		return err
	}
	numbers := r.wreck.numbers()
	for at := 0; at < len(numbers); at += repairBatch {
		r.options.Progress("conversations", at, len(numbers))
		if err := r.takeBatch(ctx, numbers, at); err != nil {
			return err
		}
	}
	r.options.Progress("conversations", len(numbers), len(numbers))
	return nil
}

// takeBatch recovers the conversations numbers[at:at+repairBatch] in one transaction.
func (r *repair) takeBatch(ctx context.Context, numbers []int64, at int) error {
	var batch []*salvaged
	for i, number := range numbers[at:min(at+repairBatch, len(numbers))] {
		s := r.wreck.salvage(r.ledger.codec, r.wreck.conversations[number])
		if s.known == nil {
			if err := r.unknown(ctx, s); err != nil {
				return err
			}
			continue
		}
		if err := r.quarantineBroken(ctx, s.known.ID, s.broken); err != nil {
			return err
		}
		r.done.LostBodies += s.lost
		if r.gap(numbers, at+i) {
			if err := r.planAgain(s); err != nil {
				return err
			}
		}
		batch = append(batch, s)
	}
	var counts ledger.Repaired
	err := r.ledger.write(ctx, func(t *tx) error {
		counts = ledger.Repaired{}
		for _, s := range batch {
			if err := r.take(t, s, &counts); err != nil {
				return fmt.Errorf("conversation %s: %w", s.known.ID, err)
			}
		}
		return nil
	})
	r.done.Conversations += counts.Conversations
	r.done.Known += counts.Known
	r.done.Bodies += counts.Bodies
	r.done.Deliveries += counts.Deliveries
	r.done.Pending += counts.Pending
	r.done.Attempts += counts.Attempts
	r.done.Undeliverable += counts.Undeliverable
	return err
}

// gap tells whether deliveries of a conversation may have been lost: rows were, and of it or of a neighbor there is none.
func (r *repair) gap(numbers []int64, at int) bool {
	if r.wreck.lostPages+r.wreck.lostRows == 0 {
		return false
	}
	for i := max(at-1, 0); i <= min(at+1, len(numbers)-1); i++ {
		if len(r.wreck.conversations[numbers[i]].deliveries) == 0 {
			return true
		}
	}
	return false
}

// planAgain adds the deliveries that today's routes plan and that are not there.
func (r *repair) planAgain(s *salvaged) error {
	i := slices.IndexFunc(s.bodies, func(b salvagedBody) bool { return b.revision == s.known.Revision })
	if i < 0 || r.options.Plan == nil {
		return nil
	}
	hook, err := s.bodies[i].hook(r.ledger.codec, s.known.ID)
	if err != nil {
		return err
	}
	plan := r.options.Plan(&hook.Conversation)
	plan.Deliveries = slices.DeleteFunc(plan.Deliveries, func(p ledger.PlannedDelivery) bool {
		return slices.ContainsFunc(s.deliveries, func(d *row.Delivery) bool { return d.Target == p.Target })
	})
	fanned, _, err := row.FanOut(s.known.Number, s.known.Revision, plan, nil, false, row.Micros(time.Now()))
	for _, f := range fanned {
		s.deliveries = append(s.deliveries, f.Delivery)
		r.done.Planned++
	}
	return err
}

// take stores one conversation.
func (r *repair) take(t *tx, s *salvaged, counts *ledger.Repaired) error {
	statement, err := t.statement(`SELECT ` + knownColumns + ` FROM conversation WHERE id = ?`)
	if err != nil {
		return err
	}
	k, err := scanKnown(statement.QueryRowContext(context.Background(), s.known.ID).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		counts.Conversations++
		return r.insert(t, s, counts)
	}
	if err != nil {
		return err
	}
	counts.Known++
	return r.merge(t, s, k, counts)
}

// insert stores a conversation that is new to the open ledger, under a number of its own.
func (r *repair) insert(t *tx, s *salvaged, counts *ledger.Repaired) error {
	number, err := t.nextNumber()
	if err != nil {
		return err
	}
	k := s.known
	err = t.exec(`INSERT INTO conversation (`+conversationColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, number, k.ID, k.Platform, s.session,
		k.Revision, k.Stale, k.EndedAt, s.seenAt, len(s.bodies) > 0, []byte(k.Prints), row.PackChain(k.Chain), s.firstAt)
	if err != nil {
		return err
	}
	t.add("conversations", row.Chats(k.Platform))
	readable := map[int]bool{}
	for _, b := range s.bodies {
		readable[b.revision] = true
		if err := t.exec(`INSERT INTO body VALUES (?, ?, ?, ?, ?, ?)`, number, b.revision, b.received, b.contentType, b.decoded, b.raw); err != nil {
			return err
		}
		counts.Bodies++
	}
	for _, d := range s.deliveries {
		copied := *d
		copied.Conversation = number
		if err := r.storeDelivery(t, &copied, readable[d.Want], len(s.bodies) > 0, counts); err != nil {
			return err
		}
	}
	for _, a := range s.attempts {
		values := slices.Clone(a.values)
		values[0] = number
		for len(values) < attemptWidth {
			values = append(values, "") // of version 1
		}
		if err := t.exec(`INSERT OR IGNORE INTO attempt (`+attemptColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...); err != nil {
			return err
		}
		counts.Attempts++
	}
	return nil
}

// storeDelivery stores a delivery that the open ledger does not have.
func (r *repair) storeDelivery(t *tx, d *row.Delivery, readable, bodies bool, counts *ledger.Repaired) error {
	lost := d.State == ledger.Pending && !readable
	if !r.configs[d.Tried] {
		d.Tried = "" // rendered with the configuration of today, for there is no other
	}
	change := d.Recover(readable, bodies, row.Micros(t.now))
	counts.Deliveries++
	switch {
	case lost:
		counts.Undeliverable++
		err := t.log(d, d.Want, ledger.Attempt{
			At: t.now, Number: d.Tries + 1, Kind: "crash", Reason: "its content was lost when the ledger was damaged",
		})
		if err != nil {
			return err
		}
	case d.State == ledger.Pending:
		counts.Pending++
		t.wake(d.Target)
	}
	return t.store(d, []row.Counts{change})
}

// merge adds what the damaged ledger knew to a conversation that came again since, or that an earlier repair has
// taken over.
func (r *repair) merge(t *tx, s *salvaged, k *row.Known, counts *ledger.Repaired) error {
	rows, err := t.deliveries(k.Number)
	if err != nil {
		return err
	}
	if err := r.mergeContent(t, s, k, rows); err != nil {
		return err
	}
	if err := t.outdate(k.Number); err != nil {
		return err
	}
	for _, old := range s.deliveries {
		if !slices.ContainsFunc(rows, func(d *row.Delivery) bool { return d.Target == old.Target }) {
			copied := *old
			copied.Adopt(k.Number, k.Revision)
			if err := r.storeDelivery(t, &copied, k.Bodies, k.Bodies, counts); err != nil {
				return err
			}
			continue
		}
		now, _, err := t.delivery(k.ID, old.Target)
		if err != nil {
			return err
		}
		now.Learn(old)
		if err := t.store(now, nil); err != nil {
			return err
		}
	}
	return nil
}

// mergeContent takes the newest content of the damaged ledger, if it goes on where the open one ends; else it keeps
// it. What the damaged one had seen is a repeat from now on.
func (r *repair) mergeContent(t *tx, s *salvaged, k *row.Known, rows []*row.Delivery) error {
	if len(s.bodies) > 0 && s.bodies[len(s.bodies)-1].revision > 0 {
		hook, err := s.bodies[len(s.bodies)-1].hook(r.ledger.codec, k.ID)
		if err != nil {
			return err
		}
		hook.Plan = func(string, int) ledger.Plan { return samePlan(rows) }
		packed, err := row.NewArrival(r.ledger.codec, hook)
		if err != nil {
			return err
		}
		a := &arrival{Arrival: packed}
		switch {
		case a.Repeats(k):
		case len(a.Chain) > len(k.Chain) && chat.IsPrefix(k.Chain, a.Chain):
			err = a.revise(t, k)
			k.Revision, k.Bodies = k.Revision+1, true
		default:
			err = a.keepStale(t, k)
		}
		if err != nil {
			return err
		}
	}
	before := len(k.Prints)
	for _, print := range s.known.Prints.All() {
		if _, ok := k.Prints.Find(print); !ok {
			k.Prints = k.Prints.Add(print, k.Revision)
		}
	}
	if len(k.Prints) == before {
		return nil
	}
	return t.exec(`UPDATE conversation SET fingerprints = ? WHERE number = ?`, []byte(k.Prints), k.Number)
}

// samePlan plans what has been planned before.
func samePlan(rows []*row.Delivery) (p ledger.Plan) {
	for _, d := range rows {
		if d.Planned {
			routes, _ := row.UnpackRoutes(d.Routes) // they were read already
			p.Deliveries = append(p.Deliveries, ledger.PlannedDelivery{Target: d.Target, Routes: routes, IgnoreUpdates: d.Ignore})
			p.Config = d.Config
		}
	}
	return p
}

// unknown puts the hooks of a conversation that nobody can name into quarantine. What else there is of it is lost.
func (r *repair) unknown(ctx context.Context, s *salvaged) error {
	r.done.LostBodies += s.lost
	r.done.LostDeliveries += len(s.deliveries)
	return r.quarantineBroken(ctx, "", slices.Concat(s.bodies, s.broken))
}

func (r *repair) quarantineBroken(ctx context.Context, id string, bodies []salvagedBody) error {
	for _, b := range bodies {
		raw, err := b.sent(r.ledger.codec)
		if err != nil {
			return err
		}
		u := ledger.Unreadable{
			Source: "unknown", Raw: raw, ContentType: b.contentType, ReceivedAt: row.FromMicros(b.received),
			Reason: "recovered from a damaged ledger that has lost which conversation this is",
		}
		if id != "" {
			u.Reason = fmt.Sprintf("recovered from a damaged ledger that has lost how this was decoded: conversation %s, revision %d", id, b.revision)
		}
		if c, err := r.ledger.codec.UnpackConversation(b.decoded, id, b.revision); err == nil && c.Source != "" {
			u.Source = c.Source
		}
		if _, err := r.ledger.Quarantine(ctx, u); err != nil {
			return err
		}
		r.done.Quarantined++
	}
	return nil
}

// takeConfigs keeps the snapshots of configurations, which what is pending may need.
func (r *repair) takeConfigs(ctx context.Context) error {
	return r.ledger.write(ctx, func(t *tx) error {
		r.configs = map[string]bool{}
		for _, at := range r.wreck.configs {
			c, err := r.wreck.read(at)
			var hash string
			var snapshot []byte
			if err != nil || !assign(c.values, &hash, &snapshot) {
				continue
			}
			if _, err := r.ledger.codec.Unpack(snapshot); err != nil {
				continue
			}
			r.ledger.configs.Store(hash, snapshot) // what refers to it comes later
			if err := t.exec(`INSERT INTO config VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, snapshot); err != nil {
				return err
			}
		}
		return t.rows(`SELECT hash FROM config`, nil, func(rows *sql.Rows) error {
			var hash string
			err := rows.Scan(&hash)
			r.configs[hash] = true
			return err
		})
	})
}

func (r *repair) takeQuarantine(ctx context.Context) error {
	for _, at := range r.wreck.quarantine {
		q, err := r.wreck.read(at)
		var u ledger.Unreadable
		var id string
		var received int64
		var packed []byte
		if err != nil || !assign(q.values, &id, &u.Source, &received, &u.ContentType, &u.Reason, &packed) {
			r.wreck.lostRows++
			continue
		}
		if u.Raw, err = r.ledger.codec.Unpack(packed); err != nil {
			r.done.LostBodies++
			continue
		}
		u.ReceivedAt = row.FromMicros(received)
		if _, err := r.ledger.Quarantine(ctx, u); err != nil {
			return err
		}
		r.done.Quarantined++
	}
	return nil
}
