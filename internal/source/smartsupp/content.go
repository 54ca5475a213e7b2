// This file reads the content of messages: text, the codes of system messages, and attachments.

package smartsupp

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

// maxContentDepth is how deep lists in a content are followed. What lies deeper stays under extra.
const maxContentDepth = 4

// read fills in the text, event and files of a message.
func (r *reader) read(e *entry, o object) {
	if text, ok := o.fields.Get("content").(string); ok { // as nearly all are sent
		e.Text = text
		o.fields.Delete("content")
	} else {
		var texts []string
		rest := r.content(e, &texts, o.fields.Get("content"), 0)
		if rest == nil {
			o.fields.Delete("content")
		} else {
			o.fields.Set("content", rest)
		}
		e.Text = strings.Join(texts, "\n")
	}
	r.attachments(e, o)
	if e.Role == chat.System && e.Event == "" && isCode(e.Text) {
		e.Event, e.Text = e.Text, ""
	}
}

// isCode tells the code of a system message, such as agent.join or close.visitorClose, from words: letters and digits,
// at most 100, with single separators between them.
func isCode(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	separated := true
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case letter, i > 0 && c >= '0' && c <= '9':
			separated = false
		case separated || strings.IndexByte("._:-", c) < 0:
			return false
		default:
			separated = true
		}
	}
	return !separated
}

// content reads a content of any shape and returns what it did not understand, nil if that is nothing.
func (r *reader) content(e *entry, texts *[]string, v any, depth int) (rest any) {
	switch v := v.(type) {
	case nil:
	case string:
		*texts = append(*texts, v)
	case json.Number:
		*texts = append(*texts, plain(v))
	case bool:
		*texts = append(*texts, strconv.FormatBool(v))
	case []any:
		if depth >= maxContentDepth {
			return v
		}
		var rests []any
		for _, element := range v {
			if rest := r.content(e, texts, element, depth+1); rest != nil {
				rests = append(rests, rest)
			}
		}
		if rests != nil {
			return rests
		}
	case *source.Object:
		return r.contentObject(e, texts, v)
	}
	return nil
}

// contentObject reads {text}, {type: "text", data: {text}} and {type: "upload", data: {url, fileName, …}}, the shapes of
// the vendor's SDK. Of any other, the type becomes the event.
func (r *reader) contentObject(e *entry, texts *[]string, fields *source.Object) (rest any) {
	o := object{place: "messages[].content.", fields: fields, warn: r.c.Warn}
	kind := o.sub("type")
	data := object{place: o.place + "data.", warn: r.c.Warn}
	data.fields, _ = fields.Get("data").(*source.Object)

	understood := slices.Contains([]string{"text", "message"}, kind)
	for _, part := range []object{o, data} {
		for _, key := range []string{"text", "html"} {
			if text, ok := scalar(part.fields.Get(key)); ok && text != "" {
				*texts = append(*texts, part.text(key))
				understood = true
				break
			}
		}
		if f, ok := r.file(part); ok {
			e.Files = append(e.Files, f)
			understood = true
		}
	}
	if !understood && kind != "" && e.Event == "" {
		e.Event = kind
		understood = true
	}
	if understood {
		fields.Delete("type")
		o.done("data")
	} else if fields.Len() > 0 {
		o.warn("messages[].content has an unknown shape; kept under extra")
	}
	if fields.Len() == 0 {
		return nil
	}
	return fields
}

// attachments reads files beside the content. The vendor documents no such field.
func (r *reader) attachments(e *entry, o object) {
	for _, key := range []string{"attachments", "attachment", "files", "file"} {
		value, ok := o.fields.Lookup(key)
		if !ok {
			continue
		}
		elements, isList := value.([]any)
		if !isList {
			elements = []any{value}
		}
		var rests []any
		for _, element := range elements {
			if address, ok := element.(string); ok && chat.Clickable(address) {
				element = single("url", address)
			}
			fields, _ := element.(*source.Object)
			if f, ok := r.file(object{place: "messages[]." + key + ".", fields: fields, warn: r.c.Warn}); ok {
				e.Files = append(e.Files, f)
			}
			if element != nil && (fields == nil || fields.Len() > 0) {
				rests = append(rests, element)
			}
		}
		o.fields.Set(key, rests)
		o.done(key)
	}
}

// file reads an attachment: an object with an address or a file name. An address that is not http or https stays under
// extra.
func (r *reader) file(o object) (chat.File, bool) {
	var f chat.File
	names := []string{"fileName", "file_name", "filename"}
	if address := o.sub("url"); chat.Clickable(address) {
		f.URL = o.line("url")
		names = append(names, "name")
	} else if address != "" {
		o.odd("url", "is no http or https address")
	}
	for _, key := range names {
		if f.Name == "" {
			f.Name = o.line(key)
		}
	}
	if f.Name == "" && f.URL == "" {
		return chat.File{}, false
	}
	for _, key := range []string{"fileType", "file_type", "mimeType", "mime_type"} {
		if f.Type == "" {
			f.Type = o.line(key)
		}
	}
	f.Size = size(o)
	for _, key := range []string{"expireAt", "expiresAt", "expire_at"} {
		if f.ExpiresAt.IsZero() {
			f.ExpiresAt, _ = o.time(key, r.zone)
		}
	}
	return f, true
}

// size takes a count of bytes; anything else stays.
func size(o object) *int64 {
	s, _ := scalar(o.fields.Get("size"))
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	o.fields.Delete("size")
	return &n
}
