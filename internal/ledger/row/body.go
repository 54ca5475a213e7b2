// This file is how a hook lies in a ledger: its body as it was sent and the conversation that was decoded from it, in one
// block. The second says nearly the same as the first, so together they take hardly more room than one of them.

package row

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/afterchat/afterchat/internal/chat"
)

// A body begins with one byte, bodyMark, which no zstd frame begins with; the checksums of what was sent and of what was
// decoded, four bytes each; and the length of what was sent. Both follow as one block of S2, which takes a fifth of the
// processor that zstd takes. Version 1 has a zstd frame for each.
const (
	bodyMark     = 1
	bodyChecks   = 1 + 4 + 4
	bodyHeadSize = bodyChecks + binary.MaxVarintLen64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// buffers hold what is packed for a moment. Large ones are not kept.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const largeBuffer = 64 << 10

// PackBody packs a hook, and returns the fingerprint of what it says. To the Content of the conversation it adds at the end
// what is no part of it, where the last of two equal keys is the one that is read. What the transaction decides and the
// pipeline renders is left out.
func (c Codec) PackBody(sent []byte, conv *chat.Conversation) (body []byte, content [16]byte, err error) {
	plain, packed := buffers.Get().(*[]byte), buffers.Get().(*[]byte)
	defer func() {
		for _, b := range []*[]byte{plain, packed} {
			if cap(*b) <= largeBuffer {
				buffers.Put(b)
			}
		}
	}()
	*plain = append((*plain)[:0], sent...)
	if *plain, err = conv.AppendContent(*plain); err != nil {
		return nil, content, fmt.Errorf("encode the conversation: %w", err)
	}
	content = chat.FingerprintOf((*plain)[len(sent):])
	brace := len(*plain) - 1
	if *plain, err = conv.AppendOrigin(*plain); err != nil {
		return nil, content, fmt.Errorf("encode the conversation: %w", err)
	}
	*plain = slices.Delete(*plain, brace, brace+1)
	(*plain)[brace] = ',' // one object of two

	head := make([]byte, bodyChecks, bodyHeadSize)
	head[0] = bodyMark
	binary.BigEndian.PutUint32(head[1:], crc32.Checksum(sent, castagnoli))
	binary.BigEndian.PutUint32(head[5:], crc32.Checksum((*plain)[len(sent):], castagnoli))
	head = binary.AppendUvarint(head, uint64(len(sent)))
	*packed = s2.Encode((*packed)[:cap(*packed)], *plain)
	return append(append(make([]byte, 0, len(head)+len(*packed)), head...), *packed...), content, nil
}

// errDamagedBody means that a packed body is not what was stored.
var errDamagedBody = errors.New("the stored body is damaged")

// unpacked is what PackBody has packed. A part of which the checksum is wrong is nil.
type unpacked struct{ sent, decoded []byte }

// unpack is the inverse of PackBody. One part may be whole when the other is not.
func unpack(packed []byte) (u unpacked, err error) {
	if len(packed) < bodyChecks {
		return u, errDamagedBody
	}
	length, n := binary.Uvarint(packed[bodyChecks:])
	if n <= 0 {
		return u, errDamagedBody
	}
	block := packed[bodyChecks+n:]
	if size, err := s2.DecodedLen(block); err != nil || size > maxInflated || length > uint64(size) {
		return u, errDamagedBody
	}
	plain, err := s2.Decode(nil, block)
	if err != nil {
		return u, errDamagedBody
	}
	if sent := plain[:length:length]; crc32.Checksum(sent, castagnoli) == binary.BigEndian.Uint32(packed[1:]) {
		u.sent = sent
	}
	if decoded := plain[length:]; crc32.Checksum(decoded, castagnoli) == binary.BigEndian.Uint32(packed[5:]) {
		u.decoded = decoded
	}
	return u, nil
}

// UnpackSent returns the body as it was sent.
func (c Codec) UnpackSent(packed []byte) ([]byte, error) {
	if len(packed) > 0 && packed[0] != bodyMark {
		return c.Unpack(packed)
	}
	u, err := unpack(packed)
	if err == nil && u.sent == nil {
		err = errDamagedBody
	}
	return u.sent, err
}

// UnpackConversation reads numbers of extra keys as json.Number, as the decoders made them.
func (c Codec) UnpackConversation(packed []byte, id string, revision int) (conv chat.Conversation, err error) {
	var text []byte
	if len(packed) > 0 && packed[0] == bodyMark {
		var u unpacked
		if u, err = unpack(packed); err == nil && u.decoded == nil {
			err = errDamagedBody
		}
		text = u.decoded
	} else {
		text, err = c.Unpack(packed)
	}
	if err == nil {
		err = decode(text, &conv)
	}
	if err != nil {
		return conv, fmt.Errorf("stored conversation %s, revision %d: %w", id, revision, err)
	}
	conv.ID, conv.Revision = id, revision
	return conv, nil
}

// PackedHead is how many of the first bytes of a packed body tell its length.
const PackedHead = 400

// Size tells how long the body was that was sent, by the first PackedHead bytes of what holds it.
func (c Codec) Size(head []byte) int {
	if len(head) > bodyChecks && head[0] == bodyMark {
		length, _ := binary.Uvarint(head[bodyChecks:])
		return int(min(length, maxInflated))
	}
	return c.frameSize(head)
}
