// This file shows what a push would append.

package file

import "github.com/afterchat/afterchat/connectors"

// Preview implements connectors.Previewer.
func (t *target) Preview(rec connectors.Record) (connectors.Preview, error) {
	line, err := encode(rec)
	if err != nil {
		return connectors.Preview{}, err
	}
	return connectors.Preview{Requests: []connectors.Request{{Method: "APPEND", URL: t.path, Body: string(line)}}}, nil
}
