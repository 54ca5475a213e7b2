// This file opens the package to its tests.

package zendesk

import (
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// WarmType is Type with an access token already fetched, so that the first request of a push is about the record.
func WarmType(token string, life time.Duration) connectors.Type {
	d := definition()
	d.New = func(s Settings, env connectors.Env) (connectors.Connector, error) {
		t := open(s, env)
		now := time.Now()
		t.api.tokens.set(grant{token: token, renew: now.Add(life), expire: now.Add(life)})
		return t, nil
	}
	return connectors.Define("zendesk", d)
}

// SetNow gives a connector a clock for uploads and times in the future.
func SetNow(c connectors.Connector, now func() time.Time) { c.(*target).now = now }
