// This file answers whether what a mapping names is in the account: properties, ticket pipelines and their stages.

package hubspot

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/afterchat/afterchat/connectors"
)

// CheckFields looks for the properties that a mapping writes, and for the pipeline and the stage that it puts in the
// place of those in the settings. It makes nothing. What is mapped into ticket counts only if tickets are made.
func (t *target) CheckFields(ctx context.Context, fields map[string]any) error {
	kinds := []struct{ field, kind string }{{"contact", "contacts"}, {"note_properties", "notes"}}
	if t.settings.Ticket != nil {
		kinds = append(kinds, struct{ field, kind string }{"ticket", "tickets"})
	}
	var problems []string
	for _, k := range kinds {
		for _, name := range names(properties(fields[k.field])) {
			problem, err := t.cannotWrite(ctx, k.kind, name)
			if err != nil {
				return err
			}
			if problem != "" {
				problems = append(problems, k.field+"."+name+": "+problem)
			}
		}
	}
	hint := "correct the names in the mapping, which are internal names, or make the properties in HubSpot under Settings, Properties"
	err := t.hasMappedStage(ctx, properties(fields["ticket"]))
	if e := connectors.Classify(err); e != nil {
		if e.Kind != connectors.Denied || e.Status != 0 { // not an answer, but a request that failed
			return err
		}
		if len(problems) == 0 {
			return err
		}
		problems = append(problems, e.Error()+", "+e.Hint)
	}
	if len(problems) > 0 {
		return denied(errors.New(strings.Join(problems, "; ")), hint)
	}
	return nil
}

// cannotWrite is why a property cannot be written, "" if it can.
func (t *target) cannotWrite(ctx context.Context, kind, name string) (string, error) {
	c := call{method: http.MethodGet, path: "/crm/properties/" + version + "/" + kind + "/" + url.PathEscape(name), object: true}
	var out struct {
		Name                 string
		Archived             bool
		ModificationMetadata struct{ ReadOnlyValue bool }
	}
	err := t.do(ctx, c, &out)
	switch {
	case status(err) == http.StatusNotFound:
		return kind + " have no such property", nil
	case err != nil:
		return "", err
	case !strings.EqualFold(out.Name, name):
		return "", t.unreadable(c, http.StatusOK, errNoObjects)
	case out.Archived:
		return "the property was deleted in HubSpot", nil
	case out.ModificationMetadata.ReadOnlyValue:
		return "HubSpot sets this property by itself", nil
	}
	return "", nil
}

// hasMappedStage looks for the pipeline and the stage that new tickets get by the mapping, unless both are the settings'.
func (t *target) hasMappedStage(ctx context.Context, ticket map[string]string) error {
	s := t.settings.Ticket
	if s == nil || (ticket["hs_pipeline"] == "" && ticket["hs_pipeline_stage"] == "") {
		return nil
	}
	pipeline, stage := ticket["hs_pipeline"], ticket["hs_pipeline_stage"]
	pipelineName, stageName := "ticket.hs_pipeline", "ticket.hs_pipeline_stage"
	if pipeline == "" {
		pipeline, pipelineName = s.Pipeline, "ticket.pipeline"
	}
	if stage == "" {
		stage, stageName = s.Stage, "ticket.stage"
	}
	return t.hasStage(ctx, pipelineName, pipeline, stageName, stage)
}
