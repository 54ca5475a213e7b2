// This file is what becomes of a ledger that was restored from a copy: nobody knows what has been sent since the copy was
// made, so what it wants to send is in doubt, and so is what comes again of conversations of that time.

package row

import (
	"fmt"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Names among the totals, of times in microseconds.
const (
	BackedUp = "backup"   // in a backup that nobody has opened yet: when it was made
	Restored = "restored" // when the ledger was put into use again after it was restored
)

// Statements about the deliveries that a restored ledger may send although they were sent.
const (
	PutInDoubt   = `UPDATE delivery SET doubt = want WHERE state IN (0, 2) AND doubt = 0`
	CountInDoubt = `SELECT count(*) FROM delivery WHERE state IN (0, 2) AND doubt > 0`
)

// Misgive puts a delivery that has just been planned in doubt if its conversation began before the ledger was restored, in
// microseconds, 0 for never: the ledger in whose place it came may have sent it. A conversation that began later cannot
// have been sent. c is nil if nobody knows when it began.
func (r *Delivery) Misgive(c *chat.Conversation, restored int64) {
	if restored > 0 && r.State == ledger.Pending && r.Have == 0 && r.Doubt == 0 && began(c) < restored {
		r.Doubt = r.Want
	}
}

// began returns when a conversation began, in microseconds; 0 if nothing tells.
func began(c *chat.Conversation) int64 {
	if c == nil {
		return 0
	}
	var first time.Time
	earlier := func(at time.Time) {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	earlier(c.StartedAt)
	earlier(c.EndedAt)
	for i := range c.Messages {
		earlier(c.Messages[i].At)
	}
	return Micros(first)
}

// RestoredLine is the line of the audit log that tells of it.
func RestoredLine(why string, doubtful int64, now time.Time) ledger.Audited {
	return ledger.Audited{
		At: now, Who: "afterchat", Action: "restored", Object: "ledger",
		Detail: fmt.Sprintf("%s; %d pending and dead deliveries are in doubt", why, doubtful),
	}
}

// Remarks are what an audit tells of a ledger that is no fault: when it was moved to another database, made as a backup
// and not opened since, or restored, all in microseconds, 0 for never.
func Remarks(moved, backup, restored int64) (texts []string) {
	day := func(micros int64) string { return FromMicros(micros).UTC().Format("2006-01-02 15:04 UTC") }
	if moved > 0 {
		texts = append(texts, "it was moved to another database on "+day(moved)+" and no gateway opens it: let ledger.url name that database; afterchat ledger copy --undo takes this one back into use")
	}
	if backup > 0 {
		texts = append(texts, "it is a backup of "+day(backup)+": when a gateway opens it, what may have been sent since is in doubt")
	}
	if restored > 0 {
		texts = append(texts, "it was restored on "+day(restored)+": chats that began before may have been sent by the ledger in whose place it came, so targets are looked at before anything is created there")
	}
	return texts
}
