// This file is what every page of the console has to be in a browser: silent, readable, usable by keyboard.

package cmd_test

import (
	"fmt"
	"strings"
	"testing"
)

// contrasts returns the texts whose contrast to their ground is below 4.5, the level AA of WCAG 2.2 for texts of any size.
const contrasts = `(() => {
	const parse = text => {
		const m = text.match(/^rgba?\(([^)]+)\)$/);
		if (!m) return null;
		const [r, g, b, a = 1] = m[1].split(/[ ,\/]+/).map(Number);
		return [r, g, b, a];
	};
	const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
	const luminance = color => {
		const [r, g, b] = color.map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const ground = el => {
		const layers = [];
		for (let e = el; e; e = e.parentElement) {
			const color = parse(getComputedStyle(e).backgroundColor);
			if (color && color[3] > 0) layers.push(color);
			if (color && color[3] === 1) break;
		}
		return layers.reduceRight((under, top) => over(top, under), [255, 255, 255]);
	};
	const bad = [];
	const check = (el, style, text) => {
		const color = parse(style.color), under = ground(el);
		if (!color) return bad.push('a color that is not understood: ' + style.color);
		const [high, low] = [luminance(over(color, under)), luminance(under)].sort((a, b) => b - a);
		const ratio = (high + .05) / (low + .05);
		if (ratio < 4.5) bad.push(ratio.toFixed(2) + ' ' + el.tagName + '.' + el.className + ' ' + style.color + ' on ' + under.map(Math.round) + ': ' + text.trim().slice(0, 40));
	};
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let count = 0;
	while (texts.nextNode()) {
		const el = texts.currentNode.parentElement;
		if (!texts.currentNode.data.trim() || el.closest('svg, option, .hidden, script') || !el.checkVisibility({ visibilityProperty: true })) continue;
		check(el, getComputedStyle(el), texts.currentNode.data);
		count++;
	}
	for (const el of document.querySelectorAll('input, textarea, select')) {
		if (!el.checkVisibility()) continue;
		check(el, getComputedStyle(el), el.value ?? '');
		if (el.placeholder) check(el, getComputedStyle(el, '::placeholder'), el.placeholder);
	}
	if (count < 5) bad.push('only ' + count + ' texts were looked at');
	return [...new Set(bad)];
})()`

// labels returns what has no name for those who do not see it, and whatever else a page must not have.
const labels = `(() => {
	const bad = [];
	const named = el => el.getAttribute('aria-label') || el.labels?.length || el.getAttribute('title') || el.textContent.trim();
	for (const el of document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a, summary, progress, svg[role=img]'))
		if (!named(el)) bad.push(el.outerHTML.slice(0, 120) + ' has no name');
	for (const el of document.querySelectorAll('[tabindex]')) if (el.tabIndex > 0) bad.push(el.outerHTML.slice(0, 120) + ' steps out of line');
	if (document.querySelectorAll('h1').length !== 1) bad.push(document.querySelectorAll('h1').length + ' headings of the first rank');
	if (!document.title || !document.documentElement.lang) bad.push('no title or no language');
	if (document.documentElement.scrollWidth > innerWidth) {
		const wide = [...document.querySelectorAll('main *')].find(el => el.getBoundingClientRect().right > innerWidth + 1);
		bad.push('the page is ' + document.documentElement.scrollWidth + ' wide in a window of ' + innerWidth + ': ' + wide?.outerHTML.slice(0, 160));
	}
	return bad;
})()`

// hostileElements returns what a text of a visitor has become that is no text.
const hostileElements = `[...document.querySelectorAll('main img, main script, main style, main iframe, main object, main embed, main [onload], main [onerror], main [style]')].map(e => e.outerHTML.slice(0, 200))
	.concat([...document.querySelectorAll('[href], [src], [action]')].filter(e => /^\s*(javascript|data|vbscript):/i.test(e.getAttribute('href') ?? e.getAttribute('src') ?? e.getAttribute('action'))).map(e => e.outerHTML.slice(0, 200)))
	.concat(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText) ? ['characters that steer the display'] : [])`

// focused describes what has the focus, and whether that can be seen.
const focused = `(() => {
	const el = document.activeElement, style = getComputedStyle(el);
	const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')].filter(e => e.checkVisibility() && !e.disabled && !e.closest('dialog:not([open])')
		&& (e.type !== 'radio' || e.checked)); // of radio buttons the Tab key comes to the chosen one
	return [all.indexOf(el), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1 ? 1 : 0, all.length];
})()`

