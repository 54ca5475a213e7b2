// This file reads alerts: what people are told of, and through which target.

package config

import (
	"reflect"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/internal/pipeline"
)

// Alerts says what people are told of. The zero value: nothing.
type Alerts struct {
	To    []string      // names of targets
	On    []string      // dead, paused, overdue, silent, quarantined, ledger
	Every time.Duration // least time between two messages
}

// AlertsRoute is the name of the route that renders alerts.
const AlertsRoute = "alerts"

// alertKeys are the keys of alerts beside to.
type alertKeys struct {
	On    []string      `yaml:"on" enum:"dead,paused,overdue,silent,quarantined,ledger" doc:"dead: deliveries were given up; paused: a target takes nothing; overdue: deliveries could have been tried for a minute and were not; silent: a source is beyond its expect_every; quarantined: hooks could not be read; ledger: hooks cannot be stored, or soon not"`
	Every time.Duration `yaml:"every" min:"1m" doc:"least time between two messages; what happens between is in the next one"`
}

func alertDefaults() alertKeys {
	return alertKeys{On: []string{"dead", "paused", "overdue", "silent", "quarantined", "ledger"}, Every: 15 * time.Minute}
}

// alerts reads what people are told of. Its targets are those of a route that no conversation matches.
func (l *loader) alerts(n *node, at span) {
	if n.isNull() {
		return
	}
	keys := alertDefaults()
	l.structs(n, at, "alerts", []string{"to"}, reflect.ValueOf(&keys).Elem())
	if n.kind != mappingKind {
		return
	}
	to, ok := n.get("to")
	if !ok || to.value.isNull() || to.value.kind != scalarKind && len(to.value.items)+len(to.value.entries) == 0 {
		l.add(at, "name the target that tells people: to: slack", "alerts needs the key %q", "to")
		return
	}
	d := &l.config.Definition
	if len(d.Routes) == 0 {
		l.add(at, "add routes: that name the targets for conversations, so that the one for alerts gets only alerts",
			"without routes every conversation goes to every target, that of alerts among them")
		return
	}
	if slices.ContainsFunc(d.Routes, func(r pipeline.Route) bool { return r.Name == AlertsRoute }) {
		l.add(at, "give that route another name", "a route is called %q, which is the name of what renders alerts", AlertsRoute)
		return
	}
	r := pipeline.Route{Name: AlertsRoute, Alert: true}
	l.asWritten(func() { r.To = l.to(to.value) })
	for i := range r.To {
		l.config.Alerts.To = append(l.config.Alerts.To, r.To[i].Target)
		if r.To[i].Fields == nil {
			r.To[i].Fields = l.alertMapping(r.To[i].Target)
		}
	}
	l.config.Alerts.On, l.config.Alerts.Every = keys.On, keys.Every
	l.alertsAt = len(d.Routes)
	d.Routes = append(d.Routes, r)
}

// alertMapping is what a target's type maps for an alert.
func (l *loader) alertMapping(target string) pipeline.Mapping {
	for _, t := range l.config.Targets {
		if t.Name == target && t.Settings != nil {
			mapping, err := ownMapping("mapping of alerts of type "+t.Type.Name(), t.Type.Alert(), t.Type.Fields(t.Settings))
			if err != nil {
				e, _ := l.root.value("targets").get(target)
				l.add(e.key.at, "use another type for alerts; this one cannot work", "%s", err)
			}
			return mapping
		}
	}
	return nil
}

// putAlerts adds alerts as they are in force.
func (c *Config) putAlerts(root *yaml.Node) {
	if len(c.Alerts.To) == 0 {
		return
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, r := range c.Definition.Routes {
		if r.Alert {
			put(n, "to", toNode(r.To))
		}
	}
	n.Content = append(n.Content, valueNode(reflect.ValueOf(alertKeys{c.Alerts.On, c.Alerts.Every})).Content...)
	put(root, "alerts", n)
}
