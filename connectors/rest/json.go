// This file encodes bodies.

package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON encodes v so that equal values give equal bytes: keys sorted, no spaces, no line feed at the end, < and > as
// they are. The same record is sent again with the same bytes, which is what idempotency keys ask for.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