// inspect checks the page that a tab shows.
func (p *tab) inspect(t *testing.T, name string) {
	t.Helper()
	report := func(what string, found []string) {
		t.Helper()
		for _, f := range found {
			t.Errorf("%s: %s: %s", name, what, f)
		}
	}
	report("complaint", p.taken())
	report("hostile", ask[[]string](p, hostileElements))
	report("accessibility", ask[[]string](p, labels))
	for _, scheme := range []string{"dark", "light"} {
		p.scheme(scheme)
		report("contrast, "+scheme, ask[[]string](p, contrasts))
	}
	p.narrow(true)
	report("narrow", ask[[]string](p, labels))
	p.narrow(false)
}

// walk steps through a page by the Tab key: the focus goes through it in order, and can be seen everywhere.
func (p *tab) walk(t *testing.T, name string, steps int) {
	t.Helper()
	p.run(`document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)`)
	for i := range steps {
		p.press("\t")
		at := ask[[]int](p, focused)
		if at[0] != i || at[1] != 1 {
			t.Errorf("%s: after %d steps the focus is on %d of %d, outline %d: %s", name, i+1, at[0], at[2], at[1],
				ask[string](p, `document.activeElement.outerHTML.slice(0, 200)`))
			return
		}
		if i+1 == at[2] {
			return
		}
	}
}

// paths are the pages of the navigation, and the first of what each lists.
func (p *tab) paths() []string {
	p.open("/")
	list := ask[[]string](p, `[...document.querySelectorAll('nav.pages a')].map(a => a.getAttribute('href'))`)
	if len(list) < 10 {
		p.t.Errorf("the navigation has only %v", list)
	}
	for _, path := range list {
		p.open(path)
		list = append(list, ask[[]string](p, `[...document.querySelectorAll('main tr[data-row] [data-open]')].slice(0, 2).map(a => a.getAttribute('href')).filter(h => !h.includes('?'))`)...)
	}
	seen := map[string]bool{}
	var unique []string
	for _, path := range append(list, "/?range=1h", "/?range=7d", "/replays/new?state=dead", "/conversations?q=needle", "/conversations?q=nonsense:1", "/deliveries?state=dead", "/failures?since=24h") {
		if base, _, _ := strings.Cut(path, "#"); !seen[base] {
			seen[base] = true
			unique = append(unique, base) // with a fragment the Tab key begins there
		}
	}
	return unique
}

// visitAll looks at every page.
func visitAll(t *testing.T, b *browser, admin string) {
	p := b.tab(t, admin)
	paths := p.paths()
	for _, path := range paths {
		p.open(path)
		p.inspect(t, path)
		p.walk(t, path, 24)
	}
	t.Logf("%d pages: %v", len(paths), paths)
	p.open("/nowhere")
	if said := p.taken(); len(said) != 1 || !strings.Contains(said[0], "404") {
		t.Errorf("a page that is not there: %v", said)
	}
	p.see("There is no such page")
	p.inspect(t, "/nowhere")
	if n := p.answered(500); n > 0 {
		t.Errorf("%d answers were errors of the gateway", n)
	}
}

// hostileHook is a chat of a visitor who means ill, in every field.
func hostileHook(id int) []byte {
	evil := []string{
		`<script>alert("x")</script>`, `<svg onload=alert(1)>`, `javascript:alert(1)`, `"><img src=x onerror=alert(1)>`, `\u202etxt.exe\u2066`,
		`\u0000\u001b[31mred\u0007`, `{{.}} ${visitor.email}`, `' OR 1=1 --`, `</title></textarea></pre>`, strings.Repeat("long", 60), `\ud83d\udc69\u200d\ud83d\ude80 \u0639\u0631\u0628\u064a`,
	}
	text := func(i int) string { return strings.ReplaceAll(evil[(id+i)%len(evil)], `"`, `\"`) }
	return fmt.Appendf(nil, `{"accountId":208,"beginAt":%[1]d,"endAt":%[2]d,"channel":{"id":%[3]d,"isCompleted":%[4]t,"isMissed":%[5]t,"rating":%[6]d,"ratingDesc":"%[7]s"},
"visitor":{"id":%[3]d,"name":"%[8]s","email":"eve%[3]d@example.com","countryCode":"CZ","variables":{"%[9]s":{"label":"%[7]s","value":"%[8]s"}}},
"paths":[{"url":"javascript:alert(1)","title":"%[9]s"}],
"messages":[{"type":"visitor","from":"visitor:a","name":"%[8]s","content":"%[7]s %[8]s","sentAt":%[1]d},
{"type":"visitor","from":"visitor:a","content":{"type":"upload","data":{"url":"https://files.example/%[3]d.svg","fileName":"%[9]s"}},"sentAt":%[1]d},
{"type":"agent","name":"%[9]s","from":"agent:3","content":"%[9]s","sentAt":%[2]d}]}`,
		1790000000000+id*1000, 1790000060000+id*1000, id, id%4 != 0, id%4 == 0, 1+id%5, text(0), text(1), text(2))
}
