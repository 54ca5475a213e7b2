// This file splits the text of a transcript into its lines. A line is "Name: text [stamp]" and may hold line breaks,
// so it ends at a stamp that ends a line of the text; a stamp in the midst of one does not end it.

package proprofs

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
)

// line is one line of the transcript, before its speaker is known.
type line struct {
	text    string
	literal string // the stamp as written, without its brackets
	at      stamp
}

// maxLines bounds what a hostile text can cost; a longer transcript keeps its rest as one last line.
const maxLines = 200_000

// escapedBreak is a line break that was escaped once too often, behind a stamp.
var escapedBreak = regexp.MustCompile(`\][ \t]*\\[rn]`)

// splitTranscript splits l2s_msg and warns in c about what is not as documented.
func splitTranscript(msg string, c *chat.Conversation) []line {
	text := plain(unescapeBreaks(msg))
	var lines []line
	var block []string
	for rest := text; rest != ""; {
		var row string
		row, rest, _ = strings.Cut(rest, "\n")
		body, literal, at, found := stampAtEnd(row)
		if !found || len(lines) == maxLines || !at.full() && !startsLine(rest) {
			block = append(block, row)
			continue
		}
		lines = append(lines, line{text: strings.TrimSpace(joinRows(block, body)), literal: literal, at: at})
		block = block[:0]
	}
	if tail := strings.TrimSpace(strings.Join(block, "\n")); tail != "" {
		lines = append(lines, line{text: tail})
		switch {
		case len(lines) == 1:
			c.Warn("the transcript has no time stamp, so it is one message")
		case len(lines) > maxLines:
			c.Warn(fmt.Sprintf("the transcript has more than %d messages; the rest is one message", maxLines))
		default:
			c.Warn("the transcript's last message has no time stamp")
		}
	}
	return lines
}

func joinRows(block []string, last string) string {
	if len(block) == 0 {
		return last
	}
	return strings.Join(append(block, last), "\n")
}

// unescapeBreaks turns literal backslash-r-n into line breaks where one follows a stamp and the text has no real ones.
func unescapeBreaks(msg string) string {
	if strings.Contains(strings.TrimSpace(msg), "\n") || !escapedBreak.MatchString(msg) {
		return msg
	}
	if strings.Contains(msg, `\r\n`) {
		return strings.ReplaceAll(msg, `\r\n`, "\n")
	}
	return escapedBreak.ReplaceAllString(msg, "]\n")
}

// maxStamp is the longest text in brackets that is looked at.
const maxStamp = 64

// stampAtEnd finds the stamp in brackets at the end of a row.
func stampAtEnd(row string) (body, literal string, at stamp, found bool) {
	row = strings.TrimRight(row, " \t\u00a0")
	if !strings.HasSuffix(row, "]") {
		return "", "", stamp{}, false
	}
	window := row[max(0, len(row)-maxStamp):]
	open := strings.LastIndexByte(window, '[')
	if open < 0 {
		return "", "", stamp{}, false
	}
	literal = window[open+1 : len(window)-1]
	if strings.TrimSpace(literal) == "" {
		literal = ""
	}
	body = row[:len(row)-len(window)+open]
	if at, found = parseStamp(literal); found || isBlankStamp(literal) {
		return body, literal, at, true
	}
	return "", "", stamp{}, false
}

// isBlankStamp recognizes what programs print in the place of a missing date.
func isBlankStamp(literal string) bool {
	switch strings.ToLower(literal) {
	case "", "null", "undefined", "invalid date", "nan":
		return true
	}
	return false
}

// startsLine tells whether text, what follows half a stamp, is the end or begins a line with a name. Without that,
// [10:30] may as well be what somebody wrote.
func startsLine(text string) bool {
	text = strings.TrimLeft(text, " \t\n")
	row, _, _ := strings.Cut(text[:min(len(text), 4*maxSpeaker)], "\n")
	_, _, named := cutSpeaker(row)
	return text == "" || named
}
