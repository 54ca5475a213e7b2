// This file turns what a ledger keeps into bytes and back: zstd for bodies, flat lists for digests, microseconds for
// times.

package sqlite

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
)

// maxInflated bounds what a damaged or hostile body may inflate to, in bytes.
const maxInflated = 1 << 30

// codec compresses and inflates, from several goroutines at once.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		return codec{}, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxInflated))
	if err != nil {
		return codec{}, err
	}
	return codec{encoder, decoder}, nil
}

func (c codec) close() {
	_ = c.encoder.Close()
	c.decoder.Close()
}

func (c codec) pack(b []byte) []byte { return c.encoder.EncodeAll(b, nil) }

func (c codec) unpack(b []byte) ([]byte, error) { return c.decoder.DecodeAll(b, nil) }

// packConversation leaves out what the transaction decides and what the pipeline renders.
func (c codec) packConversation(conv chat.Conversation) ([]byte, error) {
	conv.ID, conv.Revision, conv.Transcript = "", 0, nil
	text, err := json.Marshal(&conv)
	if err != nil {
		return nil, fmt.Errorf("encode the conversation: %w", err)
	}
	return c.pack(text), nil
}

// unpackConversation reads numbers of extra keys as json.Number, as the decoders made them.
func (c codec) unpackConversation(packed []byte, id string, revision int) (chat.Conversation, error) {
	var conv chat.Conversation
	text, err := c.unpack(packed)
	if err != nil {
		return conv, fmt.Errorf("stored conversation %s, revision %d: %w", id, revision, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&conv); err != nil {
		return conv, fmt.Errorf("stored conversation %s, revision %d: %w", id, revision, err)
	}
	conv.ID, conv.Revision = id, revision
	return conv, nil
}

// prints are the fingerprints of all hooks of a conversation, each with the revision that its hook was or repeated.
type prints []byte

const printSize = 16 + 4

// find returns the revision of the hook with fingerprint p.
func (ps prints) find(p [16]byte) (revision int, ok bool) {
	for entry := range slices.Chunk(ps, printSize) {
		if len(entry) == printSize && [16]byte(entry) == p {
			return int(binary.BigEndian.Uint32(entry[16:])), true
		}
	}
	return 0, false
}

func (ps prints) add(p [16]byte, revision int) prints {
	return binary.BigEndian.AppendUint32(append(ps, p[:]...), uint32(revision))
}

func packChain(chain []uint64) []byte {
	b := make([]byte, 0, 8*len(chain))
	for _, digest := range chain {
		b = binary.BigEndian.AppendUint64(b, digest)
	}
	return b
}

func unpackChain(b []byte) []uint64 {
	chain := make([]uint64, len(b)/8)
	for i := range chain {
		chain[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return chain
}

// micros is how a time is stored. The zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func packReceipt(r connectors.Receipt) (string, error) {
	if r.IsZero() {
		return "", nil
	}
	b, err := json.Marshal(r)
	return string(b), err
}

func unpackReceipt(s string) (r connectors.Receipt, err error) {
	if s != "" {
		err = json.Unmarshal([]byte(s), &r)
	}
	return r, err
}

func packRoutes(routes []string) (string, error) {
	if len(routes) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(routes)
	return string(b), err
}

func unpackRoutes(s string) (routes []string, err error) {
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

var errNoBody = errors.New("its body is not in the ledger")
