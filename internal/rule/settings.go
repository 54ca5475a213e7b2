// This file expands ${ } outside of routes, where only the environment and files are in sight.

package rule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// variableName is what the names of environment variables mostly look like.
var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// Settings is the scope of everything outside of routes. Both functions are required.
type Settings struct {
	Env  func(name string) (string, bool)  // the environment; false: not set
	File func(path string) (string, error) // reads a file
	// Secret says that the value is one, so that no hint teaches a default in the file; Chosen, that it may be any text.
	Secret, Chosen bool
}

// ExpandSetting replaces each ${ } in src by its value: env.NAME, file("path"), text in quotes, and a ?? b for a
// default. One newline at the end of a file is trimmed. What was put in is not expanded again. An unset variable or a
// file that cannot be read is a problem unless ?? gives a default; "" counts as unset for ??.
func ExpandSetting(src string, s Settings) (string, []Problem) {
	parts, problems := split(src)
	var b strings.Builder
	for _, p := range parts {
		if !p.expr {
			b.WriteString(p.text)
			continue
		}
		e := &expander{report: &report{src: p.text}, settings: s}
		if root := parse(e.report); root != nil {
			text, missing := e.value(root)
			if missing != nil {
				e.problems = append(e.problems, *missing)
			}
			b.WriteString(text)
		}
		for _, w := range e.sorted() {
			w.Offset += p.at
			problems = append(problems, w)
		}
	}
	if len(problems) > 0 {
		return "", problems
	}
	return b.String(), nil
}

type expander struct {
	*report
	settings Settings
}

// value returns the text of n. missing is the problem of a value that is not there, which ?? can heal; other problems
// are reported at once.
func (e *expander) value(n ast.Node) (text string, missing *Problem) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.ChainNode:
		return e.value(n.Node)
	case *ast.BinaryNode:
		if n.Operator == "??" {
			text, missing = e.value(n.Left)
			other, otherMissing := e.value(n.Right)
			if missing != nil || text == "" {
				return other, otherMissing
			}
			return text, nil
		}
	case *ast.MemberNode:
		if name, ok := variable(n); ok {
			return e.variable(n, name)
		}
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && callee.Value == "file" {
			return e.file(n)
		}
	}
	e.refuse(n)
	return "", nil
}

// variable recognizes env.NAME and env["NAME"].
func variable(n *ast.MemberNode) (string, bool) {
	base, ok := n.Node.(*ast.IdentifierNode)
	if !ok || base.Value != "env" {
		return "", false
	}
	name, ok := n.Property.(*ast.StringNode)
	if !ok {
		return "", false
	}
	return name.Value, true
}

func (e *expander) variable(n *ast.MemberNode, name string) (string, *Problem) {
	if text, ok := e.settings.Env(name); ok {
		return text, nil
	}
	hint := "set it, or write ${env." + name + ` ?? "default"}`
	switch {
	case e.settings.Chosen:
		hint = "set it, for example: export " + name + "=$(openssl rand -hex 24)"
	case e.settings.Secret:
		hint = "set it: export " + name + "=…"
	}
	return "", e.missing(n, hint, fmt.Sprintf("environment variable %s is not set", name))
}

func (e *expander) file(n *ast.CallNode) (string, *Problem) {
	if len(n.Arguments) != 1 {
		e.at(n.Location(), `write file("/run/secrets/name")`, `file takes one path`)
		return "", nil
	}
	path, missing := e.value(n.Arguments[0])
	if missing != nil || len(e.problems) > 0 {
		return "", missing
	}
	text, err := e.settings.File(path)
	if err != nil {
		hint := "check the path, which starts in the folder of this file, and the permissions"
		if !e.settings.Secret {
			hint += `; or write ?? "default" behind it`
		}
		return "", e.missing(n, hint, unreadable(n.Arguments[0], path, err))
	}
	if trimmed, ok := strings.CutSuffix(text, "\n"); ok {
		text = strings.TrimSuffix(trimmed, "\r")
	}
	return text, nil
}

// unreadable says why a file cannot be read. A path that is not written out may be a secret put there by mistake, so
// neither it nor an error that may hold it is shown.
func unreadable(arg ast.Node, path string, err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	if _, literal := arg.(*ast.StringNode); !literal {
		return fmt.Sprintf("file cannot be read: %v", err)
	}
	return fmt.Sprintf("file %s cannot be read: %v", path, err)
}

// missing makes the problem of a value that is not there.
func (e *expander) missing(n ast.Node, hint, text string) *Problem {
	from := byteOffset(e.src, startOf(n).From)
	return &Problem{Offset: from, Length: max(1, byteOffset(e.src, n.Location().To)-from), Text: text, Hint: hint}
}

// refuse reports what only routes can use.
func (e *expander) refuse(n ast.Node) {
	at := startOf(n)
	if path, ok := pathOf(n); ok {
		first, _, _ := strings.Cut(path, ".")
		first, _, _ = strings.Cut(first, "[")
		switch {
		case first == "env":
			e.at(at, "write ${env.NAME}", "a variable is written env.NAME")
			return
		case conversation().root.fields[first] != nil || first == "conversation":
			e.at(at, `use env.NAME or file("path"): outside of routes there is nothing else`, "%s is part of a conversation, which only routes can see", path)
			return
		}
		hint := "use env.NAME or file(\"path\")"
		if variableName.MatchString(first) {
			hint = fmt.Sprintf("write ${env.%s} for the environment variable", first)
		}
		e.at(at, hint, "unknown name %q%s", first, didYouMean(first, []string{"env", "file"}))
		return
	}
	e.at(at, `use env.NAME, file("path"), text in quotes and ??`, "this cannot be used outside of routes")
}
