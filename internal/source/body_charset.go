// This file finds the encoding of a body's text. Senders say UTF-8 and send Windows bytes, or the reverse, so the
// bytes have the last word where they can tell.

package source

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// charset turns bytes into valid UTF-8.
type charset struct {
	encoding encoding.Encoding // nil: UTF-8, broken bytes replaced
}

// newCharset decides for all of a body at once, from its byte order mark, its label and its bytes:
//
//   - valid UTF-8 with letters beyond ASCII is UTF-8 even if the label names a single-byte encoding: such bytes are
//     valid UTF-8 by accident hardly ever;
//   - any other label that is known holds;
//   - without one, bytes that are not valid UTF-8 are UTF-8 with a few broken bytes if at least as many characters
//     beyond ASCII are whole, or cut off, as are broken; else they are Windows-1252, the usual encoding of old PHP pages.
func newCharset(label string, sample []byte, notes *notes) charset {
	if e := unicodeOf(sample); e != nil {
		return charset{e}
	}
	e, known := labeled(label, sample, notes)
	if !known && utf8.Valid(sample) {
		return charset{}
	}
	whole, broken := countUTF8(sample)
	if known {
		if _, single := e.(*charmap.Charmap); !single || broken > 0 {
			return charset{e}
		}
		if whole > 0 {
			notes.add("the body says charset " + strconv.Quote(shorten(label)) + " but is UTF-8, and was read as UTF-8")
		}
		return charset{}
	}
	if whole >= broken {
		notes.add(fmt.Sprintf("the body is not valid UTF-8; its broken bytes became %c", utf8.RuneError))
		return charset{}
	}
	notes.add("the body is not UTF-8 and was read as Windows-1252")
	return charset{charmap.Windows1252}
}

func (c charset) decode(b []byte) string {
	if c.encoding != nil {
		if text, err := c.encoding.NewDecoder().Bytes(b); err == nil {
			return string(text)
		}
	}
	if utf8.Valid(b) { // much faster than what follows
		return string(b)
	}
	return strings.ToValidUTF8(string(b), string(utf8.RuneError))
}

// labeled returns the encoding that a charset parameter names, unless it is UTF-8 or of no use.
func labeled(label string, sample []byte, notes *notes) (encoding.Encoding, bool) {
	if label == "" {
		return nil, false
	}
	e, err := htmlindex.Get(label)
	if err != nil || e == encoding.Replacement {
		notes.add("the body says charset " + strconv.Quote(shorten(label)) + ", which is unknown")
		return nil, false
	}
	name, err := htmlindex.Name(e)
	if err != nil || name == "utf-8" {
		return nil, false
	}
	if strings.HasPrefix(name, "utf-16") && !bytes.Contains(sample, []byte{0}) {
		return nil, false // no ASCII character of UTF-16 is without a zero byte
	}
	return e, true
}

// unicodeOf recognizes UTF-16 by its byte order mark or by the zero beside a first bracket.
func unicodeOf(b []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), len(b) > 3 && (b[0] == '{' || b[0] == '[') && b[1] == 0 && b[2] != 0:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}), len(b) > 3 && b[0] == 0 && (b[1] == '{' || b[1] == '[') && b[2] == 0:
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	}
	return nil
}

// countUTF8 counts characters beyond ASCII that are whole, or cut off after at least two bytes, and bytes that fit
// into no character.
func countUTF8(b []byte) (whole, broken int) {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r != utf8.RuneError || size > 1:
			whole++
		case cutOff(b[i:]) > 1:
			whole++
			size = cutOff(b[i:])
		default:
			broken++
		}
		i += size
	}
	return whole, broken
}

// cutOff returns how many bytes of a longer character b begins with; 0 if with none.
func cutOff(b []byte) int {
	want := 0
	switch {
	case b[0]>>4 == 0b1110:
		want = 3
	case b[0]>>3 == 0b11110:
		want = 4
	}
	for n := 1; n < want; n++ {
		if n == len(b) || b[n]>>6 != 0b10 {
			return n
		}
	}
	return 0
}
