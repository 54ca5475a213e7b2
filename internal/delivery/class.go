// This file says what failures have in common, so that a hundred dead letters of one cause are one line to an operator.

package delivery

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// longestClass is how many bytes of a class are kept.
const longestClass = 120

// classOf is the class of a failure: its kind, the status, and the cause in the words of the connector, or the field that
// could not be mapped. It holds nothing of the conversation. A success has none.
func classOf(kind string, status int, err error) string {
	if kind == kindOK {
		return ""
	}
	words := []string{kind}
	if status != 0 {
		words = append(words, strconv.Itoa(status))
	}
	if e, ok := errors.AsType[*pipeline.MappingError](err); ok {
		words = append(words, e.Field)
	} else if e, ok := errors.AsType[*connectors.Error](err); ok {
		words = append(words, e.Cause)
	}
	class := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	if len(class) <= longestClass {
		return class
	}
	cut := longestClass
	for !utf8.RuneStart(class[cut]) {
		cut--
	}
	return class[:cut]
}

// response is what the target answered to a failure, as far as it is kept.
func response(err error) string {
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok {
		return ""
	}
	text := strings.ToValidUTF8(e.Response, "\uFFFD")
	if len(text) <= ledger.MaxResponse {
		return text
	}
	cut := ledger.MaxResponse
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
