// This file turns what a ledger keeps into bytes and back: zstd for bodies, flat lists for digests, microseconds for
// times.

package row

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// maxInflated bounds what a damaged or hostile body may inflate to, in bytes.
const maxInflated = 1 << 30

// Codec compresses and inflates, from several goroutines at once.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// NewCodec makes a Codec, to be closed.
func NewCodec() (Codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20),
		zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Codec{}, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxInflated))
	if err != nil {
		return Codec{}, err
	}
	return Codec{encoder, decoder}, nil
}

// Close frees what a Codec holds.
func (c Codec) Close() {
	_ = c.encoder.Close()
	c.decoder.Close()
}

// Pack compresses.
func (c Codec) Pack(b []byte) []byte { return c.encoder.EncodeAll(b, make([]byte, 0, len(b)/2+64)) }

// Unpack inflates what Pack made.
func (c Codec) Unpack(b []byte) ([]byte, error) { return c.decoder.DecodeAll(b, nil) }

// decode reads JSON. Only what has no place of its own holds numbers of unknown kind; without it the text need not go
// through the buffer of a Decoder.
func decode(text []byte, conv *chat.Conversation) error {
	if !bytes.Contains(text, []byte(`"extra":`)) && !bytes.Contains(text, []byte(`"vars":`)) {
		return json.Unmarshal(text, conv)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(conv)
}

// Prints are the fingerPrints of all hooks of a conversation, each with the revision that its hook was or repeated.
type Prints []byte

const printSize = 16 + 4

// Find returns the revision of the hook with fingerprint p.
func (ps Prints) Find(p [16]byte) (revision int, ok bool) {
	for entry := range slices.Chunk(ps, printSize) {
		if len(entry) == printSize && [16]byte(entry) == p {
			return int(binary.BigEndian.Uint32(entry[16:])), true
		}
	}
	return 0, false
}

// Add returns ps with one more.
func (ps Prints) Add(p [16]byte, revision int) Prints {
	return binary.BigEndian.AppendUint32(append(ps, p[:]...), uint32(revision))
}

// All returns the fingerprints.
func (ps Prints) All() (all [][16]byte) {
	for entry := range slices.Chunk(ps, printSize) {
		if len(entry) == printSize {
			all = append(all, [16]byte(entry))
		}
	}
	return all
}

// PackChain makes bytes of the digests of messages.
func PackChain(chain []uint64) []byte {
	b := make([]byte, 0, 8*len(chain))
	for _, digest := range chain {
		b = binary.BigEndian.AppendUint64(b, digest)
	}
	return b
}

// UnpackChain is the inverse of PackChain.
func UnpackChain(b []byte) []uint64 {
	chain := make([]uint64, len(b)/8)
	for i := range chain {
		chain[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return chain
}

// Micros is how a time is stored. The zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the inverse of Micros, in UTC.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// PackReceipt makes JSON of a receipt, "" of none.
func PackReceipt(r connectors.Receipt) (string, error) {
	if r.IsZero() {
		return "", nil
	}
	b, err := json.Marshal(r)
	return string(b), err
}

// UnpackReceipt is the inverse of PackReceipt.
func UnpackReceipt(s string) (r connectors.Receipt, err error) {
	if s != "" {
		err = json.Unmarshal([]byte(s), &r)
	}
	return r, err
}

// knowledge is what an attempt knew of its target.
type knowledge struct {
	Prior     *connectors.Receipt `json:"prior,omitempty"`
	Uncertain bool                `json:"uncertain,omitempty"`
}

// PackKnowledge makes JSON of what an attempt knew of its target, "" of nothing.
func PackKnowledge(d ledger.Detail) (string, error) {
	k := knowledge{Uncertain: d.Uncertain}
	if !d.Prior.IsZero() {
		k.Prior = &d.Prior
	}
	if k == (knowledge{}) {
		return "", nil
	}
	b, err := json.Marshal(k)
	return string(b), err
}

// UnpackKnowledge is the inverse of PackKnowledge.
func UnpackKnowledge(s string, d *ledger.Detail) error {
	if s == "" {
		return nil
	}
	var k knowledge
	if err := json.Unmarshal([]byte(s), &k); err != nil {
		return err
	}
	if k.Prior != nil {
		d.Prior = *k.Prior
	}
	d.Uncertain = k.Uncertain
	return nil
}

// PackRoutes makes a JSON list of names.
func PackRoutes(routes []string) (string, error) {
	if len(routes) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(routes)
	return string(b), err
}

// UnpackRoutes is the inverse of PackRoutes.
func UnpackRoutes(s string) (routes []string, err error) {
	if s == "[]" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(s), &routes)
	return routes, err
}

// mergeReceipt adds what an attempt learned to what was known; later ids win.
func mergeReceipt(known, news connectors.Receipt) connectors.Receipt {
	if news.ID != "" {
		known.ID = news.ID
	}
	if news.URL != "" {
		known.URL = news.URL
	}
	if len(news.Parts) > 0 {
		parts := make(map[string]string, len(known.Parts)+len(news.Parts))
		maps.Copy(parts, known.Parts)
		maps.Copy(parts, news.Parts)
		known.Parts = parts
	}
	return known
}

// ErrNoBody means that the body of a conversation is not there.
var ErrNoBody = errors.New("its body is not in the ledger")
