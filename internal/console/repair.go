// This file is the repair of a damaged ledger beside the gateway that runs on a fresh one.

package console

import (
	"context"
	"encoding/json"
	"net/http"

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
func (o Options) repair(c echo.Context) error {
	if err := http.NewCrossOriginProtection().Check(c.Request()); err != nil {
		return c.String(http.StatusForbidden, "a page of another site cannot repair the ledger\n")
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/jsonl")
	lines := json.NewEncoder(c.Response())
	write := func(line RepairLine) {
		if lines.Encode(line) == nil {
			c.Response().Flush()
		}
	}
	done, err := o.Repair(c.Request().Context(), c.QueryParam("file"), func(what string, done, of int) {
		write(RepairLine{What: what, Done: done, Of: of})
	})
	if err != nil {
		write(RepairLine{Error: err.Error()})
		return nil
	}
	write(RepairLine{Repaired: &done})
	return nil
}
