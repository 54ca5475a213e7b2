// This file is what both engines do alike for lists: cursors, phrases of a search, rows as operators see them.

package row

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/afterchat/afterchat/internal/ledger"
)

// defaultPage is how many items a page holds that asks for no number.
const defaultPage = 50

// PageLimit is how many items a page holds at most.
func PageLimit(p ledger.Page) int {
	if p.Limit <= 0 {
		return defaultPage
	}
	return min(p.Limit, ledger.MaxPage)
}

// Cursor is the place of the last item of a page. The lists of a kind understand each other's.
type Cursor struct {
	Number int64  // in the order of arrival
	Name   string // among those of the same number
}

// Pack makes text of a cursor that only lists of kind take.
func (c Cursor) Pack(kind byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(kind) + strconv.FormatInt(c.Number, 36) + " " + c.Name))
}

// UnpackCursor is the inverse of Pack. It returns ledger.ErrCursor for anything else; "" is no cursor: ok is false.
func UnpackCursor(kind byte, text string) (c Cursor, ok bool, err error) {
	if text == "" {
		return c, false, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 2 || b[0] != kind || !utf8.Valid(b) {
		return c, false, ledger.ErrCursor
	}
	number, name, found := strings.Cut(string(b[1:]), " ")
	if c.Number, err = strconv.ParseInt(number, 36, 64); err != nil || !found || strings.ContainsRune(name, 0) {
		return Cursor{}, false, ledger.ErrCursor
	}
	c.Name = name
	if c.Pack(kind) != text {
		return Cursor{}, false, ledger.ErrCursor
	}
	return c, true, nil
}

// minPrefix is how many characters the last word of a phrase must have to stand for all that begin with it.
const minPrefix = 3

// Phrase is words that must follow one another.
type Phrase struct {
	Words  []string // at least one
	Prefix bool     // the last one stands for all that begin with it
}

// Phrases returns what a filter's texts ask for. A text without letters and digits asks for nothing.
func Phrases(texts []string) (phrases []Phrase) {
	for _, text := range texts {
		if words := Words(text); len(words) > 0 {
			phrases = append(phrases, Phrase{words, utf8.RuneCountInString(words[len(words)-1]) >= minPrefix})
		}
	}
	return phrases
}

// maxWords is how many words of a conversation a search looks through: three hours of quick writing.
const maxWords = 16000

// SearchText returns the words of a conversation that a search looks through, with spaces between them.
func (s *Summary) SearchText() string {
	words := Words(s.Text)
	return strings.Join(words[:min(len(words), maxWords)], " ")
}

// Listed returns the delivery as an operator sees it at now, in microseconds. The fields of the conversation are empty.
func (r *Delivery) Listed(id string, now int64) (ledger.DeliveryRow, error) {
	routes, err := UnpackRoutes(r.Routes)
	if err != nil {
		return ledger.DeliveryRow{}, fmt.Errorf("delivery of %s to %s: %w", id, r.Target, err)
	}
	return ledger.DeliveryRow{
		ID: id, Target: r.Target, State: r.State, Revision: r.Want, Held: r.Have, Attempts: r.Tries,
		Uncertain: r.Doubt > 0 || r.Trying > 0 && r.DueAt <= now, Leased: r.State == ledger.Pending && r.leased(now),
		DueAt: FromMicros(r.DueAt), Since: FromMicros(r.PendingSince), SettledAt: FromMicros(r.SettledAt),
		Routes: routes, Accepted: r.Config, Tried: r.Tried, Pinned: r.Pinned, Receipt: r.Receipt,
		Class: r.Class, Reason: r.Reason, FailedAt: FromMicros(r.FailedAt),
	}, nil
}

// Describe fills what a row tells of the conversation.
func (s *Summary) Describe(c *ledger.ConversationRow) {
	c.Source, c.Brand, c.Platform, c.Outcome, c.ExternalID = s.Source, s.Brand, s.Platform, s.Outcome, s.ExternalID
	c.Visitor, c.Email, c.Rating, c.Messages, c.Opening = s.Visitor, s.Email, s.Rating, s.Messages, s.Opening
}

// frameSize tells how long what Pack has packed is when it is unpacked, by its first PackedHead bytes.
func (c Codec) frameSize(head []byte) int {
	var h zstd.Header
	if err := h.Decode(head); err == nil && h.HasFCS {
		return int(min(h.FrameContentSize, maxInflated))
	}
	whole, err := c.Unpack(head) // a frame that does not tell its length is shorter than that
	if err != nil {
		return 0
	}
	return len(whole)
}

// FirstAt is when a conversation came, as far as is known: the zero time stands for what version 1 did not keep.
func FirstAt(first, received, seen int64) time.Time {
	for _, at := range []int64{first, received, seen} {
		if at > 0 {
			return FromMicros(at)
		}
	}
	return time.Time{}
}
