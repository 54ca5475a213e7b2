// This file holds what makes two hooks the same conversation: the id, the fingerprint of its content, and the chain
// of message digests by which an older snapshot is recognized.

package chat

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// FingerprintVersion changes when the fields below the fingerprint change; fingerprints of different versions never match.
const FingerprintVersion = 1

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID hashes a platform and the parts of an identity to a conversation id: "c" and 26 lower-case characters.
// It depends on nothing else, so a re-created ledger finds old objects at the targets again.
func NewID(platform string, parts ...string) string {
	h := sha256.New()
	for _, p := range append([]string{platform}, parts...) {
		_ = binary.Write(h, binary.BigEndian, uint32(len(p)))
		h.Write([]byte(p))
	}
	return "c" + idEncoding.EncodeToString(h.Sum(nil)[:16])
}

// IsID tells whether a text has the form of an id.
func IsID(text string) bool {
	if len(text) != 27 || text[0] != 'c' {
		return false
	}
	_, err := idEncoding.DecodeString(text[1:])
	return err == nil
}

// Fingerprint is a digest of what a conversation says, apart from how and when it reached us: two hooks with the same
// fingerprint are repeats.
func (c *Conversation) Fingerprint() [16]byte {
	body, err := c.Content()
	if err != nil {
		body = spell(c.content())
	}
	return FingerprintOf(body)
}

// FingerprintOf is the Fingerprint of the conversation with this Content.
func FingerprintOf(content []byte) [16]byte {
	return sum16(fmt.Appendf(nil, "v%d\n", FingerprintVersion), content)
}

// Content is the JSON of what Fingerprint digests: all but ID, Source, Brand, Revision, ReceivedAt, Warnings and
// Transcript. It fails on numbers that JSON cannot hold and years of five digits.
func (c *Conversation) Content() ([]byte, error) { return c.AppendContent(nil) }

// AppendContent appends Content to b.
func (c *Conversation) AppendContent(b []byte) ([]byte, error) {
	content := c.content()
	return content.appendJSON(slices.Grow(b, content.jsonSize()), true)
}

func (c *Conversation) content() Conversation {
	content := *c
	content.ID, content.Source, content.Brand, content.Revision = "", "", "", 0
	content.ReceivedAt = time.Time{}
	content.Warnings, content.Transcript = nil, nil
	return content
}

// spell writes a conversation that JSON cannot hold (a number that is none, a year of five digits): everything by its
// value, never by its address.
func spell(c Conversation) []byte {
	var b bytes.Buffer
	for _, f := range []*float64{c.DurationSeconds, c.FirstResponseSeconds, c.AvgResponseSeconds, c.Rating} {
		if f != nil {
			fmt.Fprint(&b, *f)
		}
		b.WriteByte('\n')
	}
	c.DurationSeconds, c.FirstResponseSeconds, c.AvgResponseSeconds, c.Rating = nil, nil, nil, nil
	for _, f := range []*bool{c.Flags.Chat, c.Flags.Missed, c.Flags.Triggered, c.Flags.Offline, c.Flags.Completed, c.Flags.Dropped} {
		if f != nil {
			fmt.Fprint(&b, *f)
		}
		b.WriteByte('\n')
	}
	c.Flags = Flags{}
	c.Messages = slices.Clone(c.Messages)
	for i := range c.Messages {
		files := slices.Clone(c.Messages[i].Files)
		for k := range files {
			if files[k].Size != nil {
				fmt.Fprintf(&b, "%d %d %d\n", i, k, *files[k].Size)
				files[k].Size = nil
			}
		}
		c.Messages[i].Files = files
	}
	fmt.Fprintf(&b, "%+v", c)
	return b.Bytes()
}

// RawFingerprint is a digest of a hook body as it arrived.
func RawFingerprint(body []byte) [16]byte { return sum16([]byte("raw\n"), body) }

// Chain returns one digest per message, each over the message and all before it. A conversation whose chain is a
// prefix of another's is an earlier snapshot of it. The names of authors do not count: a later snapshot may know a
// name that an earlier one did not. Nor does the address of a file with a name: it may be signed anew each time.
func (c *Conversation) Chain() []uint64 {
	chain := make([]uint64, len(c.Messages))
	h := sha256.New() // one for all of them
	prior := make([]byte, sha256.Size)
	var b []byte
	for i := range c.Messages {
		m := &c.Messages[i]
		b = append(b[:0], prior...)
		for n, text := range []string{string(m.Role), m.Text, m.Event, m.Stamp, m.Trigger} {
			if n > 0 {
				b = append(b, ' ')
			}
			b = appendQuote(b, text)
		}
		if !m.At.IsZero() {
			b = strconv.AppendInt(append(b, ' '), m.At.UnixMilli(), 10)
		}
		for _, f := range m.Files {
			b = appendQuote(append(b, ' '), firstNonEmpty(f.Name, f.URL))
		}
		h.Reset()
		h.Write(b)
		prior = h.Sum(prior[:0])
		chain[i] = binary.BigEndian.Uint64(prior)
	}
	return chain
}

// appendQuote is strconv.AppendQuote, which looks up every character in tables; most texts need nothing of that.
func appendQuote(b []byte, text string) []byte {
	for i := Ordinary(text); i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, text)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// IsPrefix tells whether the snapshot with chain a is contained at the start of the one with chain b.
func IsPrefix(a, b []uint64) bool { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }

func sum16(parts ...[]byte) (out [16]byte) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	copy(out[:], h.Sum(nil))
	return out
}
