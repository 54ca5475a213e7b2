// This file says what of a conversation a ticket holds. The receipt keeps it, and the last line of every comment that we
// write repeats it, so that it can be read from the ticket when a receipt was lost.

package zendesk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// state is how much of a conversation a ticket holds.
type state struct {
	revision int
	blocks   int    // of the transcript, see blocks
	digest   string // of these blocks
	summary  string // digest of the summary
	fields   string // digest of the properties
}

// holds returns what a ticket with all of c holds.
func holds(c content, revision int) state {
	return state{
		revision: revision, blocks: len(c.blocks), digest: digest(c.blocks...), summary: digest(c.summary),
		fields: digest(fieldDigests(c.sent)),
	}
}

// same tells whether two states have the same text, whatever their revisions and properties.
func (s state) same(o state) bool {
	return s.blocks == o.blocks && s.digest == o.digest && s.summary == o.summary
}

// fresh returns what of c a ticket in this state lacks. Changed tells that what the ticket holds is not how the
// transcript begins any more; then fresh is all of it.
func (s state) fresh(c content) (fresh []string, changed bool) {
	if s.blocks <= len(c.blocks) && digest(c.blocks[:s.blocks]...) == s.digest {
		return c.blocks[s.blocks:], false
	}
	return c.blocks, true
}

// digest is short, for it stands in comments. It guards against mistakes, not against an attacker.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part)) // never fails
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// marker writes a state as the last line of a comment. The object's digest is in it, which nobody who writes in a chat
// can know, so that a visitor cannot forge a line.
func marker(object string, s state) string {
	return fmt.Sprintf("<p><small>afterchat:%s:%d:%d:%s:%s:%s</small></p>", digest(object), s.revision, s.blocks, s.digest, s.summary, s.fields)
}

// marked is a marker at the end of a comment, in the text or in the markup of it.
var marked = regexp.MustCompile(`afterchat:([0-9a-f]{16}):(\d{1,9}):(\d{1,9}):([0-9a-f]{16}):([0-9a-f]{16}):([0-9a-f]{16})(?:\s|&nbsp;|</?[a-z]+>)*$`)

// readMarker finds the state in the text or markup of a comment.
func readMarker(object, text string) (state, bool) {
	match := marked.FindStringSubmatch(strings.TrimSpace(text))
	if match == nil || match[1] != digest(object) {
		return state{}, false
	}
	revision, errR := strconv.Atoi(match[2])
	count, errC := strconv.Atoi(match[3])
	return state{revision: revision, blocks: count, digest: match[4], summary: match[5], fields: match[6]}, errR == nil && errC == nil
}

// The parts of a receipt.
const (
	partRevision = "revision"
	partBlocks   = "blocks"
	partDigest   = "digest"
	partSummary  = "summary"
	partFields   = "fields"    // what was sent of each field, see fieldDigests
	partUpload   = "upload"    // token of an attachment that no comment uses yet
	partContent  = "uploaded"  // digest of that attachment
	partAt       = "upload_at" // when it was uploaded, RFC 3339
	partOrigin   = "follow_up_of"
)

// keep writes a state into the parts of a receipt.
func (s state) keep(parts map[string]string) {
	parts[partRevision], parts[partBlocks] = strconv.Itoa(s.revision), strconv.Itoa(s.blocks)
	parts[partDigest], parts[partSummary] = s.digest, s.summary
}

// kept reads a state from the parts of a receipt.
func kept(parts map[string]string) (state, bool) {
	revision, errR := strconv.Atoi(parts[partRevision])
	count, errC := strconv.Atoi(parts[partBlocks])
	s := state{revision: revision, blocks: count, digest: parts[partDigest], summary: parts[partSummary]}
	return s, errR == nil && errC == nil && s.digest != ""
}

// fieldDigests writes what was sent of each field as "name=digest", sorted and separated by spaces.
func fieldDigests(values map[string]string) string {
	var b strings.Builder
	for i, name := range sortedKeys(values) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name + "=" + values[name])
	}
	return b.String()
}

// sentFields reads what fieldDigests wrote.
func sentFields(text string) map[string]string {
	out := map[string]string{}
	for entry := range strings.FieldsSeq(text) {
		if name, value, ok := strings.Cut(entry, "="); ok {
			out[name] = value
		}
	}
	return out
}

// longestExternalID is how many bytes an external id of a ticket has at most.
const longestExternalID = 255

// followUpID is the external id of the follow-up of a closed ticket of an object, so that it can be looked up, too.
func followUpID(object string, closed int64) string {
	id := fmt.Sprintf("%s:after:%d", object, closed)
	if len(id) <= longestExternalID {
		return id
	}
	return "afterchat:" + digest(object) + fmt.Sprintf(":after:%d", closed)
}
