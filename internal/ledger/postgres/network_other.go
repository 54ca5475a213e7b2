// This file is for systems without the option.

//go:build !linux

package postgres

import "time"

// limitSilence does nothing: timeouts of queries and probes have to do.
func limitSilence(uintptr, time.Duration) {}
