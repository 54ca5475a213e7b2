// This file reads the channel: the vendor's id of the conversation, its flags, durations and rating.

package smartsupp

import (
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
)

// maxRating is the top of the vendor's scale, which starts at 0 or 1.
const maxRating = 5

// channel reads the channel. Flags and numbers are carried as given, even where they contradict the messages; the
// counts of messages and words, whose rule is not known, stay under extra.
func (r *reader) channel(top object) {
	if v, ok := top.fields.Lookup("channel"); !ok || v == nil {
		r.c.Warn("channel is missing")
	}
	ch := top.child("channel")
	r.c.ExternalID = ch.id("id")
	r.c.Flags = chat.Flags{
		Chat:      ch.flag("isChat"),
		Missed:    ch.flag("isMissed"),
		Triggered: ch.flag("isTriggered"),
		Offline:   ch.flag("isOffline"),
		Completed: ch.flag("isCompleted"),
		Dropped:   ch.flag("isDropped"),
	}
	r.contradiction()
	r.c.DurationSeconds = ch.number("duration")
	r.c.AvgResponseSeconds = ch.number("avgResponse")
	r.c.FirstResponseSeconds = ch.number("firstResponse")
	r.rating(ch)
	r.c.RatingComment = strings.TrimSpace(ch.text("ratingDesc"))
	top.done("channel")
}

// rating reads the rating. No rating (null, "") is not the rating 0. One outside the scale could mean anything, so it
// stays under extra, where no rule on bad ratings sees it.
func (r *reader) rating(ch object) {
	sent := ch.fields.Get("rating")
	rating := ch.number("rating")
	if rating != nil && (*rating < 0 || *rating > maxRating) {
		ch.fields.Set("rating", sent)
		ch.odd("rating", "is outside of 0 to 5")
		rating = nil
	}
	r.c.Rating = rating
}

// contradiction warns about ends that exclude each other.
func (r *reader) contradiction() {
	var set []string
	for _, f := range []struct {
		name string
		flag *bool
	}{
		{"isOffline", r.c.Flags.Offline},
		{"isMissed", r.c.Flags.Missed},
		{"isDropped", r.c.Flags.Dropped},
		{"isCompleted", r.c.Flags.Completed},
	} {
		if f.flag != nil && *f.flag {
			set = append(set, f.name)
		}
	}
	if len(set) > 1 {
		r.c.Warn("the flags " + strings.Join(set, ", ") + " are all set; the first of them is the outcome")
	}
}
