// This file finds the rows of a ledger among the pages of a damaged one.

package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// wreck is what is left of a damaged ledger: where its rows are.
type wreck struct {
	*image
	conversations map[int64]*remains // by number
	configs       []place
	quarantine    []place
	audit, jobs   []place
	points        []place
	lostPages     int
	lostRows      int
}

// remains are the rows of one conversation.
type remains struct {
	row        place // zero: lost
	bodies     []place
	deliveries []place
	attempts   []place
	ids        []string // that an index gives the number
}

// explore scans all pages. told hears how far it is.
func explore(ctx context.Context, m *image, told func(done, of int)) (*wreck, error) {
	w := &wreck{image: m, conversations: map[int64]*remains{}, lostPages: int(m.missing)}
	for n := uint32(2); n <= m.pages; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			told(int(n), int(m.pages))
		}
		kind := m.kind(n)
		if kind != kindUnknown && kind != kindRoot && kind != kindTree {
			continue
		}
		lost, err := m.scan(n, w.note)
		if err != nil {
			w.lostPages++
		}
		w.lostRows += lost
	}
	return w, nil
}

// How many values the newest rows have. Those of version 1, which are not written again when columns are added, have
// fewer: 11 of a conversation, 21 of a delivery, 10 of an attempt.
const (
	deliveryWidth = 26
	attemptWidth  = 14
)

// note tells by the shape of a row which table it is of.
func (w *wreck) note(at place, r record) {
	is := func(i int, kind string) bool { return fmt.Sprintf("%T", r.values[i]) == kind }
	number := func() *remains {
		n, _ := r.values[0].(int64)
		return w.of(n)
	}
	switch {
	case r.table && (len(r.values) == 11 || len(r.values) == 12) && is(1, "string"):
		w.of(r.rowid).row = at
	case r.table && len(r.values) == 6 && is(0, "int64"):
		of := number()
		of.bodies = append(of.bodies, at)
	case r.table && len(r.values) == 6 && is(0, "string"):
		w.quarantine = append(w.quarantine, at)
	case r.table && len(r.values) == 2 && is(0, "string"):
		w.configs = append(w.configs, at)
	case !r.table && (len(r.values) == 21 || len(r.values) == deliveryWidth) && is(0, "int64"):
		of := number()
		of.deliveries = append(of.deliveries, at)
	case !r.table && (len(r.values) == 10 || len(r.values) == attemptWidth) && is(0, "int64"):
		of := number()
		of.attempts = append(of.attempts, at)
	case !r.table && len(r.values) == 2 && is(0, "string") && is(1, "int64"):
		if id, n := r.values[0].(string), r.values[1].(int64); n > 0 && n < 1<<40 && isConversationID(id) {
			of := w.of(n)
			of.ids = append(of.ids, id)
		}
	default:
		w.remember(at, r)
	}
}

