// This file is what a full-text search compares: the words of a text, without regard to case, accents and punctuation.
// Both engines index and ask for these words, so that both find the same.

package row

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is how many characters of a word are compared. What is longer is no word but an encoded file.
const maxWord = 64

// Words returns the words of a text in their order: runs of letters and digits, in lower case, without marks.
func Words(text string) []string {
	if isASCII(text) {
		return wordsOfASCII(text)
	}
	return wordsOfAny(text)
}

func wordsOfAny(text string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, string(word))
			word = word[:0]
		}
	}
	for _, r := range norm.NFD.String(strings.ToValidUTF8(text, " ")) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.Is(unicode.Mc, r):
			if len(word) < maxWord {
				word = append(word, unicode.ToLower(unicode.ToUpper(r))) // both, for letters of which there are two small ones
			}
		default:
			end()
		}
	}
	end()
	return words
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// wordsOfASCII is Words for texts that need no tables.
func wordsOfASCII(text string) []string {
	words := make([]string, 0, len(text)/6+1)
	text = strings.ToLower(text)
	start := -1
	for i := 0; i <= len(text); i++ {
		inside := i < len(text) && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= '0' && text[i] <= '9')
		switch {
		case inside && start < 0:
			start = i
		case !inside && start >= 0:
			words = append(words, text[start:min(i, start+maxWord)])
			start = -1
		}
	}
	return words
}
