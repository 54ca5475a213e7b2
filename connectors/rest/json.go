// This file encodes bodies.

package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON encodes v so that equal values give equal bytes: keys sorted, no spaces, no line feed at the end, < and > as
// they are. The same record is sent again with the same bytes, which is what idempotency keys ask for. A json.RawMessage,
// as which a mapping hands over the conversation itself, is that already and comes back as it is; one inside of v is
// written without its spaces.
func JSON(v any) ([]byte, error) {
	if raw, ok := v.(json.RawMessage); ok && raw != nil {
		return raw, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
