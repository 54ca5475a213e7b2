// This file turns entries of a configuration into parts: decoders, sources, networks.

package gateway

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/proprofs"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

// platforms is the list of chat platforms that ship.
func platforms() []source.Type {
	return []source.Type{proprofs.Type(), smartsupp.Type()}
}

// SourceTypes is the same list as the configuration needs it.
func SourceTypes() []config.SourceType {
	var types []config.SourceType
	for _, p := range platforms() {
		types = append(types, config.SourceType{Name: p.Name, Doc: p.Doc, NeedsTimeZone: p.NeedsTimeZone})
	}
	return types
}

// Decoder returns the decoder of a configured source.
func Decoder(s config.Source) (source.Decoder, error) {
	for _, p := range platforms() {
		if p.Name != s.Type {
			continue
		}
		var options source.Options
		if s.TimeZone != "" {
			zone, err := time.LoadLocation(s.TimeZone)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", s.Name, err)
			}
			options.Zone = zone
		}
		return p.New(options), nil
	}
	return nil, fmt.Errorf("source %s: unknown type %q", s.Name, s.Type)
}

func intakeSource(s config.Source) (intake.Source, error) {
	decoder, err := Decoder(s)
	if err != nil {
		return intake.Source{}, err
	}
	built := intake.Source{Name: s.Name, Brand: s.Brand, Path: s.Path, Decoder: decoder}
	for _, text := range s.Secret {
		built.Secrets = append(built.Secrets, intake.DigestOf(text.Reveal()))
	}
	if s.Basic != nil {
		built.Basic = &intake.Basic{User: intake.DigestOf(s.Basic.User), Password: intake.DigestOf(s.Basic.Password.Reveal())}
	}
	if s.HMAC != nil {
		built.Signature = &intake.Signature{
			Header: s.HMAC.Header, Key: []byte(s.HMAC.Secret.Reveal()), Base64: s.HMAC.Encoding == "base64",
		}
	}
	if built.Allow, err = networks(s.Allow); err != nil {
		return intake.Source{}, fmt.Errorf("source %s: allow: %w", s.Name, err)
	}
	return built, nil
}

// networks parses addresses and prefixes.
func networks(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, prefix)
	}
	return out, nil
}
