// Package source turns the hooks of chat platforms into conversations. This file is the contract: a platform is one
// package below this one with a Type; it is listed in package gateway.
package source

import (
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

// Decoder reads one platform's hook bodies. It keeps no state and does no I/O; the same hook always decodes to the
// same conversation, because repeats are recognised by content.
type Decoder interface {
	// Decode reads one hook. It is called from several goroutines at once.
	//
	// A nil error means that no text of the hook was lost: what has no place in the conversation is in its Extra.
	// The decoder fills everything but Source, Brand, Revision and ReceivedAt. Odd values are kept, warned about and
	// never a reason to refuse; an error, always an *Error, means that the body is no conversation of this platform
	// at all, and the caller keeps the body in quarantine.
	Decode(h Hook) (Decoded, error)
}

// Hook is one request as it arrived, already inflated.
type Hook struct {
	Body        []byte
	ContentType string // as sent; "" when it was not. Vendors mislabel, so it is a hint only
	ReceivedAt  time.Time
}

// Decoded is a conversation with what the ledger needs to find earlier hooks of it.
type Decoded struct {
	Conversation chat.Conversation

	// Session, when not "", names a vendor session that may hold several conversations: an earlier conversation of
	// the same session that ended within SessionWindow, and of which one's messages are a prefix of the other's, is
	// this conversation, whatever its id.
	Session       string
	SessionWindow time.Duration
}

// Options are what a source's configuration says to its decoder.
type Options struct {
	// Zone is the time zone of stamps without one; nil if the source has no time_zone.
	Zone *time.Location
}

// Type is one platform.
type Type struct {
	Name          string // as in a source's type:
	Doc           string // one sentence
	NeedsTimeZone bool   // its times carry no zone, so time_zone is required
	New           func(Options) Decoder
}

// Kept is the hint where nothing can be done about a hook but to keep it, or the end of one. It holds for hooks that come
// from their source, and not for those that somebody explains or imports.
const Kept = "the body is kept as it came and can be decoded again"

// Error says why a body is no conversation, in words for the person who configured the hook.
type Error struct {
	Reason string // what is wrong, without a trailing full stop
	Hint   string // what to do about it; may be ""
	Err    error  // the cause, if there is one
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Reason
	}
	return e.Reason + "; " + e.Hint
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