// isConversationID tells an id from the other names that indexes hold.
func isConversationID(id string) bool {
	if len(id) != 27 || id[0] != 'c' {
		return false
	}
	for _, c := range id[1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func (w *wreck) of(number int64) *remains {
	r, ok := w.conversations[number]
	if !ok {
		r = &remains{}
		w.conversations[number] = r
	}
	return r
}

// numbers returns the conversations in the order of their arrival.
func (w *wreck) numbers() []int64 { return slices.Sorted(maps.Keys(w.conversations)) }

// salvaged is one conversation, read and checked.
type salvaged struct {
	known      *row.Known
	session    string
	seenAt     int64
	firstAt    int64
	bodies     []salvagedBody // whole ones, by revision
	broken     []salvagedBody // of which the conversation cannot be read, but the hook can
	deliveries []*row.Delivery
	attempts   []record
	lost       int // bodies of which nothing can be read
}

type salvagedBody struct {
	revision     int
	received     int64
	contentType  string
	decoded, raw []byte // packed
}

// salvage reads what there is of one conversation. known is nil if nobody can say which one it is.
func (w *wreck) salvage(codec row.Codec, r *remains) *salvaged {
	s := &salvaged{}
	if r.row.page > 0 {
		s.readRow(w, r.row)
	}
	for _, at := range r.bodies {
		s.readBody(w, codec, at)
	}
	slices.SortFunc(s.bodies, func(a, b salvagedBody) int { return a.revision - b.revision })
	s.bodies = slices.CompactFunc(s.bodies, func(a, b salvagedBody) bool { return a.revision == b.revision })
	if s.known == nil && len(r.ids) == 1 {
		s.identify(codec, r.ids[0])
	}
	s.lost = max(s.lost, s.missing())
	newest := map[string]*row.Delivery{}
	for _, at := range r.deliveries {
		d, err := w.delivery(at)
		if err != nil {
			w.lostRows++
			continue
		}
		if old := newest[d.Target]; old == nil || d.Fence > old.Fence {
			newest[d.Target] = d
		}
	}
	for _, target := range slices.Sorted(maps.Keys(newest)) {
		s.deliveries = append(s.deliveries, newest[target])
	}
	for _, at := range r.attempts {
		if a, err := w.read(at); err == nil {
			s.attempts = append(s.attempts, a)
		}
	}
	return s
}

// missing returns how many revisions have no body at all, although retention has not taken them.
func (s *salvaged) missing() int {
	if s.known == nil || !s.known.Bodies {
		return 0
	}
	there := map[int]bool{}
	for _, b := range slices.Concat(s.bodies, s.broken) {
		if b.revision > 0 {
			there[b.revision] = true
		}
	}
	return max(s.known.Revision-len(there), 0)
}

func (s *salvaged) readRow(w *wreck, at place) {
	r, err := w.read(at)
	if err != nil {
		w.lostRows++
		return
	}
	var k row.Known
	var bodies int64
	var prints, chain []byte
	k.Number = r.rowid
	var revision, stale int64
	if !assign(r.values[1:], &k.ID, &k.Platform, &s.session, &revision, &stale, &k.EndedAt, &s.seenAt, &bodies, &prints, &chain) ||
		k.ID == "" || revision < 1 {
		w.lostRows++
		return
	}
	s.firstAt = s.seenAt // the best that is known of a row of version 1
	if len(r.values) > 11 {
		_ = assign(r.values[11:], &s.firstAt)
	}
	k.Revision, k.Stale, k.Bodies, k.Prints, k.Chain = int(revision), int(stale), bodies == 1, prints, row.UnpackChain(chain)
	s.known = &k
}

func (s *salvaged) readBody(w *wreck, codec row.Codec, at place) {
	r, err := w.read(at)
	var b salvagedBody
	var number, revision int64
	if err != nil || !assign(r.values, &number, &revision, &b.received, &b.contentType, &b.decoded, &b.raw) {
		s.lost++
		return
	}
	b.revision = int(revision)
	_, rawErr := b.sent(codec)
	_, err = codec.UnpackConversation(b.decoded, "", b.revision)
	switch {
	case err == nil && rawErr == nil:
		s.bodies = append(s.bodies, b)
	case rawErr == nil:
		s.broken = append(s.broken, b)
	default:
		s.lost++
	}
}

// identify makes the row of a conversation anew from its id and its bodies.
func (s *salvaged) identify(codec row.Codec, id string) {
	k := &row.Known{ID: id}
	for _, b := range s.bodies {
		hook, err := b.hook(codec, id)
		if err != nil {
			continue
		}
		a, err := row.NewArrival(codec, hook)
		if err != nil {
			continue
		}
		k.Revision = max(k.Revision, b.revision)
		a.See(k, max(b.revision, 1))
		if b.revision < 0 {
			k.Stale = max(k.Stale, -b.revision)
			continue
		}
		k.Platform, k.EndedAt, k.Chain = hook.Conversation.Platform, row.Micros(hook.Conversation.EndedAt), a.Chain
		s.seenAt = max(s.seenAt, b.received)
		if s.firstAt == 0 {
			s.firstAt = b.received
		}
	}
	if k.Revision > 0 {
		s.known = k
	}
}

// sent returns a body as it was sent.
func (b salvagedBody) sent(codec row.Codec) ([]byte, error) {
	if len(b.raw) == 0 {
		return codec.UnpackSent(b.decoded)
	}
	return codec.UnpackSent(b.raw)
}

// hook returns the hook that a body is of.
func (b salvagedBody) hook(codec row.Codec, id string) (ledger.Hook, error) {
	conversation, err := codec.UnpackConversation(b.decoded, id, b.revision)
	if err != nil {
		return ledger.Hook{}, err
	}
	raw, err := b.sent(codec)
	return ledger.Hook{Raw: raw, ContentType: b.contentType, Conversation: conversation}, err
}

// delivery reads a row of the table of deliveries.
func (w *wreck) delivery(at place) (*row.Delivery, error) {
	r, err := w.read(at)
	if err != nil {
		return nil, err
	}
	d := &row.Delivery{}
	var state, want, have, trying, doubt, lapsed, claims, tries, planned, ignore int64
	var receipt string
	if !assign(r.values, &d.Conversation, &d.Target, &state, &want, &have, &trying, &doubt, &lapsed, &d.DueAt, &d.PendingSince, &d.SettledAt,
		&d.Fence, &claims, &tries, &d.FirstAt, &planned, &ignore, &d.Routes, &d.Config, &d.Tried, &receipt) ||
		d.Target == "" || want < 1 || state < 0 || state > int64(ledger.Superseded) {
		return nil, errMalformed
	}
	var imported int64
	if len(r.values) == deliveryWidth && !assign(r.values[21:], &d.Class, &d.Reason, &d.FailedAt, &d.Pinned, &imported) {
		return nil, errMalformed
	}
	d.State, d.Want, d.Have, d.Trying, d.Doubt = ledger.State(state), int(want), int(have), int(trying), int(doubt)
	d.Lapsed, d.Claims, d.Tries, d.Planned, d.Ignore, d.Imported = lapsed == 1, int(claims), int(tries), planned == 1, ignore == 1, imported == 1
	if _, err := row.UnpackRoutes(d.Routes); err != nil {
		return nil, err
	}
	d.Receipt, err = row.UnpackReceipt(receipt)
	return d, err
}

// assign stores values by their types, and tells whether all of them are what is wanted.
func assign(values []any, into ...any) bool {
	if len(values) < len(into) {
		return false
	}
	for i, to := range into {
		ok := false
		switch to := to.(type) {
		case *int64:
			*to, ok = values[i].(int64)
		case *string:
			*to, ok = values[i].(string)
		case *[]byte:
			*to, ok = values[i].([]byte)
		}
		if !ok {
			return false
		}
	}
	return true
}
