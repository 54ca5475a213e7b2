// This file reads Retry-After.

package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAfter caps every wait that a target asks for.
const maxAfter = 24 * time.Hour

// RetryAfter reads the Retry-After header in both forms of RFC 9110, section 10.2.3: seconds, or a date, which is taken
// relative to this machine's clock. It returns at most 24 hours, 0 for a date that has passed, and false if the header
// is missing or means nothing.
func RetryAfter(header http.Header) (time.Duration, bool) { return retryAfter(header, time.Now()) }

func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxAfter/time.Second) { // out of range means very long
			return maxAfter, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), maxAfter), true
}
