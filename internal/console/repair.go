// This file is the repair of a damaged ledger beside the gateway that runs on a fresh one.

package console

import (
	"context"
	"encoding/json"

	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Repair repairs the damaged ledger in file. progress hears how many of how many pages or conversations are done.
type Repair func(ctx context.Context, file string, progress func(what string, done, of int)) (ledger.Repaired, error)

// RepairLine is one line of the answer of /-/ledger/repair: progress, or the end.
type RepairLine struct {
	What  string `json:"what,omitempty"` // pages or conversations
	Done  int    `json:"done,omitempty"`
	Of    int    `json:"of,omitempty"`
	Error string `json:"error,omitempty"` // why the repair ended; it can be asked for again
	// Repaired is what it came to; on the last line.
	Repaired *ledger.Repaired `json:"repaired,omitempty"`
}

// repair answers with JSON lines while it works.
func (c *console) repair(e echo.Context, who Person) error {
	file := e.QueryParam("file")
	if err := c.audit(e.Request().Context(), who, "repair", file, ""); err != nil {
		return err
	}
	e.Response().Header().Set(echo.HeaderContentType, "application/jsonl")
	lines := json.NewEncoder(e.Response())
	write := func(line RepairLine) {
		if lines.Encode(line) == nil {
			e.Response().Flush()
		}
	}
	done, err := c.Repair(e.Request().Context(), file, func(what string, done, of int) {
		write(RepairLine{What: what, Done: done, Of: of})
	})
	if err != nil {
		write(RepairLine{Error: err.Error()})
		return nil
	}
	write(RepairLine{Repaired: &done})
	return nil
}
