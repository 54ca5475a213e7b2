// This file holds what makes two hooks the same conversation: the id, the fingerprint of its content, and the chain
// of message digests by which an older snapshot is recognised.

package chat

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
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

// Fingerprint is a digest of what a conversation says, apart from how and when it reached us: two hooks with the same
// fingerprint are repeats.
func (c *Conversation) Fingerprint() [16]byte {
	content := *c
	content.ID, content.Source, content.Brand, content.Revision = "", "", "", 0
	content.ReceivedAt = time.Time{}
	content.Warnings, content.Transcript = nil, nil
	body, err := json.Marshal(&content)
	if err != nil {
		body = fmt.Appendf(nil, "%v", content)
	}
	return sum16(fmt.Appendf(nil, "v%d\n", FingerprintVersion), body)
}

// RawFingerprint is a digest of a hook body as it arrived.
func RawFingerprint(body []byte) [16]byte { return sum16([]byte("raw\n"), body) }

// Chain returns one digest per message, each over the message and all before it. A conversation whose chain is a
// prefix of another's is an earlier snapshot of it.
func (c *Conversation) Chain() []uint64 {
	chain := make([]uint64, len(c.Messages))
	var prior [32]byte
	for i, m := range c.Messages {
		var b bytes.Buffer
		b.Write(prior[:])
		fmt.Fprintf(&b, "%q %q %q %q %q %q", m.Role, m.Author, m.Text, m.Event, m.Stamp, m.Trigger)
		if !m.At.IsZero() {
			fmt.Fprintf(&b, " %d", m.At.UnixMilli())
		}
		for _, f := range m.Files {
			fmt.Fprintf(&b, " %q %q", f.Name, f.URL)
		}
		prior = sha256.Sum256(b.Bytes())
		chain[i] = binary.BigEndian.Uint64(prior[:8])
	}
	return chain
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
