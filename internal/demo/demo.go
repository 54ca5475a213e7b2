// This file holds the configuration of the demo.

package demo

import _ "embed"

// Config is the demo's configuration file. It reads the desk's address from DEMO_DESK.
//
//go:embed demo.yaml
var Config []byte

// Secrets are the last parts of the paths of the demo's sources.
func Secrets() map[string]string {
	return map[string]string{"shop": "demo-secret-of-the-shop", "desk": "demo-secret-of-the-desk"}
}
