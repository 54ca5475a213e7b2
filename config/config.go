// Package config is what users write: the YAML schema with its defaults, strict loading that reports every mistake at
// its line and column, and the JSON Schema of it all. It is the only importer of gopkg.in/yaml.v3.
//
// This file declares the schema. A field's tags are its documentation: `yaml:"key"`, `doc:"one sentence"`,
// `enum:"a,b"`, `required:"true"`, `example:"…"`, `min:"1"`.
package config

import (
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// Version is the version of the schema that this program reads.
const Version = 1

// Config is a loaded configuration file: every default filled in, every reference checked.
type Config struct {
	Path   string // of the file, or of the folder of files
	Folder string // of the file; relative paths in the configuration start here
	// Files are those that were read beside Path, included ones and those of file("…"), as seen from the working
	// directory. A change of one is a change of this.
	Files []string
	// Patterns, for filepath.Glob, are the folders and patterns that were included: a change of what they match is one,
	// too.
	Patterns []string

	Server     Server
	Admin      Admin
	Ledger     Ledger
	Log        Log
	Transcript Transcript
	Alerts     Alerts
	Sources    []Source // in file order
	Targets    []Target // in file order
	Tests      []Test
	// Warnings tell of what works and was hardly meant so. check shows them, serve logs them.
	Warnings Problems

	// Definition is what routing and mapping are made of, and Pipeline the same compiled.
	Definition pipeline.Definition
	Pipeline   *pipeline.Pipeline
}

// Server is the public listener, for hooks only.
type Server struct {
	Listen         string        `yaml:"listen" doc:"address for hooks; with systemd socket activation the socket named hooks is used instead"`
	MaxBody        Size          `yaml:"max_body" doc:"largest hook body, inflated size included"`
	MaxInFlight    Size          `yaml:"max_in_flight" doc:"bytes of bodies held in memory at once; beyond it hooks are answered 503"`
	ReadTimeout    time.Duration `yaml:"read_timeout" doc:"time for a whole request to arrive; beyond it the answer is 408"`
	DrainDelay     time.Duration `yaml:"drain_delay" doc:"on shutdown, how long hooks are still accepted after /readyz has turned 503"`
	TLS            *TLS          `yaml:"tls" doc:"serve HTTPS; the files are read again when they change"`
	TrustedProxies []string      `yaml:"trusted_proxies" doc:"networks whose X-Forwarded-For is believed" example:"10.0.0.0/8"`
}

// TLS names certificate files.
type TLS struct {
	CertFile string `yaml:"cert_file" required:"true" doc:"PEM file with the certificate and its chain" example:"tls/cert.pem"`
	KeyFile  string `yaml:"key_file" required:"true" doc:"PEM file with the key" example:"tls/key.pem"`
}

// Ledger says where conversations and deliveries are kept.
type Ledger struct {
	URL       LedgerURL `yaml:"url" doc:"sqlite:FILE, or postgres://USER:PASSWORD@HOST/DATABASE for several replicas" example:"sqlite:afterchat.db"`
	Retention Retention `yaml:"retention" doc:"how long and how much is kept; pending deliveries always are"`
}

// Retention says what may go. Pending deliveries never do.
type Retention struct {
	Delivered time.Duration `yaml:"delivered" doc:"finished conversations"`
	Dead      time.Duration `yaml:"dead" doc:"dead deliveries and quarantined hooks"`
	MaxSize   Size          `yaml:"max_size" doc:"most that the ledger takes on disk; from 90 % of it on, finished conversations are removed before their age, the oldest first, and hooks are answered 503 when none is left"`
}

// Log says how to log, on standard error.
type Log struct {
	Format string `yaml:"format" enum:"logfmt,json" doc:"form of a line"`
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"least level shown"`
}

// Transcript says how transcripts are shown to people.
type Transcript struct {
	TimeZone string `yaml:"time_zone" doc:"IANA name of the zone of times in transcripts" example:"Europe/Prague"`
	Language string `yaml:"language" enum:"en,cs,de,es,fr,hu,it,nl,pl,pt,sk" doc:"language of the words around messages"`
}

// Source is where hooks come from.
type Source struct {
	Name        string          `yaml:"-"`
	Was         []string        `yaml:"was" doc:"earlier names of this source"`
	Type        string          `yaml:"type" required:"true" doc:"chat platform" example:"smartsupp"`
	Path        string          `yaml:"path" doc:"path of the hook, before the secret; the default is /in/ and the name" example:"/in/shop"`
	Secret      []secret.String `yaml:"secret" doc:"last part of the path: one, or a list while it is being rotated; at least 16 characters"`
	Brand       string          `yaml:"brand" doc:"brand of its conversations"`
	TimeZone    string          `yaml:"time_zone" doc:"IANA name of the zone of times without one; required for proprofs" example:"Asia/Kolkata"`
	ExpectEvery time.Duration   `yaml:"expect_every" doc:"silence longer than this is an alert; 0: never"`
	Basic       *Basic          `yaml:"basic" doc:"HTTP Basic credentials that the sender must give"`
	HMAC        *HMAC           `yaml:"hmac" doc:"signature header that the sender must give"`
	Allow       []string        `yaml:"allow" doc:"networks that may send; empty: any" example:"203.0.113.0/24"`
}

// Basic are HTTP Basic credentials.
type Basic struct {
	User     string        `yaml:"user" required:"true" doc:"user name" example:"chat"`
	Password secret.String `yaml:"password" required:"true" doc:"password" example:"${env.HOOK_PASSWORD}"`
}

// HMAC is a signature: HMAC-SHA256 of the raw body.
type HMAC struct {
	Header   string        `yaml:"header" required:"true" doc:"header that holds the signature; a prefix such as sha256= is accepted" example:"X-Signature"`
	Secret   secret.String `yaml:"secret" required:"true" doc:"shared key" example:"${env.HOOK_KEY}"`
	Encoding string        `yaml:"encoding" enum:"hex,base64" doc:"how the signature is written"`
}

// Target is where conversations go.
type Target struct {
	Name string `yaml:"-"`
	TargetOptions
	Type     connectors.Type
	Settings any // pointer to the type's settings struct
	// Account is a fingerprint of the settings, secrets included: when it changes, a pause for bad credentials ends.
	Account string
}

// TargetOptions are the settings that every target has beside those of its type.
type TargetOptions struct {
	Was         []string      `yaml:"was" doc:"earlier names of this target"`
	Workers     int           `yaml:"workers" min:"1" doc:"deliveries at once"`
	Timeout     time.Duration `yaml:"timeout" min:"100ms" doc:"time for one attempt"`
	Rate        Rate          `yaml:"rate" doc:"most attempts per time, such as 400/m; empty: no limit" example:"400/m"`
	Retry       Retry         `yaml:"retry" doc:"what happens after a failed attempt"`
	OnUpdate    string        `yaml:"on_update" enum:"update,ignore" doc:"what a target that holds a conversation gets of a changed one"`
	OnUncertain string        `yaml:"on_uncertain" enum:"resend,dead" doc:"with once: none, what follows an attempt that may have been taken"`
}

// Retry is the backoff of a target: exponential with full jitter.
type Retry struct {
	Min         time.Duration `yaml:"min" min:"1ms" doc:"ceiling of the first wait"`
	Max         time.Duration `yaml:"max" min:"1ms" doc:"ceiling of any wait"`
	GiveUpAfter time.Duration `yaml:"give_up_after" doc:"a delivery is dead so long after its first attempt; time that the target was paused does not count"`
}

// Test is one entry of tests:.
type Test struct {
	Name   string
	Source string
	Sample string // path of a hook body
	Expect Expect
}

// Expect is what a test expects.
type Expect struct {
	Routes []string       // names, in order; nil: not checked
	Fields map[string]any // "target.field": value
}

// Size is a number of bytes, written 16MiB, 20GB or 4096.
type Size int64

// Rate is a number of attempts per time, written 10/s, 400/m or 5000/h. The zero value is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Known is what the program was built with.
type Known struct {
	Targets []connectors.Type
	Sources []SourceType
}

// SourceType is what config needs to know of a chat platform.
type SourceType struct {
	Name          string
	Doc           string
	NeedsTimeZone bool
}

// Environment is where ${env.NAME} and ${file("…")} come from.
type Environment struct {
	LookupEnv func(name string) (string, bool)
	ReadFile  func(path string) ([]byte, error)
	Glob      func(pattern string) ([]string, error) // as filepath.Glob, for include
	// Folder returns why the ledger's files cannot be kept in a folder; nil: that is not asked, for the configuration is
	// for another place or time.
	Folder func(path string) error
}

// Defaults returns a configuration without sources and targets.
func Defaults() Config {
	return Config{
		Server: Server{
			Listen: ":8080", MaxBody: 16 << 20, MaxInFlight: 256 << 20,
			ReadTimeout: 30 * time.Second, DrainDelay: 5 * time.Second,
		},
		Admin: Admin{Listen: "127.0.0.1:9080"},
		Ledger: Ledger{
			URL:       "sqlite:afterchat.db",
			Retention: Retention{Delivered: 30 * 24 * time.Hour, Dead: 90 * 24 * time.Hour, MaxSize: 20 << 30},
		},
		Log:        Log{Format: "logfmt", Level: "info"},
		Transcript: Transcript{TimeZone: "UTC", Language: "en"},
	}
}

// TargetDefaults returns the options of a target that says nothing.
func TargetDefaults() TargetOptions {
	return TargetOptions{
		Workers: 4, Timeout: 30 * time.Second, OnUpdate: "update", OnUncertain: "resend",
		Retry: Retry{Min: 5 * time.Second, Max: time.Hour, GiveUpAfter: 72 * time.Hour},
	}
}
