// This file hides what a target repeats of a request: it is what a visitor wrote, and errors are logged.

package rest

import (
	"strings"
	"unicode"
)

const (
	// echoLength is how many letters and digits in a row, spaces and signs between them not counted, make an echo.
	// Anything shorter is a word or two, such as the value that a target complains of.
	echoLength = 24
	echoWindow = 16
	echoStride = echoLength - echoWindow
	// maxEchoed bounds the part of the request that is looked through, in bytes.
	maxEchoed = 256 << 10

	echoMask = "…"
)

// withoutEcho replaces the words of text that stand in a row in request as well.
func withoutEcho(text string, request []byte) string {
	said, places := lettersOf(text)
	if len(said) < echoLength || len(request) == 0 {
		return text
	}
	sent, _ := lettersOf(string(request[:min(len(request), maxEchoed)]))
	haystack := string(sent)
	repeated := func(from int) bool {
		return from >= 0 && from+echoWindow <= len(said) && strings.Contains(haystack, string(said[from:from+echoWindow]))
	}
	echoed := make([]bool, len(said))
	for i := 0; i+echoWindow <= len(said); i += echoStride {
		if echoed[i] && echoed[i+echoWindow-1] || !repeated(i) {
			continue
		}
		from, last := i, i
		for repeated(from - 1) {
			from--
		}
		for repeated(last + 1) {
			last++
		}
		for j := from; j < last+echoWindow; j++ {
			echoed[j] = true
		}
	}
	return blank(text, places, echoed)
}

// lettersOf returns the letters and digits of a text and where in it each begins.
func lettersOf(text string) (letters []rune, places []int) {
	for at, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			letters, places = append(letters, r), append(places, at)
		}
	}
	return letters, places
}

// blank replaces the echoed stretches of text, each to the ends of the words that it touches, if they are long enough.
func blank(text string, places []int, echoed []bool) string {
	var out strings.Builder
	kept := 0
	for i := 0; i < len(echoed); i++ {
		if !echoed[i] {
			continue
		}
		end := i
		for end+1 < len(echoed) && echoed[end+1] {
			end++
		}
		if end-i+1 >= echoLength {
			from, to := wordStart(text, places[i]), wordEnd(text, places[end])
			if from < kept {
				from = kept
			}
			out.WriteString(text[kept:from] + echoMask)
			kept = to
		}
		i = end
	}
	return out.String() + text[kept:]
}

func isBreak(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

func wordStart(text string, at int) int { return strings.LastIndexFunc(text[:at], isBreak) + 1 }

func wordEnd(text string, at int) int {
	if i := strings.IndexFunc(text[at:], isBreak); i >= 0 {
		return at + i
	}
	return len(text)
}
