// This file uploads the transcript that is too long for a comment.

package zendesk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// uploadLife is how long an upload is used. Zendesk keeps one for three days until a comment uses it.
// https://developer.zendesk.com/api-reference/ticketing/tickets/ticket-attachments/#upload-files
const uploadLife = 60 * time.Hour

// attach uploads the whole transcript and returns the token for a comment. The token stays in the receipt until a
// comment has used it, so that another attempt sends the same bytes under its idempotency key. An upload that got lost
// is no object of the account: Zendesk deletes it.
func (p *push) attach(ctx context.Context) (string, error) {
	name, contentType, data := "transcript.txt", "text/plain; charset=utf-8", p.content.attachment
	if data == "" {
		name, contentType = "transcript.html", "text/html; charset=utf-8"
		data = "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n" + strings.Join(p.content.blocks, "\n") + "\n"
	}
	parts, content := p.receipt.Parts, digest(name, data)
	at, err := time.Parse(time.RFC3339, parts[partAt])
	if err == nil && parts[partContent] == content && parts[partUpload] != "" && p.now().Sub(at) < uploadLife {
		return parts[partUpload], nil
	}
	var answer struct {
		Upload struct {
			Token string `json:"token"`
		} `json:"upload"`
	}
	err = p.api.do(ctx, call{
		method: http.MethodPost, path: "/api/v2/uploads", query: url.Values{"filename": {name}},
		content: []byte(data), contentType: contentType,
	}, &answer)
	if err == nil && answer.Upload.Token == "" {
		err = &connectors.Error{Err: fmt.Errorf("POST /api/v2/uploads: the answer holds no token"), Hint: "check the address"}
	}
	if err != nil {
		e := *connectors.Classify(err)
		e.Uncertain = false // an upload that no comment uses is nothing
		return "", &e
	}
	parts[partUpload], parts[partContent], parts[partAt] = answer.Upload.Token, content, p.now().UTC().Format(time.RFC3339)
	return answer.Upload.Token, nil
}
